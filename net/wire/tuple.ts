/**
 * The 64-bit tuple codec: typed values as dqlite's clients and servers exchange them. Everything is little-endian and
 * begins at a multiple of 8 bytes (a word), counted from the beginning of the message. `README.md` has the byte tables.
 *
 * Row tuple: 4 bits of type code a column, the first column in the low bits of the first byte, zeros to a multiple of
 * 8 bytes; then the values. Each row has its own header, so a column may change its type from row to row.
 *
 * Parameter tuple: a count (form 0: u8, form 1: u32), a byte of type code a value, zeros to a multiple of 8 bytes;
 * then the values. No parameters: no bytes at all.
 */
import { assert } from "../../core/base/assert.ts";
import { TupleError } from "./tuple_error.ts";
import { TupleReader } from "./tuple_reader.ts";
import { paddingOf, TupleWriter } from "./tuple_writer.ts";

/** Type codes are part of the format. Codes 14 and 15 must never be given out: they would look like end markers. */
export const ValueType = {
  /** Signed, 64 bits. */
  integer: 1,
  /** IEEE 754, 64 bits. */
  float: 2,
  /** UTF-8 without NUL. */
  text: 3,
  blob: 4,
  /** One word, its content without meaning. */
  null: 5,
  /** Seconds since 1970, signed, 64 bits. In rows only. */
  unixTime: 9,
  /** A text such as `2024-01-02 03:04:05+00:00`. */
  iso8601: 10,
  /** A word, 0 or 1. */
  boolean: 11,
} as const;
export type ValueType = (typeof ValueType)[keyof typeof ValueType];

/**
 * What JavaScript sees of a value: `integer` and `unixTime` are a number when that is safe, else a bigint; `float` is a
 * number; `text` and `iso8601` a string; `blob` a view of the bytes it was read from. The type code tells a float
 * without a fraction from an integer.
 */
export type WireValue = null | number | bigint | string | boolean | Uint8Array;

/** Values with the type of each: `values[i]` has the type `types[i]`. */
export interface Tuple {
  readonly types: ArrayLike<number>;
  readonly values: readonly WireValue[];
}

/** 0: u8 count, up to 255 parameters. 1: u32 count. */
export type ParameterForm = 0 | 1;
const PARAMETERS_MAX: Record<ParameterForm, number> = { 0: 0xff, 1: 0xffff_ffff };

export const NO_PARAMETERS: Tuple = { types: new Uint8Array(0), values: [] };

/** The word that stands where the next row would begin: every byte is this. */
export const EndMarker = {
  /** The result is complete. */
  done: 0xff,
  /** Another message with more rows follows. */
  more: 0xee,
} as const;
export type EndMarker = (typeof EndMarker)[keyof typeof EndMarker];

/** @returns bytes, a multiple of 8 */
export const rowHeaderBytes = (columnCount: number): number => ((columnCount + 15) >> 4) * 8;

/**
 * @throws TupleError `type` when a value does not fit its type; `writer` then is as it was before
 */
export function writeRow(writer: TupleWriter, { types, values }: Tuple): void {
  const count = values.length;
  assert(types.length >= count, () => `${count} values have ${types.length} types`);
  const header = writer.gap(rowHeaderBytes(count));
  try {
    for (let column = 0; column < count; column++) {
      const type = types[column] ?? 0;
      writeValue(writer, type, values[column] ?? null);
      writer.patchType(header, column, type);
    }
  } catch (error) {
    writer.cut(header);
    throw error;
  }
}

/** What `readRow` has put into the arrays of its caller, or the marker that stood there instead of a row. */
export type ReadRow = "row" | "done" | "more";

/**
 * Reads a row into the beginning of `types` and `values`, or an end marker.
 *
 * @param columnCount columns of the result; with 0 there can be no row, only a marker
 * @throws TupleError `malformed`
 */
export function readRow(
  reader: TupleReader,
  columnCount: number,
  types: Uint8Array,
  values: WireValue[],
): ReadRow {
  const marker = reader.peekUniformWord();
  if (marker === EndMarker.done || marker === EndMarker.more) {
    reader.bytes(8, "the end marker");
    return marker === EndMarker.done ? "done" : "more";
  }
  const start = reader.offset;
  if (columnCount === 0) {
    throw new TupleError(`Cannot read a row at offset ${start}: the result has no columns`, start);
  }
  const header = reader.bytes(rowHeaderBytes(columnCount), "the header of a row");
  for (let column = 0; column < columnCount; column++) {
    const pair = header[column >> 1] ?? 0;
    const type = (column & 1) === 0 ? pair & 0xf : pair >> 4;
    types[column] = type;
    values[column] = readValue(reader, type, "a value of a row");
  }
  return "row";
}

