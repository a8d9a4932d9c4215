/**
 * The `sql` template tag. Values become parameters, never text, so a value cannot change what a statement means.
 * Text enters only as template literal, through `sql.identifier` (quoted) or through `sql.raw`.
 */
import type { SqlParameter, SqlQuery, SqlRow } from "./row_types.ts";
import { invalidArgument } from "./walraft_error.ts";

/** Survives several copies of the package, like the mark of WalraftError. */
const MARK = Symbol.for("walraft.sql.v1");

/** SQL with its parameters. It may be placed inside another template. */
export class Sql<Row extends object = SqlRow> implements SqlQuery<Row> {
  readonly sql: string;
  readonly params: readonly SqlParameter[];
  declare readonly rowType?: Row;
  readonly [MARK] = true;

  constructor(text: string, params: readonly SqlParameter[]) {
    this.sql = text;
    this.params = params;
  }
}

function isSql(value: unknown): value is Sql<object> {
  return value !== null && typeof value === "object" && (value as { [MARK]?: unknown })[MARK] === true;
}

/** What may stand between `${` and `}`. */
export type SqlTagValue = SqlParameter | Sql<object>;

function tag<Row extends object = SqlRow>(
  strings: TemplateStringsArray,
  ...values: readonly SqlTagValue[]
): Sql<Row> {
  // A call with a plain string would put its text into the SQL.
  if (!Array.isArray(strings) || !Array.isArray(strings.raw)) {
    throw invalidArgument("Cannot make SQL from a call: use sql`…` as a template tag, or sql.raw(text)");
  }
  let text = strings[0] ?? "";
  const params: SqlParameter[] = [];
  values.forEach((value, i) => {
    if (isSql(value)) {
      text += value.sql;
      params.push(...value.params);
    } else if (value === undefined) {
      throw invalidArgument(`Cannot bind value ${i + 1} of the sql template: it is undefined; use null`);
    } else {
      text += "?";
      params.push(value);
    }
    text += strings[i + 1] ?? "";
  });
  return new Sql<Row>(text, params);
}

/** A name of a table or column, quoted; several parts are joined by dots. Throws on an empty name or a NUL. */
function identifier(...parts: readonly string[]): Sql {
  const quoted = parts.map((part) => {
    if (typeof part !== "string" || part === "" || part.includes("\0")) {
      throw invalidArgument(
        `Cannot quote ${JSON.stringify(part)} as an identifier: it is empty or holds a NUL`,
      );
    }
    return `"${part.replaceAll('"', '""')}"`;
  });
  if (quoted.length === 0) throw invalidArgument("Cannot quote an identifier: no name was given");
  return new Sql(quoted.join("."), []);
}

/** Fragments or values with `separator` (default `, `) between them, for lists such as `IN (…)` or VALUES. */
function join(values: readonly SqlTagValue[], separator: Sql<object> = raw(", ")): Sql {
  let text = "";
  const params: SqlParameter[] = [];
  values.forEach((value, i) => {
    if (i > 0) {
      text += separator.sql;
      params.push(...separator.params);
    }
    const part = isSql(value) ? value : tag`${value}`;
    text += part.sql;
    params.push(...part.params);
  });
  return new Sql(text, params);
}

/** Text as it is. Never pass anything a user typed. */
function raw(text: string): Sql {
  return new Sql(text, []);
}

/** Nothing, for optional fragments. */
const empty: Sql = raw("");

export interface SqlTag {
  <Row extends object = SqlRow>(strings: TemplateStringsArray, ...values: readonly SqlTagValue[]): Sql<Row>;
  readonly identifier: typeof identifier;
  readonly join: typeof join;
  readonly raw: typeof raw;
  readonly empty: Sql;
}

export const sql: SqlTag = Object.assign(tag, { identifier, join, raw, empty });
