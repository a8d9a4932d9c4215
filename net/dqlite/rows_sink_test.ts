import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { plainColumns } from "../../tests/support/encode_rows.ts";
import { RowsSink } from "./rows_sink.ts";

const COLUMNS = plainColumns(["v"]);
const UTF8 = new TextEncoder();

function messageOf(sink: RowsSink, text: string): Uint8Array {
  sink.clear();
  sink.begin(COLUMNS);
  sink.startRow();
  sink.text(UTF8.encode(text));
  sink.end();
  return sink.message();
}

Deno.test("RowsSink uses one small buffer again and again, and gives a large one away", () => {
  const sink = new RowsSink();
  const first = messageOf(sink, "first");
  const [copy, { buffer }] = [first.slice(), first];
  const large = messageOf(sink, "x".repeat(100_000));
  ok(large.buffer !== buffer);
  const held = large.slice();
  const third = messageOf(sink, "third");
  strictEqual(third.buffer.byteLength <= 4_096, true);
  // The large one is still to be sent.
  deepStrictEqual(large, held);
  strictEqual(messageOf(sink, "first").buffer, third.buffer);
  deepStrictEqual(messageOf(sink, "first"), copy);
});

Deno.test("RowsSink keeps no memory of a result that became too large on the way", () => {
  const sink = new RowsSink();
  sink.begin(COLUMNS);
  sink.startRow();
  sink.blob(new Uint8Array(1_000_000));
  ok(sink.length > 1_000_000);
  sink.clear();
  throws(() => sink.length, /Columns come before rows/);
  throws(() => sink.message(), /sent when it is complete/);
  strictEqual(messageOf(sink, "next").buffer.byteLength <= 4_096, true);
});
