import { assert } from "../base/assert.ts";

const TEXT = new TextEncoder();
const CAPACITY_BYTES_MIN = 64;

/** Writes little-endian fields into a buffer that grows by doubling. For layouts that are fixed byte by byte. */
export class ByteWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  #view: DataView;
  #length = 0;

  /** @param capacityBytes expected size; exact when known, so that nothing is copied */
  constructor(capacityBytes = CAPACITY_BYTES_MIN) {
    this.#bytes = new Uint8Array(Math.max(capacityBytes, 1));
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  u8(value: number): this {
    assertUnsigned(value, 0xff);
    const offset = this.#reserve(1);
    this.#view.setUint8(offset, value);
    return this;
  }

  u16(value: number): this {
    assertUnsigned(value, 0xffff);
    const offset = this.#reserve(2);
    this.#view.setUint16(offset, value, true);
    return this;
  }

  u32(value: number): this {
    assertUnsigned(value, 0xffff_ffff);
    const offset = this.#reserve(4);
    this.#view.setUint32(offset, value, true);
    return this;
  }

  /** Eight bytes for an unsigned safe integer: indexes, terms, ids, positions. */
  u64(value: number): this {
    assertUnsigned(value, Number.MAX_SAFE_INTEGER);
    const offset = this.#reserve(8);
    this.#view.setUint32(offset, value % 0x1_0000_0000, true);
    this.#view.setUint32(offset + 4, Math.floor(value / 0x1_0000_0000), true);
    return this;
  }

  i64(value: bigint): this {
    assert(BigInt.asIntN(64, value) === value, () => `Cannot write ${value} as a signed 64-bit number`);
    const offset = this.#reserve(8);
    this.#view.setBigInt64(offset, value, true);
    return this;
  }

  f64(value: number): this {
    const offset = this.#reserve(8);
    this.#view.setFloat64(offset, value, true);
    return this;
  }

  /** The bytes alone; their length must be known to the reader. */
  bytes(value: Uint8Array): this {
    const offset = this.#reserve(value.byteLength);
    this.#bytes.set(value, offset);
    return this;
  }

  /** u32 length, then the bytes. */
  bytesWithLength(value: Uint8Array): this {
    return this.u32(value.byteLength).bytes(value);
  }

  /** u32 length in bytes, then UTF-8. */
  text(value: string): this {
    return this.bytesWithLength(TEXT.encode(value));
  }

  /** Replaces four bytes written before: lengths and checksums known only at the end. */
  patchU32(offset: number, value: number): void {
    assertUnsigned(value, 0xffff_ffff);
    assert(
      offset >= 0 && offset + 4 <= this.#length,
      () => `Cannot patch offset ${offset} of ${this.#length}`,
    );
    this.#view.setUint32(offset, value, true);
  }

  /** What was written, as a view: further writes may or may not show in it, so finish writing first. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Makes room for `count` bytes and returns where they begin. */
  #reserve(count: number): number {
    const offset = this.#length;
    const needed = offset + count;
    if (needed > this.#bytes.byteLength) {
      const grown = new Uint8Array(Math.max(needed, this.#bytes.byteLength * 2, CAPACITY_BYTES_MIN));
      grown.set(this.#bytes.subarray(0, offset));
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    this.#length = needed;
    return offset;
  }
}

function assertUnsigned(value: number, max: number): void {
  assert(
    Number.isInteger(value) && value >= 0 && value <= max,
    () => `Cannot write ${value}: it must be a whole number from 0 to ${max}`,
  );
}
