import { deepEqual, equal, ok, throws } from "node:assert/strict";
import fc from "fast-check";
import { SeededRandom } from "../../tests/support/seeded_random.ts";
import {
  EndMarker,
  type ParameterForm,
  readParameters,
  readRow,
  type Tuple,
  ValueType,
  type WireValue,
  writeEndMarker,
  writeParameters,
  writeRow,
} from "./tuple.ts";
import { TupleError } from "./tuple_error.ts";
import { TupleReader } from "./tuple_reader.ts";
import { TupleWriter } from "./tuple_writer.ts";

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

const integer = fc.oneof(
  fc.maxSafeInteger(),
  fc.integer(),
  // Numbers outside the safe ones only: what is safe is read back as a number.
  fc.bigInt({ min: 2n ** 53n, max: INT64_MAX }),
  fc.bigInt({ min: INT64_MIN, max: -(2n ** 53n) }),
).map((value) => value === 0 ? 0 : value);
const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 100 }),
  fc.string({ unit: "grapheme-ascii", maxLength: 40 }),
  fc.constant("\ufeffmark"),
).map((value) => value.replaceAll("\0", ""));

const pair = (type: number, value: fc.Arbitrary<WireValue>) => value.map((each) => [type, each] as const);
const PARAMETER_PAIRS = [
  pair(ValueType.integer, integer),
  pair(ValueType.float, fc.double()),
  pair(ValueType.text, text),
  pair(ValueType.blob, fc.uint8Array({ maxLength: 40 })),
  pair(ValueType.null, fc.constant(null)),
  pair(ValueType.iso8601, text),
  pair(ValueType.boolean, fc.boolean()),
];
const ROW_PAIRS = [...PARAMETER_PAIRS, pair(ValueType.unixTime, integer)];
const tupleOf = (pairs: readonly (readonly [number, WireValue])[]): Tuple => ({
  types: pairs.map(([type]) => type),
  values: pairs.map(([, value]) => value),
});
const row = fc.array(fc.oneof(...ROW_PAIRS), { minLength: 1, maxLength: 40 }).map(tupleOf);
const parameters = fc.array(fc.oneof(...PARAMETER_PAIRS), { maxLength: 40 }).map(tupleOf);

/** Values as plain data: blobs that are read are views. */
const plain = ({ types, values }: Tuple) => ({
  types: Array.from(types),
  values: values.map((value) => value instanceof Uint8Array ? [...value] : value),
});

function readRows(bytes: Uint8Array, columnCount: number): Tuple[] {
  const reader = new TupleReader(bytes);
  const rows: Tuple[] = [];
  for (;;) {
    const types = new Uint8Array(columnCount);
    const values: WireValue[] = [];
    if (readRow(reader, columnCount, types, values) !== "row") return rows;
    rows.push({ types, values });
  }
}

Deno.test("writeRow(), readRow() give back any rows, each with types of its own", () => {
  fc.assert(
    fc.property(fc.array(row, { minLength: 1, maxLength: 5 }), (rows) => {
      const columnCount = rows[0]?.values.length ?? 0;
      const same = rows.filter(({ values }) => values.length === columnCount);
      const writer = new TupleWriter();
      for (const each of same) {
        writeRow(writer, each);
        equal(writer.length % 8, 0);
      }
      writeEndMarker(writer, EndMarker.done);
      deepEqual(readRows(writer.take(), columnCount).map(plain), same.map(plain));
    }),
  );
});

Deno.test("writeParameters(), readParameters() give back any parameters in both forms", () => {
  fc.assert(
    fc.property(parameters, fc.constantFrom<ParameterForm>(0, 1), (tuple, form) => {
      const writer = new TupleWriter();
      writeParameters(writer, form, tuple);
      equal(writer.length % 8, 0);
      deepEqual(plain(readParameters(new TupleReader(writer.take()), form)), plain(tuple));
    }),
  );
});

Deno.test("writeRow() has 4 bits a column, low first, in words of 16 columns", () => {
  for (
    const [columnCount, headerBytes] of [[1, 8], [15, 8], [16, 8], [17, 16], [32, 16], [33, 24]] as const
  ) {
    const writer = new TupleWriter();
    writeRow(writer, { types: Array(columnCount).fill(5), values: Array(columnCount).fill(null) });
    equal(writer.length, headerBytes + columnCount * 8, `${columnCount} columns`);
    const header = Array<number>(headerBytes).fill(0);
    for (let column = 0; column < columnCount; column++) header[column >> 1] = column % 2 === 0 ? 0x05 : 0x55;
    deepEqual([...writer.take().subarray(0, headerBytes)], header);
  }
});

Deno.test("writeRow() leaves the writer as it was when a value does not fit its type", () => {
  const writer = new TupleWriter();
  writeRow(writer, { types: [1, 3], values: [1, "one"] });
  const before = writer.peek().toHex();
  const wrong: readonly (readonly [number, WireValue])[] = [
    [1, "one"],
    [1, 1.5],
    [1, 2n ** 63n],
    [2, 1n],
    [3, "a\0b"],
    [3, `${"long".repeat(100)}\0`],
    [3, null],
    [4, "text"],
    [5, 0],
    [9, 2 ** 53],
    [10, 5],
    [11, 1],
    [0, null],
    [6, 1],
    [14, null],
    [15, null],
  ];
  for (const [type, value] of wrong) {
    throws(
      () => writeRow(writer, { types: [1, type], values: [7, value] }),
      (error) => error instanceof TupleError && error.reason === "type",
      `type ${type}`,
    );
    equal(writer.peek().toHex(), before);
  }
  writeRow(writer, { types: [5], values: [null] });
  equal(writer.take().toHex(), `${before}${"05".padEnd(32, "0")}`, "padding is zero again");
});

