/** What nodes cost and take apart from calls: idle, starting, and when the leader is killed. */
import { type NodeProcess, ProcessCluster } from "../tests/cluster/process_cluster.ts";
import { NODE_FLAGS } from "./cluster_lines.ts";
import { processMemory } from "./process_memory.ts";
import { cpuMs } from "./usage.ts";

export interface Lifecycle {
  /** Median from kill -9 of the leader to the next acknowledged write. */
  readonly failoverMs: number;
  readonly failoverWorstMs: number;
  /** Median from the start of a process that was killed to its being ready. */
  readonly startMs: number;
  /** Of a core, the largest of the nodes; null where it cannot be read. */
  readonly idleShare: number | null;
  readonly idleResidentMib: number | null;
}

export interface LifecycleOptions {
  readonly kills: number;
  readonly idleSeconds: number;
}

const MIB = 1024 * 1024;
const ASK_AGAIN_MS = 5;
const WAIT_MS_MAX = 60_000;
/** Nodes that start do more than nodes that idle. */
const SETTLE_MS = 2_000;

export async function measureLifecycle(options: LifecycleOptions): Promise<Lifecycle> {
  await using cluster = await ProcessCluster.start(3, NODE_FLAGS);
  const leader = await cluster.leader();
  await leader.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)");
  await leader.execute("INSERT INTO t VALUES (1, 0)");
  const idle = await measureIdle(cluster, options.idleSeconds);
  const failovers: number[] = [];
  const starts: number[] = [];
  for (let round = 0; round < options.kills; round++) {
    const victim = await cluster.leader();
    const killedMs = performance.now();
    await victim.kill();
    await nextWrite(cluster.running);
    failovers.push(performance.now() - killedMs);
    const startedMs = performance.now();
    victim.start();
    await ready(victim);
    starts.push(performance.now() - startedMs);
    await cluster.ready();
  }
  return {
    failoverMs: median(failovers),
    failoverWorstMs: Math.max(...failovers),
    startMs: median(starts),
    ...idle,
  };
}

async function measureIdle(
  cluster: ProcessCluster,
  seconds: number,
): Promise<Pick<Lifecycle, "idleShare" | "idleResidentMib">> {
  await new Promise((resolve) => setTimeout(resolve, Math.min(SETTLE_MS, seconds * 1_000)));
  const used = () => cluster.nodes.map((node) => cpuMs([node.processId]));
  const before = used();
  await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
  const shares = used().map((after, at) => {
    const from = before[at];
    return after === null || from === null || from === undefined ? null : (after - from) / (seconds * 1_000);
  });
  const known = shares.filter((share) => share !== null);
  return {
    idleShare: known.length === 0 ? null : Math.max(...known),
    idleResidentMib: residentMib(cluster.nodes),
  };
}

function residentMib(nodes: readonly NodeProcess[]): number | null {
  try {
    return Math.max(...nodes.map((node) => processMemory(node.processId).resident)) / MIB;
  } catch {
    return null;
  }
}

/** A client that goes from node to node until one of them has written. */
async function nextWrite(nodes: readonly NodeProcess[]): Promise<void> {
  await soon("a write succeeds", async () => {
    for (const node of nodes) {
      const answer = await node.execute("UPDATE t SET n = n + 1 WHERE id = 1").catch(() => undefined);
      if (answer?.status === 200) return true;
    }
    return false;
  });
}

async function ready(node: NodeProcess): Promise<void> {
  await soon(
    "the node is ready",
    async () => (await node.request("GET", "/readyz").catch(() => undefined))?.status === 200,
  );
}

/** Asks often, because the time until then is what is measured. */
async function soon(what: string, condition: () => Promise<boolean>): Promise<void> {
  const untilMs = performance.now() + WAIT_MS_MAX;
  while (!await condition()) {
    if (performance.now() > untilMs) {
      throw new Error(`Gave up waiting until ${what}, after ${WAIT_MS_MAX} ms`);
    }
    await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}
