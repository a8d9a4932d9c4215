/**
 * Servers that speak dqlite's protocol, three processes each: the same tables and statements, one connection of the
 * protocol per client. dqlite answers a write that meets another one with "database is locked"; the client tries again
 * after a moment, each refusal is counted as an error, and the time of a call goes from its first try to its success.
 */
import { freePorts } from "../tests/support/free_ports.ts";
import { eventually } from "../tests/cluster/process_cluster.ts";
import { type BenchLine, NO_COSTS, toBenchLine } from "./bench_line.ts";
import { DqliteClient, DqliteFailure } from "./dqlite_client.ts";
import { LatencyHistogram } from "./http_load.ts";
import { ServerProcesses } from "./server_processes.ts";
import { cpuMs } from "./usage.ts";
import type { WireSystem } from "./wire_systems.ts";
import {
  fillIndexed,
  fillPoint,
  INSERT_INDEXED,
  KEY_BELOW,
  ROW_TEXT,
  SCHEMA,
  SELECT_POINT,
  SLOT_WIDTH,
} from "./workloads.ts";

export interface DqliteOptions {
  readonly seconds: number;
  readonly warmupMs: number;
  /** Each workload runs that long with the most connections before it is measured. */
  readonly settleMs: number;
  readonly connections: readonly number[];
  /** In each table before anything is measured. */
  readonly rows: number;
  /** Only workloads that it accepts. */
  readonly only: (id: string) => boolean;
}

const NODES = 3;
const DATABASE = "bench";
/** Before a refused write is tried again: up to twice this. */
const RETRY_MS = 1;
const LATE_MS_MAX = 10_000;

/** What one client does over and over. */
interface WireWorkload {
  readonly id: string;
  readonly title: string;
  readonly sql: string;
  call(client: DqliteClient, statement: number, sequence: number, rows: number): Promise<void>;
}

const WORKLOADS: readonly WireWorkload[] = [
  {
    id: "insert_indexed",
    title: "insert, random indexed key",
    sql: INSERT_INDEXED,
    call(client, id, sequence) {
      const text = ROW_TEXT[0] + String(sequence).padStart(SLOT_WIDTH) + ROW_TEXT[1];
      return client.run({ id }, [1 + Math.floor(Math.random() * (KEY_BELOW - 1)), text]);
    },
  },
  {
    id: "read_wire_leader",
    title: "point read, leader",
    sql: SELECT_POINT,
    call: (client, id, _sequence, rows) => client.query({ id }, [1 + Math.floor(Math.random() * rows)]),
  },
];

/** Nothing where the program is not on PATH. */
export async function measureWire(
  system: WireSystem,
  options: DqliteOptions,
  onLine: (line: BenchLine) => void = () => {},
): Promise<BenchLine[]> {
  const chosen = WORKLOADS.filter(({ id }) => (system.workloads?.includes(id) ?? true) && options.only(id));
  if (chosen.length === 0) return [];
  await using servers = await ServerProcesses.open("wire");
  const ports = Array.from({ length: NODES }, () => freePorts(system.portsPerNode));
  const [first] = ports as [number];
  for (const [at, port] of ports.entries()) {
    if (!system.start(servers, `${servers.folder}/node-${at + 1}`, port, first)) return [];
    // The others join one that leads already.
    if (at === 0) await voters(first, 1);
  }
  await voters(first, NODES);
  const leader = await leaderPort(first);
  await withClient(leader, async (client) => {
    const tables = SCHEMA.filter((each) => / (indexed|point)\b/.test(each));
    const fills = [...fillIndexed(options.rows), ...fillPoint(options.rows)];
    for (const sql of [...tables, ...fills]) await client.execute(sql);
  });
  const lines: BenchLine[] = [];
  for (const workload of chosen) {
    const settling = { ...options, seconds: options.settleMs / 1_000 };
    const most = { system: system.name, workload, connections: Math.max(...options.connections) };
    await measure(leader, most, settling, servers);
    for (const connections of options.connections) {
      const line = await measure(leader, { system: system.name, workload, connections }, options, servers);
      lines.push(line);
      onLine(line);
    }
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
  { system, workload, connections }: { system: string; workload: WireWorkload; connections: number },
  options: DqliteOptions,
  servers: ServerProcesses,
): Promise<BenchLine> {
  const startMs = performance.now() + options.warmupMs;
  const run: Run = {
    workload,
    rows: options.rows,
    startMs,
    endMs: startMs + options.seconds * 1_000,
    latency: new LatencyHistogram(),
    inAll: 0,
    refusals: 0,
  };
  const before = cpuMs(servers.processIds);
  const clients = Array.from({ length: connections }, () => withClient(port, (client) => load(client, run)));
  await Promise.all(clients);
  const after = cpuMs(servers.processIds);
  return toBenchLine({
    head: { system, workload: workload.id, title: workload.title, connections },
    latency: run.latency.summary(),
    seconds: (performance.now() - startMs) / 1_000,
    errors: run.refusals,
    firstFailure: run.refusals === 0 ? null : "database is locked",
  }, { ...NO_COSTS, serverCpuMs: before === null || after === null ? null : (after - before) / run.inAll });
}

interface Run {
  readonly workload: WireWorkload;
  readonly rows: number;
  readonly startMs: number;
  readonly endMs: number;
  readonly latency: LatencyHistogram;
  /** Calls done, those before measuring included. */
  inAll: number;
  refusals: number;
}

async function load(client: DqliteClient, run: Run): Promise<void> {
  const { workload, rows } = run;
  const { id } = await client.prepare(workload.sql);
  let askedMs = performance.now();
  for (let sequence = 1; goesOn(run, askedMs);) {
    if (!await isDone(workload.call(client, id, sequence, rows))) {
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

/** False when it met another one. */
async function isDone(call: Promise<void>): Promise<boolean> {
  try {
    await call;
    return true;
  } catch (error) {
    if (error instanceof DqliteFailure && error.isBusy) return false;
    throw error;
  }
}
