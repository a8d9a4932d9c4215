import type { BenchLine } from "./bench_line.ts";
import { measureCluster, SIZES } from "./cluster_lines.ts";
import { measureWire } from "./dqlite_baseline.ts";
import { type Lifecycle, measureLifecycle } from "./lifecycle.ts";
import { describeMachine, type Machine } from "./machine.ts";
import { measureNative, medianSyncMs, nativeName } from "./native_baseline.ts";
import { measureRqlite } from "./rqlite_baseline.ts";
import { judgeTargets, type TargetResult } from "./targets.ts";
import { DQLITE, LEASE_FLAGS, WALRAFT_WIRE, WALRAFT_WIRE_LEASES } from "./wire_systems.ts";
import { type WorkloadId, workloads, type WorkloadSizes } from "./workloads.ts";

export interface RunOptions {
  readonly seconds: number;
  readonly warmupMs: number;
  /** What runs before anything is measured; see cluster_lines.ts. */
  readonly settleMs: number;
  readonly connections: readonly number[];
  readonly sizes: WorkloadSizes;
  /** What is measured: it sees `SYSTEM/WORKLOAD`, such as `walraft/insert_append`, and `lifecycle`. */
  readonly only: RegExp;
  readonly kills: number;
  readonly idleSeconds: number;
  /** Path of rqlited. */
  readonly rqlite?: string | undefined;
}

export interface BenchRun {
  readonly machine: Machine;
  readonly nodes: number;
  readonly seconds: number;
  readonly lines: readonly BenchLine[];
  /** Appending a page to a file and waiting for the disk. */
  readonly syncMs: number;
  /** Factor between the two measurements of native SQLite around the cluster's; null without two. */
  readonly drift: number | null;
  readonly lifecycle: Lifecycle | null;
  readonly targets: readonly TargetResult[];
}

const SYNCS = 200;

/** Everything asked for, one after the other, so that nothing but nodes and load share the machine. */
export async function runBench(
  options: RunOptions,
  onLine: (line: BenchLine) => void = () => {},
): Promise<BenchRun> {
  const machine = describeMachine();
  const lines: BenchLine[] = [];
  const wants = (name: string): boolean => options.only.test(name);
  let syncMs = medianSyncMs(SYNCS);
  let baseline = native(options);
  let drift: number | null = null;
  baseline.forEach(onLine);
  const dqlite = await measureWire([DQLITE, WALRAFT_WIRE, WALRAFT_WIRE_LEASES], {
    ...options,
    rows: options.sizes.rows,
    only: (system, workload) => wants(`${system}/${workload}`),
  }, onLine);
  const rqlite = wants("rqlite/insert_indexed") && options.rqlite !== undefined
    ? await measureRqlite({ ...options, rows: options.sizes.rows, program: options.rqlite }, onLine)
    : [];
  if (wantsCluster(options)) {
    lines.push(...await measureCluster({ ...options, only: (id) => wants(`walraft/${id}`) }, onLine));
    const leased = {
      system: "walraft, leases",
      flags: LEASE_FLAGS,
      only: (id: WorkloadId) => id.startsWith("read_linearizable") && wants(`walraft, leases/${id}`),
    };
    lines.push(...await measureCluster({ ...options, ...leased }, onLine));
    // A second time: what else the machine did must not make the baseline look slower than it is.
    const again = native(options);
    drift = driftBetween(baseline, again);
    baseline = fasterOf(baseline, again);
    syncMs = Math.min(syncMs, medianSyncMs(SYNCS));
  }
  const lifecycle = wants("lifecycle") ? await measureLifecycle(options) : null;
  const figures = { lines: [...lines, ...baseline, ...dqlite, ...rqlite], syncMs, lifecycle };
  return { machine, nodes: 3, seconds: options.seconds, drift, ...figures, targets: judgeTargets(figures) };
}

function wantsCluster({ sizes, only }: RunOptions): boolean {
  return workloads(sizes).some(({ id }) => only.test(`walraft/${id}`) || only.test(`walraft, leases/${id}`));
}

function native(options: RunOptions): BenchLine[] {
  return (["FULL", "NORMAL"] as const).flatMap((synchronous) => {
    const name = nativeName(synchronous);
    const only = (workload: string) => options.only.test(`${name}/${workload}`);
    return measureNative({ ...options, ...options.sizes, only }, synchronous);
  });
}

/** Of two measurements of the same work the faster one. */
function fasterOf(first: readonly BenchLine[], second: readonly BenchLine[]): BenchLine[] {
  return first.map((line) => {
    const again = second.find((each) => each.system === line.system && each.workload === line.workload);
    return again !== undefined && again.perSecond > line.perSecond ? again : line;
  });
}

/** The largest factor by which a workload got faster or slower from one measurement to the other. */
function driftBetween(first: readonly BenchLine[], second: readonly BenchLine[]): number | null {
  const factors = first.map((line, at) => (second[at]?.perSecond ?? 0) / line.perSecond);
  const known = factors.filter((factor) => factor > 0 && factor < Infinity);
  return known.length === 0 ? null : Math.max(...known.map((factor) => Math.max(factor, 1 / factor)));
}

/** Seconds, for tests. */
export const SMOKE: Pick<
  RunOptions,
  "seconds" | "warmupMs" | "settleMs" | "connections" | "sizes" | "kills" | "idleSeconds"
> = {
  seconds: 0.1,
  warmupMs: 20,
  settleMs: 20,
  connections: [1, 4],
  sizes: { ...SIZES, rows: 500, rowsPerBatch: 20, rowsPerBulk: 100 },
  kills: 1,
  idleSeconds: 0.2,
};
