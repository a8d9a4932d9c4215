/** What every command gets from the process it runs in. */
import type { Input, Output } from "./output.ts";

export interface CommandContext {
  readonly output: Output;
  readonly input: Input;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Reads a small text file. */
  readonly readFile: (path: string) => string;
  /** Aborted by Ctrl-C and SIGTERM; the reason is the name of the signal. */
  readonly signal: AbortSignal;
  /** Version of the program. */
  readonly version: string;
  /** Program and first arguments with which this program starts itself: `self_command.ts`. */
  readonly selfCommand: readonly string[];
}
