import { assert } from "../base/assert.ts";
import type { PageNumber } from "../base/ids.ts";
import type { EngineFile } from "./engine.ts";

const WAL_HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
/** 256 KiB with pages of 4 KiB: large enough to be rare, small enough not to be wasted. */
const FRAMES_PER_CHUNK = 64;

export interface PageImage {
  readonly pageNumber: PageNumber;
  readonly bytes: Uint8Array;
}

/**
 * The WAL file of the writer, in memory (https://sqlite.org/fileformat2.html#walformat). A frame never crosses the border
 * of a chunk, so growing copies nothing and every access of SQLite lies in one chunk.
 *
 * Frames are not taken as they are written: after a cache spill SQLite writes frames of the same transaction again in
 * place, headers included. What counts is the state at the commit point, which is the COMMIT_PHASETWO file control of the
 * database file. Frames after the last commit belong to a transaction that was rolled back; the next one
 * overwrites them.
 */
export class WalMemory implements EngineFile {
  readonly #pageSize: number;
  readonly #frameBytes: number;
  readonly #transactionFramesMax: number;
  readonly #keptChunkCount: number;
  readonly #header = new Uint8Array(WAL_HEADER_BYTES);
  #chunks: Uint8Array[] = [];
  #size = 0;
  /** End of the newest transaction whose commit frame was written, and its database size. */
  #writtenFrames = 0;
  #writtenPageCount = 0;
  #committedFrames = 0;
  #deliveredFrames = 0;
  #pageCount: number;
  /** Smallest database size since the last delivery. */
  #pageCountMin: number;
  #commits = 0;

  /** The last write was refused because its transaction is too large; the session sets it to false. */
  transactionWasTooLarge = false;

  /**
   * @param pageCount of the database before anything is written
   * @param keptBytes memory that is kept when the WAL is emptied
   */
  constructor(pageSize: number, pageCount: number, transactionBytesMax: number, keptBytes: number) {
    this.#pageSize = pageSize;
    this.#frameBytes = FRAME_HEADER_BYTES + pageSize;
    this.#transactionFramesMax = Math.floor(transactionBytesMax / pageSize);
    this.#keptChunkCount = Math.ceil(keptBytes / (this.#frameBytes * FRAMES_PER_CHUNK));
    this.#pageCount = pageCount;
    this.#pageCountMin = pageCount;
  }

  /** Counts commits that wrote at least one frame. */
  get commits(): number {
    return this.#commits;
  }

  /** Pages of the database after the last commit. */
  get pageCount(): number {
    return this.#pageCount;
  }

  get committedBytes(): number {
    return this.#committedFrames * this.#frameBytes;
  }