Deno.test("readRow() tells markers from rows", () => {
  for (const [marker, expected] of [[EndMarker.done, "done"], [EndMarker.more, "more"]] as const) {
    const writer = new TupleWriter();
    writeEndMarker(writer, marker);
    for (const columnCount of [0, 1, 20]) {
      const reader = new TupleReader(writer.peek());
      equal(readRow(reader, columnCount, new Uint8Array(20), []), expected);
      equal(reader.remaining, 0);
    }
  }
});

Deno.test("readRow() refuses a row of no columns instead of reading it for ever", () => {
  throws(() => readRow(new TupleReader(new Uint8Array(64)), 0, new Uint8Array(0), []), /has no columns/);
});

Deno.test("readParameters() refuses unixtime and unknown types by type, all else as malformed", () => {
  const read = (hex: string, form: ParameterForm) => () =>
    readParameters(new TupleReader(Uint8Array.fromHex(hex)), form);
  const reasonIs = (reason: string) => (error: unknown) =>
    error instanceof TupleError && error.reason === reason;
  throws(read("0109000000000000" + "00".repeat(8), 0), reasonIs("type"));
  throws(read("0106000000000000" + "00".repeat(8), 0), reasonIs("type"));
  throws(read("0100000001000000" + "00".repeat(8), 0), reasonIs("type"), "form 1 read as form 0");
  throws(read("0101000000000000", 0), reasonIs("malformed"), "the value is missing");
  throws(
    read("0201010000000000" + "00".repeat(8), 0),
    /Cannot read 2 parameters at offset 0: 15 bytes are left/,
  );
  throws(read("0101000000000000" + "00".repeat(16), 0), /8 bytes are left after the last of 1/);
  throws(read("ffffffff01010101" + "00".repeat(16), 1), /Cannot read 4294967295 parameters at offset 0/);
  throws(read("0103000000000000" + "61".repeat(8), 0), /its end is missing/);
  throws(read("0103000000000000" + "ff00000000000000", 0), /it is not UTF-8/);
  throws(
    read("0104000000000000" + "0900000000000000" + "00".repeat(8), 0),
    /it announces 9, 8 bytes are left/,
  );
  throws(read("0104000000000000" + "ffffffffffffffff" + "00".repeat(8), 0), reasonIs("malformed"));
});

Deno.test("readParameters() takes nothing and a count of nothing as no parameters", () => {
  for (const form of [0, 1] as const) {
    deepEqual(plain(readParameters(new TupleReader(new Uint8Array(0)), form)), { types: [], values: [] });
    deepEqual(plain(readParameters(new TupleReader(new Uint8Array(8)), form)), { types: [], values: [] });
    const writer = new TupleWriter();
    writeParameters(writer, form, { types: [], values: [] });
    equal(writer.length, 0);
  }
});

Deno.test("writeParameters() holds 255 parameters in form 0 and more in form 1", () => {
  const tuple = (count: number) => ({
    types: Array(count).fill(1),
    values: Array.from({ length: count }, (_, i) => i),
  });
  const writer = new TupleWriter();
  writeParameters(writer, 0, tuple(255));
  equal(writer.take().byteLength, 256 + 255 * 8);
  throws(() => writeParameters(writer, 0, tuple(256)), /Cannot write 256 parameters in form 0/);
  writeParameters(writer, 1, tuple(40_000));
  deepEqual(plain(readParameters(new TupleReader(writer.take()), 1)), plain(tuple(40_000)));
});

Deno.test("readRow(), readParameters() turn any bytes into values or a TupleError with its offset", () => {
  const random = new SeededRandom(0x7a11);
  const good = new TupleWriter();
  for (let count = 0; count < 4; count++) {
    writeRow(good, {
      types: [1, 3, 4, 2, 10, 11, 9, 5],
      values: [-1, "héllo", new Uint8Array(9), 0.1, "2024-01-02", true, 5, null],
    });
  }
  writeEndMarker(good, EndMarker.done);
  const template = good.take();
  let refused = 0;
  for (let round = 0; round < 10_000; round++) {
    const bytes = round % 2 === 0 ? random.bytes(random.integer(0, 40) * 8) : template.slice();
    for (let flips = round % 2 * random.integer(1, 4); flips > 0; flips--) {
      bytes[random.integer(0, bytes.byteLength - 1)] = random.chance(0.5) ? 0 : random.word();
    }
    const attempts = [
      () => readRows(bytes, 8),
      () => readRows(bytes, random.integer(0, 40)),
      () => [readParameters(new TupleReader(bytes), 0)],
      () => [readParameters(new TupleReader(bytes), 1)],
    ];
    for (const attempt of attempts) {
      try {
        const words = attempt().reduce((total, { values }) => total + values.length, 0);
        ok(words * 8 <= bytes.byteLength, "each value came from at least a word");
      } catch (error) {
        ok(error instanceof TupleError && error.offset <= bytes.byteLength, String(error));
        refused += 1;
      }
    }
  }
  ok(refused > 10_000 && refused < 40_000, `${refused} of 40000 were refused`);
});
