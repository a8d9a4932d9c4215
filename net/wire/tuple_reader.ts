import { Buffer } from "node:buffer";
import { TupleError } from "./tuple_error.ts";
import { paddingOf } from "./tuple_writer.ts";

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
/** Up to this length the fastest way to a string is a list of codes; beyond, `Buffer`, which takes ASCII only. */
const SHORT_TEXT_BYTES_MAX = 16;
/** A list to be filled for each short length; texts are built one at a time. */
const CODES = Array.from(
  { length: SHORT_TEXT_BYTES_MAX + 1 },
  (_, length) => new Array<number>(length).fill(0),
);
const TWO_POW_32 = 0x1_0000_0000;

/**
 * Reads the primitives of the tuple protocol one after the other. Every length is checked against what is left before
 * anything is allocated. Padding is skipped, not checked: dqlite leaves whatever was in its memory there.
 *
 * All methods throw TupleError with reason `malformed`.
 */
export class TupleReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  /** The same bytes, made when the first long text is met. */
  #buffer: Buffer | undefined;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get offset(): number {
    return this.#offset;
  }

  get remaining(): number {
    return this.#bytes.byteLength - this.#offset;
  }

  u8(field: string): number {
    return this.#view.getUint8(this.#advance(1, field));
  }

  u32(field: string): number {
    return this.#view.getUint32(this.#advance(4, field), true);
  }

  /** An unsigned number of eight bytes; a bigint when it is above 2^53 - 1. */
  u64(field: string): number | bigint {
    const offset = this.#advance(8, field);
    const value = this.#view.getUint32(offset + 4, true) * TWO_POW_32 + this.#view.getUint32(offset, true);
    return Number.isSafeInteger(value) ? value : this.#view.getBigUint64(offset, true);
  }

  /** A signed number of eight bytes; a bigint when it is not a safe integer. */
  i64(field: string): number | bigint {
    const offset = this.#advance(8, field);
    const value = this.#view.getInt32(offset + 4, true) * TWO_POW_32 + this.#view.getUint32(offset, true);
    return Number.isSafeInteger(value) ? value : this.#view.getBigInt64(offset, true);
  }

  f64(field: string): number {
    return this.#view.getFloat64(this.#advance(8, field), true);
  }

  /**
   * A u64 that says how many things follow, each of at least `bytesEach` bytes.
   *
   * @returns a number that is safe to allocate for: the bytes left can hold so many
   */
  count(bytesEach: number, field: string): number {
    const offset = this.#offset;
    const value = this.u64(field);
    if (value > this.remaining / bytesEach) {
      this.#fail(field, offset, `it announces ${value}, ${this.remaining} bytes are left`);
    }
    return Number(value);
  }

  /** UTF-8 up to a NUL; then to the next multiple of 8. */
  text(field: string): string {
    const start = this.#offset;
    const bytes = this.#bytes;
    const limit = bytes.byteLength;
    let end = start;
    let union = 0;
    for (let byte = 1; end < limit; end++) {
      byte = bytes[end] ?? 0;
      if (byte === 0) break;
      union |= byte;
    }
    if (end === limit) this.#fail(field, start, "its end is missing");
    const text = union > 0x7f ? this.#decode(start, end, field) : this.#ascii(start, end);
    this.#skipTo(end + 1);
    return text;
  }

  /** u64 length, then a view of so many bytes, not a copy; then to the next multiple of 8. */
  blob(field: string): Uint8Array {
    const length = this.count(1, field);
    const offset = this.#advance(length, field);
    this.#skipTo(this.#offset);
    return this.#bytes.subarray(offset, offset + length);
  }

  /** A view of the next `length` bytes, not a copy. */
  bytes(length: number, field: string): Uint8Array {
    const offset = this.#advance(length, field);
    return this.#bytes.subarray(offset, offset + length);
  }

  /** The 8 bytes at the current place when all are the same, as that byte; they are not consumed. */
  peekUniformWord(): number | undefined {
    if (this.remaining < 8) return undefined;
    const low = this.#view.getUint32(this.#offset, true);
    const byte = low & 0xff;
    if (low !== byte * 0x0101_0101) return undefined;
    return this.#view.getUint32(this.#offset + 4, true) === low ? byte : undefined;
  }

  #ascii(start: number, end: number): string {
    const length = end - start;
    const codes = CODES[length];
    if (codes !== undefined) {
      for (let position = 0; position < length; position++) {
        codes[position] = this.#bytes[start + position] ?? 0;
      }
      return String.fromCharCode.apply(undefined, codes);
    }
    this.#buffer ??= Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.byteLength);
    return this.#buffer.toString("latin1", start, end);
  }

  #decode(start: number, end: number, field: string): string {
    try {
      return UTF8.decode(this.#bytes.subarray(start, end));
    } catch {
      this.#fail(field, start, "it is not UTF-8");
    }
  }

  /** Goes to `offset` and over the padding behind it. Bodies are whole words, so the padding is there. */
  #skipTo(offset: number): void {
    this.#offset = Math.min(offset + paddingOf(offset), this.#bytes.byteLength);
  }

  #advance(count: number, field: string): number {
    const offset = this.#offset;
    if (count > this.#bytes.byteLength - offset) {
      this.#fail(field, offset, `it takes ${count} bytes, ${this.remaining} are left`);
    }
    this.#offset = offset + count;
    return offset;
  }

  #fail(field: string, offset: number, reason: string): never {
    throw new TupleError(`Cannot read ${field} at offset ${offset}: ${reason}`, offset);
  }
}
