import { DatabaseSync } from "node:sqlite";
import { type Client, isWalraftError, WalraftError } from "../client/mod.ts";
import type { LoadOptions } from "./arguments.ts";
import type { CommandContext } from "./command_context.ts";
import { messageOf } from "./describe_error.ts";
import { openStream } from "./file_stream.ts";
import { ProgressBar } from "./progress_bar.ts";
import { isSent, refuseOtherFiles, type ScriptBatch, ScriptBatches } from "./script_batches.ts";
import { type ScriptStatement, StatementSplitter } from "./split_statements.ts";

/** Calls `onStatement` for each statement of a file. Errors name file and line. */
async function eachStatement(
  path: string,
  signal: AbortSignal,
  onBytes: (bytes: number) => void,
  onStatement: (statement: ScriptStatement) => Promise<void> | void,
): Promise<number> {
  const splitter = new StatementSplitter();
  let count = 0;
  const runAll = async (statements: readonly ScriptStatement[]) => {
    for (const statement of statements) {
      signal.throwIfAborted();
      try {
        await onStatement(statement);
      } catch (cause) {
        if (isWalraftError(cause)) throw cause;
        throw new Error(`Cannot load ${path}:${statement.line}: ${messageOf(cause)}`, { cause });
      }
      count++;
    }
  };
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const decode = (bytes?: Uint8Array): string => {
    try {
      return decoder.decode(bytes, { stream: bytes !== undefined });
    } catch (cause) {
      throw new Error(`Cannot load ${path}: it is not UTF-8 text`, { cause });
    }
  };
  for await (const bytes of openStream(path, onBytes)) await runAll(splitter.push(decode(bytes)));
  await runAll(splitter.push(decode()));
  const { last, open } = splitter.finish();
  if (open !== "nothing") throw new Error(`Cannot load ${path}: it ends within a ${open}`);
  if (last !== undefined) await runAll([last]);
  return count;
}

/** May run inside a transaction the script knows nothing of. */
const GROUPED: ReadonlySet<string> = new Set(["INSERT", "UPDATE", "DELETE", "REPLACE", "CREATE", "WITH"]);

/** Puts a transaction around statements that stand outside of one: four times faster for a script of inserts. */
class ImplicitTransactions {
  readonly #db: DatabaseSync;
  #isOpen = false;

  constructor(db: DatabaseSync) {
    this.#db = db;
  }

  before(statement: ScriptStatement): void {
    if (!GROUPED.has(statement.keyword)) return this.end();
    if (this.#db.isTransaction) return;
    this.#db.exec("BEGIN");
    this.#isOpen = true;
  }

  end(): void {
    if (this.#isOpen) this.#db.exec("COMMIT");
    this.#isOpen = false;
  }
}

/**
 * Runs a script in a new native SQLite file and gives the number of statements. The file is private and thrown away
 * on failure, so it needs no journal on disk and no fsync.
 */
export async function buildNativeFile(
  script: string,
  scriptBytes: number,
  path: string,
  context: CommandContext,
): Promise<number> {
  const bar = new ProgressBar(context.output, "running", scriptBytes);
  const db = new DatabaseSync(path);
  try {
    db.exec("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF");
    const groups = new ImplicitTransactions(db);
    const count = await eachStatement(script, context.signal, (bytes) => bar.update(bytes), (statement) => {
      refuseOtherFiles(statement);
      groups.before(statement);
      db.exec(statement.text);
    });
    groups.end();
    if (db.isTransaction) throw new Error(`Cannot load ${script}: its last transaction has no COMMIT`);
    // Nothing may stay beside the file, whatever journal mode the script chose.
    db.exec("PRAGMA journal_mode = DELETE");
    // A script without tables leaves an empty file; writing the version back gives it its first page.
    const { user_version: version } = db.prepare("PRAGMA user_version").get() as { user_version: number };
    db.exec(`PRAGMA user_version = ${version}`);
    return count;
  } finally {
    db.close();
    bar.end();
  }
}

/** Sends a script in atomic batches to a database that has tables already. */
export async function sendScript(
  client: Client,
  options: LoadOptions,
  scriptBytes: number,
  context: CommandContext,
): Promise<string> {
  const bar = new ProgressBar(context.output, "sending", scriptBytes);
  const database = client.database(options.database);
  const batches = new ScriptBatches(options.batchStatementsMax);
  const total = { statements: 0, batches: 0, changes: 0, lastLine: 0, index: 0 };
  const send = async (batch: ScriptBatch | undefined) => {
    if (batch === undefined) return;
    try {
      const { results, index } = await database.batch(batch.statements, { signal: context.signal });
      // The first one is the PRAGMA that was added.
      total.changes += results.slice(1).reduce((sum, result) => sum + result.changes, 0);
      total.statements += batch.statements.length - 1;
      total.batches++;
      total.lastLine = batch.lines.at(-1) as number;
      total.index = index;
    } catch (error) {
      throw nameLine(error, options.file, batch, total);
    }
  };
  try {
    await eachStatement(options.file, context.signal, (bytes) => bar.update(bytes), async (statement) => {
      if (isSent(statement)) await send(batches.add(statement));
    });
    await send(batches.take());
  } finally {
    bar.end();
  }
  return `${total.statements} statements in ${total.batches} batches, ${total.changes} rows changed, index ${total.index}`;
}

/** Says where the script failed, and what of it is in the database. */
function nameLine(
  error: unknown,
  file: string,
  batch: ScriptBatch,
  done: { readonly batches: number; readonly lastLine: number },
): unknown {
  if (!isWalraftError(error)) return error;
  const { code, retry, mayHaveCommitted, status, details } = error;
  const line = batch.lines[details.statement_index ?? 0] ?? batch.lines[0];
  const kept = done.batches === 0
    ? "nothing was loaded"
    : `everything up to line ${done.lastLine} was loaded`;
  const fate = mayHaveCommitted ? `, and lines ${batch.lines[0]} to ${batch.lines.at(-1)} may have been` : "";
  const message = `Cannot load ${file}:${line}: ${error.message}; ${kept}${fate}`;
  return new WalraftError({ code, message, retry, mayHaveCommitted, status, details, cause: error });
}
