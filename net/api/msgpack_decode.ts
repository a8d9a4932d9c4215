import { NodeError } from "../../core/base/errors.ts";
import { RealLiteral, tooDeep } from "./json_body.ts";
import { narrowInteger } from "./json_values.ts";

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Parses a msgpack body (github.com/msgpack/msgpack, spec.md). Integers come as number where safe, else as bigint;
 * floats with integral value as RealLiteral, because msgpack tells 3 from 3.0 and SQLite does too. Byte strings are
 * copied out of `bytes`. Throws NodeError bad_request for anything else than one complete value, for extension
 * types, map keys that are no strings or repeat, and nesting deeper than `depthMax`.
 */
export function decodeMsgpackBody(bytes: Uint8Array, depthMax: number): unknown {
  const reader = new MsgpackReader(bytes, depthMax);
  const value = reader.read(0);
  reader.end();
  return value;
}

class MsgpackReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #depthMax: number;
  #at = 0;

  constructor(bytes: Uint8Array, depthMax: number) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#depthMax = depthMax;
  }

  end(): void {
    if (this.#at !== this.#bytes.length) {
      throw broken(`${this.#bytes.length - this.#at} bytes follow the value`);
    }
  }

  read(depth: number): unknown {
    const type = this.#view.getUint8(this.#take(1));
    if (type < 0x80) return type;
    if (type < 0x90) return this.#map(type & 0x0f, depth);
    if (type < 0xa0) return this.#array(type & 0x0f, depth);
    if (type < 0xc0) return this.#string(type & 0x1f);
    if (type >= 0xe0) return type - 0x100;
    return this.#readTyped(type, depth);
  }

  #readTyped(type: number, depth: number): unknown {
    switch (type) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
      case 0xc5:
      case 0xc6:
        return this.#binary(this.#unsigned(type - 0xc4));
      case 0xca:
        return real(this.#view.getFloat32(this.#take(4)));
      case 0xcb:
        return real(this.#view.getFloat64(this.#take(8)));
      case 0xcc:
      case 0xcd:
      case 0xce:
        return this.#unsigned(type - 0xcc);
      case 0xcf:
        return narrowInteger(this.#view.getBigUint64(this.#take(8)));
      case 0xd0:
        return this.#view.getInt8(this.#take(1));
      case 0xd1:
        return this.#view.getInt16(this.#take(2));
      case 0xd2:
        return this.#view.getInt32(this.#take(4));
      case 0xd3:
        return narrowInteger(this.#view.getBigInt64(this.#take(8)));
      case 0xd9:
      case 0xda:
      case 0xdb:
        return this.#string(this.#unsigned(type - 0xd9));
      case 0xdc:
      case 0xdd:
        return this.#array(this.#unsigned(type - 0xdc + 1), depth);
      case 0xde:
      case 0xdf:
        return this.#map(this.#unsigned(type - 0xde + 1), depth);
      default:
        throw broken(`type 0x${type.toString(16)} at byte ${this.#at - 1} is not supported`);
    }
  }

  /** Unsigned integer of 1, 2 or 4 bytes for `width` 0, 1, 2. */
  #unsigned(width: number): number {
    if (width === 0) return this.#view.getUint8(this.#take(1));
    if (width === 1) return this.#view.getUint16(this.#take(2));
    return this.#view.getUint32(this.#take(4));
  }

  #binary(length: number): Uint8Array {
    const start = this.#take(length);
    return this.#bytes.slice(start, start + length);
  }

  #string(length: number): string {
    const start = this.#take(length);
    try {
      return strictUtf8.decode(this.#bytes.subarray(start, start + length));
    } catch {
      throw broken(`the string at byte ${start} is not UTF-8`);
    }
  }

  #array(length: number, depth: number): unknown[] {
    this.#enter(length, depth);
    const items: unknown[] = [];
    for (let i = 0; i < length; i++) items.push(this.read(depth + 1));
    return items;
  }

  #map(length: number, depth: number): Record<string, unknown> {
    this.#enter(length * 2, depth);
    const map: Record<string, unknown> = {};
    for (let i = 0; i < length; i++) {
      const at = this.#at;
      const key = this.read(depth + 1);
      if (typeof key !== "string") throw broken(`the map key at byte ${at} is not a string`);
      if (Object.hasOwn(map, key)) throw broken(`the map key ${JSON.stringify(key)} repeats`);
      const value = this.read(depth + 1);
      // A plain assignment to this name would change the prototype.
      if (key === "__proto__") Object.defineProperty(map, key, { value, enumerable: true });
      else map[key] = value;
    }
    return map;
  }

  /** A declared count is believed only as far as bytes are left: each item has at least one. */
  #enter(items: number, depth: number): void {
    if (depth + 1 > this.#depthMax) throw tooDeep(this.#depthMax);
    if (items > this.#bytes.length - this.#at) throw broken("it ends too early");
  }

  /** Position of the next `count` bytes, which are consumed. */
  #take(count: number): number {
    const start = this.#at;
    if (count > this.#bytes.length - start) throw broken("it ends too early");
    this.#at = start + count;
    return start;
  }
}

function real(value: number): number | RealLiteral {
  return Number.isInteger(value) ? new RealLiteral(value) : value;
}

function broken(reason: string): NodeError {
  return new NodeError("bad_request", `Cannot parse the body as msgpack: ${reason}`);
}
