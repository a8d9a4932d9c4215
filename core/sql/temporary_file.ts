import type { EngineFile } from "./engine.ts";

const CHUNK_BYTES = 64 * 1024;

/** What all temporary files of a connection may hold together. */
export class TemporarySpace {
  readonly bytesMax: number;
  /** A write was refused since this was last set to false. */
  wasExceeded = false;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  take(bytes: number): boolean {
    if (this.#bytes + bytes > this.bytesMax) {
      this.wasExceeded = true;
      return false;
    }
    this.#bytes += bytes;
    return true;
  }

  giveBack(bytes: number): void {
    this.#bytes -= bytes;
  }
}

/**
 * A temporary file of SQLite, in memory outside of WebAssembly: unlike the memory of an instance, it is given back
 * when the file is closed.
 */
export class TemporaryFile implements EngineFile {
  readonly #space: TemporarySpace;
  readonly #chunks: Uint8Array[] = [];
  #size = 0;

  constructor(space: TemporarySpace) {
    this.#space = space;
  }

  read(into: Uint8Array, offset: number): number {
    const end = Math.min(offset + into.length, this.#size);
    let position = offset;
    while (position < end) {
      const start = position % CHUNK_BYTES;
      const length = Math.min(CHUNK_BYTES - start, end - position);
      const chunk = this.#chunks[Math.floor(position / CHUNK_BYTES)]!;
      into.set(chunk.subarray(start, start + length), position - offset);
      position += length;
    }
    return Math.max(0, end - offset);
  }

  write(bytes: Uint8Array, offset: number): boolean {
    const end = offset + bytes.length;
    while (this.#chunks.length * CHUNK_BYTES < end) {
      if (!this.#space.take(CHUNK_BYTES)) return false;
      this.#chunks.push(new Uint8Array(CHUNK_BYTES));
    }
    let position = offset;
    while (position < end) {
      const start = position % CHUNK_BYTES;
      const length = Math.min(CHUNK_BYTES - start, end - position);
      const chunk = this.#chunks[Math.floor(position / CHUNK_BYTES)]!;
      chunk.set(bytes.subarray(position - offset, position - offset + length), start);
      position += length;
    }
    this.#size = Math.max(this.#size, end);
    return true;
  }

  truncate(size: number): void {
    this.#size = Math.min(size, this.#size);
    const chunks = Math.ceil(this.#size / CHUNK_BYTES);
    this.#space.giveBack((this.#chunks.length - chunks) * CHUNK_BYTES);
    this.#chunks.length = chunks;
    // What is cut off must read as zeros if the file grows over it again.
    this.#chunks.at(-1)?.fill(0, this.#size - (chunks - 1) * CHUNK_BYTES);
  }

  size(): number {
    return this.#size;
  }

  committed(): void {}

  close(): void {
    this.truncate(0);
  }
}
