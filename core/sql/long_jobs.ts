import { type ErrorRecord, fromErrorRecord } from "../base/errors.ts";
import type { JobDone } from "./messages.ts";
import type { WorkerSlot } from "./worker_slot.ts";

/** What a checkpoint or the check of a file answers: the size of the file. */
export interface FileSize {
  readonly pageSize: number;
  readonly pageCount: number;
}

interface LongJob {
  readonly kind: "checkpoint" | "check_file";
  readonly slot: WorkerSlot;
  readonly resolve: (size: FileSize) => void;
  readonly reject: (error: Error) => void;
}

/** Jobs without a time limit of their own, and who waits for them. */
export class LongJobs {
  readonly #jobs = new Map<number, LongJob>();

  /** Resolves with the worker's answer. */
  add(jobId: number, kind: LongJob["kind"], slot: WorkerSlot): Promise<FileSize> {
    slot.longJobs.add(jobId);
    return new Promise((resolve, reject) => this.#jobs.set(jobId, { kind, slot, resolve, reject }));
  }

  done({ jobId, outcome }: JobDone): void {
    const job = this.#jobs.get(jobId);
    this.#jobs.delete(jobId);
    job?.slot.longJobs.delete(jobId);
    if (outcome.ok) job?.resolve(outcome.value);
    else job?.reject(fromErrorRecord(outcome.error));
  }

  /** Ends the jobs of a worker that is gone. */
  fail(slot: WorkerSlot, error: ErrorRecord): void {
    for (const jobId of [...slot.longJobs]) {
      this.done({ kind: "job_done", jobId, outcome: { ok: false, error } });
    }
  }

  /** Ends the checks of files the worker has; true when there was one. */
  failChecks(slot: WorkerSlot, error: ErrorRecord): boolean {
    const checks = [...slot.longJobs].filter((jobId) => this.#jobs.get(jobId)?.kind === "check_file");
    for (const jobId of checks) this.done({ kind: "job_done", jobId, outcome: { ok: false, error } });
    return checks.length > 0;
  }
}
