import { wellFormed } from "../base/utf8.ts";
import type { AnswerWriter } from "./answer_writer.ts";
import { OutputBuffer } from "./output_buffer.ts";

/** A text up to this length has its length in its tag. */
const FIX_TEXT_LENGTH_MAX = 31;
const TWO_POWER_32 = 0x1_0000_0000;
const TEXT = new TextEncoder();

/**
 * msgpack (https://github.com/msgpack/msgpack/blob/master/spec.md): INTEGER as the shortest int, REAL as float 64, text
 * as str, blob as bin.
 */
export class MsgpackAnswerWriter implements AnswerWriter {
  readonly format = "msgpack";
  readonly #out = new OutputBuffer();
  readonly #number = new DataView(new ArrayBuffer(9));
  readonly #numberBytes = new Uint8Array(this.#number.buffer);

  get length(): number {
    return this.#out.length;
  }

  separator(): void {}

  beginMap(count: number): void {
    this.#head(count, 0x80, 15, 0, 0xde);
  }

  endMap(): void {}

  key(name: string): void {
    this.string(name);
  }

  encodeKey(name: string): Uint8Array {
    const writer = new MsgpackAnswerWriter();
    writer.string(name);
    return writer.take();
  }

  raw(bytes: Uint8Array): void {
    this.#out.append(bytes);
  }

  beginArray(count: number): void {
    this.#head(count, 0x90, 15, 0, 0xdc);
  }

  endArray(): void {}

  beginOpenArray(): number {
    const mark = this.#out.length;
    this.#tagged32(0xdd, 0);
    return mark;
  }

  endOpenArray(mark: number, count: number): void {
    const { bytes } = this.#out;
    new DataView(bytes.buffer).setUint32(mark + 1, count);
  }

  null(): void {
    this.#out.byte(0xc0);
  }

  integer(value: number | bigint): void {
    if (typeof value === "bigint") {
      this.#number.setUint8(0, 0xd3);
      this.#number.setBigInt64(1, value);
      this.#out.append(this.#numberBytes);
    } else if (value >= 0) this.#unsigned(value);
    else this.#negative(value);
  }

  #unsigned(value: number): void {
    if (value < 0x80) this.#out.byte(value);
    else if (value <= 0xff) this.#tagged8(0xcc, value);
    else if (value <= 0xffff) this.#tagged16(0xcd, value);
    else if (value < TWO_POWER_32) this.#tagged32(0xce, value);
    else this.#int64(value);
  }

  #negative(value: number): void {
    if (value >= -32) this.#out.byte(value & 0xff);
    else if (value >= -0x80) this.#tagged8(0xd0, value & 0xff);
    else if (value >= -0x8000) this.#tagged16(0xd1, value & 0xffff);
    else if (value >= -0x8000_0000) this.#tagged32(0xd2, value >>> 0);
    else this.#int64(value);
  }

  #int64(value: number): void {
    this.#number.setUint8(0, 0xd3);
    this.#number.setInt32(1, Math.floor(value / TWO_POWER_32));
    this.#number.setUint32(5, value >>> 0);
    this.#out.append(this.#numberBytes);
  }

  real(value: number): void {
    this.#number.setUint8(0, 0xcb);
    this.#number.setFloat64(1, value);
    this.#out.append(this.#numberBytes);
  }

  text(utf8: Uint8Array): void {
    const text = wellFormed(utf8);
    this.#head(text.length, 0xa0, FIX_TEXT_LENGTH_MAX, 0xd9, 0xda);
    this.#out.append(text);
  }

  string(value: string): void {
    if (value.length <= FIX_TEXT_LENGTH_MAX) {
      const start = this.#out.length;
      this.#out.byte(0xa0 | value.length);
      if (this.#out.tryAscii(value)) return;
      this.#out.length = start;
    }
    const bytes = TEXT.encode(value);
    this.#head(bytes.length, 0xa0, FIX_TEXT_LENGTH_MAX, 0xd9, 0xda);
    this.#out.append(bytes);
  }

  blob(bytes: Uint8Array): void {
    this.#head(bytes.length, 0, -1, 0xc4, 0xc5);
    this.#out.append(bytes);
  }

  /** Lengths: in the tag itself, or in one byte (where `tag8` is not 0), two or four behind it. */
  #head(count: number, fixTag: number, fixMax: number, tag8: number, tag16: number): void {
    if (count <= fixMax) this.#out.byte(fixTag | count);
    else if (tag8 !== 0 && count <= 0xff) this.#tagged8(tag8, count);
    else if (count <= 0xffff) this.#tagged16(tag16, count);
    else this.#tagged32(tag16 + 1, count);
  }

  #tagged8(tag: number, value: number): void {
    this.#out.byte(tag);
    this.#out.byte(value);
  }

  #tagged16(tag: number, value: number): void {
    this.#tagged8(tag, value >> 8);
    this.#out.byte(value & 0xff);
  }

  #tagged32(tag: number, value: number): void {
    this.#tagged16(tag, value >>> 16);
    this.#out.byte((value >> 8) & 0xff);
    this.#out.byte(value & 0xff);
  }

  moveTailTo(position: number, middle: number): void {
    this.#out.moveTailTo(position, middle);
  }

  take(): Uint8Array {
    return this.#out.take();
  }

  clear(): void {
    this.#out.length = 0;
  }
}
