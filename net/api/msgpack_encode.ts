const utf8 = new TextEncoder();

/** Header of a map with `count` keys, fewer than 65,536. */
export function msgpackMapHeader(count: number): Uint8Array {
  return count < 16 ? Uint8Array.of(0x80 | count) : Uint8Array.of(0xde, count >> 8, count & 0xff);
}

/** Keys and values of an object without the map header; keys whose value is undefined are left out. */
export function msgpackFields(fields: object): Uint8Array {
  const writer = new MsgpackWriter();
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    writer.write(key);
    writer.write(value);
  }
  return writer.finish();
}

/** Keys of an object that `msgpackFields` writes. */
export function countFields(fields: object): number {
  let count = 0;
  for (const value of Object.values(fields)) if (value !== undefined) count++;
  return count;
}

/**
 * One value as msgpack: null, booleans, numbers (safe integers as integers in their shortest form, others as float64),
 * bigints, strings, bytes, arrays and plain objects of these; fields that are undefined are left out. Throws TypeError
 * for anything else.
 */
export function encodeMsgpack(value: unknown): Uint8Array {
  const writer = new MsgpackWriter();
  writer.write(value);
  return writer.finish();
}

class MsgpackWriter {
  #bytes = new Uint8Array(256);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  write(value: unknown): void {
    if (value === null) this.#byte(0xc0);
    else if (typeof value === "boolean") this.#byte(value ? 0xc3 : 0xc2);
    else if (typeof value === "number") this.#number(value);
    else if (typeof value === "bigint") this.#bigint(value);
    else if (typeof value === "string") this.#string(value);
    else if (value instanceof Uint8Array) this.#binary(value);
    else if (Array.isArray(value)) {
      this.#header(value.length, 0x90, 16, 0xdc);
      for (const item of value) this.write(item);
    } else {
      if (typeof value !== "object") throw new TypeError(`Cannot write a ${typeof value} as msgpack`);
      this.#header(countFields(value), 0x80, 16, 0xde);
      for (const [key, field] of Object.entries(value)) {
        if (field === undefined) continue;
        this.write(key);
        this.write(field);
      }
    }
  }

  #number(value: number): void {
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) {
      this.#typed(0xcb, 8, (at) => this.#view.setFloat64(at, value));
    } else if (value >= 0) this.#unsigned(value);
    else if (value >= -0x20) this.#byte(value & 0xff);
    else if (value >= -0x80) this.#typed(0xd0, 1, (at) => this.#view.setInt8(at, value));
    else if (value >= -0x8000) this.#typed(0xd1, 2, (at) => this.#view.setInt16(at, value));
    else if (value >= -0x80000000) this.#typed(0xd2, 4, (at) => this.#view.setInt32(at, value));
    else this.#typed(0xd3, 8, (at) => this.#view.setBigInt64(at, BigInt(value)));
  }

  #unsigned(value: number): void {
    if (value < 0x80) this.#byte(value);
    else if (value < 0x100) this.#typed(0xcc, 1, (at) => this.#view.setUint8(at, value));
    else if (value < 0x10000) this.#typed(0xcd, 2, (at) => this.#view.setUint16(at, value));
    else if (value < 0x100000000) this.#typed(0xce, 4, (at) => this.#view.setUint32(at, value));
    else this.#typed(0xcf, 8, (at) => this.#view.setBigUint64(at, BigInt(value)));
  }

  #bigint(value: bigint): void {
    if (value < 0n) this.#typed(0xd3, 8, (at) => this.#view.setBigInt64(at, value));
    else this.#typed(0xcf, 8, (at) => this.#view.setBigUint64(at, value));
  }

  #string(value: string): void {
    const text = utf8.encode(value);
    if (text.length < 32) this.#byte(0xa0 | text.length);
    else this.#length8(text.length, 0xd9);
    this.#append(text);
  }

  #binary(value: Uint8Array): void {
    this.#length8(value.length, 0xc4);
    this.#append(value);
  }

  /** Length in 1, 2 or 4 bytes after the type `base`, `base + 1` or `base + 2`. */
  #length8(length: number, base: number): void {
    if (length < 0x100) this.#typed(base, 1, (at) => this.#view.setUint8(at, length));
    else if (length < 0x10000) this.#typed(base + 1, 2, (at) => this.#view.setUint16(at, length));
    else this.#typed(base + 2, 4, (at) => this.#view.setUint32(at, length));
  }

  #header(count: number, fixed: number, fixedMax: number, base: number): void {
    if (count < fixedMax) this.#byte(fixed | count);
    else if (count < 0x10000) this.#typed(base, 2, (at) => this.#view.setUint16(at, count));
    else this.#typed(base + 1, 4, (at) => this.#view.setUint32(at, count));
  }

  #typed(type: number, width: number, set: (at: number) => void): void {
    this.#byte(type);
    set(this.#reserve(width));
  }

  #append(bytes: Uint8Array): void {
    const at = this.#reserve(bytes.length);
    this.#bytes.set(bytes, at);
  }

  #byte(value: number): void {
    const at = this.#reserve(1);
    this.#bytes[at] = value;
  }

  /** Position of `count` fresh bytes. May replace buffer and view: callers take them afterwards. */
  #reserve(count: number): number {
    const at = this.#length;
    if (at + count > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#bytes.length * 2, at + count));
      grown.set(this.#bytes.subarray(0, at));
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    this.#length = at + count;
    return at;
  }
}
