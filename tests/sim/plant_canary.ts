import type { Canary } from "./canaries.ts";

const ROOT = new URL("../../", import.meta.url);
/** What the simulator needs to run by itself. */
const COPIED = ["core", "net", "tests/sim", "tests/support", "deno.json", "deno.lock"];
export const SEEDS_MAX = 200;

/**
 * Runs the simulator over a copy of the sources with the canary in it.
 *
 * @returns how many seeds it took to find it, and what was found; undefined when none of SEEDS_MAX did
 * @throws Error when the canary's text is not in the sources
 */
export async function plantCanary(
  canary: Canary,
  firstSeed = canary.firstSeed ?? 1,
): Promise<{ readonly seeds: number; readonly found: string } | undefined> {
  const folder = await Deno.makeTempDir({ prefix: "walraft-canary-" });
  try {
    for (const path of COPIED) await copy(new URL(path, ROOT), `${folder}/${path}`);
    for (const edit of canary.edits) await apply(`${folder}/${edit.file}`, edit);
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "tests/sim/main.ts", `--from=${firstSeed}`, `--count=${SEEDS_MAX}`],
      cwd: folder,
      stdin: "null",
      stdout: "null",
      stderr: "piped",
      env: { NO_COLOR: "1" },
    }).output();
    if (code === 0) return undefined;
    const text = new TextDecoder().decode(stderr);
    const sound = /failed after (\d+) sound ones/.exec(text)?.[1];
    if (sound === undefined) throw new Error(`The simulator did not run: ${text.slice(0, 2_000)}`);
    return { seeds: Number(sound) + 1, found: text.split("\n")[1] ?? "" };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function apply(path: string, { find, replace }: Canary["edits"][number]): Promise<void> {
  const text = await Deno.readTextFile(path);
  if (text.split(find).length !== 2) {
    throw new Error(`Cannot plant a canary: ${path} does not hold once: ${find}`);
  }
  await Deno.writeTextFile(path, text.replace(find, () => replace));
}

async function copy(from: URL, to: string): Promise<void> {
  if ((await Deno.stat(from)).isFile) {
    await Deno.mkdir(to.slice(0, to.lastIndexOf("/")), { recursive: true });
    return await Deno.copyFile(from, to);
  }
  await Deno.mkdir(to, { recursive: true });
  for await (const { name } of Deno.readDir(from)) {
    await copy(new URL(`${from.href}/${name}`), `${to}/${name}`);
  }
}
