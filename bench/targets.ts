/** What the project has set itself for the cluster, as ratios inside one run, and what the run says to it. */
import type { BenchLine } from "./bench_line.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { READER_CONNECTIONS, type WorkloadId } from "./workloads.ts";
import { WALRAFT_WIRE, WALRAFT_WIRE_LEASES, type WireSystem } from "./wire_systems.ts";

export interface TargetResult {
  readonly what: string;
  readonly target: string;
  readonly measured: string;
  /** Null when something for it was not measured. */
  readonly isMet: boolean | null;
}

export interface RunFigures {
  readonly lines: readonly BenchLine[];
  /** Appending a page to a file and waiting for the disk. */
  readonly syncMs: number | null;
  readonly lifecycle: Lifecycle | null;
}

const WALRAFT = "walraft";
const NATIVE = "node:sqlite FULL";
const DQLITE = "dqlite";
const WRITERS = 64;

export function judgeTargets(figures: RunFigures): TargetResult[] {
  return [
    ...writeTargets(figures),
    ...readTargets(figures.lines),
    ...bulkTargets(figures.lines),
    ...wireTargets(figures.lines),
    ...lifecycleTargets(figures.lifecycle),
    noFailures(figures.lines),
  ];
}

/** The same protocol, client and number of connections, dqlite against walraft. */
function wireTargets(lines: readonly BenchLine[]): TargetResult[] {
  const compared = (system: WireSystem, workload: string, connections: number) =>
    ratio(
      bestRate(lines, system.name, workload, connections),
      bestRate(lines, DQLITE, workload, connections),
    );
  const inserts = [[1, 1], [8, 20], [32, 20]] as const;
  return [
    ...inserts.map(([connections, times]) =>
      atLeast(
        `dqlite's protocol, inserts, compared with dqlite's, connections: ${connections}`,
        times,
        "×",
        compared(WALRAFT_WIRE, "insert_indexed", connections),
      )
    ),
    ...[WALRAFT_WIRE, WALRAFT_WIRE_LEASES].flatMap((system) =>
      [1, 8, 32].map((connections) =>
        atLeast(
          `dqlite's protocol${system === WALRAFT_WIRE ? "" : " with leases"}, point reads, ` +
            `compared with dqlite's, connections: ${connections}`,
          1,
          "×",
          compared(system, "read_wire_leader", connections),
        )
      )
    ),
  ];
}

/** Rows per second, the best of the lines of a system; undefined when there is none. */
export function bestRate(
  lines: readonly BenchLine[],
  system: string,
  workload: string,
  connections?: number,
): number | undefined {
  const rates = lines.filter((line) =>
    line.system === system && line.workload === workload &&
    (connections === undefined || line.connections === connections)
  ).map((line) => line.rowsPerSecond);
  return rates.length === 0 ? undefined : Math.max(...rates);
}

function writeTargets({ lines, syncMs }: RunFigures): TargetResult[] {
  const many = bestRate(lines, WALRAFT, "insert_indexed", WRITERS);
  const one = lineOf(lines, WALRAFT, "insert_indexed", 1)?.p50Ms;
  const dqliteOne = lineOf(lines, DQLITE, "insert_indexed", 1)?.p50Ms;
  const bytes = lineOf(lines, WALRAFT, "insert_indexed", WRITERS)?.logBytes ?? undefined;
  return [
    atLeast(
      "64 writers, compared with node:sqlite FULL alone",
      1.5,
      "×",
      ratio(many, bestRate(lines, NATIVE, "insert_indexed")),
    ),
    atLeast(
      "64 writers, compared with dqlite's best rate",
      20,
      "×",
      ratio(many, bestRate(lines, DQLITE, "insert_indexed")),
    ),
    atMost("one writer, p50, compared with dqlite's", 0.6, "×", ratio(one, dqliteOne)),
    atMost(
      "one writer, p50 beyond two syncs of the disk",
      0.4,
      "ms",
      one === undefined || syncMs === null ? undefined : one - 2 * syncMs,
    ),
    atMost("log bytes of an insert, 64 writers", 700, "bytes", bytes),
  ];
}

function readTargets(lines: readonly BenchLine[]): TargetResult[] {
  const alone = lineOf(lines, WALRAFT, "readers_alone", READER_CONNECTIONS)?.p99Ms;
  const beside = lineOf(lines, WALRAFT, "readers_beside_analysis", READER_CONNECTIONS)?.p99Ms;
  const rate = (workload: WorkloadId) => bestRate(lines, WALRAFT, workload, READER_CONNECTIONS);
  return [
    atLeast(
      "point reads, linearizable, leader, 64 connections",
      30_000,
      "/s",
      rate("read_linearizable_leader"),
    ),
    atLeast("point reads, stale, follower, 64 connections", 40_000, "/s", rate("read_stale_follower")),
    atMost("p99 of 64 readers beside queries of 100 ms, compared with alone", 1.2, "×", ratio(beside, alone)),
  ];
}

function bulkTargets(lines: readonly BenchLine[]): TargetResult[] {
  const rate = bestRate(lines, WALRAFT, "bulk");
  return [
    atLeast("bulk load", 200_000, "rows/s", rate),
    atLeast(
      "bulk load, compared with node:sqlite FULL",
      0.3,
      "×",
      ratio(rate, bestRate(lines, NATIVE, "bulk")),
    ),
  ];
}

function lifecycleTargets(lifecycle: Lifecycle | null): TargetResult[] {
  const residentMib = lifecycle === null ? undefined : lifecycle.idleResidentMib ?? undefined;
  return [
    atMost("kill -9 of the leader to the next write, median", 300, "ms", lifecycle?.failoverMs),
    atMost("start of a node to ready, median", 400, "ms", lifecycle?.startMs),
    atMost("idle node, share of a core", 1, "%", percent(lifecycle?.idleShare)),
    atMost("idle node, resident", 150, "MiB", residentMib),
  ];
}

function noFailures(lines: readonly BenchLine[]): TargetResult {
  const ours = lines.filter(({ system }) => system.startsWith(WALRAFT));
  const errors = ours.reduce((sum, line) => sum + line.errors, 0);
  return atMost("failed calls", 0, "", ours.length === 0 ? undefined : errors);
}

function lineOf(
  lines: readonly BenchLine[],
  system: string,
  workload: string,
  connections: number,
): BenchLine | undefined {
  return lines.find((line) =>
    line.system === system && line.workload === workload && line.connections === connections
  );
}

function ratio(part: number | undefined, whole: number | undefined): number | undefined {
  return part === undefined || whole === undefined || whole === 0 ? undefined : part / whole;
}

function percent(share: number | null | undefined): number | undefined {
  return share === null || share === undefined ? undefined : share * 100;
}

function atLeast(what: string, bound: number, unit: string, value: number | undefined): TargetResult {
  return result(what, `≥ ${amount(bound, unit)}`, unit, value, value === undefined ? null : value >= bound);
}

function atMost(what: string, bound: number, unit: string, value: number | undefined): TargetResult {
  return result(what, `≤ ${amount(bound, unit)}`, unit, value, value === undefined ? null : value <= bound);
}

function result(
  what: string,
  target: string,
  unit: string,
  value: number | undefined,
  isMet: boolean | null,
): TargetResult {
  return { what, target, measured: value === undefined ? "–" : amount(value, unit), isMet };
}

function amount(value: number, unit: string): string {
  const digits = Math.abs(value) >= 100 || Number.isInteger(value) ? 0 : 2;
  return `${value.toLocaleString("en", { maximumFractionDigits: digits })} ${unit}`.trim();
}
