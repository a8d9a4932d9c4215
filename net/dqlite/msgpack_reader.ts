import { assert } from "../../core/base/assert.ts";

const SHORT_TEXT_BYTES_MAX = 24;
const UTF8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** What a value is; lists and maps are where they are expected. */
export type MsgpackKind = "null" | "integer" | "float" | "text" | "blob";

/**
 * Reads answers as `core/sql/msgpack_answer_writer.ts` writes them (https://github.com/msgpack/msgpack/blob/master/spec.md),
 * value by value and without a copy. The bytes are walraft's own: what does not fit is a defect, and an AssertionError.
 */
export class MsgpackReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  /** Where the next value begins. */
  offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Of the next value, which must not be an array. */
  kind(): MsgpackKind {
    const tag = this.#view.getUint8(this.offset);
    if (tag <= 0x7f || tag >= 0xe0 || (tag >= 0xcc && tag <= 0xd3)) return "integer";
    if ((tag >= 0xa0 && tag <= 0xbf) || (tag >= 0xd9 && tag <= 0xdb)) return "text";
    if (tag >= 0xc4 && tag <= 0xc6) return "blob";
    if (tag === 0xcb) return "float";
    assert(tag === 0xc0, () => `An answer of the node holds the unexpected tag ${tag}`);
    return "null";
  }

  arrayLength(): number {
    const tag = this.#tag();
    if (tag >= 0x90 && tag <= 0x9f) return tag & 0x0f;
    assert(
      tag === 0xdc || tag === 0xdd,
      () => `An answer of the node holds tag ${tag} where an array must be`,
    );
    return this.#unsigned(tag === 0xdc ? 2 : 4);
  }

  /** Number of keys; each is followed by its value. */
  mapLength(): number {
    const tag = this.#tag();
    if (tag >= 0x80 && tag <= 0x8f) return tag & 0x0f;
    assert(tag === 0xde || tag === 0xdf, () => `An answer of the node holds tag ${tag} where a map must be`);
    return this.#unsigned(tag === 0xde ? 2 : 4);
  }

  /** Whether the next value is a list. */
  get isArray(): boolean {
    const tag = this.#view.getUint8(this.offset);
    return (tag >= 0x90 && tag <= 0x9f) || tag === 0xdc || tag === 0xdd;
  }

  integer(): number | bigint {
    const tag = this.#tag();
    if (tag <= 0x7f) return tag;
    if (tag >= 0xe0) return tag - 0x100;
    const at = this.offset;
    const bytes = 1 << (tag & 3);
    if (tag >= 0xcc && tag <= 0xce) return this.#unsigned(bytes);
    assert(
      tag >= 0xd0 && tag <= 0xd3,
      () => `An answer of the node holds tag ${tag} where an integer must be`,
    );
    this.offset += bytes;
    if (tag === 0xd0) return this.#view.getInt8(at);
    if (tag === 0xd1) return this.#view.getInt16(at);
    if (tag === 0xd2) return this.#view.getInt32(at);
    const value = this.#view.getBigInt64(at);
    const short = Number(value);
    return Number.isSafeInteger(short) ? short : value;
  }

  float(): number {
    const tag = this.#tag();
    assert(tag === 0xcb, () => `An answer of the node holds tag ${tag} where a float must be`);
    this.offset += 8;
    return this.#view.getFloat64(this.offset - 8);
  }

  string(): string {
    const bytes = this.bytes();
    return bytes.length > SHORT_TEXT_BYTES_MAX ? UTF8.decode(bytes) : shortText(bytes);
  }

  /** A text as UTF-8, or a blob: a view. */
  bytes(): Uint8Array {
    const tag = this.#tag();
    const length = tag >= 0xa0 && tag <= 0xbf ? tag & 0x1f : this.#unsigned(lengthBytes(tag));
    this.offset += length;
    return this.#bytes.subarray(this.offset - length, this.offset);
  }

  /** Passes over the next value, arrays with all they hold. */
  skip(): void {
    for (let left = 1; left > 0; left--) {
      if (this.isArray) left += this.arrayLength();
      else this.#skipOne();
    }
  }

  #skipOne(): void {
    const kind = this.kind();
    if (kind === "integer") this.integer();
    else if (kind === "float") this.float();
    else if (kind === "null") this.offset += 1;
    else this.bytes();
  }

  #tag(): number {
    return this.#view.getUint8(this.offset++);
  }

  #unsigned(bytes: number): number {
    const at = this.offset;
    this.offset += bytes;
    if (bytes === 1) return this.#view.getUint8(at);
    return bytes === 2 ? this.#view.getUint16(at) : this.#view.getUint32(at);
  }
}

/** Names of fields and columns: a call of the decoder costs more than they do. */
function shortText(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) {
    if (byte >= 0x80) return UTF8.decode(bytes);
    text += String.fromCharCode(byte);
  }
  return text;
}

function lengthBytes(tag: number): number {
  switch (tag) {
    case 0xc4:
    case 0xd9:
      return 1;
    case 0xc5:
    case 0xda:
      return 2;
    default:
      assert(
        tag === 0xc6 || tag === 0xdb,
        () => `An answer of the node holds tag ${tag} where bytes must be`,
      );
      return 4;
  }
}
