import assert from "node:assert/strict";
import { toolFolder } from "../../../tests/build/built_executable.ts";
import { selfExtracting } from "./self_extracting.ts";

/**
 * The stub is run for real; what it starts is a script in place of the 95 MB runtime that reports how it was called.
 * `tests/build` runs the real one.
 */
const REPORTER = `#!/bin/sh
printf 'self=%s\\n' "$WALRAFT_SELF_COMMAND"
printf 'cache=%s\\n' "$DENO_DIR"
for argument in "$@"; do printf 'argument=%s\\n' "$argument"; done
exit 7
`;

interface Run {
  readonly code: number;
  readonly out: string[];
  readonly error: string;
}

class Machine {
  readonly #executable: string;
  readonly #tools: Promise<string>;

  constructor(readonly folder: string, executableName = "walraft") {
    this.#tools = toolFolder(`${folder}/tools`);
    this.#executable = `${folder}/${executableName}`;
  }

  async install(program = "program", bytes = executable(program)): Promise<void> {
    // By another process: a file that this one has open for writing while a test of another thread forks cannot be run.
    await Deno.writeFile(`${this.folder}/written`, bytes, { mode: 0o755 });
    const { success } = await new Deno.Command("cp", { args: [`${this.folder}/written`, this.#executable] })
      .output();
    assert.ok(success);
  }

  /** Runs with nothing but `env` in the environment, and a PATH that holds the tools the stub may use. */
  async run(env: Record<string, string>, args: string[] = [], command = this.#executable): Promise<Run> {
    const { code, stdout, stderr } = await new Deno.Command(command, {
      args,
      cwd: this.folder,
      env: { PATH: await this.#tools, ...env },
      clearEnv: true,
      stdin: "null",
    }).output();
    const text = new TextDecoder();
    return { code, out: text.decode(stdout).trim().split("\n"), error: text.decode(stderr).trim() };
  }
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

function executable(program: string): Uint8Array {
  const bytesOf = (text: string) => new TextEncoder().encode(text);
  return selfExtracting({
    runtime: bytesOf(REPORTER),
    program: { name: "walraft.js", bytes: bytesOf(program) },
    assets: [{ name: "wa-sqlite.wasm", bytes: bytesOf("engine") }, {
      name: "cities.pbf",
      bytes: bytesOf("cities"),
    }],
    stub: Deno.readTextFileSync(new URL("./stub.sh", import.meta.url)),
  }, 6);
}

async function withMachine(
  body: (machine: Machine) => Promise<void>,
  executableName?: string,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "walraft-stub-" });
  try {
    await body(new Machine(await Deno.realPath(folder), executableName));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const unpackedFolders = (root: string): string[] =>
  [...Deno.readDirSync(root)].map((entry) => entry.name).sort();

function onlyFolder(root: string): string {
  const names = unpackedFolders(root);
  assert.equal(names.length, 1, `${root} holds ${names}`);
  return `${root}/${names[0]}`;
}

Deno.test("stub.sh starts the runtime with the program, the arguments and its own command", async () => {
  await withMachine(async (machine) => {
    await machine.install();
    const cache = `${machine.folder}/cache`;
    const run = await machine.run({ XDG_CACHE_HOME: cache }, ["serve", "--data", "a b", "$HOME", ""]);
    const home = onlyFolder(`${cache}/walraft`);
    assert.deepEqual(run.out, [
      `self=["${machine.folder}/walraft"]`,
      `cache=${home}/deno_dir`,
      ...[
        "run",
        "-A",
        "--v8-flags=--max-semi-space-size=2",
        "--no-prompt",
        "--no-config",
        "--no-lock",
        "--no-remote",
        "--no-npm",
      ].map((each) => `argument=${each}`),
      `argument=${home}/walraft.js`,
      ...["serve", "--data", "a b", "$HOME"].map((each) => `argument=${each}`),
      // The empty last argument: its line ends the output, and trim() took the newline.
      "argument=",
    ]);
    assert.equal(run.code, 7, "the exit code is that of the program");
    assert.equal(run.error, "");
  });
});

Deno.test("stub.sh knows its own path when it is started by a relative path or through PATH", async () => {
  await withMachine(async (machine) => {
    await machine.install();
    const env = { XDG_CACHE_HOME: `${machine.folder}/cache` };
    const relative = await machine.run(env, ["-c", "exec ./walraft"], "sh");
    assert.equal(relative.out[0], `self=["${machine.folder}/./walraft"]`);
    await Deno.symlink(`${machine.folder}/walraft`, `${machine.folder}/tools/walraft`);
    const found = await machine.run(env, ["-c", "exec walraft"], "sh");
    assert.equal(found.out[0], `self=["${machine.folder}/tools/walraft"]`);
    const asScript = await machine.run(env, ["walraft"], "sh");
    assert.equal(asScript.out[0], `self=["${machine.folder}/walraft"]`);
  });
});

Deno.test("stub.sh writes its own path as JSON when it holds quotes", async () => {
  const name = `wal"raft\\x`;
  await withMachine(async (machine) => {
    await machine.install();
    const run = await machine.run({ XDG_CACHE_HOME: `${machine.folder}/cache` });
    assert.deepEqual(JSON.parse((run.out[0] ?? "").slice("self=".length)), [`${machine.folder}/${name}`]);
  }, name);
});

Deno.test("stub.sh unpacks once, and another version beside it", async () => {
  await withMachine(async (machine) => {
    const env = { XDG_CACHE_HOME: `${machine.folder}/cache` };
    await machine.install("one");
    await machine.run(env);
    const home = onlyFolder(`${machine.folder}/cache/walraft`);
    await Deno.writeTextFile(`${home}/walraft.js`, "kept");
    await machine.run(env);
    assert.equal(await Deno.readTextFile(`${home}/walraft.js`), "kept");
    await machine.install("two");
    await machine.run(env);
    assert.equal(unpackedFolders(`${machine.folder}/cache/walraft`).length, 2);
  });
});

Deno.test("stub.sh repairs an unpacked folder that lost a file", async () => {
  await withMachine(async (machine) => {
    await machine.install("program");
    const env = { XDG_CACHE_HOME: `${machine.folder}/cache` };
    await machine.run(env);
    const home = onlyFolder(`${machine.folder}/cache/walraft`);
    for (const file of ["deno", "walraft.js", "wa-sqlite.wasm", "cities.pbf"]) {
      await Deno.remove(`${home}/${file}`);
      const run = await machine.run(env);
      assert.equal(run.code, 7, `${file}: ${run.error}`);
      assert.ok(isFile(`${home}/${file}`));
    }
    // What a power failure leaves of a file that was never synced.
    await Deno.writeTextFile(`${home}/walraft.js`, "");
    await machine.run(env);
    assert.equal(await Deno.readTextFile(`${home}/walraft.js`), "program");
  });
});

Deno.test("stub.sh survives first runs at the same moment and leaves nothing over", async () => {
  await withMachine(async (machine) => {
    await machine.install();
    const env = { XDG_CACHE_HOME: `${machine.folder}/cache` };
    const runs = await Promise.all(Array.from({ length: 8 }, () => machine.run(env)));
    assert.deepEqual(runs.map((run) => [run.code, run.error]), runs.map(() => [7, ""]));
    onlyFolder(`${machine.folder}/cache/walraft`);
  });
});

Deno.test("stub.sh refuses to unpack a damaged or cut file", async () => {
  await withMachine(async (machine) => {
    const bytes = executable("program");
    const damaged = bytes.slice();
    damaged[bytes.length - 40] = (damaged[bytes.length - 40] ?? 0) ^ 1;
    for (const broken of [damaged, bytes.slice(0, -1)]) {
      await machine.install("", broken);
      const run = await machine.run({ XDG_CACHE_HOME: `${machine.folder}/cache` });
      assert.equal(run.code, 70);
      assert.match(run.error, /^walraft: Cannot unpack .*\/walraft: it is damaged .*; copy it again$/);
    }
  });
});

Deno.test("stub.sh tries HOME, then TMPDIR", async () => {
  await withMachine(async (machine) => {
    await machine.install();
    const folder = machine.folder;
    await Deno.mkdir(`${folder}/home`);
    await Deno.mkdir(`${folder}/tmp`);
    await machine.run({ HOME: `${folder}/home`, TMPDIR: `${folder}/tmp` });
    onlyFolder(`${folder}/home/.cache/walraft`);
    // A file where a folder should be cannot be written to by anyone, root included.
    await Deno.writeTextFile(`${folder}/file`, "");
    for (
      const env of [{ HOME: `${folder}/missing` }, {
        HOME: `${folder}/file`,
        XDG_CACHE_HOME: `${folder}/file`,
      }, {}]
    ) {
      const run = await machine.run({ ...env, TMPDIR: `${folder}/tmp` });
      assert.equal(run.code, 7, run.error);
      assert.match(run.out[1] ?? "", /\/tmp\/walraft-\d+\/[0-9a-f]{32}\/deno_dir$/);
    }
  });
});

Deno.test("stub.sh says what to do when no folder takes the files", async () => {
  await withMachine(async (machine) => {
    await machine.install();
    await Deno.writeTextFile(`${machine.folder}/file`, "");
    const run = await machine.run({ TMPDIR: `${machine.folder}/file` });
    assert.equal(run.code, 70);
    assert.match(run.error, /^walraft: Cannot unpack into .*; set XDG_CACHE_HOME to a folder/);
  });
});

Deno.test("stub.sh does not follow a link that stands where its folder should", async () => {
  await withMachine(async (machine) => {
    await machine.install();
    const cache = `${machine.folder}/cache`;
    await Deno.mkdir(cache);
    await Deno.mkdir(`${machine.folder}/elsewhere`);
    await Deno.symlink(`${machine.folder}/elsewhere`, `${cache}/walraft`);
    const run = await machine.run({ XDG_CACHE_HOME: cache, TMPDIR: machine.folder });
    assert.equal(run.code, 7);
    assert.deepEqual(unpackedFolders(`${machine.folder}/elsewhere`), []);
  });
});

Deno.test("selfExtracting() refuses a stub that lacks a place, and a name that a shell would split", () => {
  const bytes = new Uint8Array();
  const parts = { runtime: bytes, program: { name: "walraft.js", bytes }, assets: [], stub: "#!/bin/sh\n" };
  assert.throws(() => selfExtracting(parts, 1), /Cannot fill stub.sh: @HASH@ must occur once/);
  assert.throws(() => selfExtracting({ ...parts, program: { name: "a b", bytes } }, 1), /Cannot pack "a b"/);
});
