import assert from "node:assert/strict";
import project from "../../deno.json" with { type: "json" };
import { freePorts } from "../support/free_ports.ts";
import { type BuiltExecutable, withBuiltExecutable } from "./built_executable.ts";

const text = new TextDecoder();

/** Starts a command that stays, and resolves once its output has the line; the result is all output until then. */
async function startUntil(
  executable: BuiltExecutable,
  args: readonly string[],
  line: RegExp,
): Promise<{ child: Deno.ChildProcess; printed: string }> {
  const child = executable.command(args).spawn();
  let printed = "";
  const ready = Promise.withResolvers<void>();
  const read = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
    for await (const chunk of stream) {
      printed += text.decode(chunk);
      if (line.test(printed)) ready.resolve();
    }
  };
  Promise.all([read(child.stdout), read(child.stderr)]).then(() =>
    ready.reject(new Error(`It ended before it was ready: ${printed}`))
  );
  await ready.promise;
  return { child, printed };
}

async function call(url: string, path: string, sql: string): Promise<{ rows?: unknown }> {
  const response = await fetch(`${url}/v1/databases/main/${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ sql }),
  });
  const body = await response.json();
  assert.equal(response.status, 200, JSON.stringify(body));
  return body;
}

Deno.test("the executable runs in an empty folder on a machine without Deno", async (test) => {
  await withBuiltExecutable(async (executable) => {
    await test.step("--version, and it leaves nothing in the working folder", async () => {
      for (const run of ["first run", "later run"]) {
        const { code, stdout, stderr } = await executable.command(["--version"]).output();
        assert.equal(text.decode(stderr), "", run);
        assert.ok(text.decode(stdout).includes(project.version), `${run}: ${text.decode(stdout)}`);
        assert.equal(code, 0, run);
      }
      assert.deepEqual([...Deno.readDirSync(executable.workFolder)], []);
    });

    await test.step("serve: a lone node needs nothing but --data", async () => {
      const http = freePorts(2);
      const raft = http + 1;
      const args = ["serve", "--data", "node", "--http", `127.0.0.1:${http}`, "--raft", `127.0.0.1:${raft}`];
      const { child } = await startUntil(executable, args, /became_leader/);
      const url = `http://127.0.0.1:${http}`;
      await call(url, "execute", "CREATE TABLE t (a)");
      await call(url, "execute", "INSERT INTO t VALUES (42)");
      assert.deepEqual((await call(url, "query", "SELECT a FROM t")).rows, [[42]]);
      child.kill("SIGTERM");
      assert.equal((await child.status).code, 0);
    });

    await test.step("cluster: three nodes, a write through one is read through another", async () => {
      const httpPort = freePorts(6);
      const args = [
        "cluster",
        "--nodes",
        "3",
        "--data",
        "cluster",
        "--http-port",
        `${httpPort}`,
        "--raft-port",
        `${httpPort + 3}`,
      ];
      const { child, printed } = await startUntil(executable, args, /^ready .*$/m);
      const urls = /^ready (.*)$/m.exec(printed)?.[1]?.split(" ") as string[];
      assert.equal(urls.length, 3);
      await call(urls[1]!, "execute", "CREATE TABLE t AS SELECT 7 AS a");
      assert.deepEqual((await call(urls[2]!, "query", "SELECT a FROM t")).rows, [[7]]);
      child.kill("SIGTERM");
      assert.equal((await child.status).code, 0);
      for (const url of urls) await assert.rejects(fetch(url), "no node is left behind");
    });
  });
});
