import { assert } from "../base/assert.ts";
import { fromErrorRecord, NodeError, toErrorRecord } from "../base/errors.ts";
import type { DatabaseId, Milliseconds } from "../base/ids.ts";
import { LIMITS } from "../base/limits.ts";
import type { CancelSignal, Clock, EndOfTurn, EventSink } from "../base/ports.ts";
import type { SegmentInfo } from "../log/segment_table.ts";
import type { Database } from "../pages/database.ts";
import type { View } from "../pages/database.ts";
import type {
  CheckFileMessage,
  CheckpointMessage,
  DatabaseBase,
  DatabaseUpdate,
  MessageFromWorker,
  MessageToWorker,
  PageDamaged,
  ReadJob,
  ReadResults,
  TransactionMessage,
  TransactionResults,
  WriteMessage,
  WriteRequestData,
  WriteResults,
  WriterUpdate,
} from "./messages.ts";
import { type FileSize, LongJobs } from "./long_jobs.ts";
import { unpackAnswers } from "./packed_answers.ts";
import { DatabaseCursors } from "./database_cursors.ts";
import { QueryCosts, type ReadLane, ReadQueue } from "./read_queue.ts";
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

export interface PoolQuery extends Omit<ShortQuery, "into"> {
  /** For waiting and running together, on the node's clock. */
  readonly deadlineMs: Milliseconds;
  readonly signal?: CancelSignal;
}

interface WaitingRead {
  readonly lane: ReadLane;
  readonly job: Omit<ReadJob, "runMsMax">;
  readonly deadlineMs: Milliseconds;
  readonly database: Database;
  readonly settle: (outcome: EncodedFields | NodeError) => void;
}

type Unsent<M> = Omit<M, "jobId" | "segments">;

/** Long queries keep one busy; short ones need another one. */
const READERS_MIN = 2;
/** A worker that never came up is not tried more often: the program or the machine is at fault. */
const FAILED_STARTS_MAX = 3;
/** Queries handed to a reader at once. Of unknown ones few enough that a slow one does not hold up many. */
const READS_PER_MESSAGE_MAX: Readonly<Record<ReadLane, number>> = { short: 64, unknown: 16, long: 1 };
/** While one reader runs short queries, the next ones wait for it this long before they get another reader. */
const GATHER_MS = 1;
/** How long a worker may overrun the time limit of its job before it is taken for hung and replaced. */
const HUNG_GRACE_MS = 5_000;
/** Databases one reader keeps open: each costs an instance of about 1.5 MB. */
const OPEN_DATABASES_MAX = 64;

/**
 * The SQL workers as the main thread sees them: one writer, several readers, and one that copies checkpoints and checks
 * files, so that neither waits for queries of any length nor queries for it. Hands work out in batches, tells each
 * reader what changed since its last job, replaces workers that hang or die.
 */
