import { assert } from "../base/assert.ts";
import type { AnswerWriter } from "./answer_writer.ts";
import { distinctNames } from "./result_encoder.ts";
import type { RowShape } from "./values.ts";

const UTF8 = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Writes a stored answer again in the format and row shape of today's request. Stored answers are the fields of an
 * answer in msgpack with rows as arrays: keys and values without a map header.
 *
 * @param count keys in `stored`
 */
export function transcodeAnswer(
  stored: Uint8Array,
  count: number,
  writer: AnswerWriter,
  shape: RowShape,
): void {
  const transcoder = new Transcoder(stored, writer, shape);
  transcoder.fields(count);
}

class Transcoder {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #writer: AnswerWriter;
  readonly #shape: RowShape;
  #position = 0;
  /** Of the result that is written now, for object rows. */
  #columns: string[] = [];

  constructor(bytes: Uint8Array, writer: AnswerWriter, shape: RowShape) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#writer = writer;
    this.#shape = shape;
  }

  fields(count: number): void {
    for (let index = 0; index < count; index += 1) {
      if (index > 0) this.#writer.separator();
      const key = this.#string();
      this.#writer.key(key);
      if (this.#shape === "objects" && key === "columns") this.#objectColumns();
      else if (this.#shape === "objects" && key === "rows") this.#objectRows();
      else this.#value();
    }
  }

  #objectColumns(): void {
    const names: string[] = [];
    for (let left = this.#arrayLength(this.#byte()); left > 0; left -= 1) names.push(this.#string());
    this.#columns = distinctNames(names);
    this.#writer.beginArray(names.length);
    this.#columns.forEach((name, index) => {
      if (index > 0) this.#writer.separator();
      this.#writer.string(name);
    });
    this.#writer.endArray();
  }

  #objectRows(): void {
    const rows = this.#arrayLength(this.#byte());
    this.#writer.beginArray(rows);
    for (let row = 0; row < rows; row += 1) {
      if (row > 0) this.#writer.separator();
      const width = this.#arrayLength(this.#byte());
      this.#writer.beginMap(width);
      for (let column = 0; column < width; column += 1) {
        if (column > 0) this.#writer.separator();
        this.#writer.key(this.#columns[column]!);
        this.#value();
      }
      this.#writer.endMap();
    }
    this.#writer.endArray();
  }

  #value(): void {
    const tag = this.#byte();
    const writer = this.#writer;
    if (tag < 0x80) return writer.integer(tag);
    if (tag >= 0xe0) return writer.integer(tag - 0x100);
    if (isMap(tag)) return this.#map(tag);
    if (isArray(tag)) return this.#array(tag);
    if (isString(tag)) return writer.text(this.#take(this.#stringLength(tag)));
    switch (tag) {
      case 0xc0:
        return writer.null();
      case 0xc4:
      case 0xc5:
      case 0xc6:
        return writer.blob(this.#take(this.#unsigned(1 << (tag - 0xc4))));
      case 0xcb:
        return writer.real(this.#view.getFloat64(this.#skip(8)));
      case 0xcc:
      case 0xcd:
      case 0xce:
        return writer.integer(this.#unsigned(1 << (tag - 0xcc)));
      default:
        return writer.integer(this.#signed(tag));
    }
  }

  #map(tag: number): void {
    const count = tag < 0x90 ? tag & 15 : this.#unsigned(tag === 0xde ? 2 : 4);
    this.#writer.beginMap(count);
    this.fields(count);
    this.#writer.endMap();
  }

  #array(tag: number): void {
    const count = this.#arrayLength(tag);
    this.#writer.beginArray(count);
    for (let index = 0; index < count; index += 1) {
      if (index > 0) this.#writer.separator();
      this.#value();
    }
    this.#writer.endArray();
  }

  #signed(tag: number): number | bigint {
    if (tag === 0xd0) return this.#view.getInt8(this.#skip(1));
    if (tag === 0xd1) return this.#view.getInt16(this.#skip(2));
    if (tag === 0xd2) return this.#view.getInt32(this.#skip(4));
    assert(tag === 0xd3, () => `A stored answer holds the msgpack tag ${tag}`);
    const value = this.#view.getBigInt64(this.#skip(8));
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }

  #string(): string {
    return UTF8.decode(this.#take(this.#stringLength(this.#byte())));
  }

  #stringLength(tag: number): number {
    return tag < 0xc0 ? tag & 31 : this.#unsigned(1 << (tag - 0xd9));
  }

  #arrayLength(tag: number): number {
    return tag < 0xa0 ? tag & 15 : this.#unsigned(tag === 0xdc ? 2 : 4);
  }

  #unsigned(bytes: number): number {
    const position = this.#skip(bytes);
    if (bytes === 1) return this.#view.getUint8(position);
    return bytes === 2 ? this.#view.getUint16(position) : this.#view.getUint32(position);
  }

  #byte(): number {
    return this.#view.getUint8(this.#skip(1));
  }

  #take(length: number): Uint8Array {
    const start = this.#skip(length);
    return this.#bytes.subarray(start, start + length);
  }

  #skip(length: number): number {
    const start = this.#position;
    this.#position += length;
    assert(this.#position <= this.#bytes.length, "A stored answer ends too early");
    return start;
  }
}

function isMap(tag: number): boolean {
  return (tag >= 0x80 && tag < 0x90) || tag === 0xde || tag === 0xdf;
}

function isArray(tag: number): boolean {
  return (tag >= 0x90 && tag < 0xa0) || tag === 0xdc || tag === 0xdd;
}

function isString(tag: number): boolean {
  return (tag >= 0xa0 && tag < 0xc0) || (tag >= 0xd9 && tag <= 0xdb);
}
