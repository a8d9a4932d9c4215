import { JobProcess } from "./job_process.ts";
import type { LoadJob, LoadOutcome } from "./load_process.ts";

/** Starts the load generator (`load_process.ts`) and gives it jobs, one at a time. */
export class LoadClient extends JobProcess<LoadJob, LoadOutcome[]> {
  constructor() {
    super("load_process.ts");
  }

  /** One outcome for each load of the job. */
  run(job: LoadJob): Promise<LoadOutcome[]> {
    return this.ask(job, Math.max(...job.loads.map((load) => load.warmupMs + load.durationMs)));
  }
}
