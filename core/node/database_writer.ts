import { assert } from "../base/assert.ts";
import { NodeError } from "../base/errors.ts";
import type { LogIndex, LogPosition, Milliseconds, Term } from "../base/ids.ts";
import { LIMITS } from "../base/limits.ts";
import type { EndOfTurn } from "../base/ports.ts";
import type { Database } from "../pages/database.ts";
import type { PageDelta } from "../pages/page_index.ts";
import type { Outcome, WriteMessage, WriteResults } from "../sql/messages.ts";
import { unpackAnswers } from "../sql/packed_answers.ts";
import type { EncodedFields } from "../sql/values.ts";
import type { WriteRequest } from "./service.ts";

export interface WriteResult {
  readonly fields: EncodedFields;
  /** The idempotency key was known: this is the first answer, nothing was written. */
  readonly replayed: boolean;
}

/** A write that waits for its turn. */
export interface PendingWrite {
  readonly request: WriteRequest;
  readonly bytes: number;
  readonly deadlineMs: Milliseconds;
  readonly resolve: (answer: { result: WriteResult; index: LogIndex }) => void;
  readonly reject: (error: NodeError) => void;
}

/** What a writer needs of the rest of the node. */
export interface WriterHost {
  readonly nowMs: () => Milliseconds;
  /** Never the same twice, also not for another writer of the same database: late results must find nobody. */
  readonly nextBatchNumber: () => number;
  /** Hands a batch to the writer worker. */
  readonly send: (message: Omit<WriteMessage, "jobId" | "segments">) => void;
  readonly baseOf: (database: Database) => WriteMessage["base"];
  readonly closeSession: (database: Database) => void;
  /** Proposes one entry; throws NodeError when the core refuses it: nothing of it is in the log then. */
  readonly propose: (body: Uint8Array) => { index: LogIndex; term: Term };
  /** Last entry of the log, committed or not. */
  readonly tip: () => { index: LogIndex; term: Term };
  /** Resolves when that entry is committed. */
  readonly committed: (at: { index: LogIndex; term: Term }, deadlineMs: Milliseconds) => Promise<LogIndex>;
  /** The same for an answer without an entry of its own: also that this node still led when it was given. */
  readonly confirmed: (at: { index: LogIndex; term: Term }, deadlineMs: Milliseconds) => Promise<LogIndex>;
  readonly endOfTurn: EndOfTurn;
  /** The leader may take more into its log now. */
  readonly mayPropose: () => boolean;
}

interface Batch {
  readonly number: number;
  readonly writes: readonly PendingWrite[];
}

/**
 * Group commit for one database on the leader. Writes gather while a batch runs; the next batch starts on top of the
 * uncommitted tip as soon as the worker is free, long before the last one is committed (DESIGN 5).
 */
export class DatabaseWriter {
  readonly database: Database;
  readonly #host: WriterHost;
  #queue: PendingWrite[] = [];
  #queueBytes = 0;
  #running: Batch | undefined;
  #sessionOpen = false;
  /** Batches whose entries were proposed but are not in the log yet, oldest first. */
  #unlocated: number[] = [];
  #located: PageDelta[] = [];
  #locatedBatch = 0;
  /** Where in the log the session may look. */
  #needsFrom: LogPosition = Infinity;
  /** A checkpoint has copied what the session still looks for in the log. */
  #rebaseDue = false;
  #closed = false;
  #isPumpDue = false;

  constructor(database: Database, host: WriterHost) {
    this.database = database;
    this.#host = host;
  }

  /** The log from here on has to stay for the session. */
  get needsFrom(): LogPosition {
    return this.#sessionOpen ? this.#needsFrom : Infinity;
  }

  get isIdle(): boolean {
    return this.#running === undefined && this.#queue.length === 0;
  }

  /** Writes that wait or run. */
  get pendingCount(): number {
    return this.#queue.length + (this.#running?.writes.length ?? 0);
  }

