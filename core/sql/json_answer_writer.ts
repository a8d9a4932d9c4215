import type { AnswerWriter } from "./answer_writer.ts";
import { OutputBuffer } from "./output_buffer.ts";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const FIRST_PRINTABLE = 0x20;
const FIRST_NOT_ASCII = 0x80;
const BASE64 = new TextEncoder().encode("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
const PADDING = 0x3d;
const PLAIN_LENGTH_MAX = 64;
const UTF8_BYTES_PER_UNIT_MAX = 3;
const TEXT = new TextEncoder();
/** Not fatal: SQLite stores any bytes as text. A byte order mark is text like any other. */
const UTF8 = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * JSON as the API documents it: an integer beyond ±(2^53 − 1) is `{"int64":"…"}`, a blob `{"base64":"…"}`, an infinity
 * `{"real":"Infinity"}`. A REAL always has a point or an exponent, so that `3.0` is not taken for an INTEGER.
 */
export class JsonAnswerWriter implements AnswerWriter {
  readonly format = "json";
  readonly #out = new OutputBuffer();

  get length(): number {
    return this.#out.length;
  }

  separator(): void {
    this.#out.byte(COMMA);
  }

  beginMap(_count: number): void {
    this.#out.byte(0x7b);
  }

  endMap(): void {
    this.#out.byte(0x7d);
  }

  key(name: string): void {
    this.string(name);
    this.#out.byte(COLON);
  }

  encodeKey(name: string): Uint8Array {
    return TEXT.encode(`${JSON.stringify(name)}:`);
  }

  raw(bytes: Uint8Array): void {
    this.#out.append(bytes);
  }

  beginArray(_count: number): void {
    this.#out.byte(0x5b);
  }

  endArray(): void {
    this.#out.byte(0x5d);
  }

  beginOpenArray(): number {
    this.#out.byte(0x5b);
    return 0;
  }

  endOpenArray(_mark: number, _count: number): void {
    this.#out.byte(0x5d);
  }

  null(): void {
    this.#out.ascii("null");
  }

  integer(value: number | bigint): void {
    if (typeof value === "bigint") this.#out.ascii(`{"int64":"${value}"}`);
    else this.#smallInteger(value);
  }

  /** Digits straight into the buffer up to 2^31; larger ones are rare. */
  #smallInteger(value: number): void {
    if (value !== (value | 0) || value < 0) {
      this.#out.ascii(String(value));
      return;
    }
    const out = this.#out;
    out.reserve(10);
    let digits = 1;
    for (let power = 10; power <= value; power *= 10) digits += 1;
    let rest = value;
    for (let position = out.length + digits - 1; position >= out.length; position -= 1) {
      const next = Math.floor(rest / 10);
      out.bytes[position] = 0x30 + rest - next * 10;
      rest = next;
    }
    out.length += digits;
  }

  real(value: number): void {
    if (!Number.isFinite(value)) {
      this.#out.ascii(`{"real":"${value}"}`);
      return;
    }
    const text = Object.is(value, -0) ? "-0" : String(value);
    this.#out.ascii(text);
    if (Number.isInteger(value) && !text.includes("e")) this.#out.ascii(".0");
  }

  text(utf8: Uint8Array): void {
    const out = this.#out;
    const length = utf8.length;
    out.reserve(length + 2);
    const bytes = out.bytes;
    let position = out.length;
    bytes[position++] = QUOTE;
    for (let index = 0; index < length; index += 1) {
      const byte = utf8[index]!;
      if (byte < FIRST_PRINTABLE || byte === QUOTE || byte === BACKSLASH || byte >= FIRST_NOT_ASCII) {
        out.length = position;
        this.#escaped(UTF8.decode(index === 0 ? utf8 : utf8.subarray(index)));
        return;
      }
      bytes[position++] = byte;
    }
    bytes[position++] = QUOTE;
    out.length = position;
  }

  string(value: string): void {
    if (!this.#plain(value)) this.#escapedString(value);
  }

  /** Keys and names of types: nothing to escape, and too short for an encoder. */
  #plain(value: string): boolean {
    const { length } = value;
    if (length > PLAIN_LENGTH_MAX) return false;
    const out = this.#out;
    out.reserve(length + 2);
    const { bytes } = out;
    let position = out.length;
    bytes[position++] = QUOTE;
    for (let index = 0; index < length; index += 1) {
      const unit = value.charCodeAt(index);
      if (unit < FIRST_PRINTABLE || unit === QUOTE || unit === BACKSLASH || unit >= FIRST_NOT_ASCII) {
        return false;
      }
      bytes[position++] = unit;
    }
    bytes[position++] = QUOTE;
    out.length = position;
    return true;
  }

  #escapedString(value: string): void {
    this.#out.byte(QUOTE);
    this.#escaped(value);
  }

  /** The rest of a string, closing quote included. */
  #escaped(value: string): void {
    const out = this.#out;
    const quoted = JSON.stringify(value);
    out.reserve(quoted.length * UTF8_BYTES_PER_UNIT_MAX);
    const { written } = TEXT.encodeInto(quoted.slice(1), out.bytes.subarray(out.length));
    out.length += written;
  }

  blob(blob: Uint8Array): void {
    const out = this.#out;
    out.ascii('{"base64":"');
    out.reserve(Math.ceil(blob.length / 3) * 4 + 2);
    const bytes = out.bytes;
    let position = out.length;
    for (let index = 0; index < blob.length; index += 3) {
      const left = blob.length - index;
      const group = (blob[index]! << 16) | ((left > 1 ? blob[index + 1]! : 0) << 8) |
        (left > 2 ? blob[index + 2]! : 0);
      bytes[position++] = BASE64[group >> 18]!;
      bytes[position++] = BASE64[(group >> 12) & 63]!;
      bytes[position++] = left > 1 ? BASE64[(group >> 6) & 63]! : PADDING;
      bytes[position++] = left > 2 ? BASE64[group & 63]! : PADDING;
    }
    out.length = position;
    out.ascii('"}');
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
