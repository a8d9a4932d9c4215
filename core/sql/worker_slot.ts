import type { Milliseconds } from "../base/ids.ts";
import type { DatabaseCursors } from "./database_cursors.ts";
import type { ReadLane } from "./read_queue.ts";
import { CANCEL_SLOTS, type MessageFromWorker, type MessageToWorker, type ReadJob } from "./messages.ts";

/** A worker thread, or its twin in the simulator's thread. */
export interface SqlWorker {
  post(message: MessageToWorker): void;
  /** Ends it at once, whatever it does. */
  terminate(): void;
}

/** Starts a worker. `cancel` has CANCEL_SLOTS slots; `onMessage` and `onDied` come on the main thread. */
export type StartSqlWorker = (options: {
  readonly name: string;
  readonly cancel: Int32Array;
  readonly onMessage: (message: MessageFromWorker) => void;
  readonly onDied: (reason: string) => void;
}) => SqlWorker;

/** How long a worker may overrun the time limit of its job before it is taken for hung and replaced. */
const HUNG_GRACE_MS = 5_000;

/** One worker of the pool: what it knows, what it runs, and until when it may. */
export class WorkerSlot {
  readonly name: string;
  /** Slot 0: the job that must stop. Slot 1: the job that runs. */
  readonly cancel = new Int32Array(new SharedArrayBuffer(4 * CANCEL_SLOTS));
  readonly #start: (cancel: Int32Array) => SqlWorker;
  #worker: SqlWorker | undefined;
  /** Databases open there. */
  readonly cursors: DatabaseCursors;
  segmentsVersion = -1;
  /** It came up and said so. */
  isReady = false;
  isLost = false;
  /** Of the queries it runs, and since when. */
  lane: ReadLane | undefined;
  beganMs: Milliseconds = -Infinity;
  readonly #jobs = new Map<number, Milliseconds>();
  /** Jobs that must stop. The worker is shown one at a time: the one that runs. */
  readonly #cancelled = new Set<number>();
  /** Job seen running at the last look, and when it must have ended. */
  #watched = 0;
  #deadlineMs: Milliseconds = Infinity;

  constructor(name: string, cursors: DatabaseCursors, start: (cancel: Int32Array) => SqlWorker) {
    this.name = name;
    this.cursors = cursors;
    this.#start = start;
  }

  /** Starts the thread, if it is not running: that keeps the main thread for tens of milliseconds. */
  get worker(): SqlWorker {
    return this.#worker ??= this.#start(this.cancel);
  }

  terminate(): void {
    this.#worker?.terminate();
  }

  get isBusy(): boolean {
    return this.#jobs.size > 0;
  }

  begin(jobs: readonly ReadJob[], lane: ReadLane, nowMs: Milliseconds): void {
    this.lane = lane;
    this.beganMs = nowMs;
    for (const job of jobs) this.#jobs.set(job.jobId, job.runMsMax + HUNG_GRACE_MS);
    this.#watch(jobs[0]?.jobId ?? 0, nowMs);
  }

  /** A batch for the writer. It may wait behind those of other databases, so its time counts once it runs. */
  expect(jobId: number, runMsMax: Milliseconds, nowMs: Milliseconds): void {
    this.#jobs.set(jobId, runMsMax + HUNG_GRACE_MS);
    if (this.#jobs.size === 1) this.#watch(jobId, nowMs);
  }

  /** The job that runs now; 0 between two. */
  get runningJobId(): number {
    return Atomics.load(this.cancel, 1);
  }

  cancelJob(jobId: number): void {
    this.#cancelled.add(jobId);
    this.showCancelled();
  }

  isCancelled(jobId: number): boolean {
    return this.#cancelled.has(jobId);
  }

  /** Looks whether the job that runs is one that must stop; to be called with every tick. */
  showCancelled(): void {
    if (this.#cancelled.size === 0) return;
    const running = this.runningJobId;
    const [first = 0] = this.#cancelled;
    Atomics.store(this.cancel, 0, this.#cancelled.has(running) ? running : first);
  }

  finishJob(jobId: number): void {
    this.#jobs.delete(jobId);
    // A number that stays there would stop another job when the numbers begin again.
    if (this.#cancelled.delete(jobId)) Atomics.compareExchange(this.cancel, 0, jobId, 0);
    if (this.#jobs.size === 0) this.lane = undefined;
    if (jobId === this.#watched || this.#jobs.size === 0) this.#deadlineMs = Infinity;
  }

  /**
   * The time a job may take counts from when it is first seen running, so jobs behind a slow one are not blamed. A worker
   * that says nothing runs although it has work is watched on account of the oldest job.
   */
  isHung(nowMs: Milliseconds): boolean {
    const [oldest] = this.#jobs.keys();
    if (oldest === undefined) return false;
    const running = this.#jobs.has(this.runningJobId) ? this.runningJobId : oldest;
    if (running !== this.#watched) this.#watch(running, nowMs);
    return nowMs > this.#deadlineMs;
  }

  #watch(jobId: number, nowMs: Milliseconds): void {
    this.#watched = jobId;
    this.#deadlineMs = nowMs + (this.#jobs.get(jobId) ?? Infinity);
  }
}
