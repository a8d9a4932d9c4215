const CAPACITY_BYTES_MIN = 256;
/** A larger buffer is not kept for the next answer. */
const KEPT_BYTES_MAX = 1024 * 1024;

/** Bytes of an answer under construction. Used again from answer to answer, so that small ones allocate once. */
export class OutputBuffer {
  bytes: Uint8Array<ArrayBuffer> = new Uint8Array(CAPACITY_BYTES_MIN);
  length = 0;

  /** Makes room for `count` more bytes; `bytes` may be a new array afterwards. */
  reserve(count: number): void {
    const needed = this.length + count;
    if (needed <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.bytes.length * 2));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  append(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  byte(value: number): void {
    this.reserve(1);
    this.bytes[this.length] = value;
    this.length += 1;
  }

  /** Text known to be ASCII: keys and numbers. */
  ascii(text: string): void {
    this.reserve(text.length);
    for (let index = 0; index < text.length; index += 1) {
      this.bytes[this.length + index] = text.charCodeAt(index);
    }
    this.length += text.length;
  }

  /** Appends the text if it is ASCII; else nothing, and false. For short texts: a call of an encoder costs more. */
  tryAscii(text: string): boolean {
    this.reserve(text.length);
    for (let index = 0; index < text.length; index += 1) {
      const unit = text.charCodeAt(index);
      if (unit >= 0x80) return false;
      this.bytes[this.length + index] = unit;
    }
    this.length += text.length;
    return true;
  }

  /** Moves what was written after `middle` to `position`, and what stood between behind it. */
  moveTailTo(position: number, middle: number): void {
    const tailLength = this.length - middle;
    this.reserve(tailLength);
    // Everything moves up by the length of the tail, which then stands behind its place and is copied into the gap.
    this.bytes.copyWithin(position + tailLength, position, this.length);
    this.bytes.copyWithin(position, this.length, this.length + tailLength);
  }

  /** A copy of its own, which may be transferred to another thread. The buffer is empty afterwards. */
  take(): Uint8Array<ArrayBuffer> {
    const taken = this.bytes.slice(0, this.length);
    this.length = 0;
    if (this.bytes.length > KEPT_BYTES_MAX) this.bytes = new Uint8Array(CAPACITY_BYTES_MIN);
    return taken;
  }
}
