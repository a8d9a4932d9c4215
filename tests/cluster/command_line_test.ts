import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { freePorts } from "../support/free_ports.ts";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs one command of the real program to its end. */
async function walraft(
  args: readonly string[],
  options: { input?: string; env?: Record<string, string> } = {},
): Promise<Ended> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", MAIN, ...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1", ...options.env },
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(options.input ?? ""));
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

/** `walraft cluster` as a process, from its `ready` line to its end. */
class RunningCluster {
  readonly #child: Deno.ChildProcess;
  readonly #ended: Promise<unknown>;
  printed = "";

  constructor(args: readonly string[]) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", MAIN, "cluster", ...args],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#ended = Promise.all([this.#read(this.#child.stdout), this.#read(this.#child.stderr)]);
  }

  readonly #ready = Promise.withResolvers<string[]>();

  async #read(stream: ReadableStream<Uint8Array>): Promise<void> {
    for await (const chunk of stream) {
      this.printed += new TextDecoder().decode(chunk);
      const line = /^ready (.*)$/m.exec(this.printed);
      if (line !== null) this.#ready.resolve((line[1] as string).split(" "));
    }
    this.#ready.reject(new Error(`The cluster ended before it was ready: ${this.printed}`));
  }

  get urls(): Promise<string[]> {
    return this.#ready.promise;
  }

  get nodeProcessIds(): number[] {
    return [...this.printed.matchAll(/^node-\d+ pid (\d+)/gm)].map((found) => Number(found[1]));
  }

  async stop(): Promise<number> {
    this.#child.kill("SIGTERM");
    await this.#ended;
    return (await this.#child.status).code;
  }
}

function isAlive(processId: number): boolean {
  try {
    Deno.kill(processId, "SIGCONT");
    return true;
  } catch {
    return false;
  }
}

Deno.test("the command line, as a newcomer uses it", async (test) => {
  const folder = await Deno.makeTempDir({ prefix: "walraft-test-" });
  const port = freePorts(6);
  const args = [
    "--nodes",
    "3",
    "--data",
    `${folder}/data`,
    "--http-port",
    `${port}`,
    "--raft-port",
    `${port + 3}`,
  ];
  const cluster = new RunningCluster(args);
  const [url = "", second = ""] = await cluster.urls;

  await test.step("shell: one command, piped input, a file, exit codes", async () => {
    const created = await walraft([
      "shell",
      url,
      "-c",
      "CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT)",
    ]);
    strictEqual(created.code, 0, created.stderr);
    await Deno.writeTextFile(
      `${folder}/notes.sql`,
      "INSERT INTO note (text)\n  VALUES ('from a file; really');\n",
    );
    const piped = await walraft(["shell", second, "--mode", "csv"], {
      input:
        `INSERT INTO note (text) VALUES ('piped');\n.read ${folder}/notes.sql\n.tables\nSELECT * FROM note ORDER BY id;\n`,
    });
    strictEqual(piped.code, 0, piped.stderr);
    match(piped.stdout, /note/);
    match(piped.stdout, /1,piped\r?\n2,from a file; really/);
    const wrong = await walraft(["shell", url, "-c", "SELECT x FROM nowhere"]);
    strictEqual(wrong.code, 1);
    match(wrong.stderr, /no such table: nowhere/);
  });

  await test.step("shell: .backup writes a file that native SQLite would open", async () => {
    const backup = await walraft(["shell", url], { input: `.backup ${folder}/copy.db\n` });
    strictEqual(backup.code, 0, backup.stderr);
    const magic = new TextDecoder().decode((await Deno.readFile(`${folder}/copy.db`)).subarray(0, 15));
    strictEqual(magic, "SQLite format 3");
  });

  await test.step("status: members and databases; exit code 1 when nobody answers", async () => {
    const status = await walraft(["status", url]);
    strictEqual(status.code, 0, status.stderr);
    strictEqual([...status.stdout.matchAll(/\bvoter\b|\bleader\b(?= +127)/g)].length, 3, status.stdout);
    match(status.stdout, /main/);
    const nobody = await walraft(["status", `http://127.0.0.1:${freePorts(1)}`, "--timeout-ms", "500"]);
    strictEqual(nobody.code, 1);
  });

  await test.step("SIGTERM stops all nodes; on the same folder the cluster goes on", async () => {
    const processIds = cluster.nodeProcessIds;
    strictEqual(processIds.length, 3, cluster.printed);
    strictEqual(await cluster.stop(), 0, cluster.printed);
    deepStrictEqual(processIds.map(isAlive), [false, false, false]);
    const again = new RunningCluster(args);
    const [node = ""] = await again.urls;
    const read = await walraft(["shell", node, "--mode", "list", "-c", "SELECT count(*) FROM note"]);
    ok(read.stdout.includes("2"), read.stdout + read.stderr);
    strictEqual(await again.stop(), 0);
  });

  await test.step("usage errors exit with 2 and name the flag; help and version with 0", async () => {
    for (
      const wrong of [["serve"], ["serve", "--data", "x", "--nonsense"], ["cluster", "--nodes", "none"], [
        "fly",
      ]]
    ) {
      const { code, stderr } = await walraft(wrong);
      strictEqual(code, 2, `${wrong}: ${stderr}`);
    }
    for (const command of [[], ["serve"], ["cluster"], ["shell"], ["status"], ["load"], ["demo"]]) {
      const { code, stdout } = await walraft([...command, "--help"]);
      strictEqual(code, 0);
      match(stdout, /Usage/i);
    }
  });

  await test.step("flags also come from the environment and from a file, in that order", async () => {
    await Deno.writeTextFile(`${folder}/config.json`, JSON.stringify({ mode: "json", url }));
    const env = { WALRAFT_CONFIG: `${folder}/config.json`, WALRAFT_MODE: "line" };
    const command = ["shell", "-c", "SELECT 1", "--timeout-ms", "300"];
    const { code, stderr } = await walraft(command, { env });
    // The cluster is stopped: that the URL of the file is tried shows that the file was read.
    strictEqual(code, 1, stderr);
    match(stderr, new RegExp(`${port}`));
    await Deno.writeTextFile(`${folder}/config.json`, '{"no-such-flag":1}');
    const unknown = await walraft(command, { env });
    strictEqual(unknown.code, 2);
    match(unknown.stderr, /no-such-flag/);
  });
  await Deno.remove(folder, { recursive: true });
});
