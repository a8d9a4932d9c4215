import { deepStrictEqual, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import { MsgpackAnswerWriter } from "../../core/sql/msgpack_answer_writer.ts";
import type { EncodedFields } from "../../core/sql/values.ts";
import { ValueType } from "../wire/tuple.ts";
import { AnswerReader } from "./answer_reader.ts";
import { FrameReader } from "./frame_reader.ts";
import { decodeResponse } from "./response_codec.ts";

type Value = null | number | bigint | string | Uint8Array | { real: number };

/** An answer as the node's workers write it. */
function answerOf(
  columns: readonly [string, string | null][],
  rows: readonly (readonly Value[])[],
): EncodedFields {
  const writer = new MsgpackAnswerWriter();
  writer.key("changes");
  writer.integer(7);
  writer.key("last_insert_rowid");
  writer.integer(2n ** 60n);
  writer.key("columns");
  writer.beginArray(columns.length);
  for (const [name, declaredType] of columns) {
    writer.beginArray(2);
    writer.string(name);
    if (declaredType === null) writer.null();
    else writer.string(declaredType);
  }
  writer.key("types");
  writer.beginArray(columns.length);
  for (const _ of columns) writer.string("mixed");
  writer.key("rows");
  const mark = writer.beginOpenArray();
  for (const row of rows) {
    writer.beginArray(row.length);
    for (const value of row) writeValue(writer, value);
  }
  writer.endOpenArray(mark, rows.length);
  return { format: "msgpack", count: 5, bytes: writer.take() };
}

function writeValue(writer: MsgpackAnswerWriter, value: Value): void {
  if (value === null) writer.null();
  else if (typeof value === "number" || typeof value === "bigint") writer.integer(value);
  else if (typeof value === "string") writer.string(value);
  else if (value instanceof Uint8Array) writer.blob(value);
  else writer.real(value.real);
}

/** Types and values of every row, as a client reads them. */
function received(answer: AnswerReader): [number, unknown][][] {
  const reader = new FrameReader();
  const rows: [number, unknown][][] = [];
  for (const part of answer.parts()) {
    reader.push(part);
    const frame = reader.next();
    const response = frame === undefined ? undefined : decodeResponse(frame);
    if (response?.kind !== "rows") throw new Error("A part is not a message of rows");
    deepStrictEqual(response.columns, answer.columns.map(({ name }) => name));
    for (const { types, values } of response.rows) {
      rows.push(values.map((value, column) => [types[column] as number, value]));
    }
  }
  return rows;
}

Deno.test("AnswerReader gives what a write changed, and a result of no columns", () => {
  const answer = new AnswerReader(answerOf([], []));
  deepStrictEqual([answer.changes, answer.lastInsertRowid, answer.rowCount, answer.columns], [
    7,
    2n ** 60n,
    0,
    [],
  ]);
  deepStrictEqual(received(answer), []);
  const none = new AnswerReader(undefined);
  deepStrictEqual([none.changes, [...none.parts()].length], [undefined, 1]);
});

Deno.test("AnswerReader sends every value in every width as its type", () => {
  const value = fc.oneof(
    fc.constant(null),
    fc.maxSafeInteger(),
    fc.integer({ min: -70_000, max: 70_000 }),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.string({ unit: "binary", maxLength: 400 }),
    fc.uint8Array({ maxLength: 70_000 }),
    fc.double({ noNaN: true }).map((real) => ({ real })),
  );
  const column: [string, string | null] = ["v", "VARCHAR"];
  fc.assert(fc.property(fc.array(value, { maxLength: 20 }), (values) => {
    const rows = received(new AnswerReader(answerOf([column], values.map((each) => [each]))));
    deepStrictEqual(rows, values.map((each) => [expected(each)]));
  }));
});

function expected(value: Value): [number, unknown] {
  if (value === null) return [ValueType.null, null];
  if (typeof value === "number") return [ValueType.integer, Object.is(value, -0) ? 0 : value];
  if (typeof value === "bigint") {
    const short = Number(value);
    return [ValueType.integer, Number.isSafeInteger(short) ? short : value];
  }
  if (typeof value === "string") {
    if (!value.includes("\0")) return [ValueType.text, value.toWellFormed()];
    return [ValueType.blob, new TextEncoder().encode(value)];
  }
  return value instanceof Uint8Array ? [ValueType.blob, value] : [ValueType.float, value.real];
}

Deno.test("AnswerReader lets declared types decide about times and booleans only where the value fits", () => {
  const answer = new AnswerReader(answerOf([["d", "datetime"], ["b", "Boolean"], ["n", null]], [
    [5, 2, 1],
    ["2024-01-02", 0, "x"],
    ["soon", "no", { real: 1 }],
    [null, null, null],
  ]));
  const { integer, float, text, null: nothing, unixTime, iso8601, boolean } = ValueType;
  deepStrictEqual(received(answer), [
    [[unixTime, 5], [boolean, true], [integer, 1]],
    [[iso8601, "2024-01-02"], [boolean, false], [text, "x"]],
    [[text, "soon"], [text, "no"], [float, 1]],
    [[nothing, null], [nothing, null], [nothing, null]],
  ]);
});

Deno.test("AnswerReader cuts a large result into parts", () => {
  const rows = Array.from({ length: 3_000 }, (_, index) => [index, "x".repeat(100)]);
  const answer = new AnswerReader(answerOf([["i", null], ["s", "TEXT"]], rows));
  strictEqual([...answer.parts()].length > 4, true);
  strictEqual(received(answer).length, 3_000);
});
