/** Which statements of a script go to the cluster, and in which batches. Pure. */
import type { SqlStatement } from "../client/mod.ts";
import type { ScriptStatement } from "./split_statements.ts";

/** What one request carries. A body may have 16 MiB; half of it leaves room for the escapes of JSON. */
const BATCH_CHARACTERS_MAX = 4 * 1024 * 1024;

export interface ScriptBatch {
  readonly statements: readonly SqlStatement[];
  /** The line in the script of each statement; the ones added here have that of their neighbour. */
  readonly lines: readonly number[];
}

/** Each batch is one transaction: rows may come before the rows they refer to, as in dumps. */
const DEFER_FOREIGN_KEYS = "PRAGMA defer_foreign_keys = ON";

const DROPPED: ReadonlySet<string> = new Set(["BEGIN", "COMMIT", "END", "SAVEPOINT", "RELEASE", "VACUUM"]);

/** Whether a statement is sent. Throws Error for what cannot be loaded at all. */
export function isSent(statement: ScriptStatement): boolean {
  const { keyword, text } = statement;
  if (keyword === "ROLLBACK") {
    throw new Error("ROLLBACK cannot be loaded: the script is sent in batches, and those before it stay");
  }
  refuseOtherFiles(statement);
  if (DROPPED.has(keyword)) return false;
  return !(keyword === "PRAGMA" && /^PRAGMA\s+(?:\w+\s*\.\s*)?foreign_keys\b/i.test(text));
}

/** A script may not reach other files of the machine it is loaded on. */
export function refuseOtherFiles({ keyword }: ScriptStatement): void {
  if (keyword === "ATTACH" || keyword === "DETACH") {
    throw new Error(`${keyword} cannot be loaded: a script works on one database`);
  }
}

export class ScriptBatches {
  readonly #statementsMax: number;
  #statements: SqlStatement[] = [];
  #lines: number[] = [];
  #characters = 0;

  constructor(statementsMax: number) {
    this.#statementsMax = statementsMax;
  }

  /** Adds a statement and gives the batch before it when that is full. */
  add(statement: ScriptStatement): ScriptBatch | undefined {
    const isFull = this.#lines.length > this.#statementsMax ||
      (this.#lines.length > 0 && this.#characters + statement.text.length > BATCH_CHARACTERS_MAX);
    const full = isFull ? this.take() : undefined;
    if (this.#lines.length === 0) this.#push(DEFER_FOREIGN_KEYS, statement.line);
    this.#push(statement.text, statement.line);
    return full;
  }

  /** What has been added since the last batch; undefined when that is nothing. */
  take(): ScriptBatch | undefined {
    if (this.#lines.length === 0) return undefined;
    const batch = { statements: this.#statements, lines: this.#lines };
    this.#statements = [];
    this.#lines = [];
    this.#characters = 0;
    return batch;
  }

  #push(sql: string, line: number): void {
    this.#statements.push({ sql });
    this.#lines.push(line);
    this.#characters += sql.length;
  }
}
