import { assert } from "../base/assert.ts";
import { NodeError, toErrorRecord } from "../base/errors.ts";
import type { DatabaseId, Milliseconds } from "../base/ids.ts";
import { LIMITS } from "../base/limits.ts";
import type { Clock, EndOfTurn, EventSink } from "../base/ports.ts";
import type { SegmentInfo } from "../log/segment_table.ts";
import type { Database } from "../pages/database.ts";
import type { View } from "../pages/database.ts";
import type {
  CheckFileMessage,
  CheckpointMessage,
  DatabaseBase,
  MessageFromWorker,
  MessageToWorker,
  PageDamaged,
  TransactionMessage,
  TransactionResults,
  WriteMessage,
  WriteRequestData,
  WriteResults,
  WriterUpdate,
} from "./messages.ts";
import { type FileSize, LongJobs } from "./long_jobs.ts";
import { DatabaseCursors } from "./database_cursors.ts";
import type { KnownText } from "./known_texts.ts";
import { type PoolQuery, ReaderPool } from "./reader_pool.ts";
import { type ShortQuery, ShortReads, type ShortReadsOptions } from "./short_reads.ts";
import { type Placement, ShortWrites, type ShortWritesOptions } from "./short_writes.ts";
import type { EncodedFields } from "./values.ts";
import { type StartSqlWorker, WorkerSlot } from "./worker_slot.ts";

export interface PoolOptions {
  readonly start: StartSqlWorker;
  readonly readerCount: number;
  readonly clock: Clock;
  readonly endOfTurn: EndOfTurn;
  readonly events: EventSink;
  /** The log's segments and a number that changes whenever they do. */
  readonly segments: () => { readonly version: number; readonly list: readonly SegmentInfo[] };
  /** Path of a database's `.db` file. */
  readonly fileOf: (database: Database) => string;
  readonly onWriteResults: (results: WriteResults) => void;
  readonly onTransactionResults: (results: TransactionResults) => void;
  /** The writer worker died: its sessions and batches are lost, nothing of them was delivered. */
  readonly onWriterLost: (running: DatabaseId | undefined) => void;
  /** A worker read a page that is not what was written; it may say so several times. What read it has failed. */
  readonly onPageDamaged?: (report: PageDamaged) => void;
  readonly onFatal: (message: string) => void;
  /** A writer session that was not used gave its place on this thread to another one. */
  readonly onWriterGone?: (databaseId: DatabaseId) => void;
  /** What short queries and writes need to run on the thread of the caller; without it workers run them all. */
  readonly shortWork?: ShortWorkOptions & Pick<ShortReadsOptions, "disk" | "random">;
}

/** How sessions are made on the main thread, and how much of a database each may keep. */
export type ShortWorkOptions =
  & Pick<ShortReadsOptions, "loadReaders" | "cacheKib">
  & Pick<ShortWritesOptions, "loadWriters">;

type Unsent<M> = Omit<M, "jobId" | "segments">;

/** A worker that never came up is not tried more often: the program or the machine is at fault. */
const FAILED_STARTS_MAX = 3;

/**
 * The SQL workers as the main thread sees them: one writer, several readers, and one that copies checkpoints and checks
 * files, so that neither waits for queries of any length nor queries for it. Replaces workers that hang or die, and runs
 * on this thread what is short.
 */