export class SqlPool {
  readonly #options: PoolOptions;
  readonly #readers: WorkerSlot[] = [];
  #writer: WorkerSlot;
  /** Started when there is something to copy. */
  #copier: WorkerSlot | undefined;
  readonly #waiting = new ReadQueue<WaitingRead>();
  readonly #costs = new QueryCosts();
  readonly #running = new Map<number, WaitingRead & { slot: WorkerSlot }>();
  readonly #longJobs = new LongJobs();
  readonly #shortReads: ShortReads | undefined;
  readonly #shortWrites: ShortWrites | undefined;
  /** Batches and steps of transactions the writer has, by job. */
  readonly #batches = new Map<number, DatabaseId>();
  #nextJobId = 1;
  #failedStarts = 0;
  #refusesQueries = false;
  #isDispatchDue = false;
  #isGathering = false;
  #stopped = false;
  replacedWorkerCount = 0;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#writer = this.#makeSlot("writer");
    this.#readers.push(this.#makeSlot("reader-1"));
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
    return this.#waiting.length;
  }

  /** The answer to a short query, at what is published; undefined: it is for `read`. */
  readShort(database: Database, query: ShortQuery): EncodedFields | undefined {
    if (this.#shortReads === undefined || this.#refusesQueries) return undefined;
    return this.#shortReads.run(database, query);
  }

  /** Runs a query at an open view; the caller closes the view afterwards. */
  read(view: View, query: PoolQuery): Promise<EncodedFields> {
    if (this.#stopped || this.#refusesQueries) throw stopping();
    if (this.#waiting.length >= LIMITS.readQueueLengthMax) {
      throw new NodeError(
        "queue_full",
        `Cannot run query: ${this.#waiting.length} queries wait already; try later`,
        {
          limit: { name: "readQueueLengthMax", value: LIMITS.readQueueLengthMax },
        },
      );
    }
    const { signal, deadlineMs, ...rest } = query;
    if (signal?.aborted) throw cancelled();
    const jobId = this.#newJobId();
    const { id: databaseId } = view.database;
    const isJudged = this.#shortReads?.wantsVerdict(databaseId, query.sql) ?? false;
    const job = { jobId, databaseId, viewIndex: view.index, isJudged, ...rest };
    return new Promise((resolve, reject) => {
      const settle = (outcome: EncodedFields | NodeError): void => {
        signal?.removeEventListener("abort", onAbort);
        if (outcome instanceof NodeError) reject(outcome);
        else resolve(outcome);
      };
      const onAbort = (): void => this.#cancel(jobId);
      signal?.addEventListener("abort", onAbort);
      const lane = this.#costs.laneOf(query.sql);
      this.#waiting.push({ lane, job, deadlineMs, database: view.database, settle });
      this.#dispatchSoon();
    });
  }

  get #slots(): WorkerSlot[] {
    return [this.#writer, ...this.#readers, ...(this.#copier === undefined ? [] : [this.#copier])];
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
    const allowedMs = Math.min(runMs, LIMITS.requestMsMax) + HUNG_GRACE_MS;
    this.#writer.expect(jobId, allowedMs, this.#options.clock.nowMs());
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
    for (const slot of [...this.#readers, this.#writer]) {
      slot.cursors.forget(databaseId);
      this.#post(slot, { kind: "close", databaseId });
    }
  }

  /** Its file was changed under the readers: they open it anew with their next query. */
  reopenForReaders(databaseId: DatabaseId): void {
    this.#shortReads?.close(databaseId);
    for (const slot of this.#readers) {
      if (slot.cursors.forget(databaseId)) this.#post(slot, { kind: "close", databaseId });
    }
  }

  /** All databases are replaced: nothing that readers know of them holds any more. */
  forgetDatabases(): void {
    this.#shortReads?.closeAll();
    for (const slot of this.#readers) {
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
    this.#refuseLate(now);
    for (const slot of this.#slots) {
      slot.showCancelled();
      if (slot.isHung(now)) this.#lose(slot, "did not stop at its time limit");
    }
    this.#dispatch();
  }

  /** Gives up queries and checks of files, so that checkpoints need not wait for them. */
  stopQueries(): void {
    this.#refusesQueries = true;
    for (const read of this.#waiting.takeWhere(() => true)) read.settle(stopping());
    const isChecking = this.#longJobs.failChecks(toErrorRecord(stopping()));
    if (isChecking && this.#copier !== undefined) this.#lose(this.#copier, "was busy when the node stopped");
    for (const slot of this.#readers) {
      let isInTheWay = false;
      for (const [jobId, read] of this.#running) {
        if (read.slot !== slot) continue;
        isInTheWay = true;
        this.#running.delete(jobId);
        read.settle(stopping());
      }
      if (isInTheWay) this.#lose(slot, "was busy when the node stopped");
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#shortReads?.stop();
    this.#shortWrites?.stop();
    for (const slot of this.#slots) slot.terminate();
    for (const read of [...this.#waiting.takeWhere(() => true), ...this.#running.values()]) {
      read.settle(stopping());
    }
    this.#running.clear();
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

  #dispatchSoon(): void {
    if (this.#isDispatchDue) return;
    this.#isDispatchDue = true;
    this.#options.endOfTurn(() => {
      this.#isDispatchDue = false;
      this.#dispatch();
    });
  }

  /** Gives waiting queries to idle readers. */
  #dispatch(): void {
    if (this.#stopped || this.#waiting.length === 0) return;
    const nowMs = this.#options.clock.nowMs();
    this.#dispatchShort(nowMs);
    for (const slot of this.#idleReaders().toReversed()) this.#send(slot, "unknown", nowMs);
    this.#dispatchLong(nowMs);
    if (this.#waiting.length > 0 && this.#readers.every((slot) => this.#isUp(slot))) this.#startReader();
  }

  /** By one reader, as long as it keeps up: a message of many costs little more than a message of one. */
  #dispatchShort(nowMs: Milliseconds): void {
    for (const slot of this.#idleReaders()) {
      const waiting = this.#waiting.lengthOf("short");
      if (waiting === 0) return;
      const isComing = this.#readers.some((other) =>
        other.lane === "short" && nowMs - other.beganMs < GATHER_MS
      );
      if (isComing && waiting < READS_PER_MESSAGE_MAX.short) return this.#gather();
      this.#send(slot, "short", nowMs);
    }
  }

  /** Never by all readers: the others need one. */
  #dispatchLong(nowMs: Milliseconds): void {
    for (const slot of this.#idleReaders().toReversed()) {
      const busy = this.#readers.filter((other) => other.lane === "long").length;
      if (busy + 1 >= this.#readers.length) return;
      this.#send(slot, "long", nowMs);
    }
  }

  #gather(): void {
    if (this.#isGathering) return;
    this.#isGathering = true;
    this.#options.clock.after(GATHER_MS, () => {
      this.#isGathering = false;
      this.#dispatch();
    });
  }

  #send(slot: WorkerSlot, lane: ReadLane, nowMs: Milliseconds): void {
    const reads = this.#waiting.take(lane, READS_PER_MESSAGE_MAX[lane]);
    if (reads.length === 0) return;
    const jobs = reads.map(({ job, deadlineMs }): ReadJob => ({ ...job, runMsMax: deadlineMs - nowMs }));
    const databases = new Set(reads.map((read) => read.database));
    const updates = [...databases].map((database) => this.#updateFor(slot, database));
    for (const read of reads) this.#running.set(read.job.jobId, { ...read, slot });
    slot.begin(jobs, lane, nowMs, HUNG_GRACE_MS);
    this.#post(slot, { kind: "read", jobs, updates, ...this.#segmentsFor(slot) });
  }

  #idleReaders(): WorkerSlot[] {
    return this.#readers.filter((slot) => !slot.isBusy && this.#isUp(slot));
  }

  /** One is there from the start. The others start when queries wait: an idle one costs about 20 MB. */
  #startReader(): void {
    if (this.#readers.length < Math.max(READERS_MIN, this.#options.readerCount)) {
      this.#readers.push(this.#startSlot(`reader-${this.#readers.length + 1}`));
    }
  }

  /** The first reader gets work while it still starts: nobody else could do it sooner. */
  #isUp(slot: WorkerSlot): boolean {
    return slot.isReady || slot === this.#readers[0];
  }

  #refuseLate(nowMs: Milliseconds): void {
    for (const read of this.#waiting.takeWhere(({ deadlineMs }) => deadlineMs <= nowMs)) {
      read.settle(new NodeError("timeout", "Query waited for a reader past its time limit; try again"));
    }
  }

  #updateFor(slot: WorkerSlot, database: Database): DatabaseUpdate {
    const update = slot.cursors.advance(database);
    if (slot.cursors.size > OPEN_DATABASES_MAX) {
      this.#post(slot, { kind: "close", databaseId: slot.cursors.forgetOldest() as DatabaseId });
    }
    return update;
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

  #cancel(jobId: number): void {
    const [waiting] = this.#waiting.takeWhere(({ job }) => job.jobId === jobId);
    if (waiting !== undefined) return waiting.settle(cancelled());
    const running = this.#running.get(jobId);
    // The worker answers within a millisecond. Until then it reads at the view, which has to stay open.
    running?.slot.cancelJob(jobId);
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
        this.#dispatch();
        return;
      case "read_results":
        this.#onReadResults(slot, message);
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

  #onReadResults(slot: WorkerSlot, { jobIds, runMs, answers, verdicts = [] }: ReadResults): void {
    for (const verdict of verdicts) this.#shortReads?.onVerdict(verdict);
    unpackAnswers(answers).forEach((outcome, i) => {
      const jobId = jobIds[i] as number;
      const read = this.#running.get(jobId);
      this.#running.delete(jobId);
      if (read !== undefined) this.#costs.record(read.job.sql, runMs[i] as number);
      read?.settle(outcome.ok ? outcome.value : fromErrorRecord(outcome.error));
      slot.finishJob(jobId);
    });
    this.#dispatch();
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
    this.#readers[this.#readers.indexOf(slot)] = this.#startSlot(slot.name);
    this.#startOver(slot, reason);
    this.#dispatch();
  }

  #replaceWriter(lost: WorkerSlot): void {
    this.#writer = this.#startSlot(lost.name);
    const running = this.#batches.get(lost.runningJobId);
    this.#batches.clear();
    this.#options.onWriterLost(running);
  }

  /** Only the query that ran when the worker was lost is to blame; the others start over elsewhere. */
  #startOver(slot: WorkerSlot, reason: string): void {
    const innocent: WaitingRead[] = [];
    for (const [jobId, read] of this.#running) {
      if (read.slot !== slot) continue;
      this.#running.delete(jobId);
      if (slot.isCancelled(jobId)) {
        read.settle(cancelled());
      } else if (jobId === slot.runningJobId) {
        const text = `Query ended: the SQL worker ${reason} and was replaced`;
        read.settle(new NodeError("engine_failed", text));
      } else {
        innocent.push(read);
      }
    }
    this.#waiting.putBack(innocent);
  }
}

function stopping(): NodeError {
  return new NodeError("stopping", "Cannot run query: the node is stopping");
}

function cancelled(): NodeError {
  return new NodeError("cancelled", "Query stopped: the caller gave up");
}
