import type { BundledProgram } from "./bundle_program.ts";
import { runDeno } from "./run_deno.ts";

/** Long enough for a name look-up and a TLS handshake; a machine without access must not wait for more. */
const PROBE_MS_MAX = 5_000;
/** The base has about 40 MB. */
const COMPILE_MS_MAX = 300_000;

/**
 * Makes one executable with `deno compile`, which needs its runtime base (`denort`) from Deno's site.
 *
 * @returns undefined when it worked, else the reason in one line
 */
export async function compileProgram(
  bundle: BundledProgram,
  outputPath: string,
): Promise<string | undefined> {
  const refusal = await baseRefusal();
  if (refusal !== undefined) return refusal;
  const compiled = await runDeno([
    "compile",
    "--allow-all",
    "--v8-flags=--max-semi-space-size=2",
    "--no-prompt",
    "--no-check",
    // The bundle holds every package already; without these two all packages of deno.json would be embedded again.
    "--no-config",
    "--no-lock",
    ...bundle.assetNames.flatMap((name) => ["--include", `${bundle.folder}/${name}`]),
    "--output",
    outputPath,
    `${bundle.folder}/${bundle.programName}`,
  ], COMPILE_MS_MAX);
  if (compiled.success) return undefined;
  return `deno compile failed: ${firstLines(compiled.output)}`;
}

/** Asks before it compiles, because `deno compile` itself has no time limit for its download. */
async function baseRefusal(): Promise<string | undefined> {
  // A base of one's own, as Deno documents it; no download takes place then.
  if (Deno.env.get("DENORT_BIN")) return undefined;
  const url = `https://dl.deno.land/release/v${Deno.version.deno}/denort-${Deno.build.target}.zip`;
  try {
    const answer = await fetch(url, { method: "HEAD", signal: AbortSignal.timeout(PROBE_MS_MAX) });
    return answer.ok ? undefined : `${url} answers ${answer.status}`;
  } catch (error) {
    const isTimeout = error instanceof DOMException && error.name === "TimeoutError";
    return `${url} ${isTimeout ? `does not answer within ${PROBE_MS_MAX / 1000} s` : "cannot be reached"}`;
  }
}

function firstLines(text: string): string {
  const lines = text.split("\n").map((line) => line.trim()).filter((line) =>
    line.startsWith("error") || /^\d+:/.test(line)
  );
  return lines.slice(0, 2).join("; ") || text.slice(0, 200);
}
