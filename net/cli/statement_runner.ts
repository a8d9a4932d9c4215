/** Runs the statements of the shell one by one: reads as queries, writes as writes, BEGIN … COMMIT as one batch. */
import type { AsOf, Client, Database, QueryOptions, SqlRowArray, SqlStatement } from "../client/mod.ts";
import { isWalraftError, WalraftError } from "../client/mod.ts";
import type { ShellLevel } from "./arguments.ts";
import type { ScriptStatement } from "./split_statements.ts";

export interface StatementOutcome {
  readonly columns: readonly string[];
  readonly rows: readonly SqlRowArray[];
  /** Undefined for reads. */
  readonly changes: number | undefined;
  /** Log index of the answer; undefined where nothing was sent. */
  readonly index: number | undefined;
  readonly nodeMs: number | undefined;
  /** A sentence for interactive users. */
  readonly note: string | undefined;
}

/** A transaction is held in memory until COMMIT; a request body has 16 MiB and JSON needs some room. */
const TRANSACTION_CHARACTERS_MAX = 12 * 1024 * 1024;
const TRANSACTION_STATEMENTS_MAX = 100_000;

const READ_KEYWORDS: ReadonlySet<string> = new Set(["SELECT", "VALUES", "WITH", "EXPLAIN", "PRAGMA"]);

function refuse(message: string): WalraftError {
  return new WalraftError({ code: "invalid_argument", message, retry: "never", mayHaveCommitted: false });
}

const noted = (note: string): StatementOutcome => ({
  columns: [],
  rows: [],
  changes: undefined,
  index: undefined,
  nodeMs: undefined,
  note,
});

export class StatementRunner {
  readonly #client: Client;
  #database: Database;
  level: ShellLevel;
  #asOf: AsOf | undefined;
  #transaction: SqlStatement[] | undefined;
  #transactionCharacters = 0;

  constructor(client: Client, database: string, level: ShellLevel) {
    this.#client = client;
    this.#database = client.database(database);
    this.level = level;
  }

  get client(): Client {
    return this.#client;
  }

  /** The moment queries show; undefined for the present, read at `level`. */
  get asOf(): AsOf | undefined {
    return this.#asOf;
  }

  /** What queries are to see. */
  get view(): Pick<QueryOptions, "level" | "asOf"> {
    return this.#asOf === undefined ? { level: this.level } : { asOf: this.#asOf };
  }

  get database(): Database {
    return this.#database;
  }

  /** Statements gathered since BEGIN; undefined outside of a transaction. */
  get gathered(): readonly SqlStatement[] | undefined {
    return this.#transaction;
  }

  /** Throws when a transaction is being gathered. */
  useDatabase(name: string): void {
    if (this.#transaction !== undefined) {
      throw refuse("Cannot change the database in a transaction: COMMIT or ROLLBACK first");
    }
    this.#database = this.#client.database(name);
  }

  /** Throws when a transaction is being gathered: it is for the present. */
  showMoment(asOf: AsOf | undefined): void {
    if (this.#transaction !== undefined) {
      throw refuse("Cannot change the moment in a transaction: COMMIT or ROLLBACK first");
    }
    this.#asOf = asOf;
  }

  #mustBePresent(): void {
    if (this.#asOf !== undefined) throw refuse("Cannot write in the past: .asof off returns to the present");
  }

