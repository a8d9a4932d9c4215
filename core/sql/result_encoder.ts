import { NodeError } from "../base/errors.ts";
import type { AnswerWriter } from "./answer_writer.ts";
import { type EngineStatement, StorageClass } from "./engine.ts";
import { JsonAnswerWriter } from "./json_answer_writer.ts";
import { MsgpackAnswerWriter } from "./msgpack_answer_writer.ts";
import type { ResultColumn, RowSink, ValueSink } from "./row_sink.ts";
import type { ResultFormat, RowShape } from "./values.ts";

export interface ResultLimits {
  readonly rowsMax: number;
  /** Of the whole answer. */
  readonly bytesMax: number;
  /** Which limit the number of bytes is, for the error. */
  readonly bytesName: string;
}

/** Names of the storage classes, by bit `1 << StorageClass`; NULLs do not count unless there is nothing else. */
const TYPE_NAMES: ReadonlyMap<number, string> = new Map([
  [0, "null"],
  [1 << StorageClass.integer, "integer"],
  [1 << StorageClass.real, "real"],
  [1 << StorageClass.text, "text"],
  [1 << StorageClass.blob, "blob"],
]);
const NULL_BIT = 1 << StorageClass.null;

/** Writers are used again and again: an answer costs one allocation, its own bytes. */
export class AnswerWriters {
  readonly #json = new JsonAnswerWriter();
  readonly #msgpack = new MsgpackAnswerWriter();

  get(format: ResultFormat): AnswerWriter {
    const writer = format === "json" ? this.#json : this.#msgpack;
    writer.clear();
    return writer;
  }
}

/** The columns of a statement, encoded once and written with every answer. */
export interface EncodedColumns {
  readonly count: number;
  /** `"columns":[…]` as a key and its value. */
  readonly bytes: Uint8Array;
  /** Object rows: the key before each value. */
  readonly keys: readonly Uint8Array[];
}

/** Columns change only with a recompilation, so the encoded form is kept with the statement. */
export function encodeColumns(
  columns: readonly ResultColumn[],
  format: ResultFormat,
  shape: RowShape,
): EncodedColumns {
  const names = columns.map(({ name }) => name);
  const writer = format === "json" ? new JsonAnswerWriter() : new MsgpackAnswerWriter();
  const keys = shape === "objects" ? distinctNames(names) : names;
  writer.key("columns");
  writer.beginArray(keys.length);
  keys.forEach((name, index) => {
    if (index > 0) writer.separator();
    if (shape === "typed_arrays") writeTypedColumn(writer, name, columns[index]?.declaredType);
    else writer.string(name);
  });
  writer.endArray();
  return {
    count: names.length,
    bytes: writer.take(),
    keys: shape === "objects" ? keys.map((name) => writer.encodeKey(name)) : [],
  };
}

function writeTypedColumn(writer: AnswerWriter, name: string, declaredType: string | undefined): void {
  writer.beginArray(2);
  writer.string(name);
  writer.separator();
  if (declaredType === undefined) writer.null();
  else writer.string(declaredType);
  writer.endArray();
}

/**
 * Object rows need distinct keys, or a value would be lost without a word: the second column `id` becomes `id_2`, the
 * third `id_3`. `columns` lists the keys as they are in the rows.
 */
export function distinctNames(names: readonly string[]): string[] {
  const taken = new Set(names);
  const used = new Set<string>();
  return names.map((name) => {
    let distinct = name;
    for (let number = 2; used.has(distinct); number += 1) {
      const candidate = `${name}_${number}`;
      if (!taken.has(candidate)) distinct = candidate;
    }
    used.add(distinct);
    return distinct;
  });
}

/**
 * Runs the statement to its end and writes `columns`, `types` and `rows`, three keys without braces.
 *
 * @param firstRow what the first `step` answered: columns are only certain after it
 * @throws NodeError result_too_large
 */
export function writeRows(
  writer: AnswerWriter,
  statement: EngineStatement,
  firstRow: boolean,
  columns: EncodedColumns,
  limits: ResultLimits,
): void {
  const { count, keys } = columns;
  const seen = new Uint8Array(count);
  writer.raw(columns.bytes);
  const position = writer.length;
  writer.separator();
  writer.key("rows");
  const mark = writer.beginOpenArray();
  let rows = 0;
  for (let hasRow = firstRow; hasRow; hasRow = statement.step()) {
    if (rows >= limits.rowsMax) throw tooLarge("rows", "result_rows", limits.rowsMax);
    if (rows > 0) writer.separator();
    rows += 1;
    if (keys.length > 0) writer.beginMap(count);
    else writer.beginArray(count);
    for (let column = 0; column < count; column += 1) {
      if (column > 0) writer.separator();
      if (keys.length > 0) writer.raw(keys[column]!);
      seen[column]! |= 1 << writeColumn(writer, statement, column);
      if (writer.length > limits.bytesMax) throw tooLarge("bytes", limits.bytesName, limits.bytesMax);
    }
    if (keys.length > 0) writer.endMap();
    else writer.endArray();
  }
  writer.endOpenArray(mark, rows);
  writeTypes(writer, seen, position);
}

/** Known only after the last row, but of more use before the first. */
function writeTypes(writer: AnswerWriter, seen: Uint8Array, position: number): void {
  const middle = writer.length;
  writer.separator();
  writer.key("types");
  writer.beginArray(seen.length);
  seen.forEach((bits, column) => {
    if (column > 0) writer.separator();
    writer.string(TYPE_NAMES.get(bits & ~NULL_BIT) ?? "mixed");
  });
  writer.endArray();
  writer.moveTailTo(position, middle);
}

/**
 * Runs the statement to its end and gives its rows to `sink`.
 *
 * @param firstRow as for `writeRows`
 * @throws NodeError result_too_large
 */
export function pourRows(
  sink: RowSink,
  statement: EngineStatement,
  firstRow: boolean,
  columns: readonly ResultColumn[],
  limits: ResultLimits,
): void {
  sink.begin(columns);
  const { length: count } = columns;
  let rows = 0;
  for (let hasRow = firstRow; hasRow; hasRow = statement.step()) {
    if (rows >= limits.rowsMax) throw tooLarge("rows", "result_rows", limits.rowsMax);
    rows += 1;
    sink.startRow();
    for (let column = 0; column < count; column += 1) {
      writeColumn(sink, statement, column);
      if (sink.length > limits.bytesMax) throw tooLarge("bytes", limits.bytesName, limits.bytesMax);
    }
  }
  sink.end();
}

function writeColumn(writer: ValueSink, statement: EngineStatement, column: number): number {
  const type = statement.columnType(column);
  if (type === StorageClass.integer) writer.integer(statement.columnInteger(column));
  else if (type === StorageClass.text) writer.text(statement.columnText(column));
  else if (type === StorageClass.real) writer.real(statement.columnReal(column));
  else if (type === StorageClass.blob) writer.blob(statement.columnBlob(column));
  else writer.null();
  return type;
}

function tooLarge(what: string, name: string, value: number): NodeError {
  return new NodeError(
    "result_too_large",
    `Cannot return more than ${value} ${what} (limit ${name}); ask for less with LIMIT, or fetch it in parts`,
    { limit: { name, value } },
  );
}
