import type { DatabaseId, LogIndex, Milliseconds, PageNumber } from "../base/ids.ts";
import type { Clock, Disk, DiskFile, EventSink } from "../base/ports.ts";
import { crc32 } from "../codec/crc32.ts";
import type { Log } from "../log/log.ts";
import { databaseFile } from "../pages/checkpoint_meta.ts";
import type { Database } from "../pages/database.ts";
import { PageSumReader } from "../pages/page_sums.ts";
import type { PageStore } from "../pages/page_store.ts";
import type { Repair } from "./repair.ts";

export interface ScrubberOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly events: EventSink;
  readonly log: Log;
  readonly store: PageStore;
  readonly repair: Repair;
  /** A checkpoint is changing a `.db` file: what is read there now proves nothing. */
  readonly isCopying: () => boolean;
}

/** Pace of reading: 80 GB a day, one part in a thousand of what a disk can do. */
const BYTES_PER_SECOND = 1024 * 1024;
/** Read and checked at once: well under a millisecond on the main thread. */
const PIECE_BYTES = 256 * 1024;
/** After everything was looked at once. */
const REST_MS = 600_000;

/** Where a round stands: first the log, then one database after the other. */
type Place =
  | { readonly at: "log"; readonly next: LogIndex }
  | { readonly at: "file"; readonly databaseId: DatabaseId; readonly next: PageNumber };

/**
 * Reads what nobody asks for, slowly and for ever, so that damage is found while other members can still supply what was
 * lost. Found damage goes to `Repair`.
 */
export class Scrubber {
  readonly #options: ScrubberOptions;
  #place: Place = { at: "log", next: 0 };
  #nextMs: Milliseconds;
  checkedBytes = 0;

  constructor(options: ScrubberOptions) {
    this.#options = options;
    this.#nextMs = options.clock.nowMs();
  }

  /** Called with every tick: checks one piece when its time has come. */
  sweep(): void {
    const nowMs = this.#options.clock.nowMs();
    if (nowMs < this.#nextMs) return;
    const bytes = this.#place.at === "log" ? this.#checkLog(this.#place.next) : this.#checkFile(this.#place);
    this.checkedBytes += bytes;
    this.#nextMs = Math.max(this.#nextMs, nowMs + 1_000 * bytes / BYTES_PER_SECOND);
  }

  #checkLog(from: LogIndex): number {
    const { log, repair } = this.#options;
    const { next, damaged } = log.scrub(from, PIECE_BYTES);
    if (damaged !== undefined) repair.entry(damaged);
    if (next > from) {
      this.#place = { at: "log", next };
      return PIECE_BYTES;
    }
    this.#nextDatabase(0);
    return 0;
  }

  /** Databases in the order of their ids: stable while some come and go. */
  #nextDatabase(after: DatabaseId): void {
    let nearest: Database | undefined;
    for (const database of this.#options.store.visible()) {
      if (database.id <= after || !isChecked(database)) continue;
      if (nearest === undefined || database.id < nearest.id) nearest = database;
    }
    if (nearest !== undefined) {
      this.#place = { at: "file", databaseId: nearest.id, next: 1 };
      return;
    }
    this.#place = { at: "log", next: 0 };
    this.#nextMs = this.#options.clock.nowMs() + REST_MS;
    this.#options.events.event("scrub_done", { checkedBytes: this.checkedBytes });
  }

  #checkFile({ databaseId, next }: Place & { at: "file" }): number {
    const { disk, store, isCopying } = this.#options;
    if (isCopying()) return 0;
    const database = store.get(databaseId);
    const path = database === undefined ? "" : databaseFile(database.fileName);
    if (database === undefined || !isChecked(database) || next > database.checkpoint.pageCount) {
      this.#nextDatabase(databaseId);
      return 0;
    }
    const { pageSize, checkpoint } = database;
    const count = Math.min(Math.ceil(PIECE_BYTES / pageSize), checkpoint.pageCount - next + 1);
    const file = disk.openFile(path, "read");
    const sums = new PageSumReader(disk, database.fileName);
    try {
      for (let page = next; page < next + count; page++) this.#checkPage(database, file, sums, page);
    } finally {
      sums.close();
      file.close();
    }
    this.#place = { at: "file", databaseId, next: next + count };
    return count * pageSize;
  }

  #checkPage(database: Database, file: DiskFile, sums: PageSumReader, pageNumber: PageNumber): void {
    // An interrupted copy may have put a newer page there; readers find it in the log.
    if (database.pages.locate(pageNumber, Infinity) !== undefined) return;
    const bytes = new Uint8Array(database.pageSize);
    const read = file.readAt(bytes, (pageNumber - 1) * database.pageSize);
    const expected = sums.get(pageNumber);
    if (read === bytes.length && crc32(bytes) === expected) return;
    this.#options.repair.page(database.id, {
      place: "file",
      path: databaseFile(database.fileName),
      pageNumber,
      at: database.published,
      expected,
    });
  }
}

/** Databases with a file whose pages have checksums. */
function isChecked({ checkpoint }: Database): boolean {
  return checkpoint.index > 0 && checkpoint.hasSums === true;
}
