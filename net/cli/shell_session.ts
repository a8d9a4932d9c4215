/** The shell without its keyboard: lines in, text out. */
import { isWalraftError, type SqlValue } from "../client/mod.ts";
import type { OutputMode } from "./arguments.ts";
import { describeError, messageOf } from "./describe_error.ts";
import { isDotCommand, runDotCommand } from "./dot_commands.ts";
import { caretHint } from "./error_hint.ts";
import type { Output } from "./output.ts";
import { type ScriptStatement, StatementSplitter } from "./split_statements.ts";
import type { StatementOutcome, StatementRunner } from "./statement_runner.ts";
import { formatRows } from "./table_format.ts";

export type SessionState = "running" | "failed" | "quit";

/** A line of input longer than this is refused: a file of another kind by mistake. */
const LINE_CHARACTERS_MAX = 64 * 1024 * 1024;
/** Scripts that read scripts; a script that reads itself ends here. */
const SCRIPT_DEPTH_MAX = 16;

export class ShellSession {
  readonly runner: StatementRunner;
  readonly output: Output;
  mode: OutputMode;
  headers = true;
  timer = false;
  /** Somebody watches: say what happened, and go on after errors. */
  readonly isInteractive: boolean;
  #splitter = new StatementSplitter();
  #state: SessionState = "running";
  /** Scripts under way, one inside the other; only in scripts do lines have numbers. */
  #depth = 0;

  constructor(runner: StatementRunner, output: Output, mode: OutputMode, isInteractive: boolean) {
    this.runner = runner;
    this.output = output;
    this.mode = mode;
    this.isInteractive = isInteractive;
  }

  get state(): SessionState {
    return this.#state;
  }

  /** What the next line goes on with. */
  get prompt(): string {
    const { asOf, database } = this.runner;
    const name = asOf === undefined ? database.name : `${database.name}@${asOf}`;
    const { open } = this.#splitter;
    if (open === "nothing") return this.runner.gathered === undefined ? `${name}> ` : `${name}*> `;
    const sign = { statement: "...", string: "'..", comment: "/*.", trigger: ";.." }[open];
    return `${sign.padStart(name.length)}> `;
  }

  quit(): void {
    this.#state = "quit";
  }

  /** Drops the statement that is being typed. Returns whether there was one. */
  clearInput(): boolean {
    const wasOpen = this.#splitter.open !== "nothing";
    this.#splitter.clear();
    return wasOpen;
  }

  /** Takes one line without its end. Prints results and errors, and never throws. */
  async line(line: string, signal: AbortSignal): Promise<void> {
    if (this.#splitter.open === "nothing" && isDotCommand(line)) {
      // The splitter counts lines for error messages.
      this.#splitter.push("\n");
      await this.#guard(undefined, () => runDotCommand(this, line, signal));
      return;
    }
    await this.#runAll(() => this.#splitter.push(`${line}\n`), signal);
  }

  /** Takes a script as it comes, to its end. Stops at the first failure. */
  async script(chunks: AsyncIterable<string>, signal: AbortSignal): Promise<void> {
    const outer = this.#splitter;
    this.#splitter = new StatementSplitter();
    this.#depth++;
    try {
      if (this.#depth > SCRIPT_DEPTH_MAX) {
        return this.#fail(`Cannot read scripts more than ${SCRIPT_DEPTH_MAX} deep`);
      }
      let rest = "";
      for await (const chunk of chunks) {
        const lines = (rest + chunk).split("\n");
        rest = lines.pop() as string;
        if (rest.length > LINE_CHARACTERS_MAX) {
          return this.#fail(`Cannot read a line of more than ${LINE_CHARACTERS_MAX} characters`);
        }
        for (const line of lines) {
          await this.line(line.replace(/\r$/, ""), signal);
          if (this.#state !== "running" || signal.aborted) return;
        }
      }
      if (rest !== "") await this.line(rest, signal);
      if (this.#state === "running") await this.#end(signal);
    } catch (error) {
      this.#fail(`Cannot read the input: ${messageOf(error)}`);
    } finally {
      this.#depth--;
      this.#splitter = outer;
    }
  }

  /** Runs a script of its own, such as a file; its failure is a failure of this session only when nobody watches. */
  async nestedScript(chunks: AsyncIterable<string>, signal: AbortSignal): Promise<void> {
    await this.script(chunks, signal);
    if (this.isInteractive && this.#state === "failed") this.#state = "running";
  }

  /** The last statement of a script may lack its semicolon. */
  async #end(signal: AbortSignal): Promise<void> {
    const { last, open } = this.#splitter.finish();
    if (last !== undefined) await this.#runAll(() => [last], signal);
    if (this.#state !== "running") return;
    if (open !== "nothing") this.#fail(`Cannot run the last statement: a ${open} is not closed`);
    else if (this.runner.gathered !== undefined && !this.isInteractive) {
      this.#fail("Cannot end here: BEGIN has no COMMIT, so nothing of the transaction was sent");
    }
  }

  async #runAll(split: () => readonly ScriptStatement[], signal: AbortSignal): Promise<void> {
    let statements: readonly ScriptStatement[] = [];
    const isSplit = await this.#guard(undefined, () => {
      statements = split();
      return Promise.resolve();
    });
    if (!isSplit) return this.#splitter.clear();
    for (const statement of statements) {
      const isDone = await this.#guard(statement, async () => {
        const startMs = performance.now();
        const outcomes = await this.runner.run(statement, signal);
        for (const outcome of outcomes) this.print(outcome, performance.now() - startMs);
      });
      // What was typed behind a statement that failed was meant for after its success.
      if (!isDone) return;
    }
  }

  print(outcome: StatementOutcome, elapsedMs: number): void {
    const { mode, headers } = this;
    if (outcome.columns.length > 0 && (outcome.rows.length > 0 || mode === "table" || mode === "json")) {
      const columns = this.output.columns;
      this.output.stdout(
        formatRows(outcome.columns, outcome.rows as readonly (readonly SqlValue[])[], {
          mode,
          headers,
          columns,
        }),
      );
    }
    if (this.isInteractive && outcome.note !== undefined) this.output.stdout(`${outcome.note}\n`);
    if (this.timer && outcome.nodeMs !== undefined) {
      this.output.stdout(
        `time ${elapsedMs.toFixed(1)} ms, of it ${
          outcome.nodeMs.toFixed(1)
        } ms in the node, index ${outcome.index}\n`,
      );
    }
  }

  /** Runs something and prints what it throws, with a caret where the statement is known. Returns success. */
  async #guard(statement: ScriptStatement | undefined, run: () => Promise<void>): Promise<boolean> {
    try {
      await run();
      return true;
    } catch (error) {
      const offset = isWalraftError(error) ? error.details.sql_offset : undefined;
      const hint = statement === undefined
        ? undefined
        : caretHint(statement.text, messageOf(error), typeof offset === "number" ? offset : undefined);
      const place = this.#depth > 0 && statement !== undefined ? `line ${statement.line}: ` : "";
      this.#fail(place + describeError(error) + (hint === undefined ? "" : `\n${hint}`));
      return false;
    }
  }

  #fail(message: string): void {
    this.output.stderr(`Error: ${message}\n`);
    this.#state = "failed";
  }

  /** Goes on after a failure: for interactive use. */
  resume(): void {
    if (this.#state === "failed") this.#state = "running";
  }
}
