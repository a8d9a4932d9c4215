import { fromErrorRecord, NodeError } from "../base/errors.ts";
import type { DatabaseId, Milliseconds } from "../base/ids.ts";
import { LIMITS } from "../base/limits.ts";
import type { CancelSignal, Clock, EndOfTurn } from "../base/ports.ts";
import type { SegmentInfo } from "../log/segment_table.ts";
import type { Database, View } from "../pages/database.ts";
import type { DatabaseUpdate, MessageToWorker, ReadJob, ReadResults } from "./messages.ts";
import { unpackAnswers } from "./packed_answers.ts";
import { QueryCosts, type ReadLane, ReadQueue } from "./read_queue.ts";
import type { ShortQuery } from "./short_reads.ts";
import type { EncodedFields } from "./values.ts";
import type { WorkerSlot } from "./worker_slot.ts";

export interface PoolQuery extends Omit<ShortQuery, "into"> {
  /** For waiting and running together, on the node's clock. */
  readonly deadlineMs: Milliseconds;
  readonly signal?: CancelSignal;
}

export interface ReaderPoolHost {
  readonly clock: Clock;
  readonly endOfTurn: EndOfTurn;
  readonly readerCount: number;
  /** A worker that is started with its first message. */
  readonly makeSlot: (name: string) => WorkerSlot;
  readonly newJobId: () => number;
  readonly post: (slot: WorkerSlot, message: MessageToWorker) => void;
  /** The log's segments, if the worker does not know the present ones. */
  readonly segmentsFor: (slot: WorkerSlot) => { segments?: readonly SegmentInfo[] };
}

interface WaitingRead {
  readonly lane: ReadLane;
  readonly job: Omit<ReadJob, "runMsMax">;
  readonly deadlineMs: Milliseconds;
  readonly database: Database;
  readonly settle: (outcome: EncodedFields | NodeError) => void;
}

/** Long queries keep one busy; short ones need another one. */
const READERS_MIN = 2;
/** Queries handed to a reader at once. Of unknown ones few enough that a slow one does not hold up many. */
const READS_PER_MESSAGE_MAX: Readonly<Record<ReadLane, number>> = { short: 64, unknown: 16, long: 1 };
/** While one reader runs short queries, the next ones wait for it this long before they get another reader. */
const GATHER_MS = 1;
/** Databases one reader keeps open: each costs an instance of about 1.5 MB. */
const OPEN_DATABASES_MAX = 64;

/** The readers, and the queries that wait for one: hands them out in batches, by how long they are expected to run. */
export class ReaderPool {
  readonly #host: ReaderPoolHost;
  readonly #slots: WorkerSlot[] = [];
  readonly #waiting = new ReadQueue<WaitingRead>();
  readonly #costs = new QueryCosts();
  readonly #running = new Map<number, WaitingRead & { slot: WorkerSlot }>();
  #isDispatchDue = false;
  #isGathering = false;
  #stopped = false;

  constructor(host: ReaderPoolHost) {
    this.#host = host;
    this.#slots.push(host.makeSlot("reader-1"));
  }

  get slots(): readonly WorkerSlot[] {
    return this.#slots;
  }

  get waitingCount(): number {
    return this.#waiting.length;
  }

