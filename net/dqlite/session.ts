import type { CancelSignal } from "../../core/base/ports.ts";
import type { NodeService, QueryRequest, Transaction } from "../../core/node/service.ts";
import { NodeError } from "../../core/base/errors.ts";
import { LIMITS } from "../../core/base/limits.ts";
import type { RowSink } from "../../core/sql/row_sink.ts";
import type { EncodedFields, SqlParameter } from "../../core/sql/values.ts";
import { FailureError } from "./failure.ts";
import { FAILURE } from "./failure_codes.ts";
import type { SqlStatement } from "./sql_text.ts";

const ANSWER = { format: "msgpack", rowShape: "typed_arrays", timeoutMs: LIMITS.requestMsDefault } as const;

/**
 * - `none`: each statement is a transaction of its own.
 * - `begun`: BEGIN was said; the next statement takes the writer.
 * - `lost`: it was rolled back without the client's doing. Statements are refused until the client says ROLLBACK, COMMIT or
 *   BEGIN: what it meant to be part of a whole must not be committed alone.
 */
type TransactionState =
  | { readonly kind: "none" }
  | { readonly kind: "begun" }
  | { readonly kind: "open"; readonly transaction: Transaction }
  | { readonly kind: "lost" };

const NONE: TransactionState = { kind: "none" };

/** The database of a connection and the transaction that is open on it. One call at a time. */
export class Session {
  readonly #node: NodeService;
  readonly #database: string;
  #state: TransactionState = NONE;
  #isClosed = false;

  constructor(node: NodeService, database: string) {
    this.#node = node;
    this.#database = database;
  }

  /** While one is open this node leads, or the next statement says that it is gone. */
  get isInTransaction(): boolean {
    return this.#state.kind === "open";
  }

