import { assert } from "../base/assert.ts";
import type { DatabaseId, LogIndex, LogPosition, PageNumber } from "../base/ids.ts";
import type { Disk, DiskFile } from "../base/ports.ts";
import { crc32 } from "../codec/crc32.ts";
import { type CheckpointMeta, nameOfDatabaseFile, writeCheckpointMeta } from "./checkpoint_meta.ts";
import { PageDamageError } from "./page_damage.ts";
import { PageSumReader, PageSumWriter, sumFile } from "./page_sums.ts";

/** Reads bytes of the log by position. */
export interface LogBytes {
  readAt(position: LogPosition, into: Uint8Array): void;
}

export interface CheckpointCopy {
  readonly file: string;
  readonly pageSize: number;
  /** Size of the file afterwards, in pages. */
  readonly pageCount: number;
  /** What the file holds beyond so many pages is void. */
  readonly keepPageCount: number;
  /** Ascending. */
  readonly pageNumbers: ArrayLike<PageNumber>;
  readonly positions: ArrayLike<LogPosition>;
  /** Absent: neither are the pages checked nor checksums written, and the record must not claim that there are any. */
  readonly sums?: SumsOfCopy;
}

/** What it takes to check the pages on their way and to keep the file of checksums in step. */
export interface SumsOfCopy {
  readonly databaseId: DatabaseId;
  /** What the copy is the state at. */
  readonly index: LogIndex;
  /** One for each of `pageNumbers`. */
  readonly checksums: ArrayLike<number>;
  /**
   * What the record beside the file says: how many of its pages count (more may be there after a crash), and whether they
   * have checksums; if not, these are computed from the file. Undefined: there is no record, and no page counts.
   */
  readonly record: CheckpointMeta | undefined;
}

/**
 * Copies page versions from the log into the `.db` file, their checksums into the file beside it, and makes both durable.
 * Safe to repeat after a crash or an error at any point: the same bytes go to the same places, and the log keeps them
 * until the index is recorded (promise 3). Runs on a worker. Other errors than these are fatal to the process.
 *
 * @throws PageDamageError for a damaged page of the log: nothing may be recorded, the copy is repeated after the repair
 * @throws NodeError `disk_full`: nothing may be recorded, the copy is repeated when there is room
 */
export async function copyPages(disk: Disk, log: LogBytes, copy: CheckpointCopy): Promise<void> {
  const name = nameOfDatabaseFile(copy.file);
  if (copy.sums?.record !== undefined) {
    // Before the first page changes: after a crash nothing older may be shown from the file.
    await writeCheckpointMeta(disk, name, { ...copy.sums.record, copiedThrough: copy.sums.index });
  }
  const file = disk.openFile(copy.file, "write");
  let sums: SumsCopy | undefined;
  try {
    if (copy.sums !== undefined) sums = new SumsCopy(disk, name, copy.pageSize, copy.sums.record);
    new PageCopy(file, log, copy, sums).run();
    await file.sync();
    await sums?.writer.finish();
  } finally {
    sums?.close();
    file.close();
  }
  await disk.syncDirectory("db");
}

/** The checksums before and after. */
class SumsCopy {
  /** Of the file as it was; undefined: not known. */
  readonly kept: PageSumReader | undefined;
  readonly writer: PageSumWriter;

  constructor(disk: Disk, name: string, pageSize: number, record: CheckpointMeta | undefined) {
    this.kept = record?.hasSums === true ? new PageSumReader(disk, name) : undefined;
    this.writer = new PageSumWriter(disk, sumFile(name), pageSize);
  }

  close(): void {
    this.kept?.close();
    this.writer.close();
  }
}

class PageCopy {
  readonly #file: DiskFile;
  readonly #log: LogBytes;
  readonly #copy: CheckpointCopy;
  readonly #sums: SumsCopy | undefined;
  readonly #page: Uint8Array;
  readonly #zeros: Uint8Array;
  readonly #zeroSum: number;
  /** Pages of the file that stay as they are unless they are copied. */
  readonly #keepPageCount: number;

  constructor(file: DiskFile, log: LogBytes, copy: CheckpointCopy, sums: SumsCopy | undefined) {
    this.#file = file;
    this.#log = log;
    this.#copy = copy;
    this.#sums = sums;
    this.#page = new Uint8Array(copy.pageSize);
    this.#zeros = new Uint8Array(copy.pageSize);
    this.#zeroSum = crc32(this.#zeros);
    // What an unfinished copy appended counts as never written.
    this.#keepPageCount = Math.min(
      copy.keepPageCount,
      copy.sums === undefined ? Infinity : copy.sums.record?.pageCount ?? 0,
    );
  }

  run(): void {
    const { pageSize, pageCount, pageNumbers } = this.#copy;
    let next = 1;
    for (let i = 0; i < pageNumbers.length; i++) {
      const pageNumber = pageNumbers[i] as PageNumber;
      assert(pageNumber >= next, () => `Page ${pageNumber} of a checkpoint comes after ${next - 1}`);
      this.#leave(next, pageNumber);
      this.#copyPage(pageNumber, i);
      next = pageNumber + 1;
    }
    this.#leave(next, pageCount + 1);
    this.#file.truncate(pageCount * pageSize);
  }

  #copyPage(pageNumber: PageNumber, i: number): void {
    const page = this.#page;
    const position = this.#copy.positions[i] as LogPosition;
    this.#log.readAt(position, page);
    const { sums } = this.#copy;
    if (sums !== undefined) {
      const expected = sums.checksums[i] as number;
      if (crc32(page) !== expected) {
        throw new PageDamageError({ place: "log", position, pageNumber, at: sums.index, expected });
      }
      this.#sums?.writer.add(expected);
    }
    this.#file.writeAt(page, (pageNumber - 1) * this.#copy.pageSize);
  }

  /** The pages from `from` up to `end` are not copied: they stay, or no entry carried them, and they read as zeros. */
  #leave(from: PageNumber, end: PageNumber): void {
    for (let pageNumber = from; pageNumber < end; pageNumber++) {
      if (pageNumber > this.#keepPageCount) {
        this.#file.writeAt(this.#zeros, (pageNumber - 1) * this.#copy.pageSize);
        this.#sums?.writer.add(this.#zeroSum);
      } else {
        this.#sums?.writer.add(this.#keptSum(pageNumber));
      }
    }
  }

  #keptSum(pageNumber: PageNumber): number {
    // A checksum that is lost stays wrong: the next read of the page finds it.
    if (this.#sums?.kept !== undefined) return this.#sums.kept.get(pageNumber) ?? 0;
    const read = this.#file.readAt(this.#page, (pageNumber - 1) * this.#copy.pageSize);
    this.#page.fill(0, read);
    return crc32(this.#page);
  }
}
