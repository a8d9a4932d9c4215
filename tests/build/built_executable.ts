import assert from "node:assert/strict";
import { buildExecutable } from "../../core/host/build/build_executable.ts";

const REPOSITORY_ROOT = new URL("../../", import.meta.url).pathname;
/** All that a machine has to have, see core/host/build/README.md. There is no deno, node or npx among them. */
const TOOLS = "sh tail gzip tar cksum sync mktemp mkdir mv rm id sed".split(" ");

/** A self-extracting executable on a machine that has neither Deno nor Node, in an empty folder. */
export interface BuiltExecutable {
  readonly path: string;
  /** Where it runs; empty at the start. */
  readonly workFolder: string;
  /** The whole environment of its processes. */
  readonly env: Readonly<Record<string, string>>;
  /** A process of the executable; output is piped, input is empty. */
  command(args: readonly string[]): Deno.Command;
}

/** Builds from `entryPath`, calls `body`, and removes everything again. */
export async function withBuiltExecutable(
  body: (executable: BuiltExecutable) => Promise<void>,
  entryPath = `${REPOSITORY_ROOT}main.ts`,
): Promise<void> {
  const folder = await Deno.realPath(await Deno.makeTempDir({ prefix: "walraft-executable-" }));
  try {
    const path = `${folder}/dist/walraft`;
    // The level costs nothing but size, and a test reads the file once.
    await buildExecutable({ entryPath, outputPath: path, way: "pack", compressionLevel: 1 });
    const workFolder = `${folder}/empty`;
    await Deno.mkdir(workFolder);
    const env = { PATH: await toolFolder(`${folder}/tools`), XDG_CACHE_HOME: `${folder}/cache` };
    const command = (args: readonly string[]) =>
      new Deno.Command(path, {
        args: [...args],
        cwd: workFolder,
        env,
        clearEnv: true,
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      });
    await body({ path, workFolder, env, command });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A folder of links to the tools and to nothing else, to be the whole PATH. */
export async function toolFolder(folder: string, tools: readonly string[] = TOOLS): Promise<string> {
  await Deno.mkdir(folder, { recursive: true });
  for (const tool of tools) {
    const path = (Deno.env.get("PATH") ?? "").split(":").map((each) => `${each}/${tool}`).find(isFile);
    assert.ok(path !== undefined, `Cannot run this test: ${tool} is not on PATH`);
    await Deno.symlink(path, `${folder}/${tool}`);
  }
  return folder;
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
