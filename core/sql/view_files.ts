import { assert } from "../base/assert.ts";
import type { LogIndex } from "../base/ids.ts";
import { presentAsView } from "../pages/database_header.ts";
import { type EngineFile, type EngineFileKind, type EngineFileSystem, READ_REFUSED } from "./engine.ts";
import type { ViewSource } from "./page_source.ts";
import { TemporaryFile, TemporarySpace } from "./temporary_file.ts";

const SCHEMA_COOKIE_OFFSET = 40;

/** The files of a reader: one read-only database, as it was at one log index. */
export class ViewFiles implements EngineFileSystem {
  readonly temporarySpace: TemporarySpace;
  readonly #database: ViewDatabaseFile;

  constructor(source: ViewSource, temporaryBytesMax: number) {
    this.temporarySpace = new TemporarySpace(temporaryBytesMax);
    this.#database = new ViewDatabaseFile(source);
  }

  open(kind: EngineFileKind): EngineFile {
    if (kind === "database") return this.#database;
    assert(kind === "temporary", () => `A view was asked for its ${kind}`);
    return new TemporaryFile(this.temporarySpace);
  }

  exists(kind: EngineFileKind): boolean {
    return kind === "database";
  }

  get viewIndex(): LogIndex {
    return this.#database.viewIndex;
  }

  /** Only while no transaction is open. */
  moveTo(index: LogIndex): void {
    this.#database.moveTo(index);
  }

  /** SQLite changes this number with the schema (https://sqlite.org/fileformat2.html#schema_cookie). */
  schemaCookie(): number {
    return this.#database.schemaCookie();
  }

  /** How often SQLite may read from now on; then it sees an I/O error, and the session goes on. */
  set readsLeft(count: number) {
    this.#database.readsLeft = count;
  }
}

class ViewDatabaseFile implements EngineFile {
  readonly #source: ViewSource;
  readonly #pageSize: number;
  readonly #scratch: Uint8Array;
  /** Page 1 as presented. SQLite reads 16 bytes of it at the start of each transaction. */
  readonly #firstPage: Uint8Array;
  #hasFirstPage = false;
  #pageCount = 0;
  #viewIndex: LogIndex = -1;
  readsLeft = Infinity;

  constructor(source: ViewSource) {
    this.#source = source;
    this.#pageSize = source.pageSize;
    this.#scratch = new Uint8Array(source.pageSize);
    this.#firstPage = new Uint8Array(source.pageSize);
  }

  get viewIndex(): LogIndex {
    return this.#viewIndex;
  }

  moveTo(index: LogIndex): void {
    this.#source.at = index;
    this.#viewIndex = index;
    this.#hasFirstPage = false;
    this.#pageCount = this.#source.pageCount();
  }

  read(into: Uint8Array, offset: number): number {
    if (this.readsLeft-- <= 0) return READ_REFUSED;
    const pageNumber = Math.floor(offset / this.#pageSize) + 1;
    if (pageNumber > this.#pageCount) return 0;
    const start = offset % this.#pageSize;
    const isWhole = start === 0 && into.length === this.#pageSize;
    if (pageNumber > 1 && isWhole) {
      if (!this.#source.readPage(pageNumber, into)) into.fill(0);
      return into.length;
    }
    const length = Math.min(into.length, this.#pageSize - start);
    const page = pageNumber === 1 ? this.#readFirstPage() : this.#readScratch(pageNumber);
    into.set(isWhole ? page : page.subarray(start, start + length));
    return length;
  }

  schemaCookie(): number {
    const page = this.#readFirstPage();
    return new DataView(page.buffer, page.byteOffset).getUint32(SCHEMA_COOKIE_OFFSET);
  }

  #readFirstPage(): Uint8Array {
    if (this.#hasFirstPage) return this.#firstPage;
    const found = this.#source.readPage(1, this.#firstPage);
    assert(found, () => `View ${this.#viewIndex} has ${this.#pageCount} pages but not page 1`);
    presentAsView(this.#firstPage, this.#viewIndex);
    this.#hasFirstPage = true;
    return this.#firstPage;
  }

  /** The end of an overflow chain is read without going through SQLite's cache, in part. */
  #readScratch(pageNumber: number): Uint8Array {
    if (!this.#source.readPage(pageNumber, this.#scratch)) this.#scratch.fill(0);
    return this.#scratch;
  }

  write(): boolean {
    throw new Error("SQLite writes to a view");
  }

  truncate(): void {
    throw new Error("SQLite cuts a view");
  }

  size(): number {
    return this.#pageCount * this.#pageSize;
  }

  committed(): void {}

  close(): void {}
}
