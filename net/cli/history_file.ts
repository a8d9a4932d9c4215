/** Lines typed in earlier shells. A shell without a writable history works, it only forgets. */
const LINES_MAX = 1_000;
/** A pasted script does not belong into the history. */
const LINE_LENGTH_MAX = 10_000;

/** The cache folder of the user, by the custom of the platform; undefined when there is no home. */
export function defaultHistoryFile(
  environment: Readonly<Record<string, string | undefined>>,
): string | undefined {
  const folder = environment.XDG_CACHE_HOME || environment.LOCALAPPDATA ||
    (environment.HOME ? `${environment.HOME}/.cache` : undefined);
  return folder === undefined ? undefined : `${folder}/walraft/history`;
}

/** Newest line first, as line editors want it. */
export async function readHistory(path: string | undefined): Promise<string[]> {
  if (path === undefined) return [];
  try {
    const lines = (await Deno.readTextFile(path)).split("\n").filter((line) => line !== "");
    return lines.slice(-LINES_MAX).reverse();
  } catch {
    return [];
  }
}

/** Replaces the file by these lines, newest first. Readable for the user only: statements hold data. */
export async function writeHistory(path: string | undefined, lines: readonly string[]): Promise<void> {
  if (path === undefined) return;
  const kept = lines.filter((line) => line.trim() !== "" && line.length <= LINE_LENGTH_MAX).slice(
    0,
    LINES_MAX,
  );
  const text = [...kept].reverse().map((line) => `${line.replaceAll(/[\r\n]/g, " ")}\n`).join("");
  const folder = path.replace(/[/\\][^/\\]*$/, "");
  try {
    if (folder !== path) await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
    await Deno.writeTextFile(path, text, { mode: 0o600 });
  } catch {
    // A read-only home is no reason to end with an error.
  }
}
