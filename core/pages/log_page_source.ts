import type { Disk, DiskFile } from "../base/ports.ts";
import type { LogIndex, PageNumber } from "../base/ids.ts";
import { crc32 } from "../codec/crc32.ts";
import type { SegmentReader } from "../log/segment_reader.ts";
import { nameOfDatabaseFile } from "./checkpoint_meta.ts";
import { type DamagedPlace, type PageDamage, PageDamageError } from "./page_damage.ts";
import { type PageDelta, PageIndex, type PageIndexExport, ZERO_PAGE } from "./page_index.ts";
import { PageSumReader } from "./page_sums.ts";

export interface PageSourceBase {
  readonly pageSize: number;
  /** Path of the `.db` file, undefined when there is none. */
  readonly file: string | undefined;
  readonly filePageCount: number;
  /** A file of page checksums lies beside the `.db` file; without it that is read unchecked. */
  readonly hasSums?: boolean;
  readonly pages: PageIndexExport;
}

/**
 * The pages of one database at one index: from the log, else from the `.db` file. A worker has one per database; it
 * reads files itself and never asks the main thread. Every page is compared with its checksum.
 */
export class LogPageSource {
  readonly #disk: Disk;
  readonly #segments: SegmentReader;
  #base: PageSourceBase;
  #pages: PageIndex;
  readonly #onDamage: (damage: PageDamage) => void;
  #file: DiskFile | undefined;
  #sums: PageSumReader | undefined;
  /** Views set it; a writer stays at the tip. */
  at: LogIndex = Infinity;

  /** @param onDamage hears of each damaged page before `readPage` throws */
  constructor(
    disk: Disk,
    segments: SegmentReader,
    base: PageSourceBase,
    onDamage: (damage: PageDamage) => void = () => {},
  ) {
    this.#disk = disk;
    this.#onDamage = onDamage;
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

  /**
   * Fills `into` with the whole page; false when the database has no such page at this index.
   *
   * @throws PageDamageError when the bytes found are not those that were written
   */
  readPage(pageNumber: PageNumber, into: Uint8Array): boolean {
    if (pageNumber > this.pageCount()) return false;
    const version = this.#pages.find(pageNumber, this.at);
    if (version === undefined) {
      this.#readFile(pageNumber, into);
    } else if (version.position === ZERO_PAGE) {
      into.fill(0);
    } else {
      const { position, checksum } = version;
      this.#segments.readAt(position, into);
      if (crc32(into) !== checksum) this.#damaged(pageNumber, checksum, { place: "log", position });
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
    if (this.#base.hasSums !== true) return;
    const sum = crc32(into);
    const sums = this.#sums ??= new PageSumReader(this.#disk, nameOfDatabaseFile(path));
    if (sums.get(pageNumber) === sum) return;
    // What is kept of the checksums may be older than a repair.
    sums.close();
    const expected = sums.get(pageNumber);
    if (expected !== sum) this.#damaged(pageNumber, expected, { place: "file", path });
  }

  #damaged(pageNumber: PageNumber, expected: number | undefined, place: DamagedPlace): never {
    const damage: PageDamage = { ...place, pageNumber, at: this.at, expected };
    this.#onDamage(damage);
    throw new PageDamageError(damage);
  }

  #closeFile(): void {
    this.#file?.close();
    this.#file = undefined;
    this.#sums?.close();
    this.#sums = undefined;
  }
}
