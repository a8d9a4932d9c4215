import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { type BenchLine, NO_COSTS, toBenchLine } from "./bench_line.ts";
import { rateChart } from "./rate_chart.ts";
import { lineTable, targetTable } from "./report.ts";
import { judgeTargets } from "./targets.ts";

function line(system: string, workload: string, connections: number, perSecond: number, ms = 1): BenchLine {
  return toBenchLine({
    head: { system, workload, title: `${workload} <&>`, connections },
    latency: { count: perSecond, meanMs: ms, p50Ms: ms, p99Ms: ms * 2, p999Ms: ms * 3 },
    seconds: 1,
    errors: 0,
  }, { ...NO_COSTS, logBytes: 650 });
}

const LINES = [
  line("walraft", "insert_indexed", 1, 500, 1.2),
  line("walraft", "insert_indexed", 64, 12_000),
  line("node:sqlite FULL", "insert_indexed", 1, 7_000),
  line("dqlite", "insert_indexed", 1, 300, 3),
  line("dqlite", "insert_indexed", 8, 400),
  line("walraft", "readers_alone", 64, 9_000, 5),
  line("walraft", "readers_beside_analysis", 64, 8_000, 7),
];

const WIRE_LINES = [
  line("dqlite", "insert_indexed", 32, 200),
  line("walraft, dqlite's protocol", "insert_indexed", 8, 10_000),
  line("walraft, dqlite's protocol", "insert_indexed", 32, 3_000),
  line("walraft, dqlite's protocol", "read_wire_leader", 32, 9_000),
  line("dqlite", "read_wire_leader", 32, 18_000),
];

Deno.test("judgeTargets: ratios of one run, against the best of each baseline", () => {
  const results = judgeTargets({ lines: [...LINES, ...WIRE_LINES], syncMs: 0.5, lifecycle: null });
  const found = Object.fromEntries(results.map((each) => [each.what, `${each.measured} ${each.isMet}`]));
  deepStrictEqual(found, {
    "64 writers, compared with node:sqlite FULL alone": "1.71 × true",
    "64 writers, compared with dqlite's best rate": "30 × true",
    "dqlite's protocol, inserts, compared with dqlite's, connections: 1": "– null",
    "dqlite's protocol, inserts, compared with dqlite's, connections: 8": "25 × true",
    "dqlite's protocol, inserts, compared with dqlite's, connections: 32": "15 × false",
    "dqlite's protocol, point reads, compared with dqlite's, connections: 1": "– null",
    "dqlite's protocol, point reads, compared with dqlite's, connections: 8": "– null",
    "dqlite's protocol, point reads, compared with dqlite's, connections: 32": "0.5 × false",
    "dqlite's protocol with leases, point reads, compared with dqlite's, connections: 1": "– null",
    "dqlite's protocol with leases, point reads, compared with dqlite's, connections: 8": "– null",
    "dqlite's protocol with leases, point reads, compared with dqlite's, connections: 32": "– null",
    "one writer, p50, compared with dqlite's": "0.4 × true",
    "one writer, p50 beyond two syncs of the disk": "0.2 ms true",
    "log bytes of an insert, 64 writers": "650 bytes true",
    "point reads, linearizable, leader, 64 connections": "– null",
    "point reads, stale, follower, 64 connections": "– null",
    "p99 of 64 readers beside queries of 100 ms, compared with alone": "1.4 × false",
    "bulk load": "– null",
    "bulk load, compared with node:sqlite FULL": "– null",
    "kill -9 of the leader to the next write, median": "– null",
    "start of a node to ready, median": "– null",
    "idle node, share of a core": "– null",
    "idle node, resident": "– null",
    "failed calls": "0 true",
  });
});

Deno.test("judgeTargets: a failed call of ours fails a target, one of a baseline does not", () => {
  const failed = (lines: BenchLine[]) => judgeTargets({ lines, syncMs: null, lifecycle: null }).at(-1)?.isMet;
  strictEqual(failed([...LINES, { ...LINES[0]!, errors: 1 }]), false);
  strictEqual(failed([...LINES, { ...WIRE_LINES[1]!, errors: 1 }]), false);
  strictEqual(failed([...LINES, { ...LINES[3]!, errors: 1 }]), true);
});

Deno.test("tables: as many cells in every row as in the head, all of one width", () => {
  for (
    const text of [lineTable(LINES), targetTable(judgeTargets({ lines: LINES, syncMs: 1, lifecycle: null }))]
  ) {
    const rows = text.split("\n");
    strictEqual(new Set(rows.map((row) => row.length)).size, 1, text);
    strictEqual(new Set(rows.map((row) => row.split("|").length)).size, 1, text);
  }
});

Deno.test("rateChart: one panel for each kind of work, bars in proportion, text escaped, both colour schemes", () => {
  const svg = rateChart([...LINES, line("node:sqlite NORMAL", "insert_indexed", 1, 50_000)], "a < b & c");
  strictEqual(svg.match(/class="panel"/g)?.length, 1);
  const bars = [...svg.matchAll(/class="(own|native|other)" x="\d+" y="\d+" width="(\d+)"/g)];
  deepStrictEqual(bars.map(([, series]) => series), ["own", "native", "other"]);
  const [own = 0, native = 0] = bars.map(([, , width]) => Number(width));
  ok(Math.abs(native / own - 7_000 / 12_000) < 0.01, `${native} of ${own}`);
  ok(svg.includes("a &lt; b &amp; c") && svg.includes("prefers-color-scheme: dark"));
});
