import { NodeError } from "../base/errors.ts";
import type { DatabaseId, LogIndex } from "../base/ids.ts";
import type { Disk, EventSink } from "../base/ports.ts";
import type { Database } from "../pages/database.ts";
import { type StoredCheckpoint } from "../pages/page_store.ts";
import type { PageStore } from "../pages/page_store.ts";
import type { SqlPool } from "../sql/pool.ts";
import { databaseFile, metaFile, readCheckpointMeta, writeCheckpointMeta } from "../pages/checkpoint_meta.ts";

export interface CheckpointsOptions {
  readonly disk: Disk;
  readonly store: PageStore;
  readonly pool: SqlPool;
  readonly events: EventSink;
  /** Bytes of page versions in the log that set off a checkpoint of their database. */
  readonly checkpointBytes: number;
  readonly onFatal: (error: Error) => void;
}

/** Decides when page versions are copied into the `.db` files, one database at a time; a worker does the copying. */
export class Checkpoints {
  readonly #options: CheckpointsOptions;
  #running: Promise<void> | undefined;
  count = 0;

  constructor(options: CheckpointsOptions) {
    this.#options = options;
  }

  /** Starts the checkpoint that is due, if any, and removes the files of dropped databases. */
  sweep(): void {
    // Not while a copy runs: it may be of a database that was dropped meanwhile.
    if (this.#running !== undefined) return;
    const gone = this.#options.store.takeGone();
    if (gone.length > 0) return this.#start(this.#remove(gone));
    const { store, checkpointBytes } = this.#options;
    for (const database of store.visible()) {
      if (database.bytesSinceCheckpoint < checkpointBytes || !this.#canRun(database)) continue;
      return this.#start(this.#run(database));
    }
  }

  /** Checkpoints everything, so that the `.db` files of a stopped node are whole. */
  async all(): Promise<void> {
    await this.#running;
    const { store } = this.#options;
    this.#start(this.#remove(store.takeGone()));
    await this.#running;
    for (const database of store.list()) {
      if (database.published <= database.checkpoint.index || !this.#canRun(database)) continue;
      this.#start(this.#run(database));
      await this.#running;
    }
  }

  #start(work: Promise<void>): void {
    this.#running = work.catch((error) => {
      // The worker was lost to something else: the copy is repeated. A failed copy itself is fatal in the worker.
      if (error instanceof NodeError && (error.code === "engine_failed" || error.code === "stopping")) return;
      this.#options.onFatal(error instanceof Error ? error : new Error(String(error)));
    }).finally(() => {
      this.#running = undefined;
    });
  }

  /** Not while a dropped database of the same name still owns the file, nor past the oldest view (promise 3). */
  #canRun(database: Database): boolean {
    return !this.#options.store.hasGone(database.name) && database.oldestView > database.checkpoint.index;
  }

  async #run(database: Database): Promise<void> {
    const { disk, pool, events } = this.#options;
    const index = database.oldestView;
    const pageCount = database.pages.pageCountAt(index);
    // A file without a record is what a dropped database or an unfinished first copy left: nothing of it counts.
    const isFirst = database.checkpoint.index === 0;
    const keepPageCount = isFirst ? 0 : Math.min(database.pages.smallestPageCount(index), pageCount);
    const { pageNumbers, positions } = database.pages.newestAt(index);
    const file = databaseFile(database.name);
    const { pageSize } = database;
    await pool.checkpoint({ file, pageSize, pageCount, keepPageCount, pageNumbers, positions });
    await writeCheckpointMeta(disk, database.name, { databaseId: database.id, index, pageCount, pageSize });
    database.checkpointed({ index, pageCount });
    this.count++;
    events.event("checkpoint_done", { database: database.name, index, pages: pageNumbers.length });
  }

  /**
   * The records go first, for good: after a crash the drop may not be known to be committed, and a record must never
   * stand beside a file that is gone or that a database of the same name has begun to write.
   */
  async #remove(gone: readonly Database[]): Promise<void> {
    const { disk, pool } = this.#options;
    for (const { id } of gone) pool.closeDatabase(id);
    const names = gone.filter(({ checkpoint }) => checkpoint.index > 0).map(({ name }) => name);
    if (names.length === 0) return;
    for (const name of names) removeWhereFound(disk, metaFile(name));
    await disk.syncDirectory("db");
    for (const name of names) removeWhereFound(disk, databaseFile(name));
  }
}

function removeWhereFound(disk: Disk, path: string): void {
  if (disk.exists(path)) disk.remove(path);
}

/** What the `.db` files hold, by their records; for the start of a node. */
export function readCheckpoints(disk: Disk): StoredCheckpoint[] {
  const found: StoredCheckpoint[] = [];
  for (const entry of disk.list("db")) {
    if (!entry.endsWith(".meta")) continue;
    found.push(readCheckpointMeta(disk, entry.slice(0, -".meta".length)));
  }
  return found;
}

/** Removes files whose database is not in the log any more: dropped just before a crash. */
export function removeOrphans(disk: Disk, isKnown: (id: DatabaseId) => boolean): LogIndex {
  let removed = 0;
  for (const entry of disk.list("db")) {
    if (!entry.endsWith(".meta")) continue;
    const name = entry.slice(0, -".meta".length);
    if (isKnown(readCheckpointMeta(disk, name).databaseId)) continue;
    removeWhereFound(disk, metaFile(name));
    removeWhereFound(disk, databaseFile(name));
    removed++;
  }
  return removed;
}