  /** Queues a write. Throws `queue_full` when too much waits. */
  add(write: PendingWrite): void {
    assert(!this.#closed, `Writer of ${this.database.name} is closed`);
    const full = this.#queue.length >= LIMITS.writeQueueLengthMax ||
      (this.#queueBytes > 0 && this.#queueBytes + write.bytes > LIMITS.writeQueueBytesMax);
    if (full) {
      throw new NodeError(
        "queue_full",
        `Cannot write to ${this.database.name}: ${this.#queue.length} writes wait already; try again later`,
        { limit: { name: "writeQueueLengthMax", value: LIMITS.writeQueueLengthMax } },
      );
    }
    this.#queue.push(write);
    this.#queueBytes += write.bytes;
    this.#pumpSoon();
  }

  #pumpSoon(): void {
    if (this.#isPumpDue || this.#running !== undefined) return;
    this.#isPumpDue = true;
    this.#host.endOfTurn(() => {
      this.#isPumpDue = false;
      this.pump();
    });
  }

  /** Starts the next batch if the worker is free. */
  pump(): void {
    if (this.#closed || this.#running !== undefined || this.#queue.length === 0) return;
    if (!this.#host.mayPropose()) return;
    const writes = this.#takeBatch();
    if (writes.length === 0) return;
    const batchNumber = this.#host.nextBatchNumber();
    this.#running = { number: batchNumber, writes };
    const opens = !this.#sessionOpen;
    const base = opens || this.#rebaseDue ? this.#host.baseOf(this.database) : undefined;
    // To know the base the log was brought up to date, and that may have ended this writer.
    if (this.#closed) return;
    if (opens) {
      this.#unlocated = [];
      this.#locatedBatch = batchNumber - 1;
      this.#sessionOpen = true;
    }
    if (base !== undefined) {
      this.#located = [];
      this.#needsFrom = this.database.oldestPosition ?? Infinity;
      this.#rebaseDue = false;
    }
    const located = this.#located;
    this.#located = [];
    this.#host.send({
      kind: "write",
      databaseId: this.database.id,
      batchNumber,
      requests: writes.map((write) => toRequestData(write, this.#host.nowMs())),
      located,
      locatedBatch: this.#locatedBatch,
      ...(base === undefined ? {} : opens ? { base } : { rebase: base }),
    });
  }

  /** The `.db` file holds what the log may lose now. The session learns it with its next batch, or ends. */
  onCheckpoint(): void {
    if (this.#running === undefined) this.#dropSession();
    else this.#rebaseDue = true;
  }

  /** The log holds a transaction of this database: the worker may read its pages there. */
  onLocated(delta: PageDelta): void {
    const batch = this.#unlocated.shift();
    if (batch === undefined || !this.#sessionOpen) return;
    this.#located.push(delta);
    this.#locatedBatch = batch;
  }

  onResults(results: WriteResults): void {
    const batch = this.#running;
    if (batch === undefined || batch.number !== results.batchNumber) return;
    this.#running = undefined;
    if (results.diedAt !== undefined) this.#onDied(batch, results);
    else this.#propose(batch, results);
    this.pump();
  }

  /**
   * The worker thread is gone, and nothing of the running batch was logged.
   *
   * @param isToBlame the worker was at this batch; if not, the batch only waited its turn and starts over
   */
  onWorkerLost(isToBlame: boolean): void {
    const writes = this.#running?.writes ?? [];
    this.#running = undefined;
    this.#sessionOpen = false;
    if (isToBlame) {
      const text = "Write stopped: the SQL worker was lost; nothing was logged";
      for (const write of writes) write.reject(new NodeError("engine_failed", text));
    } else {
      this.#requeue(writes);
    }
    this.pump();
  }

  /** Gives up the session and everything that is not in the log; appended writes learn their fate elsewhere. */
  close(error: NodeError): void {
    this.#closed = true;
    const writes = [...(this.#running?.writes ?? []), ...this.#queue];
    this.#running = undefined;
    this.#queue = [];
    this.#queueBytes = 0;
    if (this.#sessionOpen) this.#host.closeSession(this.database);
    this.#sessionOpen = false;
    for (const write of writes) write.reject(error);
  }

  /** Refuses writes that have waited past their time limit. */
  expire(nowMs: Milliseconds): void {
    const expired = this.#queue.filter((write) => write.deadlineMs <= nowMs);
    if (expired.length === 0) return;
    this.#queue = this.#queue.filter((write) => write.deadlineMs > nowMs);
    for (const write of expired) {
      this.#queueBytes -= write.bytes;
      write.reject(new NodeError("timeout", `Write to ${this.database.name} waited past its time limit`));
    }
  }

  #takeBatch(): PendingWrite[] {
    this.expire(this.#host.nowMs());
    let count = 0;
    let bytes = 0;
    for (const write of this.#queue) {
      if (count === LIMITS.writesPerBatchMax) break;
      if (count > 0 && bytes + write.bytes > LIMITS.entryBytesMax) break;
      bytes += write.bytes;
      count++;
    }
    this.#queueBytes -= bytes;
    return this.#queue.splice(0, count);
  }

  #propose(batch: Batch, results: WriteResults): void {
    let at: { index: LogIndex; term: Term };
    try {
      at = this.#host.tip();
      for (const body of results.bodies) at = this.#host.propose(body);
    } catch (error) {
      // The session is ahead of the log now. Parts that did get in are void: the next transaction begins anew.
      this.#dropSession();
      const refusal = error instanceof NodeError ? error : new NodeError("internal", String(error));
      for (const write of batch.writes) write.reject(refusal);
      return;
    }
    const hasEntry = results.bodies.length > 0;
    if (hasEntry) this.#unlocated.push(batch.number);
    const outcomes = unpackAnswers(results.answers);
    batch.writes.forEach((write, i) => {
      const committed = (hasEntry ? this.#host.committed : this.#host.confirmed)(at, write.deadlineMs);
      this.#answer(write, outcomes[i], results.replayed.includes(i), committed);
    });
  }

  /**
   * Every answer waits until what the statement saw is committed, errors and reads included: the session runs on the
   * uncommitted tip, and nothing of that may leak before it is certain.
   */
  #answer(
    write: PendingWrite,
    outcome: Outcome<EncodedFields> | undefined,
    replayed: boolean,
    committed: Promise<LogIndex>,
  ): void {
    assert(outcome !== undefined, "A batch answered with too few results");
    committed.then(
      (index) => {
        if (outcome.ok) write.resolve({ result: { fields: outcome.value, replayed }, index });
        else write.reject(new NodeError(outcome.error.code, outcome.error.message, outcome.error.details));
      },
      (error) => write.reject(outcome.ok ? error : asNotLogged(error)),
    );
  }

  /** Promise 7: the request that killed the instance fails; the innocent ones run again, in a new session. */
  #onDied(batch: Batch, results: WriteResults): void {
    this.#sessionOpen = false;
    const again: PendingWrite[] = [];
    const outcomes = unpackAnswers(results.answers);
    batch.writes.forEach((write, i) => {
      const outcome = outcomes[i];
      if (i === results.diedAt || results.diedAt === -1) {
        const error = outcome !== undefined && !outcome.ok
          ? new NodeError(outcome.error.code, outcome.error.message, outcome.error.details)
          : new NodeError("engine_failed", "Write stopped: the SQLite instance was lost; nothing was logged");
        write.reject(error);
      } else {
        again.push(write);
      }
    });
    this.#requeue(again);
  }

  #requeue(writes: readonly PendingWrite[]): void {
    this.#queue.unshift(...writes);
    for (const write of writes) this.#queueBytes += write.bytes;
  }

  #dropSession(): void {
    if (this.#sessionOpen) this.#host.closeSession(this.database);
    this.#sessionOpen = false;
  }
}

/** A statement that failed wrote nothing, whatever became of the entry its batch is in. */
function asNotLogged(error: unknown): NodeError {
  if (error instanceof NodeError && error.code !== "commit_unknown") return error;
  return new NodeError("timeout", "The statement failed, and what it saw could not be confirmed in time");
}

function toRequestData(
  { request, deadlineMs }: PendingWrite,
  nowMs: Milliseconds,
): WriteMessage["requests"][number] {
  const { kind, statements, idempotencyKey, format, rowShape } = request;
  const runMsMax = Math.min(LIMITS.statementMsMax, deadlineMs - nowMs);
  const key = idempotencyKey === undefined ? {} : { idempotencyKey };
  return { kind, statements, format, rowShape, runMsMax, ...key };
}
