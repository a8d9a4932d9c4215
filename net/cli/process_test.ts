/** The command line as a process of its own: real standard streams, real signals. */
import assert from "node:assert/strict";
import { freePorts } from "../../tests/support/free_ports.ts";
import { SqliteNode } from "../../tests/support/sqlite_node.ts";

const url = (path: string) => new URL(path, import.meta.url).href;

/** What `main.ts` does with this folder, without a node behind `serve`. */
const PROGRAM = `
import { runCommandLine } from ${JSON.stringify(url("./command_line.ts"))};
import { denoContext } from ${JSON.stringify(url("./deno_context.ts"))};
const refuse = () => Promise.reject(new Error("Not here"));
Deno.exit(await runCommandLine(Deno.args, { serve: refuse, demo: refuse, verify: refuse }, denoContext(import.meta.url, "9.9.9")));
`;

/** A process that would hang a test ends here. */
const PROCESS_MS_MAX = 20_000;

async function withProgram(
  run: (
    start: (args: readonly string[], environment?: Record<string, string>) => Deno.ChildProcess,
  ) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(`${folder}/program.ts`, PROGRAM);
  const config = new URL("../../deno.json", import.meta.url).pathname;
  const nodes = new URL("../../tests/support/fake_node.ts", import.meta.url).pathname;
  try {
    await run((args, environment = {}) =>
      new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--quiet", "--config", config, `${folder}/program.ts`, ...args],
        env: { ...environment, WALRAFT_SELF_COMMAND: JSON.stringify([Deno.execPath(), "run", "-A", nodes]) },
        stdin: "piped",
        stdout: "piped",
        stderr: "piped",
        signal: AbortSignal.timeout(PROCESS_MS_MAX),
      }).spawn()
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function feed(
  process: Deno.ChildProcess,
  input: string,
): Promise<{ code: number; out: string; err: string }> {
  const writer = process.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const { code, stdout, stderr } = await process.output();
  return { code, out: new TextDecoder().decode(stdout), err: new TextDecoder().decode(stderr) };
}

Deno.test("the shell reads a pipe to its end and gives exit codes to the caller", async () => {
  await using node = new SqliteNode();
  await withProgram(async (start) => {
    const good = await feed(
      start(["shell", node.url, "--mode", "csv"]),
      "CREATE TABLE t (a);\nINSERT INTO t VALUES ('ä');\nSELECT * FROM t",
    );
    assert.deepEqual(good, { code: 0, out: "a\nä\n", err: "" });
    const bad = await feed(start(["shell", node.url]), "SELECT nope FROM t;");
    assert.deepEqual([bad.code, bad.out], [1, ""]);
    assert.match(bad.err, /^Error: line 1: no such column: nope \[sql_error\]\n/);
    const usage = await feed(start(["shell", node.url, "--mode", "xml"]), "");
    assert.equal(usage.code, 2);
    assert.match(usage.err, /^walraft: Cannot use "xml" for --mode/);
  });
});

/** Reads standard output until a line starts with `ready`. */
async function untilReady(process: Deno.ChildProcess): Promise<void> {
  let text = "";
  const reader = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  while (!/^ready /m.test(text)) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`The cluster ended before it was ready: ${text}`);
    text += value;
  }
  await reader.cancel();
}

Deno.test("SIGTERM stops a cluster with exit code 0, and its death ends the nodes", async () => {
  await withProgram(async (start) => {
    const httpPort = freePorts(4);
    const data = await Deno.makeTempDir();
    const environment = { FAKE_HTTP_PORTS: `${httpPort},${httpPort + 1}` };
    const args = [
      "cluster",
      "--data",
      data,
      "--nodes",
      "2",
      "--http-port",
      `${httpPort}`,
      "--raft-port",
      `${httpPort + 2}`,
    ];
    const stopped = start(args, environment);
    const stderr = new Response(stopped.stderr).text();
    await untilReady(stopped);
    stopped.kill("SIGTERM");
    assert.equal((await stopped.status).code, 0);
    assert.match(await stderr, /node-2 \| stopped by SIGTERM/);
    await stopped.stdin.close().catch(() => {});

    const killed = start(args, environment);
    await untilReady(killed);
    killed.kill("SIGKILL");
    await killed.status;
    await killed.stderr.cancel();
    await killed.stdin.close().catch(() => {});
    for (const port of [httpPort, httpPort + 1]) await untilClosed(port);
    await Deno.remove(data, { recursive: true });
  });
});

/** Waits until nothing listens on the port any more. */
async function untilClosed(port: number): Promise<void> {
  const deadline = Date.now() + PROCESS_MS_MAX;
  while (Date.now() < deadline) {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    } catch {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`Something still listens on ${port}`);
}
