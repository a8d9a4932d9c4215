import { type ErrorCode, NodeError, toErrorRecord } from "../base/errors.ts";
import type { DatabaseId, Milliseconds } from "../base/ids.ts";
import type { Clock, Disk, Random } from "../base/ports.ts";
import { SegmentReader } from "../log/segment_reader.ts";
import { copyPages } from "../pages/checkpoint_file.ts";
import { type PageDamage, PageDamageError } from "../pages/page_damage.ts";
import { checkDatabaseFile } from "./check_file.ts";
import type {
  CheckFileMessage,
  CheckpointMessage,
  DatabaseBase,
  JobDone,
  MessageFromWorker,
  MessageToWorker,
  Outcome,
  ReadJob,
  ReadMessage,
  TransactionMessage,
  Verdict,
  WriteMessage,
  WriterUpdate,
} from "./messages.ts";
import { OpenReaders } from "./open_readers.ts";
import { packAnswers } from "./packed_answers.ts";
import type { SessionLimits } from "./session_limits.ts";
import type { EncodedFields } from "./values.ts";
import type { EngineModule } from "./engine.ts";
import { OpenWriters } from "./open_writers.ts";
import { failedStep, type StepResults } from "./transaction_step.ts";
import type { WriteResult } from "./writer_session.ts";

export interface WorkerCoreOptions {
  readonly module: EngineModule;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly cancel: Int32Array;
  readonly limits?: Partial<SessionLimits>;
  readonly post: (message: MessageFromWorker, transfer: readonly ArrayBuffer[]) => void;
}

/** Results gathered before they are sent: a query behind a slow one is not held back by more than this. */
const RESULTS_HELD_MS = 2;

/** A copy that ends so has harmed nothing and can be repeated. */
const REPEATABLE_COPY_ERRORS: ReadonlySet<ErrorCode> = new Set(["data_damaged", "disk_full"]);

/**
 * What a SQL worker does, apart from being a thread: follows the page indexes of its databases, runs queries at views
 * and write batches at the tip, copies checkpoints. Every message is served to its end before the next.
 */
