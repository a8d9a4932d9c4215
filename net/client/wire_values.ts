/** Statements, parameters and rows between the caller and the tuples of the dqlite protocol. */
import { NO_PARAMETERS, type Tuple, ValueType, type WireValue } from "../wire/tuple.ts";
import type { CallStatement } from "../dqlite/call.ts";
import { toRowObjects } from "./json_values.ts";
import type { SqlParameter, SqlStatement, SqlValue, StatementResult } from "./row_types.ts";
import { invalidArgument } from "./walraft_error.ts";
import type { WireOutcome } from "./wire_connection.ts";

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;
const NAN = "NaN has no SQLite value; use null";

/** @throws WalraftError invalid_argument, naming the parameter below `path` */
export function toCallStatement({ sql, params = [] }: SqlStatement, path: string): CallStatement {
  refuseNul(sql, "the SQL");
  if (Array.isArray(params)) return { sql, parameters: toTuple(params, path) };
  const names = Object.keys(params);
  for (const name of names) refuseNul(name, `the name of ${path}.${name}`);
  const parameters = toTuple(Object.values(params), path, names);
  return { sql, parameters, names };
}

/** A loop by index: holes are `undefined`, and refused; and batches have very many parameters. */
function toTuple(params: readonly SqlParameter[], path: string, names?: readonly string[]): Tuple {
  const { length } = params;
  if (length === 0) return NO_PARAMETERS;
  const types = new Uint8Array(length);
  const values = new Array<WireValue>(length);
  for (let index = 0; index < length; index++) {
    const value = params[index] as SqlParameter;
    const type = typeOf(value);
    if (typeof type === "string") {
      throw invalidArgument(`Cannot bind ${path}${names ? `.${names[index]}` : `[${index}]`}: ${type}`);
    }
    types[index] = type;
    values[index] = typeof value === "object" && value !== null && "real" in value ? value.real : value;
  }
  return { types, values };
}

/** The type under which it is sent, or why it cannot be. */
function typeOf(value: SqlParameter): ValueType | string {
  if (value === null) return ValueType.null;
  switch (typeof value) {
    case "string":
      return value.includes("\0")
        ? "a text with a NUL cannot go over the dqlite protocol; send a Uint8Array, or use HTTP"
        : ValueType.text;
    case "number":
      if (Number.isNaN(value)) return NAN;
      return Number.isSafeInteger(value) && !Object.is(value, -0) ? ValueType.integer : ValueType.float;
    case "bigint":
      return value < INT64_MIN || value > INT64_MAX
        ? `${value} does not fit into 64 bits`
        : ValueType.integer;
    case "boolean":
      return ValueType.boolean;
  }
  if (value instanceof Uint8Array) return ValueType.blob;
  if (typeof value === "object" && "real" in value && typeof value.real === "number") {
    return Number.isNaN(value.real) ? NAN : ValueType.float;
  }
  return `${typeof value} is not a SQLite value; use null, number, bigint, string, boolean or Uint8Array`;
}

/** @throws WalraftError invalid_argument */
export function refuseNul(text: string, what: string): void {
  if (text.includes("\0")) throw invalidArgument(`Cannot send ${what}: it holds a NUL`);
}

export function toRows<Row extends object>(
  { columns, rows }: WireOutcome,
  shape: "objects" | "arrays",
): Row[] {
  const arrays = rows.map(({ values }) => values.map(toSqlValue));
  return (shape === "arrays" ? arrays : toRowObjects(arrays, columns)) as unknown as Row[];
}

/** Blobs are views of the message they came in; what the caller keeps must not keep that. */
function toSqlValue(value: WireValue): SqlValue {
  if (value instanceof Uint8Array) return value.slice();
  return typeof value === "boolean" ? Number(value) : value;
}

export function toStatementResult<Row extends object>(
  outcome: WireOutcome,
  shape: "objects" | "arrays",
): StatementResult<Row> {
  const { changes, lastInsertRowid, columns, types } = outcome;
  return {
    changes,
    lastInsertRowid,
    rows: toRows<Row>(outcome, shape),
    columns: [...columns],
    types: [...types],
  };
}
