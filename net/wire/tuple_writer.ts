import { assert } from "../../core/base/assert.ts";
import { TupleError } from "./tuple_error.ts";

const UTF8 = new TextEncoder();
const CAPACITY_BYTES_MIN = 256;
/** Up to this length a loop over the characters is faster than a call of the encoder. */
const SHORT_TEXT_LENGTH_MAX = 48;
/** Up to this length room for the worst case is cheaper than a second call. */
const MEDIUM_TEXT_LENGTH_MAX = 1_024;
const NOTHING = new Uint8Array(0);
const NOTHING_VIEW = new DataView(NOTHING.buffer);
const TWO_POW_32 = 0x1_0000_0000;

/** Bytes until the next multiple of 8. */
export const paddingOf = (bytes: number): number => -bytes & 7;

/**
 * Writes the primitives of the tuple protocol one after the other into one buffer that grows by doubling. Everything
 * but `u8` and `u32` begins and ends at a multiple of 8 bytes; callers write u32 in pairs. Padding is always zero.
 */
export class TupleWriter {
  #bytes = NOTHING;
  #view = NOTHING_VIEW;
  #length = 0;
  /** Of the next buffer, which is made when something is written. */
  #capacityBytes: number;

  /** @param capacityBytes expected size, so that nothing is copied */
  constructor(capacityBytes = CAPACITY_BYTES_MIN) {
    this.#capacityBytes = capacityBytes;
  }

  /** Bytes written so far; where the next field begins. */
  get length(): number {
    return this.#length;
  }

  /** Bytes that the buffer holds without growing. */
  get capacity(): number {
    return this.#bytes.byteLength;
  }

  u8(value: number): void {
    const offset = this.#reserve(1);
    this.#view.setUint8(offset, value);
  }

  u32(value: number): void {
    const offset = this.#reserve(4);
    this.#view.setUint32(offset, value, true);
  }

  /** An unsigned number of eight bytes: counts, sizes, ids. */
  u64(value: number | bigint): void {
    const offset = this.#reserve(8);
    if (typeof value === "bigint") {
      if (BigInt.asUintN(64, value) !== value) this.#refuse(`${value} as an unsigned 64-bit number`, offset);
      this.#view.setBigUint64(offset, value, true);
      return;
    }
    if (!Number.isSafeInteger(value) || value < 0) {
      this.#refuse(`${value} as an unsigned 64-bit number`, offset);
    }
    this.#view.setUint32(offset, value, true);
    this.#view.setUint32(offset + 4, value / TWO_POW_32, true);
  }

  /** @param value a safe integer, or a bigint of 64 bits with sign */
  i64(value: number | bigint): void {
    const offset = this.#reserve(8);
    if (typeof value === "bigint") {
      if (BigInt.asIntN(64, value) !== value) this.#refuse(`${value} as a 64-bit integer`, offset);
      this.#view.setBigInt64(offset, value, true);
      return;
    }
    if (!Number.isSafeInteger(value)) this.#refuse(`${value} as a 64-bit integer`, offset);
    // Both calls reduce modulo 2^32, which for negative numbers gives the two's complement.
    this.#view.setUint32(offset, value, true);
    this.#view.setInt32(offset + 4, Math.floor(value / TWO_POW_32), true);
  }

  f64(value: number): void {
    const offset = this.#reserve(8);
    this.#view.setFloat64(offset, value, true);
  }

  /** A zero word. */
  zeros(): void {
    const offset = this.#reserve(8);
    this.#view.setFloat64(offset, 0, true);
  }

  /**
   * UTF-8, a NUL, zeros to a multiple of 8. Lone surrogates become U+FFFD.
   *
   * @throws TupleError `type` when the text holds a NUL: the reader would take it for the end
   */
  text(value: string): void {
    const length = value.length;
    if (length > SHORT_TEXT_LENGTH_MAX) return this.#longText(value);
    const start = this.#reserve(length * 2 + 1);
    const bytes = this.#bytes;
    let offset = start;
    for (let position = 0; position < length; position++) {
      const unit = value.charCodeAt(position);
      if (unit <= 0x7f && unit !== 0) {
        bytes[offset++] = unit;
      } else if (unit >= 0x80 && unit <= 0x7ff) {
        bytes[offset++] = 0xc0 | unit >> 6;
        bytes[offset++] = 0x80 | unit & 0x3f;
      } else {
        this.#length = start;
        return this.#longText(value);
      }
    }
    this.#endText(start, offset);
  }

