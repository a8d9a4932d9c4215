/** Every bench once, tiny: it runs, and nothing it does fails. The numbers mean nothing here. */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { runBench, SMOKE } from "./bench_run.ts";
import { benchClients, CLIENT_SMOKE } from "./client_bench.ts";
import { benchDatabaseSize } from "./database_size_bench.ts";
import { benchManyDatabases } from "./many_databases_bench.ts";
import { isOnPath } from "./server_processes.ts";
import { profileStages, profileText } from "./stage_profile.ts";

Deno.test("cluster_bench: every workload, no failed call, and the log grows with writes only", async () => {
  const only = /^(walraft\/|node:sqlite)/;
  const run = await runBench({ ...SMOKE, only });
  const ours = run.lines.filter(({ system }) => system === "walraft");
  const native = run.lines.filter(({ system }) => system !== "walraft");
  const workloadIds = new Set(ours.map(({ workload }) => workload));
  ok((run.drift ?? 0) >= 1, String(run.drift));
  deepStrictEqual([workloadIds.size, native.length], [15, 10]);
  for (const line of run.lines) {
    deepStrictEqual([line.errors, line.firstFailure], [0, null], line.title);
    ok(line.operations > 0 && line.p50Ms > 0 && line.p999Ms >= line.p99Ms, JSON.stringify(line));
  }
  for (const line of ours) {
    const writes = !/^(read|analysis)/.test(line.workload);
    strictEqual((line.logBytes ?? 0) > 0, writes, JSON.stringify(line));
  }
  for (const { what, isMet } of run.targets) {
    // dqlite, the life of nodes, and 64 writers have no part in this run.
    const known =
      /^(point reads|dqlite's protocol|kill|start|idle|64 writers|one writer, p50, compared|log bytes)/.test(
        what,
      );
    strictEqual(isMet === null, known, what);
  }
});

Deno.test("cluster_bench: start, idling and the death of a leader are timed", async () => {
  const { lifecycle, lines } = await runBench({ ...SMOKE, only: /^lifecycle/ });
  strictEqual(lines.length, 0);
  ok(lifecycle !== null && lifecycle.failoverMs > 0 && lifecycle.startMs > 0, JSON.stringify(lifecycle));
});

Deno.test("cluster_bench: the profile of a write names its stages", async () => {
  const profiles = await profileStages({
    ...SMOKE,
    // Samples are half a millisecond apart: in less time the SQL worker of a busy machine may not be met at work.
    seconds: 0.5,
    connections: [4],
    only: (id) => id === "insert_indexed",
  });
  const text = profileText(profiles);
  match(text, /^One write in ms: parse [0-9.]+, queue .* between members$/m);
  const { times } = profiles[0]!;
  ok(times !== undefined && times.logBytes > 100 && times.networkBytes > times.logBytes, text);
  // The others may be faster than the leader's own disk.
  for (const [stage, ms] of Object.entries(times.stagesMs)) ok(stage === "network" ? ms >= 0 : ms > 0, text);
  for (const stage of ["parse", "log", "SQLite", "Raft"]) {
    match(text, new RegExp(`^\\| ${stage} `, "m"));
  }
  deepStrictEqual(profiles.map(({ errors, calls }) => [errors, calls > 1]), [[0, true]]);
});

Deno.test("cluster_bench: dqlite's protocol, and leases over it and over HTTP, no failed call", async () => {
  const { lines } = await runBench({ ...SMOKE, only: /^walraft, (dqlite|leases)/ });
  const reads = lines.filter(({ system }) => system.endsWith("leases"));
  // Over HTTP from the leader and from a follower.
  deepStrictEqual([lines.length, reads.length].map((count) => count / SMOKE.connections.length), [5, 3]);
  for (const line of lines) ok(line.operations > 0 && line.errors === 0, JSON.stringify(line));
});

Deno.test("client_bench: both clients do the same work, and the wire takes fewer bytes", async () => {
  const lines = await benchClients(CLIENT_SMOKE);
  strictEqual(lines.length, 2 * 3 * CLIENT_SMOKE.callers.length);
  for (const line of lines) ok(line.perSecond > 0 && line.p99Ms >= line.p50Ms, JSON.stringify(line));
  for (const { client, work, callers, sentBytes, receivedBytes } of lines) {
    if (client === "http" || sentBytes === null || receivedBytes === null) continue;
    const http = lines.find((each) =>
      each.client === "http" && each.work === work && each.callers === callers
    );
    ok(
      sentBytes < (http?.sentBytes ?? 0) && receivedBytes < (http?.receivedBytes ?? 0),
      `${work} ${callers}`,
    );
  }
});

Deno.test({
  name: "cluster_bench: dqlite, where it is installed",
  ignore: !await isOnPath("dqlite-demo"),
  async fn() {
    const { lines } = await runBench({ ...SMOKE, only: /^dqlite\// });
    deepStrictEqual(lines.map(({ connections }) => connections), [
      ...SMOKE.connections,
      ...SMOKE.connections,
    ]);
    for (const line of lines) ok(line.operations > 0, JSON.stringify(line));
  },
});

Deno.test("database_size_bench: two sizes, both far larger than the page cache, no failed call", async () => {
  const lines = await benchDatabaseSize([2, 6], 0.2, 64 * 1024);
  deepStrictEqual(lines.map(({ errors }) => errors), [0, 0]);
  for (const line of lines) ok(line.updatesPerSecond > 0 && line.residentMebibytes > 0, JSON.stringify(line));
});

Deno.test("many_databases_bench: some databases, no failed call", async () => {
  const result = await benchManyDatabases(50);
  ok(
    result.failures === 0 && result.createdPerSecond > 0 && result.coldQueryP50Ms > 0,
    JSON.stringify(result),
  );
});

Deno.test("idle_database_bench: an idle database costs less than 2 KB", async () => {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--v8-flags=--expose-gc",
      new URL("idle_database_bench.ts", import.meta.url).pathname,
      "5000",
    ],
    stdin: "null",
  }).output();
  strictEqual(code, 0, new TextDecoder().decode(stderr));
  const bytes = Number(/^(\d+) bytes/.exec(new TextDecoder().decode(stdout))?.[1]);
  ok(bytes > 100 && bytes < 2_048, `${bytes} bytes`);
});

for (
  const [script, ...args] of [
    ["http_bench.ts", "0.1"],
    ["wire_bench.ts", "smoke"],
    ["tuple_bench.ts", "smoke"],
    ["log_append_bench.ts", "--smoke"],
    ["sql_bench.ts", "--smoke"],
    ["page_read_bench.ts", "--smoke"],
  ] as const
) {
  Deno.test(`${script} runs`, async () => {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", new URL(script, import.meta.url).pathname, ...args],
      stdin: "null",
    }).output();
    const text = new TextDecoder();
    strictEqual(code, 0, text.decode(stderr));
    ok(/\d/.test(text.decode(stdout)), "it prints figures");
  });
}
