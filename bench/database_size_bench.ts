/**
 * Does anything get slower or larger with the size of the database? One cluster of three node processes on loopback; its
 * database grows step by step, and after each step the same things are measured.
 *
 *   deno run -A bench/database_size_bench.ts [--mib 10,100,1000,2000] [--seconds 3]
 */
import { parseArgs } from "node:util";
import { type NodeProcess, ProcessCluster } from "../tests/cluster/process_cluster.ts";
import { prepareRequest, runLoad } from "./http_load.ts";
import { processMemory } from "./process_memory.ts";

export interface SizeBenchLine {
  readonly mebibytes: number;
  readonly staleReadsPerSecond: number;
  readonly staleReadP99Ms: number;
  readonly linearizableReadsPerSecond: number;
  readonly updatesPerSecond: number;
  readonly updateP50Ms: number;
  /** From kill -9 of the leader to the next acknowledged write. */
  readonly failoverMs: number;
  /** From the start of that process to ready. */
  readonly restartMs: number;
  /** Largest of the three nodes. */
  readonly residentMebibytes: number;
  readonly errors: number;
}

const MIB = 1024 * 1024;
const ROW_BYTES = 1_000;
/** One statement adds this much. */
const STEP_MIB = 4;
const CONNECTIONS = 16;

export async function benchDatabaseSize(
  sizesMib: readonly number[],
  seconds: number,
  cacheBytes: number,
  onLine: (line: SizeBenchLine) => void = () => {},
): Promise<SizeBenchLine[]> {
  const flags = ["--log-level", "error", "--log-bytes", "256MiB", "--cache-bytes", String(cacheBytes)];
  await using cluster = await ProcessCluster.start(3, flags);
  const leader = await cluster.leader();
  await must(leader, "execute", "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER DEFAULT 0, filler BLOB)");
  const lines: SizeBenchLine[] = [];
  let rows = 0;
  for (const mebibytes of sizesMib) {
    rows = await grow(cluster, rows, Math.floor(mebibytes * MIB / ROW_BYTES));
    const line = await measure(cluster, mebibytes, rows, seconds);
    lines.push(line);
    onLine(line);
  }
  return lines;
}

async function grow(cluster: ProcessCluster, from: number, to: number): Promise<number> {
  const step = Math.floor(STEP_MIB * MIB / ROW_BYTES);
  for (let rows = from; rows < to; rows += step) {
    const sql = `WITH RECURSIVE c (i) AS (SELECT ${rows + 1} UNION ALL SELECT i + 1 FROM c WHERE i < ${
      Math.min(to, rows + step)
    }) INSERT INTO t (id, filler) SELECT i, randomblob(${ROW_BYTES - 20}) FROM c`;
    await must(await cluster.leader(), "execute", sql);
  }
  for (const node of cluster.nodes) {
    const { status, body } = await node.request("POST", "/v1/databases/main/checkpoint?mode=full");
    if (status !== 200) throw new Error(`Cannot checkpoint: ${JSON.stringify(body)}`);
  }
  return to;
}

async function measure(
  cluster: ProcessCluster,
  mebibytes: number,
  rows: number,
  seconds: number,
): Promise<SizeBenchLine> {
  const leader = await cluster.leader();
  const [follower] = await cluster.followers();
  const load = (node: NodeProcess, path: string, body: (id: number) => unknown) =>
    runLoad({
      hostname: "127.0.0.1",
      port: node.httpPort,
      connections: CONNECTIONS,
      durationMs: seconds * 1_000,
      warmupMs: 300,
      request: (connection, sequence) => {
        const id = 1 + Math.floor(Math.abs(Math.sin(connection * 7_919 + sequence * 104_729)) * (rows - 1));
        return prepareRequest("POST", `/v1/databases/main/${path}`, JSON.stringify(body(id)));
      },
    });
  const read = (level: string) => (id: number) => ({
    sql: "SELECT n, length(filler) FROM t WHERE id = ?1",
    params: [id],
    level,
  });
  const stale = await load(follower as NodeProcess, "query", read("stale"));
  const linearizable = await load(leader, "query", read("linearizable"));
  const updates = await load(leader, "execute", (id) => ({
    sql: "UPDATE t SET n = n + 1 WHERE id = ?1",
    params: [id],
  }));
  const resident = Math.max(...cluster.nodes.map((node) => processMemory(node.processId).resident));
  const killedMs = performance.now();
  await leader.kill();
  await nextWrite(cluster, leader);
  const failoverMs = performance.now() - killedMs;
  const startedMs = performance.now();
  leader.start();
  await cluster.ready();
  return {
    mebibytes,
    staleReadsPerSecond: Math.round(stale.requestsPerSecond),
    staleReadP99Ms: stale.latency.quantileMs(0.99),
    linearizableReadsPerSecond: Math.round(linearizable.requestsPerSecond),
    updatesPerSecond: Math.round(updates.requestsPerSecond),
    updateP50Ms: updates.latency.quantileMs(0.5),
    failoverMs: Math.round(failoverMs),
    restartMs: Math.round(performance.now() - startedMs),
    residentMebibytes: Math.round(resident / MIB),
    errors: stale.failures + linearizable.failures + updates.failures,
  };
}

async function nextWrite(cluster: ProcessCluster, dead: NodeProcess): Promise<void> {
  for (;;) {
    for (const node of cluster.nodes) {
      if (node === dead) continue;
      const sql = "UPDATE t SET n = n + 1 WHERE id = 1";
      const answer = await node.execute(sql).catch(() => undefined);
      if (answer?.status === 200) return;
    }
  }
}

async function must(node: NodeProcess, call: "execute", sql: string): Promise<void> {
  const { status, body } = await node[call](sql);
  if (status !== 200) throw new Error(`Cannot run ${sql.slice(0, 80)}: ${JSON.stringify(body)}`);
}

if (import.meta.main) {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      mib: { type: "string", default: "10,100,1000,2000" },
      seconds: { type: "string", default: "3" },
    },
  });
  const names = [
    "MiB",
    "stale/s",
    "p99 ms",
    "linear/s",
    "update/s",
    "p50 ms",
    "failover ms",
    "restart ms",
    "resident MiB",
    "errors",
  ];
  console.log(names.map((name) => name.padStart(13)).join(""));
  await benchDatabaseSize(values.mib.split(",").map(Number), Number(values.seconds), 8 * MIB, (line) => {
    const cells = Object.values(line) as number[];
    console.log(cells.map((cell) => String(Math.round(cell * 100) / 100).padStart(13)).join(""));
  });
}
