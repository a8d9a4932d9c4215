/** The real process as the context of commands. */
import type { CommandContext } from "./command_context.ts";
import type { Input, Output } from "./output.ts";
import { selfCommand } from "./self_command.ts";

const encoder = new TextEncoder();

function writeAll(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  let bytes = encoder.encode(text);
  while (bytes.length > 0) bytes = bytes.subarray(stream.writeSync(bytes));
}

function processOutput(): Output {
  const isTerminal = Deno.stdout.isTerminal();
  return {
    stdout: (text) => writeAll(Deno.stdout, text),
    stderr: (text) => writeAll(Deno.stderr, text),
    isTerminal,
    isErrorTerminal: Deno.stderr.isTerminal(),
    get columns() {
      return isTerminal ? Deno.consoleSize().columns : undefined;
    },
  };
}

const processInput: Input = {
  isTerminal: Deno.stdin.isTerminal(),
  chunks: () => Deno.stdin.readable.pipeThrough(new TextDecoderStream()),
};

/**
 * @param mainModule `import.meta.url` of the program's entry
 * @param version the program's version
 */
export function denoContext(mainModule: string, version: string): CommandContext {
  const interrupted = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(name, () => interrupted.abort(name));
  }
  const environment = Deno.env.toObject();
  return {
    output: processOutput(),
    input: processInput,
    environment,
    readFile: (path) => Deno.readTextFileSync(path),
    signal: interrupted.signal,
    version,
    selfCommand: selfCommand(environment, Deno.execPath(), mainModule, Deno.build.standalone),
  };
}
