import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { rowHeaderBytes, type Tuple, ValueType } from "../wire/tuple.ts";
import { TupleError } from "../wire/tuple_error.ts";
import { FrameReader } from "./frame_reader.ts";
import { tupleOf } from "./parameters.ts";
import type { RowsResponse } from "./response.ts";
import { decodeResponse } from "./response_codec.ts";
import { RowsEncoder } from "./rows_encoder.ts";

function encodeAll(columns: readonly string[], rows: readonly Tuple[], partBytes?: number): Uint8Array[] {
  const encoder = new RowsEncoder(columns, partBytes);
  const parts = rows.map((row) => encoder.add(row)).filter((part) => part !== undefined);
  return [...parts, encoder.finish()];
}

function decodePart(part: Uint8Array): RowsResponse {
  const reader = new FrameReader();
  reader.push(part);
  const frame = reader.next();
  ok(frame !== undefined && !reader.isMidFrame, "a part is one frame");
  const response = decodeResponse(frame);
  ok(response.kind === "rows");
  return response;
}

Deno.test("RowsEncoder cuts parts as dqlite does: 255 rows of one integer in 4 KiB", () => {
  const rows = Array.from({ length: 600 }, (_, index) => tupleOf([index]));
  const parts = encodeAll(["i"], rows, 4_096);
  deepEqual(parts.map((part) => decodePart(part).rows.length), [255, 255, 90]);
  deepEqual(parts.map((part) => part.byteLength), [513 * 8 + 8, 513 * 8 + 8, 8 + 16 + 90 * 16 + 8]);
});

Deno.test("RowsEncoder gives all rows in order, names in each part, the last marker last", () => {
  const columns = ["id", "name of a column"];
  const rows = Array.from({ length: 5_000 }, (_, index) => tupleOf([index, `row ${index}`]));
  const parts = encodeAll(columns, rows).map(decodePart);
  ok(parts.length > 1);
  parts.forEach((part, index) => {
    deepEqual(part.columns, columns);
    equal(part.isLast, index === parts.length - 1);
  });
  deepEqual(parts.flatMap((part) => part.rows.map(({ values }) => values)), rows.map(({ values }) => values));
});

Deno.test("RowsEncoder encodes results without rows and without columns", () => {
  deepEqual(encodeAll(["i", "s"], []).map((part) => part.toHex()), [
    "0400000007000000020000000000000069000000000000007300000000000000ffffffffffffffff",
  ]);
  deepEqual(encodeAll([], []).map((part) => part.toHex()), [
    "02000000070000000000000000000000ffffffffffffffff",
  ]);
});

Deno.test("RowsEncoder has a row in each part when names alone are larger than a part", () => {
  const parts = encodeAll(["x".repeat(1_000)], [tupleOf([1]), tupleOf([2])], 100).map(decodePart);
  deepEqual(parts.map(({ rows }) => rows.length), [1, 1]);
});

Deno.test("RowsEncoder sends a text that holds a NUL as a blob", () => {
  const [part] = encodeAll(["a", "b"], [tupleOf(["é\0b", "plain"])]).map(decodePart);
  const [row] = part?.rows ?? [];
  deepEqual(Array.from(row?.types ?? []), [ValueType.blob, ValueType.text]);
  deepEqual(row?.values.map((value) => value instanceof Uint8Array ? value.toHex() : value), [
    "c3a90062",
    "plain",
  ]);
});

Deno.test("RowsEncoder takes rows column by column", () => {
  const encoder = new RowsEncoder(["a", "b"]);
  for (let row = 0; row < 2; row++) {
    equal(encoder.startRow(), undefined);
    const header = encoder.writer.gap(rowHeaderBytes(2));
    encoder.writer.i64(row);
    encoder.writer.patchType(header, 0, ValueType.integer);
    ok(encoder.writer.textBytes(new TextEncoder().encode(`row ${row}`)));
    encoder.writer.patchType(header, 1, ValueType.text);
  }
  const whole = encodeAll(["a", "b"], [tupleOf([0, "row 0"]), tupleOf([1, "row 1"])]);
  deepEqual([encoder.finish().toHex()], whole.map((part) => part.toHex()));
});

Deno.test("RowsEncoder refuses a value that does not fit its type", () => {
  throws(() => new RowsEncoder(["a"]).add({ types: [1], values: ["text"] }), TupleError);
});

Deno.test("RowsEncoder takes rows of its columns only, and none when finished", () => {
  const encoder = new RowsEncoder(["a"]);
  throws(() => encoder.add(tupleOf([1, 2])), /A row of 2 values is not of a result of 1 columns/);
  throws(() => new RowsEncoder([]).add(tupleOf([])), /There are no rows of a result of 0 columns/);
  encoder.finish();
  throws(() => encoder.add(tupleOf([1])), /takes no rows/);
  throws(() => encoder.finish(), /finished once/);
});
