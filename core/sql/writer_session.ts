import { assert } from "../base/assert.ts";
import { type ErrorRecord, NodeError, toErrorRecord } from "../base/errors.ts";
import type { Milliseconds } from "../base/ids.ts";
import type { Clock, Random } from "../base/ports.ts";
import { type EngineModule, SqliteError } from "./engine.ts";
import { IdempotencyStore } from "./idempotency.ts";
import { isShortStatement, type Judgement } from "./judgement.ts";
import type { BatchNumber } from "./page_overlay.ts";
import type { PageSource } from "./page_source.ts";
import { DEFAULT_SESSION_LIMITS, type SessionLimits } from "./session_limits.ts";
import { isShortWrite } from "./short_program.ts";
import { type CancelFlag, SqlSession } from "./sql_session.ts";
import type { EncodedFields, ResultFormat, RowShape, Statement } from "./values.ts";
import type { PageImage } from "./wal_memory.ts";
import { WriteRunner } from "./write_runner.ts";
import { WriterFiles } from "./writer_files.ts";

export interface WriterSessionOptions {
  readonly module: EngineModule;
  /** Of a database without pages; else that of the source counts. */
  readonly pageSize: number;
  /** The database at the tip. */
  readonly source: PageSource;
  readonly clock: Clock;
  readonly random: Random;
  readonly cancel: CancelFlag;
  readonly limits?: Partial<SessionLimits>;
}

export interface WriteJob {
  /** `execute` has one statement, `batch` any number in one transaction. */
  readonly kind: "execute" | "batch";
  readonly statements: readonly Statement[];
  readonly idempotencyKey?: string;
  readonly format: ResultFormat;
  readonly rowShape: RowShape;
  /** Time the request may run, from its start. */
  readonly runMsMax: Milliseconds;
}

/** One statement of a transaction over several requests. */
export interface TransactionJob {
  readonly statement: Statement;
  readonly format: ResultFormat;
  readonly rowShape: RowShape;
  readonly runMsMax: Milliseconds;
}

export type WriteResult =
  | {
    readonly ok: true;
    readonly fields: EncodedFields;
    /** The idempotency key was known: this is the first answer, nothing was written. */
    readonly replayed: boolean;
    /** The request committed pages. */
    readonly wrote: boolean;
  }
  | { readonly ok: false; readonly error: ErrorRecord };

export interface WriteBatch {
  /** One per request, in order; fewer when the batch ended early. */
  readonly results: readonly WriteResult[];
  /**
   * The newest version of each page the batch changed, by page number; empty when it changed nothing. The bytes are views
   * into the session: copy them before its next call.
   */
  readonly pages: readonly PageImage[];
  /** Size of the database after the batch. */
  readonly pageCount: number;
  /**
   * The session died while it ran this request. Nothing of the batch counts, every result is `engine_failed`; the
   * other requests may be run again in a new session.
   */
  readonly diedAt?: number;
}

/** What makes a batch end early. */
export interface BatchBounds {
  /** How often it may read pages. */
  readonly pageReadsMax: number;
  /** An error that is no answer: its request and all behind it are left out of the results. */
  readonly endsAt: (error: ErrorRecord) => boolean;
}

/**
 * The one connection that writes a database, at the tip. Calls are synchronous; one at a time. Committed pages leave with the
 * batch that wrote them; give the session up when a batch does not reach the log.
 */
export class WriterSession {
  readonly #session: SqlSession;
  readonly #files: WriterFiles;
  readonly #runner: WriteRunner;
  readonly #limits: SessionLimits;
  readonly #clock: Clock;

  /** Makes an instance of SQLite (2 to 3 ms) and reads page 1. */
  static async open(options: WriterSessionOptions): Promise<WriterSession> {
    const limits = { ...DEFAULT_SESSION_LIMITS, ...options.limits };
    const files = new WriterFiles({ ...limits, source: options.source, pageSize: options.pageSize });
    const session = await SqlSession.open({ ...options, limits, fileSystem: files }, "read_write");
    return new WriterSession(session, files, limits, options.clock);
  }

  constructor(session: SqlSession, files: WriterFiles, limits: SessionLimits, clock: Clock) {
    this.#session = session;
    this.#files = files;
    this.#limits = limits;
    this.#clock = clock;
    this.#runner = new WriteRunner(session, files.wal, new IdempotencyStore(session, clock), limits, clock);
    session.transactionWasTooLarge = () => files.wal.transactionWasTooLarge;
    session.guard(() => this.#setUp());
  }

  /** The order matters: in exclusive mode the wal-index lies in SQLite's heap, and no shared memory is asked for. */
  #setUp(): void {
    const session = this.#session;
    session.internal("PRAGMA locking_mode = EXCLUSIVE");
    const mode = session.internal(
      "PRAGMA journal_mode = WAL",
      [],
      (row) => new TextDecoder().decode(row.columnText(0)),
    );
    assert(mode === "wal", () => `The writer is in journal mode ${mode}, expected wal`);
    session.internal("PRAGMA synchronous = OFF");
    session.internal("PRAGMA wal_autocheckpoint = 0");
    session.configure();
  }

  get isDead(): boolean {
    return this.#session.isDead;
  }

