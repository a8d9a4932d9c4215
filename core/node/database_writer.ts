import { assert } from "../base/assert.ts";
import { NodeError } from "../base/errors.ts";
import type { LogIndex, LogPosition, Milliseconds } from "../base/ids.ts";
import { LIMITS } from "../base/limits.ts";
import type { Database } from "../pages/database.ts";
import type { PageDelta } from "../pages/page_index.ts";
import type {
  Outcome,
  TransactionResults,
  TransactionStep,
  WriteMessage,
  WriteResults,
} from "../sql/messages.ts";
import { unpackAnswers } from "../sql/packed_answers.ts";
import type { EncodedFields } from "../sql/values.ts";
import { asNotLogged, OpenTransaction, type TransactionSite } from "./open_transaction.ts";
import { SessionLink } from "./session_link.ts";
import type { BatchOnItsWay } from "./write_stages.ts";
import type { EntryAt, PendingTransaction, PendingWrite, WriterHost } from "./writer_host.ts";

interface Batch {
  readonly number: number;
  readonly writes: readonly PendingWrite[];
  readonly startedMs: Milliseconds;
}

/**
 * Group commit for one database on the leader. Writes gather while a batch runs; the next batch starts on top of the
 * uncommitted tip as soon as the worker is free, long before the last one is committed (DESIGN 5).
 */
export class DatabaseWriter {
  readonly database: Database;
  readonly #host: WriterHost;
  readonly #link: SessionLink;
  #queue: (PendingWrite | PendingTransaction)[] = [];
  #queueBytes = 0;
  #running: Batch | undefined;
  /** Has the session for itself. */
  #transaction: OpenTransaction | undefined;
  #closed = false;
  #isPumpDue = false;

  constructor(database: Database, host: WriterHost) {
    this.database = database;
    this.#host = host;
    this.#link = new SessionLink(database, host);
  }

  /** The log from here on has to stay for the session. */
  get needsFrom(): LogPosition {
    return this.#link.needsFrom;
  }

  get isIdle(): boolean {
    return !this.#isBusy && this.#queue.length === 0;
  }

