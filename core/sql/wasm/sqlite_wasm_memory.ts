const PAGE_BYTES = 65_536;
/** The least that the module accepts; the package's own loader starts with the same. Untouched pages cost nothing. */
const INITIAL_PAGES = 128;
/** Growing replaces every view, so a little more than asked for is taken. */
const GROWTH_FACTOR = 1.2;
const UTF8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** The memory of one instance, which JavaScript makes and hands in, so its maximum is ours to choose. */
export class SqliteWasmMemory {
  readonly memory: WebAssembly.Memory;
  readonly bytesMax: number;
  bytes: Uint8Array;
  words: Int32Array;

  /** @param bytesMax stack and constants of the module included; rounded up to whole pages */
  constructor(bytesMax: number) {
    const maximum = Math.max(INITIAL_PAGES, Math.ceil(bytesMax / PAGE_BYTES));
    this.memory = new WebAssembly.Memory({ initial: INITIAL_PAGES, maximum });
    this.bytesMax = maximum * PAGE_BYTES;
    this.bytes = new Uint8Array(this.memory.buffer);
    this.words = new Int32Array(this.memory.buffer);
  }

  /** False: there is no more; `malloc` then gives 0 and SQLite answers SQLITE_NOMEM. */
  growTo(bytes: number): boolean {
    if (bytes > this.bytesMax) return false;
    const wanted = Math.min(Math.max(bytes, this.bytes.length * GROWTH_FACTOR), this.bytesMax);
    try {
      this.memory.grow(Math.ceil((wanted - this.bytes.length) / PAGE_BYTES));
    } catch {
      return false;
    }
    this.bytes = new Uint8Array(this.memory.buffer);
    this.words = new Int32Array(this.memory.buffer);
    return true;
  }

  /** UTF-8 up to the NUL. Nearly all are short names in ASCII. @throws Error when the memory is not what it should be */
  textAt(pointer: number): string {
    const { bytes } = this;
    let result = "";
    for (let position = pointer;; position += 1) {
      const byte = bytes[position];
      if (byte === 0) return result;
      if (byte === undefined) throw new Error(`SQLite gave address ${pointer}, where no text ends`);
      if (byte > 0x7f) return UTF8.decode(bytes.subarray(pointer, bytes.indexOf(0, position)));
      result += String.fromCharCode(byte);
    }
  }
}
