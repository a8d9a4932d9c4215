/** The client in Node: bundled as a browser would get it, so that a call only Deno has would fail here. */
import assert from "node:assert/strict";
import { answer, clusterAnswer, failure, ScriptedNode } from "../../tests/support/scripted_node.ts";

const PROGRAM = `
const { connect, sql, isWalraftError } = await import(process.argv[2]);
const db = connect(process.argv[3], { database: "main" });
const written = await db.execute(sql\`INSERT INTO t VALUES (\${2n ** 60n}, \${new Uint8Array([1, 2])})\`);
const { rows } = await db.query("SELECT a, b FROM t", [], { level: "index" });
const restored = await db.restore(() => new Blob([new Uint8Array(100_000)]).stream());
const backup = new Uint8Array(await new Response(db.backup()).arrayBuffer());
const refused = await db.query("refuse").catch((error) => error);
console.log([
  written.replayed, rows[0].a === 2n ** 60n, rows[0].b instanceof Uint8Array, [...rows[0].b], restored.pages,
  backup.length, isWalraftError(refused, "sql_error"), refused.details.sqlite_code,
].join(" "));
`;

function hasNode(): boolean {
  try {
    return new Deno.Command("node", { args: ["--version"], stdout: "null", stderr: "null" }).outputSync()
      .success;
  } catch {
    console.warn("Skipping the client in Node: there is no node on PATH");
    return false;
  }
}

Deno.test({
  name: "the client works in Node",
  ignore: !hasNode(),
  fn: async () => {
    let attempts = 0;
    await using node = new ScriptedNode((request, self) => {
      const { path } = request;
      if (path === "/v1/cluster") return clusterAnswer([self], self);
      if (path.endsWith("/execute")) {
        return ++attempts === 1
          ? failure("commit_unknown", {}, 504)
          : answer({ changes: 1, last_insert_rowid: 1, index: 3, time_ms: 1, replayed: true });
      }
      if (path.endsWith("/query")) {
        if (request.json?.sql === "refuse") return failure("sql_error", { sqlite_code: 1 }, 400);
        return answer({
          columns: ["a", "b"],
          types: [null, null],
          rows: [[{ int64: "1152921504606846976" }, { base64: "AQI=" }]],
          index: 3,
          time_ms: 1,
        });
      }
      if (request.method === "PUT") return answer({ index: 4, pages: request.bytes.length, page_size: 4096 });
      return new Response(new Uint8Array(5_000));
    });
    const folder = await Deno.makeTempDir();
    try {
      const bundle = `${folder}/client.mjs`;
      const entry = new URL("./mod.ts", import.meta.url).pathname;
      await run(Deno.execPath(), ["bundle", "--quiet", "--platform", "browser", "--output", bundle, entry]);
      const text = await Deno.readTextFile(bundle);
      assert.ok(!/\bDeno\b|\bprocess\b|require\(|from "node:/.test(text), "only web standards are used");
      await Deno.writeTextFile(`${folder}/program.mjs`, PROGRAM);
      const printed = await run("node", [`${folder}/program.mjs`, bundle, node.url]);
      assert.equal(printed.trim(), "true true true 1,2 100000 5000 true 1");
      assert.equal(node.seen("/v1/databases/main/execute").length, 2);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

async function run(command: string, args: readonly string[]): Promise<string> {
  const output = await new Deno.Command(command, { args: [...args], stdin: "null" }).output();
  const error = new TextDecoder().decode(output.stderr);
  assert.ok(output.success, `${command} ${args[0]} failed: ${error}`);
  return new TextDecoder().decode(output.stdout);
}
