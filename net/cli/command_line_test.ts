import assert from "node:assert/strict";
import { type CapturedContext, capturedContext } from "../../tests/support/captured_context.ts";
import { silence } from "../../tests/support/scripted_node.ts";
import { SqliteNode } from "../../tests/support/sqlite_node.ts";
import { type CommandActions, runCommandLine } from "./command_line.ts";
import { selfCommand } from "./self_command.ts";
import { UsageError } from "./usage_error.ts";

const ACTIONS: CommandActions = {
  serve: (options, context) => {
    context.output.stdout(`serving ${options.dataDirectory}\n`);
    return Promise.resolve(0);
  },
  demo: () => Promise.reject(new UsageError("Cannot show anything")),
  verify: () => Promise.resolve(0),
};

async function run(line: string, context: CapturedContext = capturedContext()) {
  const code = await runCommandLine(line.split(" ").filter((word) => word !== ""), ACTIONS, context);
  return { code, out: context.output.out, err: context.output.err };
}

Deno.test("runCommandLine() gives 0 and prints to standard output", async () => {
  assert.deepEqual(await run("--version"), { code: 0, out: "walraft 0.0.1\n", err: "" });
  assert.match((await run("help serve")).out, /^Usage: walraft serve/);
  assert.deepEqual(await run("serve --data d"), { code: 0, out: "serving d\n", err: "" });
});

Deno.test("runCommandLine() gives 2 for what it does not understand, also when an action says so", async () => {
  assert.deepEqual(await run("serve"), {
    code: 2,
    out: "",
    err: 'walraft: Missing option --data DIR (or WALRAFT_DATA, or "data" in the config file)\n',
  });
  assert.deepEqual(await run("demo"), { code: 2, out: "", err: "walraft: Cannot show anything\n" });
  assert.equal((await run("")).code, 2);
});

Deno.test("runCommandLine() gives 1 for failures and names the code", async () => {
  await using node = new SqliteNode();
  const { code, err } = await run(`load ${node.url} main /nowhere.sql`);
  assert.equal(code, 1);
  assert.match(err, /^walraft load: Cannot load \/nowhere\.sql: /);
});

Deno.test("runCommandLine() gives 130 when a signal ended the command", async () => {
  await using node = new SqliteNode();
  node.script = silence;
  const context = capturedContext();
  const arrived = node.next("/v1/cluster");
  const running = run(`status ${node.url}`, context);
  await arrived;
  context.interrupt();
  assert.deepEqual(await running, { code: 130, out: "", err: "" });
});

Deno.test("selfCommand() starts source, executable or what the launcher says", () => {
  assert.deepEqual(selfCommand({}, "/bin/deno", "file:///a%20b/main.ts", false), [
    "/bin/deno",
    "run",
    "-A",
    "--v8-flags=--max-semi-space-size=2",
    "/a b/main.ts",
  ]);
  assert.deepEqual(selfCommand({}, "/bin/walraft", "file:///x/main.ts", true), ["/bin/walraft"]);
  assert.deepEqual(selfCommand({ WALRAFT_SELF_COMMAND: '["a","b"]' }, "/bin/deno", "file:///x", true), [
    "a",
    "b",
  ]);
  for (const wrong of ["a", "[]", "[1]", '{"a":1}']) {
    assert.throws(
      () => selfCommand({ WALRAFT_SELF_COMMAND: wrong }, "d", "file:///x", true),
      /JSON array of texts/,
    );
  }
});
