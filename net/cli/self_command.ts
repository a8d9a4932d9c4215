import { fileURLToPath } from "node:url";

/**
 * Every thread of a node would let its young generation grow to 32 MiB under load, and there are four of them or more. The
 * tasks of `deno.json` and the executables use the same; bench/README.md has the measurement.
 */
export const V8_FLAGS = "--v8-flags=--max-semi-space-size=2";

/**
 * How this program starts another copy of itself: program and arguments, to be followed by those of a command.
 * `WALRAFT_SELF_COMMAND`, a JSON array that the self-extracting launcher sets, wins. A compiled executable is itself;
 * from source it is Deno with the entry module.
 */
export function selfCommand(
  environment: Readonly<Record<string, string | undefined>>,
  execPath: string,
  mainModule: string,
  isCompiled: boolean,
): readonly string[] {
  const given = environment.WALRAFT_SELF_COMMAND;
  if (given !== undefined && given !== "") return parseGiven(given);
  if (isCompiled) return [execPath];
  const entry = mainModule.startsWith("file:") ? fileURLToPath(mainModule) : mainModule;
  return [execPath, "run", "-A", V8_FLAGS, entry];
}

function parseGiven(text: string): readonly string[] {
  let command: unknown;
  try {
    command = JSON.parse(text);
  } catch {
    command = undefined;
  }
  if (!Array.isArray(command) || command.length === 0 || command.some((part) => typeof part !== "string")) {
    throw new Error(
      `Cannot use WALRAFT_SELF_COMMAND: it must be a JSON array of texts, found ${text.slice(0, 100)}`,
    );
  }
  return command as string[];
}