export class WorkerCore {
  readonly #options: WorkerCoreOptions;
  readonly #segments: SegmentReader;
  readonly #readers: OpenReaders;
  readonly #writers: OpenWriters;
  /** Asked by the sessions while they run: is the job that runs now the one that must stop? */
  readonly #cancel = {
    isCancelled: (): boolean => {
      const stop = Atomics.load(this.#options.cancel, 0);
      return stop !== 0 && stop === Atomics.load(this.#options.cancel, 1);
    },
  };

  constructor(options: WorkerCoreOptions) {
    this.#options = options;
    this.#segments = new SegmentReader(options.disk, []);
    this.#readers = new OpenReaders({
      ...options,
      cancel: this.#cancel,
      segments: this.#segments,
      onDamage: (databaseId, damage) => this.#reportDamage(databaseId, damage),
    });
    const newSource = (base: DatabaseBase) => this.#readers.newSource(base);
    this.#writers = new OpenWriters({ ...options, cancel: this.#cancel, newSource });
  }

  handle(message: MessageToWorker): void | Promise<void> {
    if ("segments" in message && message.segments !== undefined) this.#segments.update(message.segments);
    switch (message.kind) {
      case "read":
        return this.#read(message);
      case "write":
        return this.#write(message);
      case "transaction":
        return this.#transaction(message);
      case "close":
        return this.#close(message.databaseId);
      case "checkpoint":
        return this.#checkpoint(message);
      case "check_file":
        return this.#checkFile(message);
    }
  }

  #post(message: MessageFromWorker, transfer: readonly ArrayBuffer[] = []): void {
    this.#options.post(message, transfer);
  }

  async #read(message: ReadMessage): Promise<void> {
    for (const update of message.updates) this.#readers.update(update);
    let jobIds: number[] = [];
    let runMs: Milliseconds[] = [];
    let outcomes: Outcome<EncodedFields>[] = [];
    let verdicts: Verdict[] = [];
    const arrivedMs = this.#options.clock.nowMs();
    let heldSinceMs = arrivedMs;
    const flush = (): void => {
      if (jobIds.length === 0) return;
      const answers = packAnswers(outcomes);
      this.#post({ kind: "read_results", jobIds, runMs, answers, verdicts }, [bufferOf(answers.bytes)]);
      jobIds = [];
      runMs = [];
      outcomes = [];
      verdicts = [];
    };
    let beganMs = arrivedMs;
    for (const job of message.jobs) {
      Atomics.store(this.#options.cancel, 1, job.jobId);
      jobIds.push(job.jobId);
      outcomes.push(await this.#runRead(job, arrivedMs + job.runMsMax, beganMs));
      const nowMs = this.#options.clock.nowMs();
      runMs.push(nowMs - beganMs);
      if (job.isJudged && outcomes.at(-1)?.ok === true) verdicts.push(this.#judge(job));
      beganMs = nowMs;
      if (nowMs - heldSinceMs < RESULTS_HELD_MS) continue;
      flush();
      heldSinceMs = nowMs;
    }
    Atomics.store(this.#options.cancel, 1, 0);
    flush();
  }

  async #runRead(
    job: ReadJob,
    deadlineMs: Milliseconds,
    nowMs: Milliseconds,
  ): Promise<Outcome<EncodedFields>> {
    try {
      if (nowMs >= deadlineMs) {
        throw new NodeError("timeout", "Query waited for a reader past its time limit; try again");
      }
      const session = this.#readers.session(job.databaseId) ?? await this.#readers.open(job.databaseId);
      return { ok: true, value: session.query({ ...job, deadlineMs }).fields };
    } catch (error) {
      return { ok: false, error: toErrorRecord(error) };
    }
  }

  #judge({ databaseId, sql }: ReadJob): Verdict {
    try {
      const session = this.#readers.session(databaseId);
      if (session !== undefined) return { databaseId, sql, ...session.judge(sql) };
    } catch {
      // It cannot be explained, so it is not known to be short.
    }
    return { databaseId, sql, isShort: false, schemaCookie: 0 };
  }

  async #write(message: WriteMessage): Promise<void> {
    const { jobId, databaseId, batchNumber, requests } = message;
    Atomics.store(this.#options.cancel, 1, jobId);
    const { clock } = this.#options;
    const beganMs = clock.nowMs();
    try {
      await this.#prepareWriter(message);
      const { results, ...batch } = this.#writers.runBatch(databaseId, requests, batchNumber);
      const runMs = clock.nowMs() - beganMs;
      const verdicts = this.#judgeWrites(message, results);
      const isSessionLost = batch.diedAt === undefined && !this.#writers.has(databaseId);
      this.#post(
        { kind: "write_results", jobId, databaseId, batchNumber, runMs, ...batch, verdicts, isSessionLost },
        [batch.answers.bytes, ...batch.bodies].map(bufferOf),
      );
    } catch (error) {
      this.#writers.close(databaseId);
      const failed = { ok: false, error: toErrorRecord(error) } as const;
      const answers = packAnswers(requests.map(() => failed));
      const nothing = { answers, replayed: [], bodies: [], runMs: clock.nowMs() - beganMs, diedAt: -1 };
      this.#post({ kind: "write_results", jobId, databaseId, batchNumber, ...nothing });
    } finally {
      Atomics.store(this.#options.cancel, 1, 0);
    }
  }

  /** Only texts of requests that succeed are judged. */
  #judgeWrites(
    { databaseId, requests, judged = [] }: WriteMessage,
    results: readonly WriteResult[],
  ): Verdict[] {
    const ran = new Set(
      requests.flatMap(({ statements }, i) => results[i]?.ok ? statements.map(({ sql }) => sql) : []),
    );
    return judged.flatMap((sql) =>
      ran.has(sql) && this.#writers.has(databaseId)
        ? [{ databaseId, sql, ...this.#writers.judge(databaseId, sql) }]
        : []
    );
  }

  async #transaction(message: TransactionMessage): Promise<void> {
    const { jobId, databaseId, batchNumber } = message;
    Atomics.store(this.#options.cancel, 1, jobId);
    let results: StepResults;
    try {
      await this.#prepareWriter(message);
      results = this.#writers.runStep(message);
    } catch (error) {
      results = failedStep(error);
    }
    Atomics.store(this.#options.cancel, 1, 0);
    if (results.died) this.#writers.close(databaseId);
    this.#post(
      { kind: "transaction_results", jobId, databaseId, batchNumber, ...results },
      [results.answers.bytes, ...results.bodies].map(bufferOf),
    );
  }

  /** The session the message is for knows then what the message says. */
  async #prepareWriter(message: WriterUpdate): Promise<void> {
    if (message.base !== undefined) await this.#writers.open(message.base);
    this.#writers.update(message);
  }

  #reportDamage(databaseId: DatabaseId, damage: PageDamage): void {
    this.#post({ kind: "page_damaged", databaseId, damage });
  }

  #close(databaseId: DatabaseId): void {
    this.#writers.close(databaseId);
    this.#readers.close(databaseId);
  }

  async #checkFile({ jobId, file }: CheckFileMessage): Promise<void> {
    let outcome: JobDone["outcome"];
    try {
      outcome = { ok: true, value: await checkDatabaseFile(file, this.#options) };
    } catch (error) {
      outcome = { ok: false, error: toErrorRecord(error) };
    }
    this.#post({ kind: "job_done", jobId, outcome });
  }

  async #checkpoint(message: CheckpointMessage): Promise<void> {
    try {
      await copyPages(this.#options.disk, this.#segments, message);
      const { jobId, pageSize, pageCount } = message;
      this.#post({ kind: "job_done", jobId, outcome: { ok: true, value: { pageSize, pageCount } } });
    } catch (error) {
      if (error instanceof PageDamageError && message.sums !== undefined) {
        this.#reportDamage(message.sums.databaseId, error.damage);
      }
      if (error instanceof NodeError && REPEATABLE_COPY_ERRORS.has(error.code)) {
        const outcome = { ok: false, error: toErrorRecord(error) } as const;
        this.#post({ kind: "job_done", jobId: message.jobId, outcome });
        return;
      }
      // A failed write or fsync of the .db file: what is in it is not known any more (promise 1).
      this.#post({
        kind: "fatal",
        message: `Checkpoint of ${message.file} failed: ${toErrorRecord(error).message}`,
      });
    }
  }
}

function bufferOf(bytes: Uint8Array): ArrayBuffer {
  return bytes.buffer as ArrayBuffer;
}
