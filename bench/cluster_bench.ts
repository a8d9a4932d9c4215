/**
 * Three node processes on loopback, fsync on: single-row inserts and point reads over HTTP, by number of clients.
 * The load comes from this process, so node and client share the machine's cores.
 *
 *   deno run -A bench/cluster_bench.ts [--seconds 5] [--connections 1,16,64] [--json FILE]
 */
import { parseArgs } from "node:util";
import { type NodeProcess, ProcessCluster } from "../tests/cluster/process_cluster.ts";
import { type LoadResult, prepareRequest, runLoad } from "./http_load.ts";

export interface ClusterBenchOptions {
  readonly seconds: number;
  readonly connections: readonly number[];
  /** Rows there are before the point reads. */
  readonly rows: number;
}

export interface ClusterBenchLine {
  readonly workload: string;
  readonly connections: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly errors: number;
  /** Bytes the leader's log grew by, for each write; 0 for reads. */
  readonly logBytesPerOperation: number;
  readonly firstFailure: string | undefined;
}

interface Workload {
  readonly name: string;
  readonly path: string;
  readonly on: "leader" | "follower";
  readonly body: (connection: number, sequence: number) => string;
}

const WARMUP_MS = 500;

function workloads(rows: number): Workload[] {
  const execute = "/v1/databases/main/execute";
  const query = "/v1/databases/main/query";
  const pointRead = (connection: number, sequence: number, level: string): string => {
    const id = 1 + (connection * 7_919 + sequence * 104_729) % rows;
    return JSON.stringify({ sql: "SELECT v FROM point WHERE id = ?1", params: [id], level });
  };
  return [
    {
      name: "insert, append key",
      path: execute,
      on: "leader",
      body: (connection, sequence) =>
        JSON.stringify({
          sql: "INSERT INTO appended (v) VALUES (?1)",
          params: [`row ${sequence} of connection ${connection}, with some text in it`],
        }),
    },
    {
      name: "insert, random indexed key",
      path: execute,
      on: "leader",
      body: (connection, sequence) =>
        JSON.stringify({
          sql: "INSERT INTO indexed (k, v) VALUES (?1, ?2)",
          params: [(connection * 1_000_003 + sequence * 2_654_435_761) % 1_000_000_007, `row ${sequence}`],
        }),
    },
    {
      name: "point read, linearizable, leader",
      path: query,
      on: "leader",
      body: (connection, sequence) => pointRead(connection, sequence, "linearizable"),
    },
    {
      name: "point read, linearizable, follower",
      path: query,
      on: "follower",
      body: (connection, sequence) => pointRead(connection, sequence, "linearizable"),
    },
    {
      name: "point read, stale, follower",
      path: query,
      on: "follower",
      body: (connection, sequence) => pointRead(connection, sequence, "stale"),
    },
  ];
}

/** Runs every workload with every number of connections on one fresh cluster. */
export async function benchCluster(
  options: ClusterBenchOptions,
  onLine: (line: ClusterBenchLine) => void = () => {},
): Promise<ClusterBenchLine[]> {
  await using cluster = await ProcessCluster.start(3, ["--log-level", "error"]);
  const leader = await cluster.leader();
  const [follower] = await cluster.followers();
  await prepare(leader, options.rows);
  const lines: ClusterBenchLine[] = [];
  for (const workload of workloads(options.rows)) {
    for (const connections of options.connections) {
      const node = workload.on === "leader" ? leader : follower as NodeProcess;
      const line = await measure(workload, node, leader, connections, options.seconds);
      lines.push(line);
      onLine(line);
    }
  }
  return lines;
}

async function prepare(leader: NodeProcess, rows: number): Promise<void> {
  const statements = [
    "CREATE TABLE appended (id INTEGER PRIMARY KEY, v TEXT)",
    "CREATE TABLE indexed (id INTEGER PRIMARY KEY, k INTEGER, v TEXT)",
    "CREATE INDEX indexed_k ON indexed (k)",
    "CREATE TABLE point (id INTEGER PRIMARY KEY, v TEXT)",
    `INSERT INTO point WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})
       SELECT i, 'value ' || i FROM n`,
  ].map((sql) => ({ sql }));
  const { status, body } = await leader.request("POST", "/v1/databases/main/batch", { statements });
  if (status !== 200) throw new Error(`Cannot prepare the tables: ${JSON.stringify(body)}`);
}

async function measure(
  workload: Workload,
  node: NodeProcess,
  leader: NodeProcess,
  connections: number,
  seconds: number,
): Promise<ClusterBenchLine> {
  const before = await logBytes(leader);
  const result = await runLoad({
    hostname: "127.0.0.1",
    port: node.httpPort,
    connections,
    durationMs: seconds * 1_000,
    warmupMs: WARMUP_MS,
    request: (connection, sequence) =>
      prepareRequest("POST", workload.path, workload.body(connection, sequence)),
  });
  const grown = await logBytes(leader) - before;
  // The log grew during the warm-up, too.
  const share = (seconds * 1_000) / (seconds * 1_000 + WARMUP_MS);
  return toLine(workload, connections, result, workload.path.endsWith("execute") ? grown * share : 0);
}

function toLine(
  workload: Workload,
  connections: number,
  result: LoadResult,
  bytes: number,
): ClusterBenchLine {
  return {
    workload: workload.name,
    connections,
    perSecond: Math.round(result.requestsPerSecond),
    p50Ms: round(result.latency.quantileMs(0.5)),
    p99Ms: round(result.latency.quantileMs(0.99)),
    errors: result.failures,
    logBytesPerOperation: Math.round(bytes / Math.max(1, result.requests)),
    firstFailure: result.firstFailure,
  };
}

async function logBytes(node: NodeProcess): Promise<number> {
  const { body } = await node.request("GET", "/metrics");
  return Number(/^walraft_log_bytes_total (\S+)$/m.exec(body as string)?.[1] ?? 0);
}

function round(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}

function tableRow(line: ClusterBenchLine): string {
  return [
    line.workload.padEnd(36),
    String(line.connections).padStart(5),
    String(line.perSecond).padStart(9),
    line.p50Ms.toFixed(2).padStart(9),
    line.p99Ms.toFixed(2).padStart(9),
    String(line.errors).padStart(7),
    String(line.logBytesPerOperation).padStart(10),
  ].join("");
}

if (import.meta.main) {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      seconds: { type: "string", default: "5" },
      connections: { type: "string", default: "1,16,64" },
      rows: { type: "string", default: "100000" },
      json: { type: "string" },
    },
  });
  console.log(`${"workload".padEnd(36)}conns    rate/s  p50 ms   p99 ms  errors log B/op`);
  const lines = await benchCluster({
    seconds: Number(values.seconds),
    connections: values.connections.split(",").map(Number),
    rows: Number(values.rows),
  }, (line) => {
    console.log(tableRow(line));
    if (line.firstFailure !== undefined) console.log(`  first failure: ${line.firstFailure}`);
  });
  const report = {
    machine: { cores: navigator.hardwareConcurrency, os: Deno.build.os, arch: Deno.build.arch },
    deno: Deno.version.deno,
    nodes: 3,
    lines,
  };
  if (values.json !== undefined) {
    await Deno.writeTextFile(values.json, JSON.stringify(report, undefined, 2) + "\n");
  } else console.log(JSON.stringify(report));
}
