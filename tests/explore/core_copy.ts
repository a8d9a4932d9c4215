/** The core under exploration: a copy whose private state can be read, and into which a bug can be planted. */
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { assert } from "../../core/base/assert.ts";

/** The driver double and, through it, the core. Their types are those of the originals. */
export type Core = typeof import("../support/raft_node.ts");

/** Replaces one passage of one file; the passage must be there exactly once, or the edit is out of date. */
export interface Edit {
  /** Seen from the repository's root. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/** What `#name` becomes. Nothing in the core begins with it. */
export const OPENED = "opened_";

const DRIVER = "tests/support/raft_node.ts";
const FOLDERS = ["core/base", "core/raft"];
const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/**
 * Loads core and driver double from a temporary copy in which `#name` reads `opened_name` and `edits` are made.
 *
 * @throws AssertionError when an edit does not fit the source any more
 */
export async function loadCore(edits: readonly Edit[] = []): Promise<Core> {
  const folder = await mkdtemp(join(tmpdir(), "walraft-explore-"));
  try {
    for (const path of await sourcePaths()) {
      const target = join(folder, path);
      await mkdir(dirname(target), { recursive: true });
      await cp(join(ROOT, path), target);
      await writeFile(target, openedSource(path, await readFile(target, "utf8"), edits));
    }
    const unknown = edits.find(({ file }) => file !== DRIVER && !FOLDERS.includes(dirname(file)));
    assert(unknown === undefined, () => `Cannot edit ${unknown?.file}: it is not copied`);
    return await import(pathToFileURL(join(folder, DRIVER)).href) as Core;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function sourcePaths(): Promise<string[]> {
  const paths = [DRIVER];
  for (const folder of FOLDERS) {
    for (const name of await readdir(join(ROOT, folder))) {
      if (name.endsWith(".ts") && !name.endsWith("_test.ts")) paths.push(`${folder}/${name}`);
    }
  }
  return paths;
}

function openedSource(path: string, source: string, edits: readonly Edit[]): string {
  let edited = source;
  for (const { file, find, replace } of edits) {
    if (file !== path) continue;
    assert(edited.split(find).length === 2, () => `Cannot plant in ${file}: "${find}" is not there once`);
    edited = edited.replace(find, () => replace);
  }
  assert(!edited.includes(OPENED), () => `${path} uses the name ${OPENED}, which the copy needs`);
  return edited.replace(/#(?=[a-zA-Z_]\w*)/g, OPENED);
}
