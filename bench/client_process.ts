/**
 * The TypeScript clients as programs use them, in a process of its own: reads jobs from its input and answers each with one
 * line. A client lives as long as its process, so later jobs find warm code and open connections.
 *
 *     deno run -A bench/client_process.ts
 */
import { connect } from "../net/client/client.ts";
import type { SqlDatabase } from "../net/client/sql_database.ts";
import { WireDatabase } from "../net/client/wire.ts";
import { LatencyHistogram, type LatencySummary } from "./http_load.ts";
import { serveJobs } from "./serve_jobs.ts";
import { INSERT_INDEXED, KEY_BELOW, ROW_TEXT, SELECT_POINT, SLOT_WIDTH } from "./workloads.ts";

export type ClientWork = "insert" | "read" | "batch";

export interface ClientJob {
  readonly client: "http" | "wire";
  /** Of all nodes, for that client. */
  readonly addresses: readonly string[];
  readonly work: ClientWork;
  /** So many calls are under way at once. */
  readonly callers: number;
  readonly warmupMs: number;
  readonly durationMs: number;
  /** In each table. */
  readonly rows: number;
  readonly rowsPerBatch: number;
}

export interface ClientOutcome {
  /** Those before measuring included. */
  readonly callsInAll: number;
  readonly seconds: number;
  readonly latency: LatencySummary;
}

const CONNECTIONS_MAX = 256;
let db: SqlDatabase | undefined;

function open({ client, addresses }: ClientJob): SqlDatabase {
  if (client === "http") return connect(addresses, { database: "bench" });
  return new WireDatabase(addresses, { database: "bench", connectionsMax: CONNECTIONS_MAX });
}

const random = (below: number): number => 1 + Math.floor(Math.random() * (below - 1));

function row(sequence: number): [number, string] {
  return [random(KEY_BELOW), ROW_TEXT[0] + String(sequence).padStart(SLOT_WIDTH) + ROW_TEXT[1]];
}

async function call(db: SqlDatabase, job: ClientJob, sequence: number): Promise<void> {
  if (job.work === "insert") {
    await db.execute(INSERT_INDEXED, row(sequence));
  } else if (job.work === "batch") {
    const length = job.rowsPerBatch;
    await db.batch(Array.from({ length }, () => ({ sql: INSERT_INDEXED, params: row(sequence) })));
  } else if (await db.first(SELECT_POINT, [random(job.rows)]) === undefined) {
    throw new Error("Cannot measure: a row that must be there is not");
  }
}

/** A call that fails ends the benchmark: nothing here may. */
async function run(job: ClientJob): Promise<ClientOutcome> {
  const used = db ??= open(job);
  const startMs = performance.now() + job.warmupMs;
  const endMs = startMs + job.durationMs;
  const latency = new LatencyHistogram();
  let callsInAll = 0;
  const caller = async (): Promise<void> => {
    for (let askedMs = performance.now(); askedMs < endMs;) {
      await call(used, job, ++callsInAll);
      const doneMs = performance.now();
      if (askedMs >= startMs) latency.record(doneMs - askedMs);
      askedMs = doneMs;
    }
  };
  await Promise.all(Array.from({ length: job.callers }, caller));
  return { callsInAll, seconds: (performance.now() - startMs) / 1_000, latency: latency.summary() };
}

if (import.meta.main) await serveJobs(run);