  get #isBusy(): boolean {
    return this.#running !== undefined || this.#transaction !== undefined;
  }

  /** Writes and transactions that wait or run. */
  get pendingCount(): number {
    return this.#queue.length + (this.#running?.writes.length ?? 0) +
      (this.#transaction === undefined ? 0 : 1);
  }

  /** Queues a write or a transaction. Throws `queue_full` when too much waits. */
  add(write: PendingWrite | PendingTransaction): void {
    assert(!this.#closed, `Writer of ${this.database.name} is closed`);
    const full = this.#queue.length >= LIMITS.writeQueueLengthMax ||
      (this.#queueBytes > 0 && this.#queueBytes + sizeOf(write) > LIMITS.writeQueueBytesMax);
    if (full) {
      throw new NodeError(
        "queue_full",
        `Cannot write to ${this.database.name}: ${this.#queue.length} writes wait already; try again later`,
        { limit: { name: "writeQueueLengthMax", value: LIMITS.writeQueueLengthMax } },
      );
    }
    this.#queue.push(write);
    this.#queueBytes += sizeOf(write);
    this.#pumpSoon();
  }

  #pumpSoon(): void {
    if (this.#isPumpDue || this.#isBusy) return;
    this.#isPumpDue = true;
    this.#host.endOfTurn(() => {
      this.#isPumpDue = false;
      this.pump();
    });
  }

  /** Starts the next batch, or the next transaction, if the worker is free. */
  pump(): void {
    if (this.#closed || this.#isBusy || this.#queue.length === 0) return;
    if (!this.#host.mayPropose()) return;
    this.expire(this.#host.nowMs());
    const [first] = this.#queue;
    if (first === undefined) return;
    if (isWrite(first)) this.#startBatch();
    else this.#startTransaction(first);
  }

  #startBatch(): void {
    const writes = this.#takeBatch();
    const batchNumber = this.#host.nextBatchNumber();
    const nowMs = this.#host.nowMs();
    this.#running = { number: batchNumber, writes, startedMs: nowMs };
    const requests = writes.map((write) => toRequestData(write, nowMs));
    this.#place(requests);
    const refusal = this.#refusal();
    if (refusal !== undefined) {
      this.#running = undefined;
      for (const write of writes) write.reject(refusal);
      return this.pump();
    }
    const update = this.#link.update(batchNumber);
    if (update === undefined) return;
    this.#host.send({ kind: "write", ...update, requests });
  }

  /** @param requests undefined: a transaction */
  #place(requests: WriteMessage["requests"] | undefined): void {
    if (this.#host.placeSession(this.database, requests) === "moved") this.#link.lost();
  }

  /** Undefined: a session is open, or may be opened. */
  #refusal(): NodeError | undefined {
    return this.#link.isOpen ? undefined : this.#host.refusalToOpen();
  }

  #startTransaction(pending: PendingTransaction): void {
    this.#queue.shift();
    this.#place(undefined);
    const { nowMs, tip, committed, confirmed } = this.#host;
    const site: TransactionSite = {
      nowMs,
      tip,
      committed,
      confirmed,
      send: (step) => this.#sendStep(step),
      enter: (batchNumber, bodies) => this.#enter(batchNumber, bodies),
      ended: (session) => {
        this.#transaction = undefined;
        if (session === "lost") this.#link.lost();
        if (session === "unsure") this.#link.drop();
        this.pump();
      },
    };
    // It has the writer from here on: bringing the log up to date may publish, and then every writer looks for work.
    const transaction = this.#transaction = new OpenTransaction(pending, site);
    const refusal = this.#refusal();
    // That may also have ended this writer, and the transaction with it.
    if (this.#transaction !== transaction) return;
    if (refusal === undefined) return transaction.begin();
    this.#transaction = undefined;
    transaction.lose(refusal);
    this.pump();
  }

  #sendStep(step: TransactionStep): { number: number; stop: () => void } | undefined {
    const number = this.#host.nextBatchNumber();
    const update = this.#link.update(number);
    if (update === undefined) return undefined;
    return { number, stop: this.#host.sendStep({ kind: "transaction", ...update, step }) };
  }

  /** The `.db` file holds what the log may lose now. The session learns it now, or with its next message, or ends. */
  onCheckpoint(): void {
    const isHere = this.#link.isOpen && this.#host.isSessionHere(this.database);
    this.#link.onCheckpoint(this.#isBusy || isHere);
    if (this.#isBusy || !isHere) return;
    const update = this.#link.update(this.#host.nextBatchNumber());
    if (update !== undefined && !this.#host.tellSession(update)) this.#link.lost();
  }

  /** The log holds a transaction of this database: the worker may read its pages there. */
  onLocated(delta: PageDelta): void {
    this.#link.onLocated(delta);
  }

  onTransactionResults(results: TransactionResults): void {
    if (this.#transaction?.stepNumber === results.batchNumber) this.#transaction.onResults(results);
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
    if (this.#host.isSessionHere(this.database)) return;
    const writes = this.#running?.writes ?? [];
    const transaction = this.#transaction;
    this.#running = undefined;
    this.#transaction = undefined;
    this.#link.lost();
    if (transaction?.isBeginning === true && !isToBlame) this.#requeue([transaction.pending]);
    else transaction?.lose(workerLost("Transaction ended"));
    if (isToBlame) { for (const write of writes) write.reject(workerLost("Write stopped")); }
    else this.#requeue(writes);
    this.pump();
  }

  /** The session is closed. A batch that was to open it comes back unfinished. */
  onSessionGone(): void {
    this.#link.lost();
  }

  /** Gives up the session and everything that is not in the log; appended writes learn their fate elsewhere. */
  close(error: NodeError): void {
    this.#closed = true;
    const waiting = [...(this.#running?.writes ?? []), ...this.#queue];
    const transaction = this.#transaction;
    this.#running = undefined;
    this.#transaction = undefined;
    this.#queue = [];
    this.#queueBytes = 0;
    this.#link.close();
    transaction?.lose(error);
    for (const write of waiting) write.reject(error);
  }

  /** Refuses what has waited past its time limit, and ends a transaction that has been open for too long. */
  expire(nowMs: Milliseconds): void {
    this.#transaction?.expire(nowMs);
    const expired = this.#queue.filter((write) => write.deadlineMs <= nowMs);
    if (expired.length === 0) return;
    this.#queue = this.#queue.filter((write) => write.deadlineMs > nowMs);
    for (const write of expired) {
      this.#queueBytes -= sizeOf(write);
      write.reject(new NodeError("timeout", `Write to ${this.database.name} waited past its time limit`));
    }
  }

  /** From the front of the queue, up to the next transaction. */
  #takeBatch(): PendingWrite[] {
    const batch: PendingWrite[] = [];
    let bytes = 0;
    for (const write of this.#queue) {
      if (!isWrite(write) || batch.length === LIMITS.writesPerBatchMax) break;
      if (batch.length > 0 && bytes + write.bytes > LIMITS.entryBytesMax) break;
      bytes += write.bytes;
      batch.push(write);
    }
    this.#queueBytes -= bytes;
    this.#queue.splice(0, batch.length);
    return batch;
  }

  /** Proposes what a batch or a transaction changed. Throws NodeError when nothing of it counts. */
  #enter(batchNumber: number, bodies: readonly Uint8Array[]): EntryAt {
    try {
      let at = this.#host.tip();
      for (const body of bodies) at = this.#host.propose(body);
      if (bodies.length > 0) this.#link.proposed(batchNumber);
      return at;
    } catch (error) {
      // The session is ahead of the log now. Parts that did get in are void: the next transaction begins anew.
      this.#link.drop();
      throw error instanceof NodeError ? error : new NodeError("internal", String(error));
    }
  }

  #propose(batch: Batch, results: WriteResults): void {
    let at: EntryAt;
    const ranMs = this.#host.nowMs();
    try {
      at = this.#enter(batch.number, results.bodies);
    } catch (error) {
      for (const write of batch.writes) write.reject(error as NodeError);
      return;
    }
    const hasEntry = results.bodies.length > 0;
    const outcomes = unpackAnswers(results.answers);
    const stages = hasEntry ? this.#stagesOf(batch, results, at.index, outcomes, ranMs) : undefined;
    const unfinished = new Set(results.unfinished);
    batch.writes.forEach((write, i) => {
      if (unfinished.has(i)) return;
      const committed = (hasEntry ? this.#host.committed : this.#host.confirmed)(at, write.deadlineMs);
      this.#answer(write, outcomes[i], results.replayed.includes(i), committed, stages);
    });
    if (unfinished.size > 0 || results.isSessionLost) this.#link.lost();
    this.#requeue(batch.writes.filter((_, i) => unfinished.has(i)));
  }

  #stagesOf(
    { writes, startedMs }: Batch,
    { runMs: workerMs }: WriteResults,
    index: LogIndex,
    outcomes: readonly Outcome<EncodedFields>[],
    ranMs: Milliseconds,
  ): BatchOnItsWay {
    const queuedMs = writes.filter((_, i) => outcomes[i]?.ok === true).map((write) => write.queuedMs);
    return this.#host.stages.proposed(index, { queuedMs, startedMs, ranMs, workerMs });
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
    stages: BatchOnItsWay | undefined,
  ): void {
    assert(outcome !== undefined, "A batch answered with too few results");
    committed.then(
      (index) => {
        const committedMs = stages?.committedMs;
        if (outcome.ok) write.resolve({ result: { fields: outcome.value, replayed }, index, committedMs });
        else write.reject(new NodeError(outcome.error.code, outcome.error.message, outcome.error.details));
      },
      (error) => write.reject(outcome.ok ? error : asNotLogged(error)),
    );
  }

  /** Promise 7: the request that killed the instance fails; the innocent ones run again, in a new session. */
  #onDied(batch: Batch, results: WriteResults): void {
    this.#link.lost();
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

  #requeue(waiting: readonly (PendingWrite | PendingTransaction)[]): void {
    this.#queue.unshift(...waiting);
    for (const write of waiting) this.#queueBytes += sizeOf(write);
  }
}

function isWrite(waiting: PendingWrite | PendingTransaction): waiting is PendingWrite {
  return waiting.request !== undefined;
}

/** What it takes in the queue. */
function sizeOf(waiting: PendingWrite | PendingTransaction): number {
  return isWrite(waiting) ? waiting.bytes : 0;
}

function workerLost(what: string): NodeError {
  return new NodeError("engine_failed", `${what}: the SQL worker was lost; nothing was logged`);
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
