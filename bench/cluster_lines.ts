import { type NodeProcess, ProcessCluster } from "../tests/cluster/process_cluster.ts";
import { type BenchLine, type Measured, toBenchLine } from "./bench_line.ts";
import { LoadClient } from "./load_client.ts";
import type { Load, LoadOutcome } from "./load_process.ts";
import { costs, cpuMs, metricIn, type Usage } from "./usage.ts";
import {
  ANALYSIS,
  analysisSteps,
  fillIndexed,
  fillPoint,
  SCHEMA,
  type Workload,
  type WorkloadId,
  workloads,
  type WorkloadSizes,
} from "./workloads.ts";

export interface ClusterBenchOptions {
  readonly seconds: number;
  readonly warmupMs: number;
  /** Each workload runs that long with the most connections before it is measured; 0 or left out: not at all. */
  readonly settleMs?: number;
  readonly connections: readonly number[];
  readonly sizes: WorkloadSizes;
  /** Only workloads that it accepts. */
  readonly only?: (id: WorkloadId) => boolean;
  /** How its lines are headed, and further options of its nodes. */
  readonly system?: string;
  readonly flags?: readonly string[];
}

export const SIZES: WorkloadSizes = {
  rows: 100_000,
  rowsPerBatch: 1_000,
  rowsPerBulk: 5_000,
  analysisSteps: 0,
  index: 0,
};

const WALRAFT = "walraft";
const CALIBRATION_STEPS = 20_000;
const CALIBRATIONS = 3;
export const NODE_FLAGS = ["--log-level", "error"];

/** Runs every workload with every number of connections on one fresh cluster of three, the load in a further process. */
export async function measureCluster(
  options: ClusterBenchOptions,
  onLine: (line: BenchLine) => void = () => {},
): Promise<BenchLine[]> {
  const only = options.only ?? (() => true);
  if (!workloads(options.sizes).some(({ id }) => only(id))) return [];
  await using cluster = await ProcessCluster.start(3, [...NODE_FLAGS, ...options.flags ?? []]);
  await using client = new LoadClient();
  const leader = await cluster.leader();
  const [follower] = await cluster.followers() as [NodeProcess];
  const index = await prepareTables(leader, options.sizes.rows);
  const steps = only("readers_beside_analysis") ? await calibrate(leader) : 0;
  const lines: BenchLine[] = [];
  const acknowledged = new Map<WorkloadId, number>();
  for (const workload of workloads({ ...options.sizes, index, analysisSteps: steps })) {
    if (!only(workload.id)) continue;
    const node = workload.node === "leader" ? leader : follower;
    const levels = workload.connections ?? options.connections;
    const count = (rows: number) =>
      acknowledged.set(workload.id, (acknowledged.get(workload.id) ?? 0) + rows);
    const common = { workload, node, cluster, leader, client };
    if (options.settleMs !== undefined && options.settleMs > 0) {
      const settling = { ...options, seconds: options.settleMs / 1_000 };
      count((await measure({ ...common, connections: Math.max(...levels), options: settling })).rows);
    }
    for (const connections of levels) {
      const { lines: added, rows } = await measure({ ...common, connections, options });
      count(rows);
      lines.push(...added);
      added.forEach(onLine);
    }
  }
  if (lines.every(({ errors }) => errors === 0)) await checkRows(follower, acknowledged);
  return lines;
}

/** What was acknowledged is there, and nothing else: figures of a load that did not do its work would mean nothing. */
async function checkRows(node: NodeProcess, acknowledged: ReadonlyMap<WorkloadId, number>): Promise<void> {
  const many = (acknowledged.get("batch") ?? 0) + (acknowledged.get("bulk") ?? 0);
  const expected = [acknowledged.get("insert_append") ?? 0, acknowledged.get("update_hot") ?? 0, many];
  const sql = "SELECT (SELECT count(*) FROM appended), (SELECT n FROM hot), (SELECT count(*) FROM bulk)";
  const { body } = await node.query(sql);
  if (JSON.stringify(body.rows?.[0]) !== JSON.stringify(expected)) {
    throw new Error(`Acknowledged were ${expected} rows, the database has ${JSON.stringify(body)}`);
  }
}

