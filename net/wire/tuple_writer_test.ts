import { equal, ok, throws } from "node:assert/strict";
import fc from "fast-check";
import { TupleReader } from "./tuple_reader.ts";
import { TupleWriter } from "./tuple_writer.ts";

function written(write: (writer: TupleWriter) => void): string {
  const writer = new TupleWriter();
  write(writer);
  return writer.take().toHex();
}

Deno.test("TupleWriter writes integers as two's complement", () => {
  const cases: readonly (readonly [number | bigint, string])[] = [
    [0, "0000000000000000"],
    [-0, "0000000000000000"],
    [1, "0100000000000000"],
    [-1, "ffffffffffffffff"],
    [0xffff_ffff, "ffffffff00000000"],
    [-0x1_0000_0000, "00000000ffffffff"],
    [-0x1_0000_0001, "fffffffffeffffff"],
    [Number.MAX_SAFE_INTEGER, "ffffffffffff1f00"],
    [Number.MIN_SAFE_INTEGER, "010000000000e0ff"],
    [2n ** 63n - 1n, "ffffffffffffff7f"],
    [-(2n ** 63n), "0000000000000080"],
  ];
  for (const [value, hex] of cases) equal(written((writer) => writer.i64(value)), hex, String(value));
  for (const value of [2n ** 63n, -(2n ** 63n) - 1n, 2 ** 53, -(2 ** 53), 0.5, NaN, Infinity]) {
    throws(() => new TupleWriter().i64(value), /Cannot write .* as a 64-bit integer at offset 0/);
  }
});

Deno.test("TupleReader reads integers as numbers exactly where they are safe", () => {
  const near = [2n ** 53n, -(2n ** 53n), 0n, 2n ** 32n, -(2n ** 32n), 2n ** 31n, -(2n ** 31n)];
  for (const value of near.flatMap((each) => [each - 2n, each - 1n, each, each + 1n, each + 2n])) {
    const reader = new TupleReader(Uint8Array.fromHex(written((writer) => writer.i64(value))));
    equal(reader.i64("value"), Number.isSafeInteger(Number(value)) ? Number(value) : value);
  }
});

Deno.test("TupleWriter writes unsigned numbers and refuses others", () => {
  equal(written((writer) => writer.u64(2 ** 40 + 3)), "0300000000010000");
  equal(written((writer) => writer.u64(0x2dc171858c3155ben)), "be55318c8571c12d");
  for (const value of [-1, 2 ** 53, 1.5, -1n, 2n ** 64n]) throws(() => new TupleWriter().u64(value));
  const reader = new TupleReader(Uint8Array.fromHex("be55318c8571c12dffffffffffff1f00"));
  equal(reader.u64("id"), 0x2dc171858c3155ben);
  equal(reader.u64("id"), Number.MAX_SAFE_INTEGER);
});

Deno.test("TupleWriter ends a text with a NUL and fills its last word", () => {
  const cases = [["", 8], ["1234567", 8], ["12345678", 16], ["é".repeat(4), 16], [
    "é".repeat(20),
    48,
  ]] as const;
  for (const [text, bytes] of cases) {
    const hex = written((writer) => writer.text(text));
    equal(hex, new TextEncoder().encode(text).toHex().padEnd(bytes * 2, "0"));
    equal(hex, written((writer) => ok(writer.textBytes(new TextEncoder().encode(text)))));
  }
});

Deno.test("TupleWriter writes any text, wherever the encoder first runs out of room", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom("a", "é", "語", "😀"), maxLength: 300 }),
      fc.integer({ min: 0, max: 40 }),
      (text, before) => {
        const writer = new TupleWriter();
        for (let count = 0; count < before; count++) writer.zeros();
        writer.text(text);
        writer.u64(77);
        const reader = new TupleReader(writer.take());
        reader.bytes(before * 8, "what is before");
        equal(reader.text("text"), text);
        equal(reader.u64("what follows"), 77);
        equal(reader.remaining, 0);
      },
    ),
  );
});

Deno.test("TupleWriter sends no bytes of what was cut", () => {
  const writer = new TupleWriter();
  writer.bytes(new Uint8Array(200).fill(0xff));
  writer.cut(0);
  writer.gap(8);
  writer.zeros();
  writer.text("a");
  writer.blob(new Uint8Array([1]));
  writer.text("long text that is not taken by the loop, and then some more");
  ok(!writer.take().toHex().includes("ff"));
});

Deno.test("TupleWriter refuses a NUL and keeps what was there", () => {
  const writer = new TupleWriter();
  writer.u64(1);
  for (const text of ["\0", "ab\0cd", `${"x".repeat(40)}\0`]) {
    throws(() => writer.text(text), /Cannot write a text that holds a NUL at offset 8/);
    equal(writer.textBytes(new TextEncoder().encode(text)), false);
    equal(writer.length, 8);
  }
});

Deno.test("TupleWriter gives its buffer away", () => {
  const writer = new TupleWriter();
  writer.u64(1);
  const first = writer.take();
  writer.u64(2);
  equal(first.toHex(), "0100000000000000");
  equal(writer.take().toHex(), "0200000000000000");
});

Deno.test("TupleReader does not look at padding", () => {
  const reader = new TupleReader(
    Uint8Array.fromHex("6100ffffffffffff" + "0100000000000000" + "07ffffffffffffff"),
  );
  equal(reader.text("text"), "a");
  equal(reader.blob("blob").toHex(), "07");
  equal(reader.remaining, 0);
});
