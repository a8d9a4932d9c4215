/** Tables for people: Markdown, aligned, so that the text can go into a page as it is. */
import type { BenchLine } from "./bench_line.ts";
import type { TargetResult } from "./targets.ts";

const LINE_HEAD = [
  "system",
  "workload",
  "connections",
  "calls/s",
  "rows/s",
  "p50 ms",
  "p99 ms",
  "p99.9 ms",
  "errors",
  "server CPU ms",
  "log bytes",
  "network bytes",
] as const;
const TEXT_COLUMNS = 2;

export function lineTable(lines: readonly BenchLine[]): string {
  return markdownTable(LINE_HEAD, lines.map(lineCells), TEXT_COLUMNS);
}

function lineCells(line: BenchLine): string[] {
  return [
    line.system,
    line.title,
    String(line.connections),
    whole(line.perSecond),
    whole(line.rowsPerSecond),
    line.p50Ms.toFixed(2),
    line.p99Ms.toFixed(2),
    line.p999Ms.toFixed(2),
    whole(line.errors),
    line.serverCpuMs?.toFixed(3) ?? "–",
    line.logBytes === null ? "–" : whole(line.logBytes),
    line.networkBytes === null ? "–" : whole(line.networkBytes),
  ];
}

/** One line while the run goes on. */
export function progressText(line: BenchLine): string {
  const failure = line.firstFailure === null ? "" : `\n  first failure: ${line.firstFailure}`;
  return `${line.system.padEnd(18)} ${line.title.padEnd(38)} ${String(line.connections).padStart(3)} ` +
    `${whole(line.rowsPerSecond).padStart(9)} rows/s  p50 ${line.p50Ms.toFixed(2)} ms${failure}`;
}

export function targetTable(results: readonly TargetResult[]): string {
  const met = { true: "yes", false: "no", null: "not measured" };
  const rows = results.map((each) => [each.what, each.target, each.measured, met[`${each.isMet}`]]);
  return markdownTable(["what", "target", "measured", "met"], rows, 4);
}

/** @param textColumns so many columns from the left are text; the others are numbers, to the right */
export function markdownTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  textColumns: number,
): string {
  const widths = head.map((name, at) => Math.max(name.length, ...rows.map((row) => row[at]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    `| ${
      widths.map((width, at) =>
        at < textColumns ? (cells[at] ?? "").padEnd(width) : (cells[at] ?? "").padStart(width)
      ).join(" | ")
    } |`;
  const rule = widths.map((width, at) => at < textColumns ? "-".repeat(width) : `${"-".repeat(width - 1)}:`);
  return [line(head), line(rule), ...rows.map(line)].join("\n");
}

export function whole(value: number): string {
  return Math.round(value).toLocaleString("en");
}