  async run(statement: ScriptStatement, signal: AbortSignal): Promise<StatementOutcome[]> {
    switch (statement.keyword) {
      case "BEGIN":
        return [this.#begin()];
      case "COMMIT":
      case "END":
        return await this.#commit(signal);
      case "ROLLBACK":
        return [this.#rollback(statement.text)];
      case "SAVEPOINT":
      case "RELEASE":
        throw refuse(`Cannot run ${statement.keyword}: a transaction is sent as a whole at COMMIT`);
    }
    if (this.#transaction !== undefined) return [this.#gather(statement.text)];
    const outcome = READ_KEYWORDS.has(statement.keyword)
      ? await this.#read(statement.text, signal)
      : await this.#write(statement.text, signal);
    return [outcome];
  }

  #begin(): StatementOutcome {
    if (this.#transaction !== undefined) {
      throw refuse("Cannot BEGIN within a transaction: COMMIT or ROLLBACK first");
    }
    this.#mustBePresent();
    this.#transaction = [];
    this.#transactionCharacters = 0;
    return noted("Statements are gathered until COMMIT sends them as one transaction.");
  }

  #gather(sql: string): StatementOutcome {
    const transaction = this.#transaction as SqlStatement[];
    this.#transactionCharacters += sql.length;
    if (
      transaction.length >= TRANSACTION_STATEMENTS_MAX ||
      this.#transactionCharacters > TRANSACTION_CHARACTERS_MAX
    ) {
      this.#transaction = undefined;
      throw refuse(
        `Cannot gather more than ${TRANSACTION_STATEMENTS_MAX} statements or ${TRANSACTION_CHARACTERS_MAX} characters ` +
          "in one transaction: it was rolled back; use walraft load for large scripts",
      );
    }
    transaction.push({ sql });
    return noted(`${transaction.length} gathered.`);
  }

  #rollback(text: string): StatementOutcome {
    if (/\bTO\b/i.test(text)) {
      throw refuse("Cannot ROLLBACK TO a savepoint: a transaction is sent as a whole at COMMIT");
    }
    if (this.#transaction === undefined) throw refuse("Cannot ROLLBACK: no transaction was begun");
    const { length } = this.#transaction;
    this.#transaction = undefined;
    return noted(`${countStatements(length)} dropped, nothing was sent.`);
  }

  async #commit(signal: AbortSignal): Promise<StatementOutcome[]> {
    const statements = this.#transaction;
    if (statements === undefined) throw refuse("Cannot COMMIT: no transaction was begun");
    this.#transaction = undefined;
    if (statements.length === 0) return [noted("Nothing to commit.")];
    const batch = await this.#database.batch<SqlRowArray>(statements, { signal, rows: "arrays" }).catch(
      (error) => {
        throw nameStatement(error, statements);
      },
    );
    const changes = batch.results.reduce((sum, result) => sum + result.changes, 0);
    const outcomes = batch.results.filter((result) => result.columns.length > 0).map((
      result,
    ): StatementOutcome => ({
      columns: result.columns,
      rows: result.rows,
      changes: undefined,
      index: undefined,
      nodeMs: undefined,
      note: undefined,
    }));
    outcomes.push({
      ...noted(`${countStatements(statements.length)} committed, ${countRows(changes)}.`),
      index: batch.index,
      nodeMs: batch.timeMs,
    });
    return outcomes;
  }

  async #read(sql: string, signal: AbortSignal): Promise<StatementOutcome> {
    try {
      const { columns, rows, index, timeMs } = await this.#database.query(sql, [], {
        rows: "arrays",
        ...this.view,
        signal,
      });
      return { columns, rows, changes: undefined, index, nodeMs: timeMs, note: undefined };
    } catch (error) {
      // WITH may lead to an INSERT, and a PRAGMA may set something.
      if (isWalraftError(error, "read_only")) return await this.#write(sql, signal);
      throw error;
    }
  }

  async #write(sql: string, signal: AbortSignal): Promise<StatementOutcome> {
    this.#mustBePresent();
    const { columns, rows, changes, index, timeMs } = await this.#database.execute<SqlRowArray>(sql, [], {
      rows: "arrays",
      signal,
    });
    return {
      columns,
      rows,
      changes,
      index,
      nodeMs: timeMs,
      note: columns.length > 0 ? undefined : `${countRows(changes)}.`,
    };
  }
}

function countStatements(count: number): string {
  return count === 1 ? "1 statement" : `${count} statements`;
}

function countRows(changes: number): string {
  return changes === 1 ? "1 row changed" : `${changes} rows changed`;
}

/** Puts the statement of a batch that failed into the message. */
function nameStatement(error: unknown, statements: readonly SqlStatement[]): unknown {
  if (!isWalraftError(error) || typeof error.details.statement_index !== "number") return error;
  const position = error.details.statement_index;
  const sql = statements[position]?.sql.slice(0, 200) ?? "";
  const { code, retry, mayHaveCommitted, status, details } = error;
  const message = `${error.message}, in statement ${
    position + 1
  } of the transaction, which was rolled back: ${sql}`;
  return new WalraftError({ code, message, retry, mayHaveCommitted, status, details, cause: error });
}
