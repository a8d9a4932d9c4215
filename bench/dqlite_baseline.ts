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
  readonly only: (system: string, workload: string) => boolean;
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

/** A cluster of three that is up. */
interface Running {
  readonly system: WireSystem;
  readonly servers: ServerProcesses;
  readonly leader: number;
}

/** Each line is the median of so many, by rate. */
const ROUNDS = 3;

/**
 * All systems whose program is on PATH, measured in turns: what else the machine does in a moment hits one as it hits the
 * others. Those that wait for their turn idle.
 */
export async function measureWire(
  systems: readonly WireSystem[],
  options: DqliteOptions,
  onLine: (line: BenchLine) => void = () => {},
): Promise<BenchLine[]> {
  await using stack = new AsyncDisposableStack();
  const running: Running[] = [];
  for (const system of systems) {
    if (!WORKLOADS.some(({ id }) => isMeasured(system, id, options))) continue;
    const servers = stack.use(await ServerProcesses.open("wire"));
    const leader = await startNodes(system, servers);
    if (leader === undefined) continue;
    await fill(leader, options.rows);
    running.push({ system, servers, leader });
  }
  const lines: BenchLine[] = [];
  for (const workload of WORKLOADS) {
    const measured = running.filter(({ system }) => isMeasured(system, workload.id, options));
    const settling = { ...options, seconds: options.settleMs / 1_000 };
    const most = Math.max(...options.connections);
    for (const each of measured) await measure(each, { workload, connections: most }, settling);
    for (const connections of options.connections) {
      for (const line of await inTurns(measured, { workload, connections }, options)) {
        lines.push(line);
        onLine(line);
      }
    }
  }
  return lines;
}

function isMeasured(system: WireSystem, workload: string, { only }: DqliteOptions): boolean {
  return (system.workloads?.includes(workload) ?? true) && only(system.name, workload);
}

interface Level {
  readonly workload: WireWorkload;
  readonly connections: number;
}

async function inTurns(
  systems: readonly Running[],
  level: Level,
  options: DqliteOptions,
): Promise<BenchLine[]> {
  const rounds: BenchLine[][] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const lines: BenchLine[] = [];
    for (const system of systems) lines.push(await measure(system, level, options));
    rounds.push(lines);
  }
  return systems.map((_, at) => {
    const sorted = rounds.map((lines) => lines[at] as BenchLine).sort((a, b) => a.perSecond - b.perSecond);
    const errors = sorted.reduce((sum, line) => sum + line.errors, 0);
    return { ...sorted[Math.floor(ROUNDS / 2)] as BenchLine, errors };
  });
}

/** The port of the leader; undefined where there is no such program. */
async function startNodes(system: WireSystem, servers: ServerProcesses): Promise<number | undefined> {
  const ports = Array.from({ length: NODES }, () => freePorts(system.portsPerNode));
  const [first] = ports as [number];
  for (const [at, port] of ports.entries()) {
    if (!system.start(servers, `${servers.folder}/node-${at + 1}`, port, first)) return undefined;
    // The others join one that leads already.
    if (at === 0) await voters(first, 1);
  }
  await voters(first, NODES);
  return await leaderPort(first);
}

async function fill(leader: number, rows: number): Promise<void> {
  await withClient(leader, async (client) => {
    const tables = SCHEMA.filter((each) => / (indexed|point)\b/.test(each));
    for (const sql of [...tables, ...fillIndexed(rows), ...fillPoint(rows)]) await client.execute(sql);
  });
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
  { system, servers, leader }: Running,
  { workload, connections }: Level,
  options: DqliteOptions,
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
  const clients = Array.from(
    { length: connections },
    () => withClient(leader, (client) => load(client, run)),
  );
  await Promise.all(clients);
  const after = cpuMs(servers.processIds);
  return toBenchLine({
    head: { system: system.name, workload: workload.id, title: workload.title, connections },
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
