import { NodeError } from "../base/errors.ts";
import type { DatabaseId, LogIndex, LogPosition, Milliseconds } from "../base/ids.ts";
import { LIMITS } from "../base/limits.ts";
import type { Clock, Disk, EventSink } from "../base/ports.ts";
import type { Database } from "../pages/database.ts";
import { type StoredCheckpoint } from "../pages/page_store.ts";
import { planCheckpoint } from "../pages/checkpoint_plan.ts";
import { sumFile } from "../pages/page_sums.ts";
import type { PageStore } from "../pages/page_store.ts";
import type { SqlPool } from "../sql/pool.ts";
import type { CheckpointAnswer, CheckpointMode } from "./service.ts";
import { databaseFile, metaFile, readCheckpointMeta, writeCheckpointMeta } from "../pages/checkpoint_meta.ts";

export interface CheckpointsOptions {
  readonly disk: Disk;
  readonly store: PageStore;
  readonly pool: SqlPool;
  readonly clock: Clock;
  readonly events: EventSink;
  /** Bytes of page versions in the log that set off a checkpoint of their database. */
  readonly checkpointBytes: number;
  /** Time after which a change is in the `.db` file although it is small. */
  readonly checkpointAgeMs: Milliseconds;
  /** The `.db` file is durable; sessions that look in the log for what it holds have to be told. */
  readonly onDone: (database: Database) => void;
  readonly onFatal: (error: Error) => void;
}

/** A checkpoint that somebody asked for and waits for. */
interface Wanted {
  readonly database: Database;
  readonly mode: CheckpointMode;
  /** What was published when it was asked for. */
  readonly target: LogIndex;
  readonly deadlineMs: Milliseconds;
  hasRun: boolean;
  readonly resolve: (answer: CheckpointAnswer) => void;
  readonly reject: (error: Error) => void;
}

/** How much of the past a copy leaves readable. */
type Keep =
  /** Open views and the retention window. */
  | "history"
  /** Open views. */
  | "views"
  /** Nothing: the log has grown to its limit. */
  | "nothing";

/** A checkpoint that met a damaged page or a full disk is tried again after this. */
const RETRY_MS = 1_000;

/** Decides when page versions are copied into the `.db` files, one database at a time; a worker does the copying. */
export class Checkpoints {
  readonly #options: CheckpointsOptions;
  #running: Promise<void> | undefined;
  /** Ends with the last of those who asked to be alone. */
  #alone: Promise<void> = Promise.resolve();
  #waitingAlone = 0;
  #wanted: Wanted[] = [];
  /** When a sweep first saw a change that is not in the file. */
  readonly #since = new WeakMap<Database, Milliseconds>();
  readonly #notBefore = new WeakMap<Database, Milliseconds>();
  #release: { readonly position: LogPosition; readonly keep: Keep } = { position: 0, keep: "history" };
  count = 0;

  constructor(options: CheckpointsOptions) {
    this.#options = options;
  }