  /**
   * Runs each request in its own transaction, in order; one that fails changes nothing and stops no other.
   *
   * @param batchNumber larger than that of the batch before
   */
  runBatch(jobs: readonly WriteJob[], batchNumber: BatchNumber, bounds?: BatchBounds): WriteBatch {
    const results: WriteResult[] = [];
    let answerBytes = 0;
    assert(!this.hasTransaction, "A batch came while a transaction is open");
    this.#checkpointWhenLarge();
    this.#files.readsLeft = bounds?.pageReadsMax ?? Infinity;
    for (const job of jobs) {
      const result = this.#session.isDead ? undefined : this.#runJob(job, answerBytes);
      if (result === undefined || this.#session.isDead) return this.#died(jobs, results.length, result);
      if (result.ok) answerBytes += result.fields.bytes.length;
      else if (bounds?.endsAt(result.error)) break;
      results.push(result);
    }
    this.#files.readsLeft = Infinity;
    return { results, pages: this.#files.takePages(batchNumber), pageCount: this.#files.wal.pageCount };
  }

  /** A transaction over several requests is open. No batch may run meanwhile. */
  get hasTransaction(): boolean {
    return !this.isDead && !this.#session.connection.isAutocommit();
  }

  /** @throws NodeError */
  beginTransaction(): void {
    this.#checkpointWhenLarge();
    this.#session.guard(() => this.#runner.begin());
  }

  /** @throws NodeError; whether the transaction is open afterwards says `hasTransaction` */
  runInTransaction(job: TransactionJob): EncodedFields {
    const { wal } = this.#files;
    wal.transactionWasTooLarge = false;
    return this.#session.guard(() => {
      assert(this.hasTransaction, "No transaction is open");
      const { commits } = wal;
      const fields = this.#runner.runInside(job);
      assert(wal.commits === commits && this.hasTransaction, "A statement ended the transaction it ran in");
      return fields;
    });
  }

  /**
   * Returns what the transaction changed; the same holds for the pages as for those of a batch.
   *
   * @throws NodeError; whether the transaction is open afterwards says `hasTransaction`
   */
  commitTransaction(batchNumber: BatchNumber): Pick<WriteBatch, "pages" | "pageCount"> {
    this.#files.wal.transactionWasTooLarge = false;
    this.#session.guard(() => this.#runner.commit());
    return { pages: this.#files.takePages(batchNumber), pageCount: this.#files.wal.pageCount };
  }

  /** @throws NodeError; the session is dead then */
  rollBackTransaction(): void {
    this.#session.guard(() => this.#runner.rollBack());
  }

  #runJob(job: WriteJob, answerBytes: number): WriteResult {
    const { wal } = this.#files;
    const { transactionBytesMax, resultBytesMax } = this.#limits;
    // One batch is held in memory as a whole, pages and answers.
    if (wal.undeliveredBytes > transactionBytesMax || answerBytes > resultBytesMax) {
      const error = new NodeError(
        "queue_full",
        "Cannot run the request now: the writes before it were very large",
      );
      return { ok: false, error: toErrorRecord(error) };
    }
    wal.transactionWasTooLarge = false;
    const commits = wal.commits;
    try {
      const { fields, replayed } = this.#session.guard(() => this.#runner.run(job));
      return { ok: true, fields, replayed, wrote: wal.commits > commits };
    } catch (error) {
      return { ok: false, error: toErrorRecord(error) };
    }
  }

  #died(jobs: readonly WriteJob[], diedAt: number, last: WriteResult | undefined): WriteBatch {
    const lost = new NodeError(
      "engine_failed",
      "Cannot finish the request: the SQLite instance was lost by another one; nothing was changed",
    );
    const culprit: WriteResult = last?.ok === false ? last : { ok: false, error: toErrorRecord(lost) };
    const results = jobs.map((_, index): WriteResult =>
      index === diedAt ? culprit : { ok: false, error: toErrorRecord(lost) }
    );
    return { results, pages: [], pageCount: this.#files.wal.pageCount, diedAt };
  }

  /**
   * Looks at the program of a statement. Between two batches.
   *
   * @throws NodeError
   */
  judge(sql: string): Judgement {
    return this.#session.guard(() => ({
      schemaCookie: this.#readSchemaCookie(),
      isShort: isShortStatement(this.#session, this.#clock, sql, isShortWrite),
    }));
  }

  /** Changes with the schema. Between two batches. */
  schemaCookie(): number {
    return this.#session.guard(() => this.#readSchemaCookie());
  }

  #readSchemaCookie(): number {
    return Number(this.#session.internal("PRAGMA schema_version", [], (row) => row.columnInteger(0)));
  }

  /** All pages of batches up to this one can be read from the page source now. */
  pagesLocated(batchNumber: BatchNumber): void {
    this.#files.located(batchNumber);
  }

  /** Between two batches: what is in the WAL was delivered. */
  #checkpointWhenLarge(): void {
    if (this.#session.isDead || this.#files.wal.committedBytes <= this.#limits.walBytesMax) return;
    try {
      this.#session.guard(() => {
        try {
          this.#session.connection.checkpointTruncate();
        } catch (error) {
          // Nothing can stand in its way but a defect: there is no reader, and no disk.
          throw error instanceof SqliteError ? new Error(`Checkpoint failed: ${error.message}`) : error;
        }
      });
    } catch {
      // The session is dead now; runBatch says so.
    }
  }

  close(): void {
    this.#session.close();
  }
}
