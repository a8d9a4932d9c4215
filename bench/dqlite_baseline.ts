/**
 * dqlite as Debian packages it (`go-dqlite`): three `dqlite-demo` processes, the same table and statement over its own
 * protocol. It answers a write that meets another one with "database is locked"; the client tries again after a moment,
 * each refusal is counted as an error, and the time of a call goes from its first try to its success.
 */
import { freePorts } from "../tests/support/free_ports.ts";
import { eventually } from "../tests/cluster/process_cluster.ts";
import { type BenchLine, NO_COSTS, toBenchLine } from "./bench_line.ts";
import { DqliteClient, DqliteFailure } from "./dqlite_client.ts";
import { LatencyHistogram } from "./http_load.ts";
import { ServerProcesses } from "./server_processes.ts";
import { cpuMs } from "./usage.ts";
import { fillIndexed, INSERT_INDEXED, KEY_BELOW, ROW_TEXT, SCHEMA, SLOT_WIDTH } from "./workloads.ts";

export interface DqliteOptions {
  readonly seconds: number;
  readonly warmupMs: number;
  readonly connections: readonly number[];
  /** In the table before anything is measured. */
  readonly rows: number;
}

export const DQLITE = "dqlite";
const NODES = 3;
const DATABASE = "bench";
/** Before a refused write is tried again: up to twice this. */
const RETRY_MS = 1;
const LATE_MS_MAX = 10_000;

/** Undefined where `dqlite-demo` is not on PATH. */
export async function measureDqlite(
  options: DqliteOptions,
  onLine: (line: BenchLine) => void = () => {},
): Promise<BenchLine[] | undefined> {
  await using servers = await ServerProcesses.open("dqlite");
  const ports = Array.from({ length: NODES }, () => freePorts(2));
  const [first] = ports as [number];
  for (const [at, port] of ports.entries()) {
    const join = at === 0 ? [] : ["--join", `127.0.0.1:${first}`];
    const folder = `${servers.folder}/node-${at + 1}`;
    const flags = ["--api", `127.0.0.1:${port + 1}`, "--db", `127.0.0.1:${port}`, "--dir", folder];
    if (!servers.start("dqlite-demo", [...flags, ...join])) return undefined;
    // The others join one that leads already.
    if (at === 0) await voters(first, 1);
  }
  await voters(first, NODES);
  const leader = await leaderPort(first);
  const lines: BenchLine[] = [];
  await withClient(leader, async (client) => {
    const tables = SCHEMA.filter((each) => / indexed/.test(each));
    for (const sql of [...tables, ...fillIndexed(options.rows)]) await client.execute(sql);
  });
  for (const connections of options.connections) {
    const line = await measure(leader, connections, options, servers);
    lines.push(line);
    onLine(line);
  }
  return lines;
}

async function voters(port: number, count: number): Promise<void> {
  await eventually(`dqlite has ${count} voters`, async () => {
    const client = await DqliteClient.open(port);
    try {
      return await client.voterCount() >= count && await client.leader() !== "";
    } finally {
      client.close();
    }
  });
}

async function leaderPort(port: number): Promise<number> {
  const client = await DqliteClient.open(port);
  const address = await client.leader();
  client.close();
  return Number(address.split(":")[1]);
}

async function withClient<T>(port: number, use: (client: DqliteClient) => Promise<T>): Promise<T> {
  const client = await DqliteClient.open(port);
  try {
    await client.useDatabase(DATABASE);
    return await use(client);
  } finally {
    client.close();
  }
}

async function measure(
  port: number,
  connections: number,
  options: DqliteOptions,
  servers: ServerProcesses,
): Promise<BenchLine> {
  const startMs = performance.now() + options.warmupMs;
  const run: Run = {
    startMs,
    endMs: startMs + options.seconds * 1_000,
    latency: new LatencyHistogram(),
    inAll: 0,
    refusals: 0,
  };
  const before = cpuMs(servers.processIds);
  const writers = Array.from({ length: connections }, () => withClient(port, (client) => write(client, run)));
  await Promise.all(writers);
  const after = cpuMs(servers.processIds);
  return toBenchLine({
    head: { system: DQLITE, workload: "insert_indexed", title: "insert, random indexed key", connections },
    latency: run.latency.summary(),
    seconds: (performance.now() - startMs) / 1_000,
    errors: run.refusals,
    firstFailure: run.refusals === 0 ? null : "database is locked",
  }, { ...NO_COSTS, serverCpuMs: before === null || after === null ? null : (after - before) / run.inAll });
}

interface Run {
  readonly startMs: number;
  readonly endMs: number;
  readonly latency: LatencyHistogram;
  /** Writes done, those before measuring included. */
  inAll: number;
  refusals: number;
}

async function write(client: DqliteClient, run: Run): Promise<void> {
  const insert = await client.prepare(INSERT_INDEXED);
  let askedMs = performance.now();
  for (let sequence = 1; goesOn(run, askedMs);) {
    const key = 1 + Math.floor(Math.random() * (KEY_BELOW - 1));
    const text = ROW_TEXT[0] + String(sequence).padStart(SLOT_WIDTH) + ROW_TEXT[1];
    if (!await tryOnce(client, insert.id, [key, text])) {
      if (askedMs >= run.startMs) run.refusals++;
      if (!goesOn(run, performance.now())) return;
      await new Promise((resolve) => setTimeout(resolve, 2 * RETRY_MS * Math.random()));
      continue;
    }
    const doneMs = performance.now();
    run.inAll++;
    sequence++;
    if (askedMs >= run.startMs) run.latency.record(doneMs - askedMs);
    askedMs = doneMs;
  }
}

/** On a slow machine a run lasts until there is something to report, within limits. */
function goesOn(run: Run, nowMs: number): boolean {
  return nowMs < run.endMs || (run.latency.count === 0 && nowMs < run.endMs + LATE_MS_MAX);
}

async function tryOnce(client: DqliteClient, id: number, values: (number | string)[]): Promise<boolean> {
  try {
    await client.run({ id }, values);
    return true;
  } catch (error) {
    if (error instanceof DqliteFailure && error.isBusy) return false;
    throw error;
  }
}
