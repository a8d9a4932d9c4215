/**
 * What thousands of databases cost: one cluster of three node processes on loopback, a table and a row in each database.
 *
 *   deno run -A bench/many_databases_bench.ts [--databases 10000]
 */
import { parseArgs } from "node:util";
import { type NodeProcess, ProcessCluster } from "../tests/cluster/process_cluster.ts";
import { LatencyHistogram } from "./http_load.ts";
import { processMemory, processSeconds } from "./process_memory.ts";

export interface ManyBenchResult {
  readonly databases: number;
  readonly createdPerSecond: number;
  /** Anonymous memory of a node after a restart, per database, compared with a node that has one. */
  readonly bytesPerIdleDatabase: number;
  /** Share of a core that the leader uses while nothing is asked of it. */
  readonly idleShare: number;
  /** First query of a database that is not open. */
  readonly coldQueryP50Ms: number;
  readonly coldQueryP99Ms: number;
  readonly restartMs: number;
  readonly failures: number;
}

const CONNECTIONS = 32;
const IDLE_MS = 5_000;
const COLD_QUERIES = 300;

export async function benchManyDatabases(databases: number): Promise<ManyBenchResult> {
  await using cluster = await ProcessCluster.start(3, ["--log-level", "error"]);
  const leader = await cluster.leader();
  const [follower] = await cluster.followers() as [NodeProcess];
  await create(leader, "only");
  const before = await restarted(cluster, follower);
  const startMs = performance.now();
  let next = 0;
  let failures = 0;
  const creator = async (): Promise<void> => {
    while (next < databases) if (!await create(leader, `tenant-${next++}`)) failures++;
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, creator));
  const createdPerSecond = databases / ((performance.now() - startMs) / 1_000);
  const after = await restarted(cluster, follower);
  const cold = new LatencyHistogram();
  for (let i = 0; i < Math.min(COLD_QUERIES, databases); i++) {
    const database = `tenant-${Math.floor(i * databases / Math.min(COLD_QUERIES, databases))}`;
    const askedMs = performance.now();
    const body = { sql: "SELECT count(*) FROM t", level: "stale" };
    const { status } = await follower.request("POST", `/v1/databases/${database}/query`, body);
    cold.record(performance.now() - askedMs);
    if (status !== 200) failures++;
  }
  const usedBefore = processSeconds(leader.processId);
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
  const idleShare = (processSeconds(leader.processId) - usedBefore) / (IDLE_MS / 1_000);
  return {
    databases,
    createdPerSecond: Math.round(createdPerSecond),
    bytesPerIdleDatabase: Math.round((after.anonymous - before.anonymous) / databases),
    idleShare,
    coldQueryP50Ms: cold.quantileMs(0.5),
    coldQueryP99Ms: cold.quantileMs(0.99),
    restartMs: Math.round(after.restartMs),
    failures,
  };
}

/** Creates it with its first write. */
async function create(node: NodeProcess, database: string): Promise<boolean> {
  const statements = [{ sql: "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)" }, {
    sql: "INSERT INTO t (v) VALUES ('row')",
  }];
  const { status } = await node.request("POST", `/v1/databases/${database}/batch`, { statements });
  return status === 200;
}

/** A node that holds everything and has been asked nothing yet. */
async function restarted(
  cluster: ProcessCluster,
  node: NodeProcess,
): Promise<{ anonymous: number; restartMs: number }> {
  await node.stop();
  const startMs = performance.now();
  node.start();
  await cluster.ready();
  const restartMs = performance.now() - startMs;
  return { anonymous: processMemory(node.processId).anonymous, restartMs };
}

if (import.meta.main) {
  const { values } = parseArgs({
    args: Deno.args,
    options: { databases: { type: "string", default: "10000" } },
  });
  console.log(JSON.stringify(await benchManyDatabases(Number(values.databases)), undefined, 2));
}
