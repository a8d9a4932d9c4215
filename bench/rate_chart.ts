import { type Bar, barChart, type BarPanel, type Series } from "./bar_chart.ts";
import type { BenchLine } from "./bench_line.ts";

/** Connections whose rates are drawn, where a workload ran with that many; else its most. */
const CONNECTIONS = 64;

interface Group {
  readonly title: string;
  readonly workloads: readonly string[];
}

/** Rates that differ by more than a factor of ten do not share a scale. */
const GROUPS: readonly Group[] = [
  { title: "Insert, random indexed key: rows per second", workloads: ["insert_indexed"] },
  { title: "Insert, append key: rows per second", workloads: ["insert_append"] },
  { title: "Update of one hot row: updates per second", workloads: ["update_hot"] },
  {
    title: "Point reads per second, over HTTP",
    workloads: [
      "read_linearizable_leader",
      "read_linearizable_follower",
      "read_stale_leader",
      "read_stale_follower",
    ],
  },
  { title: "Many rows at once: rows per second", workloads: ["batch", "bulk"] },
];

/** Rates as bars, a panel for each kind of work, walraft beside the baselines of the same run. */
export function rateChart(lines: readonly BenchLine[], foot: string): string {
  const panels = GROUPS.map((group): BarPanel => ({ title: group.title, bars: barsOf(group, lines) }));
  const title = "Durable writes and reads of one run; walraft on three nodes";
  return barChart(title, panels.filter(({ bars }) => bars.length > 0), foot);
}

function barsOf(group: Group, lines: readonly BenchLine[]): Bar[] {
  const chosen = new Map<string, BenchLine>();
  for (const line of lines) {
    if (!group.workloads.includes(line.workload) || !isDurable(line.system)) continue;
    const key = `${line.system}/${line.workload}`;
    const before = chosen.get(key);
    if (before === undefined || isBetter(line, before)) chosen.set(key, line);
  }
  return [...chosen.values()].map((line) => ({
    label: label(line, group.workloads.length > 1),
    value: line.rowsPerSecond,
    series: seriesOf(line.system),
  }));
}

/** What may lose commits when the power fails is in the table, but no measure for what may not. */
function isDurable(system: string): boolean {
  return !system.endsWith(" NORMAL");
}

/** A baseline is drawn at its best, walraft at the fixed number of connections. */
function isBetter(line: BenchLine, than: BenchLine): boolean {
  if (line.system !== "walraft") return line.rowsPerSecond > than.rowsPerSecond;
  return Math.abs(line.connections - CONNECTIONS) < Math.abs(than.connections - CONNECTIONS);
}

function label(line: BenchLine, withTitle: boolean): string {
  if (line.system !== "walraft") return line.system;
  const title = withTitle
    ? line.title.replace("point read, ", "")
    : `walraft, ${line.connections} connections`;
  return title.length > 38 ? `${title.slice(0, 37)}…` : title;
}

function seriesOf(system: string): Series {
  if (system === "walraft") return "own";
  return system.startsWith("node:sqlite") ? "native" : "other";
}
