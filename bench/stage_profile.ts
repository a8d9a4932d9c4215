/**
 * Where the time of a call goes, by default of a write, measured twice: its way by the counters of the leader, then, in a run
 * of its own since it slows everything, a profile of every thread of the leader, sorted by what the code is for. A sync
 * of the disk is timed by itself.
 */
import { type NodeProcess, ProcessCluster } from "../tests/cluster/process_cluster.ts";
import { NODE_FLAGS, prepareTables } from "./cluster_lines.ts";
import { type FunctionTime, hottestFunctions, type Stage, STAGES, timeByStage } from "./cpu_profile.ts";
import { InspectedNode } from "./inspected_node.ts";
import { LoadClient } from "./load_client.ts";
import type { LoadOutcome } from "./load_process.ts";
import { medianSyncMs } from "./native_baseline.ts";
import { markdownTable } from "./report.ts";
import { metricIn } from "./usage.ts";
import { metricsOf, type WriteTimes, writeTimes, writeTimesText } from "./write_times.ts";
import { type Workload, type WorkloadId, workloads, type WorkloadSizes } from "./workloads.ts";

export interface StageProfile {
  readonly title: string;
  readonly connections: number;
  readonly calls: number;
  readonly p50Ms: number;
  readonly errors: number;
  readonly threads: readonly ThreadTimes[];
  /** Syncs of the leader's log for one call. */
  readonly syncsPerCall: number;
  /** A sync of a page by itself, on the disk of the nodes. */
  readonly syncMs: number;
  /** Without the profiler, as all that follows. */
  readonly meanMs: number;
  readonly plainP50Ms: number;
  /** Undefined for calls that write nothing. */
  readonly times: WriteTimes | undefined;
}

export interface ThreadTimes {
  readonly thread: string;
  /** Microseconds for one call. */
  readonly stages: ReadonlyMap<Stage, number>;
  /** Microseconds for one call. */
  readonly hottest: readonly FunctionTime[];
}

export interface ProfileOptions {
  readonly seconds: number;
  readonly warmupMs: number;
  readonly connections: readonly number[];
  readonly sizes: WorkloadSizes;
  /** Workloads that it accepts; all are sent to the leader. */
  readonly only: (id: WorkloadId) => boolean;
}

const SYNCS = 200;
/** Functions shown of a thread. */
const HOTTEST = 12;

export async function profileStages(options: ProfileOptions): Promise<StageProfile[]> {
  const syncMs = medianSyncMs(SYNCS);
  await using cluster = await ProcessCluster.start(3, NODE_FLAGS);
  const index = await prepareTables(await cluster.leader(), options.sizes.rows);
  await using inspected = await InspectedNode.replace(cluster, cluster.nodes[2] as NodeProcess);
  await using client = new LoadClient();
  const profiles: StageProfile[] = [];
  for (const workload of workloads({ ...options.sizes, index })) {
    if (!options.only(workload.id)) continue;
    for (const connections of workload.connections ?? options.connections) {
      profiles.push(
        await profileOnce({ cluster, inspected, client, workload, connections, options, syncMs }),
      );
    }
  }
  return profiles;
}

interface Profiling {
  readonly cluster: ProcessCluster;
  readonly inspected: InspectedNode;
  readonly client: LoadClient;
  readonly workload: Workload;
  readonly connections: number;
  readonly options: ProfileOptions;
  readonly syncMs: number;
}

async function profileOnce(profiling: Profiling): Promise<StageProfile> {
  const { cluster, inspected, client, workload, connections, options, syncMs } = profiling;
  const load = { port: inspected.node.httpPort, connections, requests: workload.requests };
  await client.run({ loads: [{ ...load, durationMs: options.warmupMs, warmupMs: 0 }] });
  const measured = { loads: [{ ...load, durationMs: options.seconds * 1_000, warmupMs: 0 }] };
  const metrics = (): Promise<string[]> => metricsOf(cluster, inspected.node.httpPort);
  const plainBefore = await metrics();
  const [plain] = await client.run(measured);
  const before = await metrics();
  let outcome: LoadOutcome | undefined;
  const profiles = await inspected.inspector.profile(async () => {
    [outcome] = await client.run(measured);
  });
  const after = await metrics();
  if (outcome === undefined || plain === undefined) {
    throw new Error("The load generator answered without an outcome");
  }
  const calls = Math.max(1, outcome.callsInAll);
  const threads = profiles.map(({ thread, profile }) => ({
    thread,
    stages: new Map([...timeByStage(profile)].map(([stage, us]) => [stage, us / calls] as const)),
    hottest: hottestFunctions(profile, HOTTEST).map(({ name, us }) => ({ name, us: us / calls })),
  }));
  const syncs = "walraft_log_syncs_total";
  return {
    title: workload.title,
    connections,
    calls,
    p50Ms: outcome.latency.p50Ms,
    errors: plain.failures + outcome.failures,
    threads: threads.filter(({ stages }) => [...stages].some(([stage, us]) => stage !== "idle" && us >= 1)),
    syncsPerCall: ((metricIn(after[0] ?? "", syncs) ?? 0) - (metricIn(before[0] ?? "", syncs) ?? 0)) / calls,
    syncMs,
    meanMs: plain.latency.meanMs,
    plainP50Ms: plain.latency.p50Ms,
    times: writeTimes(plainBefore, before),
  };
}

/** Markdown, a section for each number of connections. */
export function profileText(profiles: readonly StageProfile[]): string {
  return profiles.map((profile) => {
    const { times } = profile;
    const head = `${profile.title}, ${profile.connections} connections, ${profile.calls} calls, ` +
      `p50 ${profile.plainP50Ms.toFixed(2)} ms, ${profile.p50Ms.toFixed(2)} ms with the profiler, ${
        profile.syncsPerCall.toFixed(3)
      } syncs a call, ` +
      `one sync alone ${profile.syncMs.toFixed(2)} ms`;
    const way = times === undefined ? [] : [writeTimesText(times, profile.meanMs)];
    const parts = [head, ...way, stageTable(profile)];
    return [...parts, ...profile.threads.map(hottestTable)].join("\n\n");
  }).join("\n\n");
}

function stageTable({ threads }: StageProfile): string {
  const present = STAGES.filter((stage) => threads.some(({ stages }) => (stages.get(stage) ?? 0) >= 0.05));
  const rows = present.map((stage) => [
    stage,
    ...threads.map(({ stages }) => (stages.get(stage) ?? 0).toFixed(1)),
  ]);
  return markdownTable(["µs for one call", ...threads.map(({ thread }) => thread)], rows, 1);
}

function hottestTable({ thread, hottest }: ThreadTimes): string {
  return markdownTable(
    [`own code, ${thread}`, "µs"],
    hottest.map(({ name, us }) => [name, us.toFixed(1)]),
    1,
  );
}
