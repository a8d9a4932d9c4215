import { resolvePath } from "./import_rules.ts";
import type { RepositoryFiles } from "./repository_files.ts";

/** `from "x"`, `import "x"`, `import("x")`, and a worker or asset that is named by `new URL("x", import.meta.url)`. */
const REFERENCES = [
  /\bfrom\s+"(\.[^"\n]+)"/g,
  /\bimport\s+"(\.[^"\n]+)"/g,
  /\bimport\(\s*"(\.[^"\n]+)"/g,
  /\bnew URL\(\s*"(\.[^"\n]+)",\s*import\.meta\.url/g,
];

/** Paths that the module at `path` names, resolved from the root; some may not exist. */
export function referencesOf(path: string, source: string): string[] {
  return REFERENCES.flatMap((pattern) =>
    [...source.matchAll(pattern)].map((match) => resolvePath(path, match[1] ?? ""))
  );
}

/** Every module that is loaded, directly or through others, when the `roots` are. */
export function reachableFrom(roots: readonly string[], files: RepositoryFiles): Set<string> {
  const reached = new Set<string>();
  const waiting = [...roots];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const source = files.get(path);
    if (source === undefined || reached.has(path)) continue;
    reached.add(path);
    waiting.push(...referencesOf(path, source));
  }
  return reached;
}
