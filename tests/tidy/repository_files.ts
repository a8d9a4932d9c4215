/** Every text file of the repository by its path from the root. */
export type RepositoryFiles = ReadonlyMap<string, string>;

const ROOT = new URL("../../", import.meta.url);
/** Made by tools, not written by people; `dist`, `data` and `coverage` are in `.gitignore`. */
const SKIPPED_FOLDERS: ReadonlySet<string> = new Set([".git", "dist", "data", "coverage", "node_modules"]);
/** Binary golden files would only look like text by chance. */
const TEXT_EXTENSIONS = /\.(ts|js|json|md|txt|sh|html|css|lock|yml)$|\/?(LICENSE|run|pre-push|\.gitignore)$/;

export async function repositoryFiles(): Promise<RepositoryFiles> {
  const files = new Map<string, string>();
  const walk = async (folder: string): Promise<void> => {
    for await (const entry of Deno.readDir(new URL(folder, ROOT))) {
      const path = `${folder}${entry.name}`;
      if (entry.isDirectory && !SKIPPED_FOLDERS.has(entry.name)) await walk(`${path}/`);
      if (entry.isFile && TEXT_EXTENSIONS.test(path)) {
        files.set(path, await Deno.readTextFile(new URL(path, ROOT)));
      }
    }
  };
  await walk("");
  return new Map([...files].sort(([left], [right]) => left < right ? -1 : 1));
}

/** `core/raft/` for `core/raft/raft.ts`; empty for files of the root. */
export function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/") + 1);
}