/** The tables of the workloads, filled; the log index of the last of it. */
export async function prepareTables(leader: NodeProcess, rows: number): Promise<number> {
  const statements = [...SCHEMA, ...fillPoint(rows), ...fillIndexed(rows)].map((sql) => ({ sql }));
  const { status, body } = await leader.request("POST", "/v1/databases/main/batch", { statements });
  if (status !== 200) throw new Error(`Cannot prepare the tables: ${JSON.stringify(body)}`);
  return body.index;
}

/** How many steps make the analytical query take its time on this machine, with nothing else running. */
async function calibrate(node: NodeProcess): Promise<number> {
  let fastestMs = Infinity;
  for (let round = 0; round < CALIBRATIONS; round++) {
    const startMs = performance.now();
    const { status, body } = await node.query(ANALYSIS, { params: [CALIBRATION_STEPS] });
    if (status !== 200) throw new Error(`Cannot run the analytical query: ${JSON.stringify(body)}`);
    fastestMs = Math.min(fastestMs, performance.now() - startMs);
  }
  return analysisSteps(CALIBRATION_STEPS, fastestMs);
}

interface Measurement {
  readonly workload: Workload;
  readonly node: NodeProcess;
  readonly connections: number;
  readonly cluster: ProcessCluster;
  readonly leader: NodeProcess;
  readonly client: LoadClient;
  readonly options: ClusterBenchOptions;
}

async function measure(measurement: Measurement): Promise<{ lines: BenchLine[]; rows: number }> {
  const { workload, node, connections, options, client } = measurement;
  const durations = { durationMs: options.seconds * 1_000, warmupMs: options.warmupMs, port: node.httpPort };
  const loads: Load[] = [{ ...durations, connections, requests: workload.requests }];
  if (workload.beside !== undefined) {
    loads.push({ ...durations, connections: 1, requests: [workload.beside] });
  }
  const before = await usage(measurement);
  const [outcome, beside] = await client.run({ loads });
  const after = await usage(measurement);
  if (outcome === undefined) throw new Error("The load generator answered without an outcome");
  const { id, title, rowsPerRequest } = workload;
  const { system = WALRAFT } = options;
  const own = toBenchLine({
    ...measuredOf(outcome),
    head: { system, workload: id, title, connections },
    rowsPerRequest,
  }, costs(before, after, outcome.callsInAll));
  const besideHead = {
    system,
    workload: "analysis",
    title: "the queries beside them",
    connections: 1,
  };
  const further = beside === undefined ? [] : [toBenchLine({ ...measuredOf(beside), head: besideHead })];
  return { lines: [own, ...further], rows: outcome.callsInAll * rowsPerRequest };
}

function measuredOf(outcome: LoadOutcome): Omit<Measured, "head"> {
  const { latency, seconds, failures, firstFailure } = outcome;
  return { latency, seconds, errors: failures, firstFailure };
}

async function usage({ cluster, leader, client }: Measurement): Promise<Usage> {
  const metrics = await Promise.all(
    cluster.nodes.map(async (node) => (await node.request("GET", "/metrics")).body as string),
  );
  return {
    serverCpuMs: cpuMs(cluster.nodes.map((node) => node.processId)),
    clientCpuMs: cpuMs([client.processId]),
    logBytes: metricIn(metrics[cluster.nodes.indexOf(leader)] ?? "", "walraft_log_bytes_total") ?? null,
    networkBytes: peerBytes(metrics),
  };
}

function peerBytes(metrics: readonly string[]): number | null {
  const counts = metrics.map((text) => metricIn(text, "walraft_peer_sent_bytes_total") ?? NaN);
  const sum = counts.reduce((all, count) => all + count, 0);
  return Number.isNaN(sum) ? null : sum;
}
