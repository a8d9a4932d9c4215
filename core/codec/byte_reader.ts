const TEXT = new TextDecoder("utf-8", { fatal: true });

/** Bytes that do not have the layout they should have. The message names the field. */
export class ByteReadError extends Error {
  override name = "ByteReadError";
}

/**
 * Reads little-endian fields one after the other. Every read names its field and throws ByteReadError when the bytes
 * do not hold it; lengths are checked against what is left before anything is allocated.
 */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
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

  u16(field: string): number {
    return this.#view.getUint16(this.#advance(2, field), true);
  }

  u32(field: string): number {
    return this.#view.getUint32(this.#advance(4, field), true);
  }

  /** An unsigned number of eight bytes; larger than a safe integer is an error. */
  u64(field: string): number {
    const offset = this.#advance(8, field);
    const value = this.#view.getUint32(offset + 4, true) * 0x1_0000_0000 + this.#view.getUint32(offset, true);
    if (!Number.isSafeInteger(value)) throw new ByteReadError(`Cannot read ${field}: it is above 2^53`);
    return value;
  }

  i64(field: string): bigint {
    return this.#view.getBigInt64(this.#advance(8, field), true);
  }

  f64(field: string): number {
    return this.#view.getFloat64(this.#advance(8, field), true);
  }

  /** A view of the next `length` bytes, not a copy. */
  bytes(length: number, field: string): Uint8Array {
    const offset = this.#advance(length, field);
    return this.#bytes.subarray(offset, offset + length);
  }

  /** u32 length, then that many bytes as a view. */
  bytesWithLength(lengthMax: number, field: string): Uint8Array {
    const length = this.u32(field);
    if (length > lengthMax) {
      throw new ByteReadError(`Cannot read ${field}: its length ${length} is above the limit ${lengthMax}`);
    }
    return this.bytes(length, field);
  }

  /** u32 length in bytes, then UTF-8. */
  text(bytesMax: number, field: string): string {
    const bytes = this.bytesWithLength(bytesMax, field);
    try {
      return TEXT.decode(bytes);
    } catch {
      throw new ByteReadError(`Cannot read ${field}: it is not UTF-8`);
    }
  }

  /** Throws when bytes are left: a layout that is longer than known is not understood. */
  end(what: string): void {
    if (this.remaining !== 0) {
      throw new ByteReadError(`Cannot read ${what}: ${this.remaining} bytes are left after its last field`);
    }
  }

  #advance(count: number, field: string): number {
    const offset = this.#offset;
    if (count > this.remaining) {
      throw new ByteReadError(
        `Cannot read ${field} at offset ${offset}: it takes ${count} bytes, ${this.remaining} are left`,
      );
    }
    this.#offset = offset + count;
    return offset;
  }
}