  /**
   * A text that is UTF-8 already, as SQLite holds it: it is neither decoded nor checked.
   *
   * @returns false when it holds a NUL; nothing is written then, and it may go as a blob
   */
  textBytes(utf8: Uint8Array): boolean {
    if (utf8.indexOf(0) !== -1) return false;
    const offset = this.#reserve(utf8.byteLength + 1 + paddingOf(utf8.byteLength + 1));
    this.#bytes.set(utf8, offset);
    this.#clear(offset + utf8.byteLength);
    return true;
  }

  /** u64 length, the bytes, zeros to a multiple of 8. */
  blob(value: Uint8Array): void {
    this.u64(value.byteLength);
    const offset = this.#reserve(value.byteLength + paddingOf(value.byteLength));
    this.#bytes.set(value, offset);
    this.#clear(offset + value.byteLength);
  }

  /** The bytes alone. The caller keeps the alignment. */
  bytes(value: Uint8Array): void {
    const offset = this.#reserve(value.byteLength);
    this.#bytes.set(value, offset);
  }

  /**
   * Zero bytes to be filled in later.
   *
   * @returns where they begin
   */
  gap(count: number): number {
    const offset = this.#reserve(count);
    this.#bytes.fill(0, offset, offset + count);
    return offset;
  }

  /** Replaces a byte written before. */
  patchU8(offset: number, value: number): void {
    assert(offset < this.#length, () => `Cannot patch offset ${offset} of ${this.#length}`);
    this.#view.setUint8(offset, value);
  }

  /** Puts `code` into the 4 bits of `column`, in a row header that begins at `header` and is zero there. */
  patchType(header: number, column: number, code: number): void {
    const offset = header + (column >> 1);
    this.#view.setUint8(offset, this.#view.getUint8(offset) | ((column & 1) === 0 ? code : code << 4));
  }

  /** Replaces four bytes written before. */
  patchU32(offset: number, value: number): void {
    assert(offset + 4 <= this.#length, () => `Cannot patch offset ${offset} of ${this.#length}`);
    this.#view.setUint32(offset, value, true);
  }

  /** Forgets everything from `length` on: what was half written when something failed. */
  cut(length: number): void {
    assert(length <= this.#length, () => `Cannot cut ${this.#length} bytes at ${length}`);
    this.#length = length;
  }

  /**
   * What was written. The writer gives the buffer away and begins anew with another.
   *
   * @param capacityBytes expected size of what follows
   */
  take(capacityBytes = CAPACITY_BYTES_MIN): Uint8Array<ArrayBuffer> {
    const taken = this.peek();
    this.#bytes = NOTHING;
    this.#view = NOTHING_VIEW;
    this.#length = 0;
    this.#capacityBytes = capacityBytes;
    return taken;
  }

  /** A view of what was written, true until the next write. */
  peek(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }

  #longText(value: string): void {
    const start = this.#length;
    if (value.includes("\0")) this.#refuse("a text that holds a NUL", start);
    // Three bytes a unit are the most. A byte a unit is enough for ASCII, and worth a try where the text is large.
    let unread = value;
    for (let bytesEach = value.length <= MEDIUM_TEXT_LENGTH_MAX ? 3 : 1; unread !== ""; bytesEach = 3) {
      const offset = this.#reserve(unread.length * bytesEach);
      const { read, written } = UTF8.encodeInto(unread, this.#bytes.subarray(offset, this.#length));
      this.#length = offset + written;
      unread = unread.slice(read);
    }
    this.#endText(start, this.#length);
  }

  /** A NUL and zeros to the next word, behind a text from `start` to `end`. */
  #endText(start: number, end: number): void {
    this.#length = end;
    this.#reserve(1 + paddingOf(end - start + 1));
    this.#clear(end);
  }

  /** Zeros from `offset` to the end: after `cut()` the buffer holds what was written there before. */
  #clear(offset: number): void {
    this.#bytes.fill(0, offset, this.#length);
  }

  #refuse(what: string, offset: number): never {
    this.#length = offset;
    throw new TupleError(`Cannot write ${what} at offset ${offset}`, offset, "type");
  }

  #reserve(count: number): number {
    const offset = this.#length;
    const needed = offset + count;
    if (needed > this.#bytes.byteLength) this.#grow(needed);
    this.#length = needed;
    return offset;
  }

  #grow(needed: number): void {
    const capacityBytes = Math.max(this.#capacityBytes, CAPACITY_BYTES_MIN, this.#bytes.byteLength * 2);
    const grown = new Uint8Array(Math.max(needed, capacityBytes));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}
