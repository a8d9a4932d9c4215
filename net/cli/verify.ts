import type { CommandContext } from "./command_context.ts";
import { EXIT } from "./usage_error.ts";

export interface VerifyOptions {
  readonly dataDirectory: string;
  readonly json: boolean;
}

/** One thing of a data folder and how it is. */
export interface VerifyFinding {
  readonly what: string;
  readonly state: "ok" | "note" | "damaged";
  readonly text: string;
}

/** Prints what was found; the exit code is 1 when anything is damaged. */
export function printFindings(
  findings: readonly VerifyFinding[],
  { json }: VerifyOptions,
  { output }: CommandContext,
): number {
  const isSound = findings.every(({ state }) => state !== "damaged");
  if (json) {
    output.stdout(`${JSON.stringify({ sound: isSound, findings })}\n`);
  } else {
    for (const { what, state, text } of findings) output.stdout(`${state.padEnd(8)} ${what}: ${text}\n`);
    output.stdout(isSound ? "The data folder is sound.\n" : "The data folder is damaged.\n");
  }
  return isSound ? EXIT.ok : EXIT.failure;
}
