/**
 * The client of the benchmark as a process of its own: reads jobs from its input, one JSON object a line, and answers each
 * with one line on its output. It lives as long as its input is open, so later jobs find warm code.
 *
 *     deno run -A bench/load_process.ts
 */
import { type LatencySummary, runLoad } from "./http_load.ts";
import { serveJobs } from "./serve_jobs.ts";
import { RequestTemplate } from "./request_template.ts";
import type { RequestShape } from "./workloads.ts";

export interface Load {
  readonly port: number;
  readonly connections: number;
  readonly durationMs: number;
  /** Sent before measuring starts. */
  readonly warmupMs: number;
  readonly requests: readonly RequestShape[];
}

/** What runs at the same time. */
export interface LoadJob {
  readonly loads: readonly Load[];
}

export interface LoadOutcome {
  /** Successful calls, those before measuring included. */
  readonly callsInAll: number;
  readonly seconds: number;
  readonly latency: LatencySummary;
  readonly failures: number;
  readonly firstFailure: string | null;
}

/** @param seed of the first connection; another job has another one, or it would write the same keys again */
async function run(load: Load, seed: number): Promise<LoadOutcome> {
  const senders = Array.from(
    { length: load.connections },
    (_, connection) => sender(load.requests, seed + connection * SEED_STEP),
  );
  const result = await runLoad({
    hostname: "127.0.0.1",
    port: load.port,
    connections: load.connections,
    durationMs: load.durationMs,
    warmupMs: load.warmupMs,
    request: (connection) => senders[connection]!(),
  });
  return {
    callsInAll: result.requestsInAll,
    seconds: result.seconds,
    latency: result.latency.summary(),
    failures: result.failures,
    firstFailure: result.firstFailure ?? null,
  };
}

const SEED_STEP = 7_919;

/** The requests of one connection: by their weights, each connection beginning elsewhere. */
function sender(shapes: readonly RequestShape[], seed: number): () => Uint8Array {
  const templates = shapes.map((shape) => new RequestTemplate(shape, seed));
  const order = templates.flatMap((template, at) =>
    Array<RequestTemplate>(shapes[at]!.weight).fill(template)
  );
  let turn = seed;
  return () => order[turn++ % order.length]!.next();
}

if (import.meta.main) {
  let loadCount = 0;
  await serveJobs((job: LoadJob) => Promise.all(job.loads.map((load) => run(load, ++loadCount))));
}