  /** Runs a query at an open view; the caller closes the view afterwards. */
  read(view: View, query: PoolQuery, isJudged: boolean): Promise<EncodedFields> {
    const { length } = this.#waiting;
    if (length >= LIMITS.readQueueLengthMax) {
      throw new NodeError("queue_full", `Cannot run query: ${length} queries wait already; try later`, {
        limit: { name: "readQueueLengthMax", value: LIMITS.readQueueLengthMax },
      });
    }
    const { signal, deadlineMs, ...rest } = query;
    if (signal?.aborted) throw cancelled();
    const jobId = this.#host.newJobId();
    const job = { jobId, databaseId: view.database.id, viewIndex: view.index, isJudged, ...rest };
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

  onResults(slot: WorkerSlot, { jobIds, runMs, answers }: ReadResults): void {
    unpackAnswers(answers).forEach((outcome, i) => {
      const jobId = jobIds[i] as number;
      const read = this.#running.get(jobId);
      this.#running.delete(jobId);
      if (read !== undefined) this.#costs.record(read.job.sql, runMs[i] as number);
      read?.settle(outcome.ok ? outcome.value : fromErrorRecord(outcome.error));
      slot.finishJob(jobId);
    });
    this.dispatch();
  }

  /** Refuses what has waited past its time limit. */
  refuseLate(nowMs: Milliseconds): void {
    for (const read of this.#waiting.takeWhere(({ deadlineMs }) => deadlineMs <= nowMs)) {
      read.settle(new NodeError("timeout", "Query waited for a reader past its time limit; try again"));
    }
  }

  /** Another worker takes the place of one that was lost. Only the query that it ran is to blame; the others start over. */
  replace(lost: WorkerSlot, reason: string): void {
    const slot = this.#host.makeSlot(lost.name);
    void slot.worker;
    this.#slots[this.#slots.indexOf(lost)] = slot;
    this.#startOver(lost, reason);
    this.dispatch();
  }

  /** Fails all queries. @returns the workers that run one and would go on */
  failAll(error: NodeError): WorkerSlot[] {
    const running = [...this.#running.values()];
    this.#running.clear();
    for (const read of [...this.#waiting.takeWhere(() => true), ...running]) read.settle(error);
    return [...new Set(running.map(({ slot }) => slot))];
  }

  stop(): void {
    this.#stopped = true;
  }

  #dispatchSoon(): void {
    if (this.#isDispatchDue) return;
    this.#isDispatchDue = true;
    this.#host.endOfTurn(() => {
      this.#isDispatchDue = false;
      this.dispatch();
    });
  }

  /** Gives waiting queries to idle readers. */
  dispatch(): void {
    if (this.#stopped || this.#waiting.length === 0) return;
    const nowMs = this.#host.clock.nowMs();
    this.#dispatchShort(nowMs);
    for (const slot of this.#idle().toReversed()) this.#send(slot, "unknown", nowMs);
    this.#dispatchLong(nowMs);
    if (this.#waiting.length > 0 && this.#slots.every((slot) => this.#isUp(slot))) this.#startAnother();
  }

  /** By one reader, as long as it keeps up: a message of many costs little more than a message of one. */
  #dispatchShort(nowMs: Milliseconds): void {
    for (const slot of this.#idle()) {
      const waiting = this.#waiting.lengthOf("short");
      if (waiting === 0) return;
      const isComing = this.#slots.some((other) =>
        other.lane === "short" && nowMs - other.beganMs < GATHER_MS
      );
      if (isComing && waiting < READS_PER_MESSAGE_MAX.short) return this.#gather();
      this.#send(slot, "short", nowMs);
    }
  }

  /** Never by all readers: the others need one. */
  #dispatchLong(nowMs: Milliseconds): void {
    for (const slot of this.#idle().toReversed()) {
      const busy = this.#slots.filter((other) => other.lane === "long").length;
      if (busy + 1 >= this.#slots.length) return;
      this.#send(slot, "long", nowMs);
    }
  }

  #gather(): void {
    if (this.#isGathering) return;
    this.#isGathering = true;
    this.#host.clock.after(GATHER_MS, () => {
      this.#isGathering = false;
      this.dispatch();
    });
  }

  #send(slot: WorkerSlot, lane: ReadLane, nowMs: Milliseconds): void {
    const reads = this.#waiting.take(lane, READS_PER_MESSAGE_MAX[lane]);
    if (reads.length === 0) return;
    const jobs = reads.map(({ job, deadlineMs }): ReadJob => ({ ...job, runMsMax: deadlineMs - nowMs }));
    const databases = new Set(reads.map((read) => read.database));
    const updates = [...databases].map((database) => this.#updateFor(slot, database));
    for (const read of reads) this.#running.set(read.job.jobId, { ...read, slot });
    slot.begin(jobs, lane, nowMs);
    this.#host.post(slot, { kind: "read", jobs, updates, ...this.#host.segmentsFor(slot) });
  }

  #updateFor(slot: WorkerSlot, database: Database): DatabaseUpdate {
    const update = slot.cursors.advance(database);
    if (slot.cursors.size > OPEN_DATABASES_MAX) {
      this.#host.post(slot, { kind: "close", databaseId: slot.cursors.forgetOldest() as DatabaseId });
    }
    return update;
  }

  #idle(): WorkerSlot[] {
    return this.#slots.filter((slot) => !slot.isBusy && this.#isUp(slot));
  }

  /** One is there from the start. The others start when queries wait: an idle one costs about 20 MB. */
  #startAnother(): void {
    if (this.#slots.length >= Math.max(READERS_MIN, this.#host.readerCount)) return;
    const slot = this.#host.makeSlot(`reader-${this.#slots.length + 1}`);
    void slot.worker;
    this.#slots.push(slot);
  }

  /** The first reader gets work while it still starts: nobody else could do it sooner. */
  #isUp(slot: WorkerSlot): boolean {
    return slot.isReady || slot === this.#slots[0];
  }

  #cancel(jobId: number): void {
    const [waiting] = this.#waiting.takeWhere(({ job }) => job.jobId === jobId);
    if (waiting !== undefined) return waiting.settle(cancelled());
    const running = this.#running.get(jobId);
    // The worker answers within a millisecond. Until then it reads at the view, which has to stay open.
    running?.slot.cancelJob(jobId);
  }

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

function cancelled(): NodeError {
  return new NodeError("cancelled", "Query stopped: the caller gave up");
}
