import { type ErrorRecord, fromErrorRecord } from "../base/errors.ts";
import type { JobDone } from "./messages.ts";

/** What a checkpoint or the check of a file answers: the size of the file. */
export interface FileSize {
  readonly pageSize: number;
  readonly pageCount: number;
}

interface LongJob {
  readonly kind: "checkpoint" | "check_file";
  readonly resolve: (size: FileSize) => void;
  readonly reject: (error: Error) => void;
}

/** Jobs without a time limit of their own, and who waits for them. */
export class LongJobs {
  readonly #jobs = new Map<number, LongJob>();

  /** Resolves with the worker's answer. */
  add(jobId: number, kind: LongJob["kind"]): Promise<FileSize> {
    return new Promise((resolve, reject) => this.#jobs.set(jobId, { kind, resolve, reject }));
  }

  done({ jobId, outcome }: JobDone): void {
    const job = this.#jobs.get(jobId);
    this.#jobs.delete(jobId);
    if (outcome.ok) job?.resolve(outcome.value);
    else job?.reject(fromErrorRecord(outcome.error));
  }

  /** The worker is gone. */
  failAll(error: ErrorRecord): void {
    this.#fail([...this.#jobs.keys()], error);
  }

  /** Gives up the checks of files; true when there was one. */
  failChecks(error: ErrorRecord): boolean {
    const checks = [...this.#jobs].flatMap(([jobId, { kind }]) => kind === "check_file" ? [jobId] : []);
    this.#fail(checks, error);
    return checks.length > 0;
  }

  #fail(jobIds: readonly number[], error: ErrorRecord): void {
    for (const jobId of jobIds) this.done({ kind: "job_done", jobId, outcome: { ok: false, error } });
  }
}
