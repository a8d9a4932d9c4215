/** Every bench once, tiny: it runs, and nothing it does fails. The numbers mean nothing here. */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { benchCluster } from "./cluster_bench.ts";
import { benchDatabaseSize } from "./database_size_bench.ts";
import { benchManyDatabases } from "./many_databases_bench.ts";

Deno.test("cluster_bench: every workload, no failed call, and the log grows with writes only", async () => {
  const lines = await benchCluster({ seconds: 0.2, connections: [1, 8], rows: 500 });
  strictEqual(lines.length, 10);
  for (const line of lines) {
    deepStrictEqual([line.errors, line.firstFailure], [0, undefined], line.workload);
    ok(line.perSecond > 0 && line.p50Ms > 0, JSON.stringify(line));
    strictEqual(line.logBytesPerOperation > 0, line.workload.startsWith("insert"), JSON.stringify(line));
  }
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
