/**
 * The benchmark: three node processes on loopback with fsync on, the load from a process of its own, and beside it, in the
 * same run, native SQLite, dqlite and rqlite where they are there. bench/README.md says what is measured.
 *
 *     deno task bench [--seconds 2] [--connections 1,4,16,64,256] [--only PATTERN] [--json FILE] [--chart FILE.svg]
 *                     [--rqlite PATH] [--smoke] [--profile]
 */
import { parseArgs } from "node:util";
import { type BenchRun, runBench, type RunOptions, SMOKE } from "./bench_run.ts";
import { SIZES } from "./cluster_lines.ts";
import { describeMachine, machineText } from "./machine.ts";
import { rateChart } from "./rate_chart.ts";
import { lineTable, progressText, targetTable, whole } from "./report.ts";
import { profileStages, profileText } from "./stage_profile.ts";
import type { WorkloadId } from "./workloads.ts";

function optionsFrom(args: string[]) {
  const { values } = parseArgs({
    args,
    options: {
      seconds: { type: "string", default: "2" },
      connections: { type: "string", default: "1,4,16,64,256" },
      only: { type: "string", default: "" },
      kills: { type: "string", default: "20" },
      json: { type: "string" },
      chart: { type: "string" },
      rqlite: { type: "string" },
      smoke: { type: "boolean", default: false },
      profile: { type: "boolean", default: false },
    },
  });
  const full = {
    seconds: Number(values.seconds),
    warmupMs: 500,
    settleMs: 2_000,
    connections: values.connections.split(",").map(Number),
    sizes: SIZES,
    kills: Number(values.kills),
    idleSeconds: 5,
  };
  const run: RunOptions = {
    ...(values.smoke ? SMOKE : full),
    only: new RegExp(values.only),
    rqlite: values.rqlite,
  };
  return { run, json: values.json, chart: values.chart, isProfile: values.profile };
}

function runText(run: BenchRun): string {
  const { machine, lines, lifecycle, syncMs, drift } = run;
  const unrest = drift === null ? [] : [
    `Between its measurements before and after the cluster's, native SQLite changed by a factor of up to ` +
    `${drift.toFixed(1)}: so much is what else the machine did, and no ratio below is better than that.`,
  ];
  const life = lifecycle === null ? [] : [
    `kill -9 of the leader to the next write: median ${whole(lifecycle.failoverMs)} ms, ` +
    `worst ${whole(lifecycle.failoverWorstMs)} ms; start to ready: median ${whole(lifecycle.startMs)} ms`,
  ];
  return [
    machineText(machine),
    `Append of 4 KiB and sync of the disk: ${syncMs.toFixed(2)} ms`,
    ...unrest,
    ...life,
    lineTable(lines),
    targetTable(run.targets),
  ].join("\n\n");
}

if (import.meta.main) {
  const { run: options, json, chart, isProfile } = optionsFrom(Deno.args);
  if (isProfile) {
    const machine = machineText(describeMachine());
    const profiled = options.only.source === "(?:)" ? /insert_indexed/ : options.only;
    const only = (id: WorkloadId) => profiled.test(`walraft/${id}`);
    console.log(`${machine}\n\n${profileText(await profileStages({ ...options, only }))}`);
  } else {
    const run = await runBench(options, (line) => console.error(progressText(line)));
    console.log(runText(run));
    if (json !== undefined) await Deno.writeTextFile(json, JSON.stringify(run, undefined, 2) + "\n");
    if (chart !== undefined) {
      await Deno.writeTextFile(chart, rateChart(run.lines, machineText(run.machine)));
    }
  }
}
