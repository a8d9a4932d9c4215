import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { addValues, encodeRows, plainColumns } from "../../tests/support/encode_rows.ts";
import { ValueType } from "../wire/tuple.ts";
import { FrameReader } from "./frame_reader.ts";
import { tupleOf } from "./parameters.ts";
import type { RowsResponse } from "./response.ts";
import { decodeResponse } from "./response_codec.ts";
import { RowsEncoder, RowsOpening } from "./rows_encoder.ts";

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
  const parts = encodeRows(plainColumns(["i"]), rows, 4_096);
  deepEqual(parts.map((part) => decodePart(part).rows.length), [255, 255, 90]);
  deepEqual(parts.map((part) => part.byteLength), [513 * 8 + 8, 513 * 8 + 8, 8 + 16 + 90 * 16 + 8]);
});

Deno.test("RowsEncoder gives all rows in order, names in each part, the last marker last", () => {
  const columns = ["id", "name of a column"];
  const rows = Array.from({ length: 5_000 }, (_, index) => tupleOf([index, `row ${index}`]));
  const parts = encodeRows(plainColumns(columns), rows).map(decodePart);
  ok(parts.length > 1);
  parts.forEach((part, index) => {
    deepEqual(part.columns, columns);
    equal(part.isLast, index === parts.length - 1);
  });
  deepEqual(parts.flatMap((part) => part.rows.map(({ values }) => values)), rows.map(({ values }) => values));
});

Deno.test("RowsEncoder encodes results without rows and without columns", () => {
  deepEqual(encodeRows(plainColumns(["i", "s"]), []).map((part) => part.toHex()), [
    "0400000007000000020000000000000069000000000000007300000000000000ffffffffffffffff",
  ]);
  deepEqual(encodeRows(plainColumns([]), []).map((part) => part.toHex()), [
    "02000000070000000000000000000000ffffffffffffffff",
  ]);
});

Deno.test("RowsEncoder has a row in each part when names alone are larger than a part", () => {
  const parts = encodeRows(plainColumns(["x".repeat(1_000)]), [tupleOf([1]), tupleOf([2])], 100).map(
    decodePart,
  );
  deepEqual(parts.map(({ rows }) => rows.length), [1, 1]);
});

Deno.test("RowsEncoder sends a text that holds a NUL as a blob", () => {
  const [part] = encodeRows(plainColumns(["a", "b"]), [tupleOf(["é\0b", "plain"])]).map(decodePart);
  const [row] = part?.rows ?? [];
  deepEqual(Array.from(row?.types ?? []), [ValueType.blob, ValueType.text]);
  deepEqual(row?.values.map((value) => value instanceof Uint8Array ? value.toHex() : value), [
    "c3a90062",
    "plain",
  ]);
});

Deno.test("RowsEncoder lets declared types decide about times and booleans only where the value fits", () => {
  const columns = [
    { name: "d", declaredType: "datetime" },
    { name: "b", declaredType: "Boolean" },
    { name: "n", declaredType: undefined },
  ];
  const rows = [
    tupleOf([5, 2, 1]),
    tupleOf(["2024-01-02", 0, "x"]),
    tupleOf(["soon", "no", { real: 1 }]),
    tupleOf([null, null, null]),
  ];
  const [part] = encodeRows(columns, rows).map(decodePart);
  const { integer, float, text, null: nothing, unixTime, iso8601, boolean } = ValueType;
  deepEqual(part?.rows.map(({ types }) => Array.from(types)), [
    [unixTime, boolean, integer],
    [iso8601, boolean, text],
    [text, text, float],
    [nothing, nothing, nothing],
  ]);
  deepEqual(part?.rows.map(({ values }) => values), [
    [5, true, 1],
    ["2024-01-02", false, "x"],
    ["soon", "no", 1],
    [null, null, null],
  ]);
});

Deno.test("RowsEncoder takes whole rows of its columns only, and none when finished", () => {
  const opened = (names: string[]) => new RowsEncoder(new RowsOpening(plainColumns(names)));
  throws(() => opened([]).startRow(), /There are no rows of a result of 0 columns/);
  throws(() => opened(["a"]).null(), /no more values than columns/);
  const encoder = opened(["a", "b"]);
  encoder.startRow();
  encoder.integer(1);
  throws(() => encoder.startRow(), /A row of 1 values is not of a result of 2 columns/);
  throws(() => encoder.finish(), /A row of 1 values is not of a result of 2 columns/);
  encoder.null();
  throws(() => encoder.null(), /no more values than columns/);
  encoder.startRow();
  addValues(encoder, tupleOf([1, 2]));
  encoder.finish();
  throws(() => encoder.startRow(), /takes no rows/);
  throws(() => encoder.finish(), /finished once/);
});