  get undeliveredBytes(): number {
    return (this.#committedFrames - this.#deliveredFrames) * this.#frameBytes;
  }

  read(into: Uint8Array, offset: number): number {
    const end = Math.min(offset + into.length, this.#size);
    if (end <= offset) return 0;
    if (offset < WAL_HEADER_BYTES) {
      const length = Math.min(end, WAL_HEADER_BYTES) - offset;
      into.set(this.#header.subarray(offset, offset + length));
      return length;
    }
    const [chunk, start] = this.#locate(offset, end - offset);
    into.set(chunk.subarray(start, start + end - offset));
    return end - offset;
  }

  write(bytes: Uint8Array, offset: number): boolean {
    if (offset < WAL_HEADER_BYTES) {
      this.#header.set(bytes, offset);
    } else {
      const frame = Math.floor((offset - WAL_HEADER_BYTES) / this.#frameBytes);
      const isHeader = (offset - WAL_HEADER_BYTES) % this.#frameBytes === 0;
      if (isHeader && !this.#noteHeader(bytes, frame)) return false;
      if (frame >= this.#chunks.length * FRAMES_PER_CHUNK) {
        this.#chunks.push(new Uint8Array(this.#frameBytes * FRAMES_PER_CHUNK));
      }
      const [chunk, start] = this.#locate(offset, bytes.length);
      chunk.set(bytes, start);
    }
    this.#size = Math.max(this.#size, offset + bytes.length);
    return true;
  }

  /** SQLite writes the header of a frame before its page; the header with a database size ends a transaction. */
  #noteHeader(header: Uint8Array, frame: number): boolean {
    if (frame - this.#committedFrames >= this.#transactionFramesMax) {
      this.transactionWasTooLarge = true;
      return false;
    }
    const pageCount = readUint32(header, 4);
    if (pageCount !== 0) {
      this.#writtenFrames = frame + 1;
      this.#writtenPageCount = pageCount;
    }
    return true;
  }

  #locate(offset: number, length: number): [Uint8Array, number] {
    const position = offset - WAL_HEADER_BYTES;
    const chunkBytes = this.#frameBytes * FRAMES_PER_CHUNK;
    const chunk = this.#chunks[Math.floor(position / chunkBytes)];
    const start = position % chunkBytes;
    assert(
      chunk !== undefined && start + length <= chunkBytes,
      () => `SQLite used ${length} bytes of the WAL at ${offset}, which is not a frame`,
    );
    return [chunk, start];
  }

  /** Called through the database file, whose file control it is. */
  commit(): void {
    if (this.#writtenFrames === this.#committedFrames) return;
    assert(this.#writtenFrames > this.#committedFrames, "A commit removed frames from the WAL");
    this.#committedFrames = this.#writtenFrames;
    this.#pageCount = this.#writtenPageCount;
    this.#pageCountMin = Math.min(this.#pageCountMin, this.#pageCount);
    this.#commits += 1;
  }

  /**
   * The newest version of each page committed since the last call, by page number. The bytes are views, valid until
   * the connection is used again.
   */
  takePages(): PageImage[] {
    const newest = new Map<PageNumber, Uint8Array>();
    for (let frame = this.#committedFrames - 1; frame >= this.#deliveredFrames; frame -= 1) {
      const [chunk, start] = this.#locate(WAL_HEADER_BYTES + frame * this.#frameBytes, this.#frameBytes);
      const pageNumber = readUint32(chunk, start);
      // Beyond the end: the database was larger for a while within the batch.
      if (pageNumber > this.#pageCount || newest.has(pageNumber)) continue;
      newest.set(pageNumber, chunk.subarray(start + FRAME_HEADER_BYTES, start + this.#frameBytes));
    }
    this.#addPagesWithoutFrame(newest);
    this.#deliveredFrames = this.#committedFrames;
    this.#pageCountMin = this.#pageCount;
    const pages = [...newest].map(([pageNumber, bytes]) => ({ pageNumber, bytes }));
    return pages.sort((a, b) => a.pageNumber - b.pageNumber);
  }

  /**
   * A page that the database grew by without writing it (the lock-byte page at 1 GiB) may have an older version from
   * before the database shrank. Every node must see the same (promise 4), so zeros are made explicit.
   */
  #addPagesWithoutFrame(newest: Map<PageNumber, Uint8Array>): void {
    if (this.#committedFrames === this.#deliveredFrames) return;
    for (let pageNumber = this.#pageCountMin + 1; pageNumber <= this.#pageCount; pageNumber += 1) {
      if (!newest.has(pageNumber)) newest.set(pageNumber, new Uint8Array(this.#pageSize));
    }
  }

  /** Only to nothing, at the end of a checkpoint. */
  truncate(size: number): void {
    assert(size === 0, () => `SQLite cuts the WAL to ${size} bytes, expected 0`);
    assert(
      this.#deliveredFrames === this.#committedFrames,
      "The WAL is emptied before its frames are delivered",
    );
    this.#size = 0;
    this.#writtenFrames = 0;
    this.#committedFrames = 0;
    this.#deliveredFrames = 0;
    this.#chunks = this.#chunks.slice(0, this.#keptChunkCount);
  }

  size(): number {
    return this.#size;
  }

  committed(): void {}

  close(): void {}
}

function readUint32(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset]! << 24) | (bytes[offset + 1]! << 16) | (bytes[offset + 2]! << 8) |
    bytes[offset + 3]!) >>> 0;
}
