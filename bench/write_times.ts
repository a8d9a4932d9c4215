import type { ProcessCluster } from "../tests/cluster/process_cluster.ts";
import { metricIn } from "./usage.ts";

/** In the order of a write's way; core/node/README.md says where each begins and ends. */
export const WRITE_STAGES = ["parse", "queue", "sqlite", "log", "fsync", "network", "answer"] as const;

export type WriteStage = typeof WRITE_STAGES[number];

/** One write by the counters of the nodes: the mean of all between two moments. */
export interface WriteTimes {
  readonly writes: number;
  readonly stagesMs: Readonly<Record<WriteStage, number>>;
  /** Part of `sqlite`: without the way to the worker and back. */
  readonly workerMs: number;
  /** Bytes the leader wrote to its log. */
  readonly logBytes: number;
  /** Bytes all members sent each other. */
  readonly networkBytes: number;
}

/** The metrics of all nodes, the leader's first. */
export async function metricsOf(cluster: ProcessCluster, leaderPort: number): Promise<string[]> {
  const isOther = (port: number): number => port === leaderPort ? 0 : 1;
  const nodes = cluster.nodes.toSorted((a, b) => isOther(a.httpPort) - isOther(b.httpPort));
  return await Promise.all(nodes.map(async (node) => (await node.request("GET", "/metrics")).body as string));
}

/** Undefined when nothing was written. @param before, after what `metricsOf` gave */
export function writeTimes(before: readonly string[], after: readonly string[]): WriteTimes | undefined {
  const grown = (name: string, node = 0): number =>
    (metricIn(after[node] ?? "", name) ?? 0) - (metricIn(before[node] ?? "", name) ?? 0);
  const writes = grown("walraft_writes_total");
  if (writes === 0) return undefined;
  const each = (stage: string): number => grown(`walraft_write_${stage}_seconds_total`) * 1_000 / writes;
  const stages = WRITE_STAGES.map((stage) => [stage, each(stage)] as const);
  const sent = after.reduce((sum, _, node) => sum + grown("walraft_peer_sent_bytes_total", node), 0);
  return {
    writes,
    stagesMs: Object.fromEntries(stages) as Record<WriteStage, number>,
    workerMs: each("sqlite_worker"),
    logBytes: grown("walraft_log_bytes_total") / writes,
    networkBytes: sent / writes,
  };
}

/** A sentence: the stages, their sum beside what the client saw, the bytes. */
export function writeTimesText(
  { stagesMs, workerMs, logBytes, networkBytes }: WriteTimes,
  meanMs: number,
): string {
  const parts = WRITE_STAGES.map((stage) =>
    `${stage} ${stagesMs[stage].toFixed(3)}` +
    (stage === "sqlite" ? ` (${workerMs.toFixed(3)} in the worker)` : "")
  );
  const sumMs = WRITE_STAGES.reduce((sum, stage) => sum + stagesMs[stage], 0);
  return `One write in ms: ${parts.join(", ")}; together ${sumMs.toFixed(3)} of the ${
    meanMs.toFixed(3)
  } that ` +
    `the client waits on average. ${logBytes.toFixed(0)} bytes of log, ${
      networkBytes.toFixed(0)
    } bytes between members`;
}