  /** Starts the checkpoint that is due, if any, and removes the files of dropped databases. */
  sweep(): void {
    this.#settle();
    // Not while a copy runs: it may be of a database that was dropped meanwhile.
    if (this.#running !== undefined || this.#waitingAlone > 0) return;
    const gone = this.#options.store.takeGone();
    if (gone.length > 0) return this.#start(this.#remove(gone));
    for (const wanted of this.#wanted) {
      const keep = wanted.mode === "full" ? "views" : "history";
      if ((wanted.mode === "passive" && wanted.hasRun) || !this.#canRun(wanted.database, keep)) continue;
      wanted.hasRun = true;
      return this.#start(this.#run(wanted.database, keep));
    }
    const nowMs = this.#options.clock.nowMs();
    for (const database of this.#options.store.uncheckpointed) {
      const keep = this.#whyDue(database, nowMs);
      if (keep !== undefined && this.#canRun(database, keep)) return this.#start(this.#run(database, keep));
    }
  }

  /** The log before `position` is to go: whatever holds it is copied, here and with every later sweep. */
  releaseBefore(position: LogPosition, keep: Keep): void {
    this.#release = { position, keep };
    if (keep !== "nothing") return;
    for (const database of this.#options.store.gone) database.expireBefore(Infinity);
  }

  /** Brings one `.db` file up to date; see CheckpointMode for how far. */
  checkpoint(database: Database, mode: CheckpointMode, deadlineMs: Milliseconds): Promise<CheckpointAnswer> {
    if (this.#wanted.length >= LIMITS.checkpointsWaitingMax) {
      throw new NodeError(
        "queue_full",
        `Cannot checkpoint ${database.name}: ${this.#wanted.length} wait already`,
        {
          limit: { name: "checkpointsWaitingMax", value: LIMITS.checkpointsWaitingMax },
        },
      );
    }
    return new Promise((resolve, reject) => {
      const target = database.published;
      this.#wanted.push({ database, mode, target, deadlineMs, hasRun: false, resolve, reject });
      this.sweep();
    });
  }

  /** Checkpoints what the retention window does not need, so that the `.db` files of a stopped node are whole. */
  async all(): Promise<void> {
    for (const { reject } of this.#wanted.splice(0)) {
      reject(new NodeError("stopping", "Cannot checkpoint: the node is stopping"));
    }
    await this.#running;
    const { store } = this.#options;
    this.#start(this.#remove(store.takeGone()));
    await this.#running;
    for (const database of [...store.uncheckpointed]) {
      if (!this.#canRun(database, "history")) continue;
      this.#start(this.#run(database, "history"));
      await this.#running;
    }
  }

  /** A copy is under way. */
  get isCopying(): boolean {
    return this.#running !== undefined;
  }

  /** Runs the action while nothing else changes a `.db` file. */
  async alone<T>(action: () => Promise<T>): Promise<T> {
    const before = this.#alone;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#alone = promise;
    this.#waitingAlone++;
    try {
      await before;
      await this.#running;
      return await action();
    } finally {
      this.#waitingAlone--;
      resolve();
    }
  }

  /** Copies all that is published, if no view is in the way. Returns whether all of it is in the file. */
  now(database: Database): Promise<boolean> {
    return this.alone(async () => {
      if (this.#canRun(database, "views")) await this.#run(database, "views");
      return database.checkpoint.index >= database.published;
    });
  }

  #whyDue(database: Database, nowMs: Milliseconds): Keep | undefined {
    if ((this.#notBefore.get(database) ?? 0) > nowMs) return undefined;
    const { checkpointBytes, checkpointAgeMs } = this.#options;
    const { position, keep } = this.#release;
    if ((database.oldestPosition ?? Infinity) < position) return keep;
    if (database.bytesSinceCheckpoint >= checkpointBytes) return "history";
    const since = this.#since.get(database);
    if (since === undefined) this.#since.set(database, nowMs);
    return nowMs - (since ?? nowMs) >= checkpointAgeMs ? "history" : undefined;
  }

  /** Answers those whose checkpoint is done, and those who waited too long. */
  #settle(): void {
    const nowMs = this.#options.clock.nowMs();
    for (const wanted of [...this.#wanted]) {
      const { database, mode, target, deadlineMs } = wanted;
      const { index } = database.checkpoint;
      const canRun = this.#canRun(database, "history");
      const isDone = index >= target || (mode === "passive" && this.#running === undefined && !canRun);
      if (!isDone && deadlineMs > nowMs) continue;
      this.#wanted = this.#wanted.filter((other) => other !== wanted);
      if (isDone) {
        wanted.resolve({ index, complete: index >= target });
      } else {
        wanted.reject(
          new NodeError(
            "timeout",
            `Checkpoint of ${database.name} reached ${index}, not ${target}, in time: an older view is open`,
          ),
        );
      }
    }
  }

  #start(work: Promise<void>): void {
    this.#running = work.catch((error) => {
      // The worker was lost to something else: the copy is repeated. A failed copy itself is fatal in the worker.
      const harmless: readonly string[] = ["engine_failed", "stopping", "data_damaged", "disk_full"];
      if (error instanceof NodeError && harmless.includes(error.code)) return;
      this.#options.onFatal(error instanceof Error ? error : new Error(String(error)));
    }).finally(() => {
      this.#running = undefined;
      this.#settle();
    });
  }

  /** Uploads are copied as well, so that the log need not hold them as a whole; what is dropped is not. */
  #canRun(database: Database, keep: Keep): boolean {
    const isDropped = (database.droppedAt ?? Infinity) <= this.#options.store.publishedIndex;
    return !isDropped && indexFor(database, keep) > database.checkpoint.index;
  }

  async #run(database: Database, keep: Keep): Promise<void> {
    const { disk, pool, events, store, clock } = this.#options;
    const index = indexFor(database, keep);
    // Before the first page is overwritten: no older view may be opened from here on.
    const expired = database.expireBefore(index);
    if (expired > 0) {
      events.event("views_expired", { database: database.name, before: index, count: expired });
    }
    if (database.checkpoint.index === 0) database.fileName = fileNameFor(database, store);
    const plan = planCheckpoint(database, index);
    this.#notBefore.set(database, clock.nowMs() + RETRY_MS);
    await pool.checkpoint(plan);
    const { pageSize, pageCount, pageNumbers } = plan;
    const record = { databaseId: database.id, index, pageCount, pageSize, hasSums: true };
    await writeCheckpointMeta(disk, database.fileName, record);
    this.#notBefore.delete(database);
    this.#since.delete(database);
    store.checkpointed(database, { index, pageCount, hasSums: true });
    this.#options.onDone(database);
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
    const names = gone.filter(({ checkpoint }) => checkpoint.index > 0).map(({ fileName }) => fileName);
    if (names.length === 0) return;
    for (const name of names) removeWhereFound(disk, metaFile(name));
    await disk.syncDirectory("db");
    for (const name of names) removeFiles(disk, name);
  }
}

/** Of the files of a database that has none yet. */
function fileNameFor(database: Database, store: PageStore): string {
  return store.mayHavePlainFile(database) ? database.name : `${database.name}~${database.id}`;
}

function indexFor(database: Database, keep: Keep): LogIndex {
  switch (keep) {
    case "history":
      return database.oldestNeeded;
    case "views":
      return database.oldestView;
    case "nothing":
      return database.published;
  }
}

function removeWhereFound(disk: Disk, path: string): void {
  if (disk.exists(path)) disk.remove(path);
}

function removeFiles(disk: Disk, name: string): void {
  for (const path of [databaseFile(name), sumFile(name), `${sumFile(name)}.tmp`]) {
    removeWhereFound(disk, path);
  }
}

/** What the `.db` files hold, by their records; for the start of a node. */
export function readCheckpoints(disk: Disk): StoredCheckpoint[] {
  const found: StoredCheckpoint[] = [];
  for (const entry of disk.list("db")) {
    if (!entry.endsWith(".meta")) continue;
    const name = entry.slice(0, -".meta".length);
    found.push({ name, ...readCheckpointMeta(disk, name) });
  }
  return found;
}

/**
 * Removes files of databases that are not there any more, dropped just before a crash, and files without a record, which
 * a drop or a first checkpoint left half done. Not while a checkpoint runs.
 */
export function removeOrphans(disk: Disk, isKnown: (id: DatabaseId) => boolean): void {
  for (const entry of disk.list("db")) {
    if (!entry.endsWith(".meta")) continue;
    const name = entry.slice(0, -".meta".length);
    if (isKnown(readCheckpointMeta(disk, name).databaseId)) continue;
    removeWhereFound(disk, metaFile(name));
    removeFiles(disk, name);
  }
  for (const entry of disk.list("db")) {
    const [, name] = /^(.*)\.(?:db|sum)$/.exec(entry) ?? [];
    if (name !== undefined && !disk.exists(metaFile(name))) removeFiles(disk, name);
    if (entry.endsWith(".tmp")) removeWhereFound(disk, `db/${entry}`);
  }
}

/**
 * Gives files their plain names where those are free by now. Nothing may read them meanwhile: at the start and at the end of
 * a node. What a crash interrupts, `finishRenames` completes.
 */
export async function settleFileNames(disk: Disk, store: PageStore): Promise<void> {
  for (const database of store.visible()) {
    const { name, fileName, checkpoint } = database;
    if (fileName === name || checkpoint.index === 0 || !store.mayHavePlainFile(database)) continue;
    removeFiles(disk, name);
    await disk.syncDirectory("db");
    await renameFiles(disk, fileName, name);
    database.fileName = name;
  }
}

/** Before the records are read. */
export async function finishRenames(disk: Disk): Promise<void> {
  for (const entry of disk.list("db")) {
    const [, from, name] = /^((.*)~\d+)\.meta$/.exec(entry) ?? [];
    if (from === undefined || name === undefined || disk.exists(metaFile(name))) continue;
    const isHalfDone = !disk.exists(databaseFile(from)) ||
      (!disk.exists(sumFile(from)) && disk.exists(sumFile(name)));
    if (isHalfDone) await renameFiles(disk, from, name);
  }
}

/** The record follows when the files are there for good. */
async function renameFiles(disk: Disk, from: string, to: string): Promise<void> {
  for (const pathOf of [databaseFile, sumFile]) {
    if (disk.exists(pathOf(from))) disk.rename(pathOf(from), pathOf(to));
  }
  await disk.syncDirectory("db");
  disk.rename(metaFile(from), metaFile(to));
  await disk.syncDirectory("db");
}
