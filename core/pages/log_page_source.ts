import type { Disk, DiskFile } from "../base/ports.ts";
import type { LogIndex, PageNumber } from "../base/ids.ts";
import type { SegmentReader } from "../log/segment_reader.ts";
import { type PageDelta, PageIndex, type PageIndexExport, ZERO_PAGE } from "./page_index.ts";

export interface PageSourceBase {
  readonly pageSize: number;
  /** Path of the `.db` file, undefined when there is none. */
  readonly file: string | undefined;
  readonly filePageCount: number;
  readonly pages: PageIndexExport;
}

/**
 * The pages of one database at one index: from the log, else from the `.db` file. A worker has one per database; it
 * reads files itself and never asks the main thread.
 */
export class LogPageSource {
  readonly #disk: Disk;
  readonly #segments: SegmentReader;
  #base: PageSourceBase;
  #pages: PageIndex;
  #file: DiskFile | undefined;
  /** Views set it; a writer stays at the tip. */
  at: LogIndex = Infinity;

  constructor(disk: Disk, segments: SegmentReader, base: PageSourceBase) {
    this.#disk = disk;
    this.#segments = segments;
    this.#base = base;
    this.#pages = PageIndex.fromExport(base.pages);
  }

  get pageSize(): number {
    return this.#base.pageSize;
  }

  pageCount(): number {
    return this.#pages.pageCountAt(this.at);
  }

  /** Replaces the page index, after a checkpoint for example. */
  rebase(base: PageSourceBase): void {
    this.#closeFile();
    this.#base = base;
    this.#pages = PageIndex.fromExport(base.pages);
  }

  add(delta: PageDelta, oldestView: LogIndex): void {
    this.#pages.add(delta, oldestView);
  }

  /** Fills `into` with the whole page; false when the database has no such page at this index. */
  readPage(pageNumber: PageNumber, into: Uint8Array): boolean {
    if (pageNumber > this.pageCount()) return false;
    const position = this.#pages.locate(pageNumber, this.at);
    if (position === ZERO_PAGE) {
      into.fill(0);
    } else if (position !== undefined) {
      this.#segments.readAt(position, into);
    } else {
      this.#readFile(pageNumber, into);
    }
    return true;
  }

  close(): void {
    this.#closeFile();
  }

  /** A page that no entry ever carried (SQLite leaves out freed pages) reads as zeros. */
  #readFile(pageNumber: PageNumber, into: Uint8Array): void {
    const path = this.#base.file;
    if (path === undefined || pageNumber > this.#base.filePageCount) {
      into.fill(0);
      return;
    }
    this.#file ??= this.#disk.openFile(path, "read");
    const read = this.#file.readAt(into, (pageNumber - 1) * this.pageSize);
    if (read < into.length) into.fill(0, read);
  }

  #closeFile(): void {
    this.#file?.close();
    this.#file = undefined;
  }
}
