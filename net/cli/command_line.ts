import { type DemoOptions, parseCommandLine, type ParsedCommand } from "./arguments.ts";
import type { CommandContext } from "./command_context.ts";
import { describeError } from "./describe_error.ts";
import type { ServeOptions } from "./serve_options.ts";
import type { VerifyOptions } from "./verify.ts";
import { EXIT, UsageError } from "./usage_error.ts";

/** Commands the caller supplies, because they need more of the program than this folder may know. */
export interface CommandActions {
  serve(options: ServeOptions, context: CommandContext): Promise<number>;
  demo(options: DemoOptions, context: CommandContext): Promise<number>;
  verify(options: VerifyOptions, context: CommandContext): Promise<number>;
}

/** Ended by Ctrl-C is how these normally end. */
const ENDS_BY_SIGNAL: ReadonlySet<string> = new Set(["serve", "cluster", "demo"]);

/**
 * Runs one command line and gives the exit code. Errors are printed, never thrown.
 *
 * ```ts
 * const context = denoContext(import.meta.url, version);
 * Deno.exit(await runCommandLine(Deno.args, { serve, demo, verify }, context));
 * ```
 */
export async function runCommandLine(
  argv: readonly string[],
  actions: CommandActions,
  context: CommandContext,
): Promise<number> {
  const { output, signal } = context;
  let command = "";
  try {
    const parsed = parseCommandLine(argv, context.environment, context.readFile, context.version);
    command = parsed.command;
    const code = await runParsed(parsed, actions, context);
    return signal.aborted && !ENDS_BY_SIGNAL.has(command) ? EXIT.interrupted : code;
  } catch (error) {
    if (error instanceof UsageError) {
      output.stderr(`walraft: ${error.message}\n`);
      return EXIT.usage;
    }
    if (signal.aborted && !ENDS_BY_SIGNAL.has(command)) return EXIT.interrupted;
    output.stderr(`walraft${command === "" ? "" : ` ${command}`}: ${describeError(error)}\n`);
    return EXIT.failure;
  }
}

/** Each command loads what it needs: a node is ready a fifth sooner without the shell in it. */
async function runParsed(
  parsed: ParsedCommand,
  actions: CommandActions,
  context: CommandContext,
): Promise<number> {
  switch (parsed.command) {
    case "serve":
      return await actions.serve(parsed.options, context);
    case "demo":
      return await actions.demo(parsed.options, context);
    case "cluster":
      return await (await import("./cluster.ts")).runCluster(parsed.options, context);
    case "shell":
      return await (await import("./shell.ts")).runShell(parsed.options, context);
    case "status":
      return await (await import("./status.ts")).runStatus(parsed.options, context);
    case "member":
      return await (await import("./member.ts")).runMember(parsed.options, context);
    case "load":
      return await (await import("./load.ts")).runLoad(parsed.options, context);
    case "verify":
      return await actions.verify(parsed.options, context);
    case "print":
      context.output.stdout(parsed.text);
      return EXIT.ok;
  }
}