export class SqlPool {
  readonly #options: PoolOptions;
  readonly #readers: ReaderPool;
  #writer: WorkerSlot;
  /** Started when there is something to copy. */
  #copier: WorkerSlot | undefined;
  readonly #longJobs = new LongJobs();
  readonly #shortReads: ShortReads | undefined;
  readonly #shortWrites: ShortWrites | undefined;
  /** Batches and steps of transactions the writer has, by job. */
  readonly #batches = new Map<number, DatabaseId>();
  #nextJobId = 1;
  #failedStarts = 0;
  #refusesQueries = false;
  #stopped = false;
  replacedWorkerCount = 0;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#writer = this.#makeSlot("writer");
    this.#readers = new ReaderPool({
      ...options,
      makeSlot: (name) => this.#makeSlot(name),
      newJobId: () => this.#newJobId(),
      post: (slot, message) => this.#post(slot, message),
      segmentsFor: (slot) => this.#segmentsFor(slot),
    });
    if (options.shortWork !== undefined) {
      const site = { ...options, ...options.shortWork };
      this.#shortReads = new ShortReads({ ...site, cursors: this.#makeCursors() });
      const { onWriteResults: onResults, onWriterGone: onGone = () => {} } = options;
      this.#shortWrites = new ShortWrites({ ...site, onResults, onGone });
    }
  }

  #makeCursors(): DatabaseCursors {
    return new DatabaseCursors((database) => this.viewBase(database));
  }

  /** Queries that were run on the main thread. */
  get shortReadCount(): number {
    return this.#shortReads?.count ?? 0;
  }

  get shortWriteCount(): number {
    return this.#shortWrites?.count ?? 0;
  }

  get waitingReadCount(): number {
    return this.#readers.waitingCount;
  }

  /** Whether a query may be run with `readShort`, and what that has to know of it. */
  findShort(database: Database, query: ShortQuery): KnownText | undefined {
    return this.#refusesQueries ? undefined : this.#shortReads?.find(database, query);
  }

  /** The answer to it, at what is published; undefined: it is for `read` after all. */
  readShort(database: Database, text: KnownText, query: ShortQuery): EncodedFields | undefined {
    return this.#shortReads?.run(database, text, query);
  }

  /** Runs a query at an open view; the caller closes the view afterwards. */
  read(view: View, query: PoolQuery): Promise<EncodedFields> {
    if (this.#stopped || this.#refusesQueries) throw stopping();
    const isJudged = this.#shortReads?.wantsVerdict(view.database.id, query.sql) ?? false;
    return this.#readers.read(view, query, isJudged);
  }

  get #slots(): WorkerSlot[] {
    return [this.#writer, ...this.#readers.slots, ...(this.#copier === undefined ? [] : [this.#copier])];
  }

  /** Starts the workers that are sure to be needed, before they are. */
  warm(): void {
    if (this.#stopped) return;
    for (const slot of this.#slots) void slot.worker;
  }

  /**
   * Decides where the next batch runs; undefined: something else, which the writer worker does. `moved`: the session was
   * given up for that, and the next message opens another one.
   */
  placeWriter(databaseId: DatabaseId, requests: readonly WriteRequestData[] | undefined): Placement {
    const placement = this.#shortWrites?.place(databaseId, requests) ?? "stays";
    if (placement === "moved" && this.isWriterHere(databaseId)) {
      this.#post(this.#writer, { kind: "close", databaseId });
    }
    return placement;
  }

  /** Hands over a batch; the results come through `onWriteResults`, perhaps before this returns. */
  write(message: Unsent<WriteMessage>): void {
    const { databaseId, requests } = message;
    if (this.#shortWrites?.isHere(databaseId)) return this.#shortWrites.run(message);
    const judged = this.#shortWrites?.wantedVerdicts(databaseId, requests) ?? [];
    this.#postToWriter({ ...message, judged }, requests.reduce((sum, { runMsMax }) => sum + runMsMax, 0));
  }

  /** The session runs on this thread, so it can be told things at any time. */
  isWriterHere(databaseId: DatabaseId): boolean {
    return this.#shortWrites?.isHere(databaseId) ?? false;
  }

  /** Tells such a session what it has to know. @returns false when it is gone */
  updateWriter(update: WriterUpdate): boolean {
    return this.#shortWrites?.update(update) ?? false;
  }

  /** The same for a step of a transaction; the result comes through `onTransactionResults`. Returns how to stop a statement. */
  transaction(message: Unsent<TransactionMessage>): () => void {
    const { step } = message;
    const slot = this.#writer;
    const jobId = this.#postToWriter(message, step.kind === "run" ? step.runMsMax : LIMITS.statementMsMax);
    return () => {
      if (this.#batches.has(jobId)) slot.cancelJob(jobId);
    };
  }

  #postToWriter(message: Unsent<WriteMessage> | Unsent<TransactionMessage>, runMs: Milliseconds): number {
    const jobId = this.#newJobId();
    this.#post(this.#writer, { ...message, jobId, ...this.#segmentsFor(this.#writer) });
    this.#batches.set(jobId, message.databaseId);
    this.#writer.expect(jobId, Math.min(runMs, LIMITS.requestMsMax), this.#options.clock.nowMs());
    return jobId;
  }

  /** What a new writer session needs: the database as the log has it at its end. */
  writerBase(database: Database): DatabaseBase {
    return this.#baseOf(database, Infinity);
  }

  /** What a view needs: published versions only. */
  viewBase(database: Database): DatabaseBase {
    return this.#baseOf(database, database.published);
  }

  /** Leadership is gone or the database is: give up its session. */
  closeWriter(databaseId: DatabaseId): void {
    if (this.#shortWrites?.close(databaseId)) return;
    this.#post(this.#writer, { kind: "close", databaseId });
  }

  /** The database was dropped: readers forget it. */
  closeDatabase(databaseId: DatabaseId): void {
    this.#shortReads?.close(databaseId);
    this.#shortWrites?.forget(databaseId);
    for (const slot of [...this.#readers.slots, this.#writer]) {
      slot.cursors.forget(databaseId);
      this.#post(slot, { kind: "close", databaseId });
    }
  }

  /** Its file was changed under the readers: they open it anew with their next query. */
  reopenForReaders(databaseId: DatabaseId): void {
    this.#shortReads?.close(databaseId);
    for (const slot of this.#readers.slots) {
      if (slot.cursors.forget(databaseId)) this.#post(slot, { kind: "close", databaseId });
    }
  }

  /** All databases are replaced: nothing that readers know of them holds any more. */
  forgetDatabases(): void {
    this.#shortReads?.closeAll();
    for (const slot of this.#readers.slots) {
      for (const databaseId of slot.cursors.followed()) this.reopenForReaders(databaseId);
    }
  }

  /** Copies page versions into a `.db` file. */
  checkpoint(message: Omit<CheckpointMessage, "kind" | "jobId" | "segments">): Promise<void> {
    return this.#job({ kind: "checkpoint", ...message }).then(() => undefined);
  }

  checkFile(file: string): Promise<FileSize> {
    if (this.#refusesQueries) return Promise.reject(stopping());
    return this.#job({ kind: "check_file", file });
  }

  /** Finds what overran its time limit, workers and waiting queries; called with every tick. */
  sweep(): void {
    const now = this.#options.clock.nowMs();
    this.#shortReads?.tick(now);
    this.#readers.refuseLate(now);
    for (const slot of this.#slots) {
      slot.showCancelled();
      if (slot.isHung(now)) this.#lose(slot, "did not stop at its time limit");
    }
    this.#readers.dispatch();
  }

  /** Gives up queries and checks of files, so that checkpoints need not wait for them. */
  stopQueries(): void {
    this.#refusesQueries = true;
    const inTheWay = this.#readers.failAll(stopping());
    const isChecking = this.#longJobs.failChecks(toErrorRecord(stopping()));
    if (isChecking && this.#copier !== undefined) inTheWay.push(this.#copier);
    for (const slot of inTheWay) this.#lose(slot, "was busy when the node stopped");
  }

  stop(): void {
    this.#stopped = true;
    this.#shortReads?.stop();
    this.#shortWrites?.stop();
    for (const slot of this.#slots) slot.terminate();
    this.#readers.stop();
    this.#readers.failAll(stopping());
    this.#longJobs.failAll(toErrorRecord(stopping()));
  }

  /** Positive and of 31 bits: it travels in a slot of shared memory. */
  #newJobId(): number {
    this.#nextJobId = this.#nextJobId % 0x7fff_ffff + 1;
    return this.#nextJobId;
  }

  #job(message: Unsent<CheckpointMessage> | Unsent<CheckFileMessage>): Promise<FileSize> {
    if (this.#stopped) return Promise.reject(stopping());
    const jobId = this.#newJobId();
    const slot = this.#copier ??= this.#startSlot("copier");
    const done = this.#longJobs.add(jobId, message.kind);
    if (message.kind === "check_file") this.#post(slot, { ...message, jobId });
    else this.#post(slot, { ...message, jobId, ...this.#segmentsFor(slot) });
    return done;
  }

  #baseOf(database: Database, through: number): DatabaseBase {
    return {
      databaseId: database.id,
      pageSize: database.pageSize,
      file: database.checkpoint.index > 0 ? this.#options.fileOf(database) : undefined,
      filePageCount: database.checkpoint.pageCount,
      hasSums: database.checkpoint.hasSums === true,
      pages: database.pages.export(through),
    };
  }

  #segmentsFor(slot: WorkerSlot): { segments?: readonly SegmentInfo[] } {
    const { version, list } = this.#options.segments();
    if (slot.segmentsVersion === version) return {};
    slot.segmentsVersion = version;
    return { segments: list };
  }

  #startSlot(name: string): WorkerSlot {
    const slot = this.#makeSlot(name);
    void slot.worker;
    return slot;
  }

  #makeSlot(name: string): WorkerSlot {
    const slot: WorkerSlot = new WorkerSlot(name, this.#makeCursors(), (cancel) =>
      this.#options.start({
        name,
        cancel,
        onMessage: (message) => this.#onMessage(slot, message),
        onDied: (reason) => this.#lose(slot, reason),
      }));
    return slot;
  }

  #onMessage(slot: WorkerSlot, message: MessageFromWorker): void {
    if (this.#stopped || slot.isLost) return;
    switch (message.kind) {
      case "ready":
        slot.isReady = true;
        this.#failedStarts = 0;
        this.#readers.dispatch();
        return;
      case "read_results":
        for (const verdict of message.verdicts ?? []) this.#shortReads?.onVerdict(verdict);
        this.#readers.onResults(slot, message);
        return;
      case "write_results":
        slot.finishJob(message.jobId);
        this.#batches.delete(message.jobId);
        for (const verdict of message.verdicts ?? []) this.#shortWrites?.onVerdict(verdict);
        this.#options.onWriteResults(message);
        return;
      case "transaction_results":
        slot.finishJob(message.jobId);
        this.#batches.delete(message.jobId);
        this.#options.onTransactionResults(message);
        return;
      case "job_done":
        this.#longJobs.done(message);
        return;
      case "page_damaged":
        this.#options.onPageDamaged?.(message);
        return;
      case "fatal":
        this.#options.onFatal(message.message);
    }
  }

  #post(slot: WorkerSlot, message: MessageToWorker): void {
    assert(!slot.isLost, () => `Worker ${slot.name} is lost`);
    slot.worker.post(message);
  }

  /** Ends the worker and puts a new one in its place; what it ran fails, what it holds is opened again on demand. */
  #lose(slot: WorkerSlot, reason: string): void {
    if (this.#stopped || slot.isLost) return;
    slot.isLost = true;
    slot.terminate();
    this.replacedWorkerCount++;
    this.#options.events.event("sql_worker_replaced", { worker: slot.name, reason });
    if (!slot.isReady && ++this.#failedStarts >= FAILED_STARTS_MAX) {
      return this.#options.onFatal(`SQL worker ${slot.name} ${reason}; ${FAILED_STARTS_MAX} did not start`);
    }
    if (slot === this.#copier) {
      this.#copier = undefined;
      return this.#longJobs.failAll({
        code: "engine_failed",
        message: `The SQL worker ${reason}`,
        details: {},
      });
    }
    if (slot === this.#writer) return this.#replaceWriter(slot);
    this.#readers.replace(slot, reason);
  }

  #replaceWriter(lost: WorkerSlot): void {
    this.#writer = this.#startSlot(lost.name);
    const running = this.#batches.get(lost.runningJobId);
    this.#batches.clear();
    this.#options.onWriterLost(running);
  }
}

function stopping(): NodeError {
  return new NodeError("stopping", "Cannot run query: the node is stopping");
}
