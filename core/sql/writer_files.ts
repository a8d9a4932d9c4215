import { assert } from "../base/assert.ts";
import { emptyDatabasePage, presentAsWal } from "../pages/database_header.ts";
import { type EngineFile, type EngineFileKind, type EngineFileSystem, READ_REFUSED } from "./engine.ts";
import { type BatchNumber, PageOverlay } from "./page_overlay.ts";
import type { PageSource } from "./page_source.ts";
import { TemporaryFile, TemporarySpace } from "./temporary_file.ts";
import { type PageImage, WalMemory } from "./wal_memory.ts";

export interface WriterFilesOptions {
  readonly source: PageSource;
  /** Of a database that has no pages yet; else the source decides. */
  readonly pageSize: number;
  readonly transactionBytesMax: number;
  readonly walBytesMax: number;
  readonly temporaryBytesMax: number;
}

/**
 * The files of the writer: the WAL in memory, and the database read from the page source at the tip. Nothing is ever
 * written to a disk from here; committed pages leave through `takePages`.
 */
export class WriterFiles implements EngineFileSystem {
  readonly temporarySpace: TemporarySpace;
  readonly wal: WalMemory;
  readonly #database: WriterDatabaseFile;

  constructor(options: WriterFilesOptions) {
    const { source } = options;
    const isNew = source.pageCount() === 0;
    const pageSize = isNew ? options.pageSize : source.pageSize;
    this.temporarySpace = new TemporarySpace(options.temporaryBytesMax);
    this.wal = new WalMemory(
      pageSize,
      Math.max(1, source.pageCount()),
      options.transactionBytesMax,
      options.walBytesMax,
    );
    this.#database = new WriterDatabaseFile(source, pageSize, this.wal);
  }

  open(kind: EngineFileKind): EngineFile {
    if (kind === "database") return this.#database;
    if (kind === "wal") return this.wal;
    assert(kind === "temporary", "The writer opened a rollback journal: it is not in WAL mode");
    return new TemporaryFile(this.temporarySpace);
  }

  exists(kind: EngineFileKind): boolean {
    return kind === "database";
  }

  /** The pages to replicate: all that was committed since the last call. */
  takePages(batch: BatchNumber): PageImage[] {
    return this.#database.withFirstPage(this.wal.takePages(), batch);
  }

  /** How often SQLite may read pages from now on; then it sees one I/O error, and rolls back. */
  set readsLeft(count: number) {
    this.#database.readsLeft = count;
  }

  located(batch: BatchNumber): void {
    this.#database.overlay.located(batch);
  }

  get overlaySize(): number {
    return this.#database.overlay.size;
  }
}

/** Everything the checkpoint writes belongs to batches up to `lastBatch`. */
class WriterDatabaseFile implements EngineFile {
  readonly overlay = new PageOverlay();
  readonly #source: PageSource;
  readonly #pageSize: number;
  readonly #wal: WalMemory;
  readonly #scratch: Uint8Array;
  #pageCount: number;
  /** The synthesized page 1 of a new database, until it is delivered. */
  #firstPage: Uint8Array | undefined;
  #lastBatch: BatchNumber = 0;
  readsLeft = Infinity;

  constructor(source: PageSource, pageSize: number, wal: WalMemory) {
    this.#source = source;
    this.#pageSize = pageSize;
    this.#wal = wal;
    this.#scratch = new Uint8Array(pageSize);
    this.#pageCount = source.pageCount();
    if (this.#pageCount > 0) return;
    this.#pageCount = 1;
    this.#firstPage = emptyDatabasePage(pageSize);
    this.overlay.put(1, this.#firstPage, Infinity);
  }

  withFirstPage(pages: PageImage[], batch: BatchNumber): PageImage[] {
    this.#lastBatch = batch;
    const firstPage = this.#firstPage;
    if (pages.length === 0 || firstPage === undefined) return pages;
    this.#firstPage = undefined;
    this.overlay.put(1, firstPage, batch);
    return pages[0]!.pageNumber === 1 ? pages : [{ pageNumber: 1, bytes: firstPage }, ...pages];
  }

  read(into: Uint8Array, offset: number): number {
    if (--this.readsLeft < 0) {
      // To roll back it may have to read.
      this.readsLeft = Infinity;
      return READ_REFUSED;
    }
    const pageNumber = Math.floor(offset / this.#pageSize) + 1;
    if (pageNumber > this.#pageCount) return 0;
    const start = offset % this.#pageSize;
    if (start === 0 && into.length === this.#pageSize) {
      this.#readPage(pageNumber, into);
      return into.length;
    }
    const length = Math.min(into.length, this.#pageSize - start);
    assert(
      length === into.length,
      () => `SQLite reads ${into.length} bytes at ${offset}, over a page border`,
    );
    this.#readPage(pageNumber, this.#scratch);
    into.set(this.#scratch.subarray(start, start + length));
    return length;
  }

  #readPage(pageNumber: number, into: Uint8Array): void {
    const overlaid = this.overlay.get(pageNumber);
    if (overlaid !== undefined) into.set(overlaid);
    else if (!this.#source.readPage(pageNumber, into)) into.fill(0);
    if (pageNumber === 1) presentAsWal(into);
  }

  /** Only a checkpoint writes to the database file, whole pages. */
  write(bytes: Uint8Array, offset: number): boolean {
    assert(
      offset % this.#pageSize === 0 && bytes.length === this.#pageSize,
      () => `SQLite writes ${bytes.length} bytes at ${offset} of the database, expected a page`,
    );
    const pageNumber = offset / this.#pageSize + 1;
    this.overlay.put(pageNumber, bytes, this.#lastBatch);
    this.#pageCount = Math.max(this.#pageCount, pageNumber);
    return true;
  }

  truncate(size: number): void {
    this.#pageCount = size / this.#pageSize;
    this.overlay.cut(this.#pageCount);
  }

  size(): number {
    return this.#pageCount * this.#pageSize;
  }

  committed(): void {
    this.#wal.commit();
  }

  close(): void {}
}
