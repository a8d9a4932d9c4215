import type { DatabaseId, Milliseconds } from "../base/ids.ts";
import { CANCEL_SLOTS, type ReadJob } from "./messages.ts";
import type { SqlWorker } from "./pool.ts";

/** One worker of the pool: what it knows, what it runs, and until when it may. */
export class WorkerSlot {
  readonly name: string;
  /** Slot 0: the job that must stop. Slot 1: the job that runs. */
  readonly cancel = new Int32Array(new SharedArrayBuffer(4 * CANCEL_SLOTS));
  readonly worker: SqlWorker;
  /** Databases open there, least recently used first, with the sequence number of the next delta each needs. */
  readonly cursors = new Map<DatabaseId, number>();
  readonly longJobs = new Set<number>();
  segmentsVersion = -1;
  isLost = false;
  readonly #jobs = new Map<number, Milliseconds>();
  /** Job seen running at the last look, and when it must have ended. */
  #watched = 0;
  #deadlineMs: Milliseconds = Infinity;

  constructor(name: string, start: (cancel: Int32Array) => SqlWorker) {
    this.name = name;
    this.worker = start(this.cancel);
  }

  get isBusy(): boolean {
    return this.#jobs.size > 0 || this.longJobs.size > 0;
  }

  begin(jobs: readonly ReadJob[], nowMs: Milliseconds, graceMs: Milliseconds): void {
    for (const job of jobs) this.#jobs.set(job.jobId, job.runMsMax + graceMs);
    this.#watch(jobs[0]?.jobId ?? 0, nowMs);
  }

  /** A batch for the writer. It may wait behind those of other databases, so its time counts once it runs. */
  expect(jobId: number, allowedMs: Milliseconds, nowMs: Milliseconds): void {
    this.#jobs.set(jobId, allowedMs);
    if (this.#jobs.size === 1) this.#watch(jobId, nowMs);
  }

  finishJob(jobId: number): void {
    this.#jobs.delete(jobId);
    if (jobId === this.#watched || this.#jobs.size === 0) this.#deadlineMs = Infinity;
  }

  /** The time a job may take counts from when it is first seen running, so jobs behind a slow one are not blamed. */
  isHung(nowMs: Milliseconds): boolean {
    if (this.#jobs.size === 0) return false;
    const current = Atomics.load(this.cancel, 1);
    if (current !== this.#watched && this.#jobs.has(current)) this.#watch(current, nowMs);
    return nowMs > this.#deadlineMs;
  }

  #watch(jobId: number, nowMs: Milliseconds): void {
    this.#watched = jobId;
    this.#deadlineMs = nowMs + (this.#jobs.get(jobId) ?? Infinity);
  }
}
