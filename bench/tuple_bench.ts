/**
 * How fast values become row tuples and row tuples values, by kind of value, and what a value costs in allocated bytes
 * (heap and buffers). One line per result; the hash shows that two runs did the same work.
 *
 *     deno run -A bench/tuple_bench.ts [smoke]
 */
import { crc32 } from "../core/codec/crc32.ts";
import {
  EndMarker,
  readRow,
  type Tuple,
  ValueType,
  type WireValue,
  writeEndMarker,
  writeRow,
} from "../net/wire/tuple.ts";
import { TupleReader } from "../net/wire/tuple_reader.ts";
import { TupleWriter } from "../net/wire/tuple_writer.ts";

/** A point read has one row, a part of a result about this many. */
const ROWS = 100;
const COLUMNS = 10;

const column = (type: number, value: (row: number) => WireValue) => ({ type, value });
const SHAPES = {
  integers: [column(ValueType.integer, (row) => row * 1_000_003 - 50_000_000)],
  bigints: [column(ValueType.integer, (row) => 2n ** 62n + BigInt(row))],
  floats: [column(ValueType.float, (row) => row / 7)],
  "short texts": [column(ValueType.text, (row) => `customer-${row}`)],
  "100-byte texts": [column(ValueType.text, (row) => `${row}`.padStart(100, "text "))],
  "accented texts": [column(ValueType.text, (row) => `${row} naïveté à la carte, 日本語`)],
  "100-byte blobs": [column(ValueType.blob, (row) => new Uint8Array(100).fill(row))],
  mixed: [
    column(ValueType.integer, (row) => row),
    column(ValueType.text, (row) => `customer-${row}`),
    column(ValueType.float, (row) => row * 1.25),
    column(ValueType.null, () => null),
    column(ValueType.iso8601, () => "2024-01-02 03:04:05+00:00"),
  ],
} as const;

export interface TupleBenchResult {
  readonly name: string;
  readonly valuesPerSecond: number;
  readonly allocatedBytesPerValue: number;
  /** On the wire, headers of rows included. */
  readonly encodedBytesPerValue: number;
  readonly hash: number;
}

function rowsOf(shape: (typeof SHAPES)[keyof typeof SHAPES]): Tuple[] {
  return Array.from({ length: ROWS }, (_, row) => {
    const columns = Array.from({ length: COLUMNS }, (_, index) => shape[index % shape.length]);
    return {
      types: Uint8Array.from(columns, (each) => each?.type ?? 0),
      values: columns.map((each) => each?.value(row) ?? null),
    };
  });
}

function encode(rows: readonly Tuple[], capacityBytes: number): Uint8Array {
  const writer = new TupleWriter(capacityBytes);
  for (const row of rows) writeRow(writer, row);
  writeEndMarker(writer, EndMarker.done);
  return writer.take();
}

function decode(bytes: Uint8Array, rows: WireValue[][]): number {
  const reader = new TupleReader(bytes);
  const types = new Uint8Array(COLUMNS);
  let count = 0;
  for (;;) {
    const values: WireValue[] = [];
    if (readRow(reader, COLUMNS, types, values) !== "row") return count;
    rows[count] = values;
    count += 1;
  }
}

function allocatedBytes(): number {
  const { heapUsed, external } = Deno.memoryUsage();
  return heapUsed + external;
}

/** Runs `work` in rounds until `runMs` have passed; rounds in which garbage was collected tell nothing of allocation. */
function measure(
  runMs: number,
  work: () => void,
): { valuesPerSecond: number; allocatedBytesPerValue: number } {
  const ROUND = 10;
  const values = ROUND * ROWS * COLUMNS;
  const growths: number[] = [];
  const startedMs = performance.now();
  let elapsedMs = 0;
  let count = 0;
  while (elapsedMs < runMs) {
    const before = allocatedBytes();
    for (let index = 0; index < ROUND; index++) work();
    const growth = allocatedBytes() - before;
    if (growth >= 0) growths.push(growth);
    count += values;
    elapsedMs = performance.now() - startedMs;
  }
  const median = growths.sort((left, right) => left - right)[growths.length >> 1] ?? 0;
  return { valuesPerSecond: count / elapsedMs * 1_000, allocatedBytesPerValue: median / values };
}

/** @param runMs time per result */
export function runTupleBench(runMs: number): TupleBenchResult[] {
  const results: TupleBenchResult[] = [];
  for (const [name, shape] of Object.entries(SHAPES)) {
    const rows = rowsOf(shape);
    const bytes = encode(rows, 0);
    const capacityBytes = Math.ceil(bytes.byteLength * 9 / 8);
    const decoded: WireValue[][] = [];
    const facts = { encodedBytesPerValue: bytes.byteLength / ROWS / COLUMNS, hash: crc32(bytes) };
    results.push({
      name: `encode ${name}`,
      ...facts,
      ...measure(runMs, () => void encode(rows, capacityBytes)),
    });
    results.push({ name: `decode ${name}`, ...facts, ...measure(runMs, () => void decode(bytes, decoded)) });
    const again = encode(decoded.map((values, row) => ({ types: rows[row]?.types ?? [], values })), 0);
    if (crc32(again) !== facts.hash) throw new Error(`The ${name} are not what they were`);
  }
  return results;
}

if (import.meta.main) {
  for (const result of runTupleBench(Deno.args.includes("smoke") ? 5 : 500)) {
    const rate = (result.valuesPerSecond / 1e6).toFixed(1).padStart(7);
    const allocated = result.allocatedBytesPerValue.toFixed(0).padStart(5);
    const encoded = result.encodedBytesPerValue.toFixed(1).padStart(6);
    console.log(
      `tuple ${
        result.name.padEnd(22)
      } ${rate} million values/s ${allocated} bytes allocated and ${encoded} sent per value  ${
        result.hash.toString(16)
      }`,
    );
  }
}