export function writeEndMarker(writer: TupleWriter, marker: EndMarker): void {
  const word = marker * 0x0101_0101;
  writer.u32(word);
  writer.u32(word);
}

/**
 * @throws TupleError `type` when a value does not fit its type, or has one that parameters must not have
 */
export function writeParameters(writer: TupleWriter, form: ParameterForm, { types, values }: Tuple): void {
  const count = values.length;
  if (count === 0) return;
  assert(types.length >= count, () => `${count} values have ${types.length} types`);
  const start = writer.length;
  if (count > PARAMETERS_MAX[form]) {
    const text = `Cannot write ${count} parameters in form ${form}: it holds ${PARAMETERS_MAX[form]}`;
    throw new TupleError(text, start, "type");
  }
  if (form === 0) writer.u8(count);
  else writer.u32(count);
  for (let index = 0; index < count; index++) writer.u8(types[index] ?? 0);
  writer.gap(paddingOf(writer.length - start));
  for (let index = 0; index < count; index++) {
    const type = types[index] ?? 0;
    if (type === ValueType.unixTime) refuseUnixTime(writer.length, index);
    writeValue(writer, type, values[index] ?? null);
  }
}

/**
 * Reads to the end of the bytes, which is where parameters end. None are left: there are no parameters.
 *
 * @throws TupleError `malformed`; `type` for a code that is unknown or not allowed in parameters
 */
export function readParameters(reader: TupleReader, form: ParameterForm): Tuple {
  if (reader.remaining === 0) return NO_PARAMETERS;
  const start = reader.offset;
  const count = form === 0 ? reader.u8("the number of parameters") : reader.u32("the number of parameters");
  // Each takes its type code and at least one word: an announced count costs no more than was sent.
  if (count > reader.remaining / 9) {
    const text = `Cannot read ${count} parameters at offset ${start}: ${reader.remaining} bytes are left`;
    throw new TupleError(text, start);
  }
  const types = reader.bytes(count, "the types of the parameters");
  reader.bytes(paddingOf(reader.offset - start), "the padding behind the types");
  const values: WireValue[] = [];
  for (let index = 0; index < count; index++) {
    const type = types[index] ?? 0;
    if (type === ValueType.unixTime) refuseUnixTime(reader.offset, index);
    values.push(readValue(reader, type, "a parameter"));
  }
  if (reader.remaining !== 0) {
    const text = `Cannot read parameters: ${reader.remaining} bytes are left after the last of ${count}`;
    throw new TupleError(text, reader.offset);
  }
  return { types, values };
}

/** @throws TupleError `type` when the value does not fit */
export function writeValue(writer: TupleWriter, type: number, value: WireValue): void {
  switch (type) {
    case ValueType.integer:
    case ValueType.unixTime:
      if (typeof value === "number" || typeof value === "bigint") return writer.i64(value);
      break;
    case ValueType.float:
      if (typeof value === "number") return writer.f64(value);
      break;
    case ValueType.text:
    case ValueType.iso8601:
      if (typeof value === "string") return writer.text(value);
      break;
    case ValueType.blob:
      if (value instanceof Uint8Array) return writer.blob(value);
      break;
    case ValueType.null:
      if (value === null) return writer.zeros();
      break;
    case ValueType.boolean:
      if (typeof value === "boolean") return writer.u64(value ? 1 : 0);
      break;
  }
  const what = value === null ? "null" : value instanceof Uint8Array ? "blob" : typeof value;
  const text = `Cannot write a value at offset ${writer.length}: type ${type} does not fit a ${what}`;
  throw new TupleError(text, writer.length, "type");
}

/** @throws TupleError */
export function readValue(reader: TupleReader, type: number, field: string): WireValue {
  switch (type) {
    case ValueType.integer:
    case ValueType.unixTime:
      return reader.i64(field);
    case ValueType.float:
      return reader.f64(field);
    case ValueType.text:
    case ValueType.iso8601:
      return reader.text(field);
    case ValueType.blob:
      return reader.blob(field);
    case ValueType.null:
      reader.bytes(8, field);
      return null;
    case ValueType.boolean:
      return reader.u64(field) !== 0;
    default: {
      const text = `Cannot read ${field} at offset ${reader.offset}: there is no type ${type}`;
      throw new TupleError(text, reader.offset, "type");
    }
  }
}

function refuseUnixTime(offset: number, index: number): never {
  const text = `Cannot take parameter ${index + 1}: unixtime is for rows only; send an integer`;
  throw new TupleError(text, offset, "type");
}
