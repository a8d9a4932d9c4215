import type { ShellOptions } from "./arguments.ts";
import type { CommandContext } from "./command_context.ts";
import { describeError } from "./describe_error.ts";
import { dotCommandNames } from "./dot_commands.ts";
import { defaultHistoryFile, readHistory, writeHistory } from "./history_file.ts";
import { type LineEditor, terminalEditor } from "./line_editor.ts";
import { ShellSession } from "./shell_session.ts";
import { StatementRunner } from "./statement_runner.ts";
import { openClient } from "./status.ts";
import { EXIT } from "./usage_error.ts";

/** `-c SQL`, piped input, or a conversation when standard input is a terminal. */
export async function runShell(options: ShellOptions, context: CommandContext): Promise<number> {
  const isInteractive = options.command === undefined && context.input.isTerminal;
  const runner = new StatementRunner(openClient(options), options.database, options.level);
  const session = new ShellSession(runner, context.output, options.mode, isInteractive);
  if (!isInteractive) {
    const chunks = options.command === undefined ? context.input.chunks() : only(options.command);
    await session.script(chunks, context.signal);
    return session.state === "failed" ? EXIT.failure : EXIT.ok;
  }
  const historyFile = options.historyFile ?? defaultHistoryFile(context.environment);
  const editor = terminalEditor(await readHistory(historyFile), dotCommandNames());
  try {
    await greet(session);
    await converse(session, editor, context.signal);
  } finally {
    editor.close();
    await writeHistory(historyFile, editor.history());
  }
  return EXIT.ok;
}

async function* only(text: string): AsyncIterable<string> {
  yield text;
}

/** Says where one is; that no node answers is worth knowing before the first statement. */
async function greet(session: ShellSession): Promise<void> {
  const { client, database } = session.runner;
  try {
    const cluster = await client.cluster({ timeoutMs: 3_000 });
    const leader = cluster.leaderId === undefined ? "no leader" : `leader node ${cluster.leaderId}`;
    session.output.stdout(`Cluster of ${cluster.members.length}, ${leader}, database ${database.name}.`);
  } catch (error) {
    session.output.stdout(`Not connected: ${describeError(error)}.`);
  }
  session.output.stdout(" Type .help for commands, Ctrl-D to leave.\n");
}

/** Reads and runs lines until the user leaves. Ctrl-C stops the running statement, else drops what is typed. */
export async function converse(
  session: ShellSession,
  editor: LineEditor,
  signal: AbortSignal,
): Promise<void> {
  let running: AbortController | undefined;
  const ask = () => {
    editor.setPrompt(session.prompt);
    editor.prompt();
  };
  editor.onInterrupt(() => {
    if (running !== undefined) return running.abort("SIGINT");
    const [hadLine, hadStatement] = [editor.clearLine(), session.clearInput()];
    session.output.stdout(hadLine || hadStatement ? "\n" : "\nCtrl-D or .quit leaves.\n");
    ask();
  });
  const leave = () => editor.close();
  signal.addEventListener("abort", leave);
  try {
    ask();
    for await (const line of editor.lines()) {
      running = new AbortController();
      await session.line(line, running.signal);
      running = undefined;
      session.resume();
      if (session.state === "quit" || signal.aborted) return;
      ask();
    }
    session.output.stdout("\n");
  } finally {
    signal.removeEventListener("abort", leave);
  }
}