  /** Runs a query if there is nothing to wait for (`NodeService.queryNow`). @returns whether `into` has all its rows */
  queryNow({ kind, text }: SqlStatement, parameters: readonly SqlParameter[], into: RowSink): boolean {
    if (kind !== "read" || this.#state.kind !== "none") return false;
    return this.#node.queryNow(this.#queryOf(text, parameters, into)) !== undefined;
  }

  /**
   * Runs a statement where it belongs: in the open transaction, as a query, as a write, or on the transaction itself.
   *
   * @param signal stops a query, and a statement inside a transaction; another write cannot be stopped once it is sent
   * @param into may take the rows of a query; the fields then have no keys
   * @returns undefined for BEGIN, COMMIT and ROLLBACK
   */
  run(
    statement: SqlStatement,
    parameters: readonly SqlParameter[],
    signal: CancelSignal,
    into?: RowSink,
  ): Promise<EncodedFields | undefined> {
    switch (statement.kind) {
      case "begin":
      case "begin_immediate":
        return this.#begin(statement.kind === "begin_immediate");
      case "commit":
        return this.#commit();
      case "rollback":
        return this.#rollback();
      case "savepoint":
        if (this.#state.kind === "none") {
          return Promise.reject(refusal("SAVEPOINT needs a transaction: say BEGIN first"));
        }
        return this.#runInTransaction(statement.text, parameters, signal);
      case "read":
      case "write":
        if (this.#state.kind !== "none") {
          return this.#runInTransaction(statement.text, parameters, signal);
        }
        return statement.kind === "read"
          ? this.#query(statement.text, parameters, signal, into)
          : this.#write(statement.text, parameters);
    }
  }

  /** Compiles a statement where it would run and throws what SQLite says about it. */
  async check(statement: SqlStatement, signal: CancelSignal): Promise<void> {
    const { kind, text, parameterCount } = statement;
    if (kind !== "read" && kind !== "write") return;
    // EXPLAIN compiles the statement that follows and runs nothing of it; a PRAGMA may act already then.
    if (/^\s*(EXPLAIN|PRAGMA|VACUUM)\b/i.test(text)) return;
    const parameters = new Array<null>(parameterCount).fill(null);
    const explained = `EXPLAIN ${text}`;
    if (this.#state.kind === "open") await this.#runInTransaction(explained, parameters, signal);
    else await this.#query(explained, parameters, signal);
  }

  /** The client is gone: what was not committed is undone. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const state = this.#state;
    this.#state = NONE;
    if (state.kind === "open") await state.transaction.rollback();
  }

  async #query(
    sql: string,
    parameters: readonly SqlParameter[],
    signal: CancelSignal,
    into?: RowSink,
  ): Promise<EncodedFields> {
    try {
      return (await this.#node.query(this.#queryOf(sql, parameters, into, signal))).fields;
    } catch (error) {
      // A PRAGMA that sets something, say.
      if (error instanceof NodeError && error.code === "read_only") return await this.#write(sql, parameters);
      throw error;
    }
  }

  #queryOf(
    sql: string,
    parameters: readonly SqlParameter[],
    into: RowSink | undefined,
    signal?: CancelSignal,
  ): QueryRequest {
    const { format, rowShape, timeoutMs } = ANSWER;
    const database = this.#database;
    return { database, sql, parameters, level: "linearizable", timeoutMs, format, rowShape, signal, into };
  }

  async #write(sql: string, parameters: readonly SqlParameter[]): Promise<EncodedFields> {
    const request = { ...ANSWER, database: this.#database, statements: [{ sql, parameters }] };
    return (await this.#node.write({ ...request, kind: "execute" })).fields;
  }

  async #begin(takesWriter: boolean): Promise<undefined> {
    if (this.#state.kind === "begun" || this.#state.kind === "open") {
      throw refusal("cannot start a transaction within a transaction");
    }
    this.#state = NONE;
    if (takesWriter) await this.#takeWriter();
    else this.#state = { kind: "begun" };
  }

  async #takeWriter(): Promise<Transaction> {
    const transaction = await this.#node.beginTransaction(this.#database, { timeoutMs: ANSWER.timeoutMs });
    if (this.#isClosed) {
      await transaction.rollback();
      throw new NodeError("cancelled", "Cannot begin a transaction: the connection is closed");
    }
    this.#state = { kind: "open", transaction };
    return transaction;
  }

  async #runInTransaction(
    sql: string,
    parameters: readonly SqlParameter[],
    signal: CancelSignal,
  ): Promise<EncodedFields> {
    const transaction = await this.#transaction();
    return await this.#watched(
      transaction,
      () => transaction.run({ sql, parameters }, { ...ANSWER, signal }),
    );
  }

  async #transaction(): Promise<Transaction> {
    if (this.#state.kind === "open") return this.#state.transaction;
    if (this.#state.kind === "lost") throw new FailureError(FAILURE.transactionLost);
    return await this.#takeWriter();
  }

  async #commit(): Promise<undefined> {
    const state = this.#state;
    if (state.kind === "none") throw refusal("cannot commit - no transaction is active");
    if (state.kind !== "open") {
      this.#state = NONE;
      if (state.kind === "lost") throw new FailureError(FAILURE.transactionLost);
      return;
    }
    try {
      await state.transaction.commit(ANSWER.timeoutMs);
    } finally {
      // A foreign key that still fails leaves it open, as in SQLite. Whatever else happened, the client knows that it ended.
      if (!state.transaction.isOpen) this.#state = NONE;
    }
  }

  async #rollback(): Promise<undefined> {
    const state = this.#state;
    if (state.kind === "none") throw refusal("cannot rollback - no transaction is active");
    this.#state = NONE;
    if (state.kind === "open") await state.transaction.rollback();
  }

  /** Notices that the transaction did not survive what was done with it. */
  async #watched<T>(transaction: Transaction, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!transaction.isOpen) this.#state = { kind: "lost" };
      throw error;
    }
  }
}

/** SQLite's words, with the code it gives them. */
function refusal(message: string): FailureError {
  return new FailureError({ code: 1, message });
}
