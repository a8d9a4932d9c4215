import { assert } from "../base/assert.ts";
import { NodeError } from "../base/errors.ts";
import type { Milliseconds } from "../base/ids.ts";
import { LIMITS } from "../base/limits.ts";
import type { Clock, Random } from "../base/ports.ts";
import { CompiledStatement } from "./compiled_statement.ts";
import {
  type EngineConnection,
  type EngineFileSystem,
  EngineLimit,
  type EngineModule,
  EngineOption,
  type EngineStatement,
  ResultCode,
  SqliteError,
} from "./engine.ts";
import { canBeDeeperThan, expressionDepth } from "./expression_depth.ts";
import { bindParameters } from "./parameters.ts";
import type { SessionLimits } from "./session_limits.ts";
import { refused, toSqlError } from "./sql_errors.ts";
import { StatementCache } from "./statement_cache.ts";
import { StatementPolicy } from "./statement_policy.ts";
import type { TemporarySpace } from "./temporary_file.ts";
import type { SqlParameters } from "./values.ts";

export interface CancelFlag {
  /** Asked about every 50 µs while a statement runs. */
  isCancelled(): boolean;
}

export interface SqlSessionOptions {
  readonly module: EngineModule;
  readonly clock: Clock;
  readonly random: Random;
  readonly cancel: CancelFlag;
  readonly limits: SessionLimits;
  readonly fileSystem: EngineFileSystem & { readonly temporarySpace: TemporarySpace };
}

/** What a reader and a writer have in common: one connection, its policy, its statements, its end. */
export class SqlSession {
  readonly connection: EngineConnection;
  readonly policy = new StatementPolicy();
  readonly #options: SqlSessionOptions;
  readonly #cache: StatementCache;
  readonly #internal = new Map<string, EngineStatement>();
  #deadlineMs: Milliseconds = Infinity;
  #stopped: "timeout" | "cancelled" | undefined;
  #isDead = false;
  /** Set by the writer: its WAL refused a frame. */
  transactionWasTooLarge: () => boolean = () => false;

  static async open(options: SqlSessionOptions, mode: "read_only" | "read_write"): Promise<SqlSession> {
    const { fileSystem, clock, random, limits, module } = options;
    const engine = await module.createInstance({
      fileSystem,
      clock,
      random,
      heapBytesMax: limits.heapBytesMax,
    });
    return new SqlSession(options, engine.open(mode));
  }

  constructor(options: SqlSessionOptions, connection: EngineConnection) {
    this.#options = options;
    this.connection = connection;
    this.#cache = new StatementCache(options.limits.cachedStatementCountMax);
    connection.setOption(EngineOption.defensive, true);
    connection.setOption(EngineOption.loadExtension, false);
    connection.setOption(EngineOption.foreignKeys, true);
    connection.setLimit(EngineLimit.valueBytes, options.limits.valueBytesMax);
    connection.setLimit(EngineLimit.sqlBytes, LIMITS.statementBytesMax);
    connection.setLimit(EngineLimit.operations, LIMITS.statementOperationsMax);
    connection.setLimit(EngineLimit.attached, 0);
    connection.setLimit(EngineLimit.likePatternBytes, LIMITS.likePatternBytesMax);
    connection.setLimit(EngineLimit.parameters, LIMITS.parametersPerStatementMax);
    connection.setLimit(EngineLimit.parserDepth, LIMITS.parserDepthMax);
    connection.setAuthorizer(this.policy.authorize);
    connection.setProgressHandler(options.limits.progressOperations, () => this.#shouldStop());
  }

  /** What reads the database: after the writer chose its modes, or the reader its first view. */
  configure(): void {
    this.internal(`PRAGMA cache_size = -${this.#options.limits.cacheKib}`);
  }

  /** Something was thrown that is not a result of SQLite: the memory of the instance cannot be trusted (promise 7). */
  get isDead(): boolean {
    return this.#isDead;
  }

  /**
   * Does a part of a request. SQLite's errors come out as those of walraft; anything else ends the session.
   *
   * @throws NodeError
   */
  guard<T>(work: () => T): T {
    assert(!this.#isDead, "The session is dead");
    this.#stopped = undefined;
    this.#options.fileSystem.temporarySpace.wasExceeded = false;
    try {
      const result = work();
      if (this.connection.failure !== undefined) throw this.connection.failure;
      return result;
    } catch (error) {
      const failure = this.connection.failure;
      if (failure === undefined && error instanceof NodeError) throw error;
      if (failure === undefined && error instanceof SqliteError) throw this.toNodeError(error);
      this.#isDead = true;
      throw engineFailed(failure ?? error);
    }
  }

  toNodeError(error: SqliteError): NodeError {
    return toSqlError(error, {
      refusal: this.policy.refusal,
      stopped: this.#stopped,
      exceeded: this.#exceededLimit(error),
    });
  }

  #exceededLimit(error: SqliteError): { name: string; value: number } | undefined {
    const { limits, fileSystem } = this.#options;
    if (error.primaryCode === ResultCode.noMemory) {
      return { name: "engine_heap_bytes", value: limits.heapBytesMax };
    }
    if (error.primaryCode !== ResultCode.full) return undefined;
    if (this.transactionWasTooLarge()) {
      return { name: "transaction_bytes", value: limits.transactionBytesMax };
    }
    if (!fileSystem.temporarySpace.wasExceeded) return undefined;
    return { name: "temporary_bytes", value: limits.temporaryBytesMax };
  }

  /**
   * Compiles one statement of a user, or takes it from the cache, and hands it to `work`.
   *
   * @throws NodeError, SqliteError
   */
  use<T>(sql: string, work: (compiled: CompiledStatement) => T): T {
    const compiled = this.#compile(sql);
    return finishing(() => work(compiled), () => this.#release(sql, compiled));
  }

  #compile(sql: string): CompiledStatement {
    const known = this.#cache.take(sql);
    this.policy.begin();
    if (known !== undefined) return known;
    this.#checkText(sql);
    const isShort = sql.length <= LIMITS.cachedStatementLengthMax;
    const { statement, rest } = this.connection.prepare(sql, isShort);
    if (statement === undefined) throw refused("the text holds no statement");
    const compiled = new CompiledStatement(statement, sql, this.policy.facts(), isShort);
    if (isBlank(rest)) return compiled;
    statement.finalize();
    throw refused("the text holds several statements; send them as the statements of one batch");
  }

  #checkText(sql: string): void {
    if (sql.includes("\0")) {
      throw refused("the text holds a NUL character, at which SQLite would stop reading");
    }
    const depthMax = this.#options.limits.expressionDepthMax;
    if (!canBeDeeperThan(depthMax, sql.length) || expressionDepth(sql) <= depthMax) return;
    throw new NodeError(
      "sql_error",
      `Cannot run the statement: an expression may be deeper than ${depthMax} levels (limit expression_depth); ` +
        "use IN, a table of values, or parameters",
      { limit: { name: "expression_depth", value: depthMax } },
    );
  }

  #release(sql: string, compiled: CompiledStatement): void {
    compiled.engine.reset();
    if (!compiled.isKept) {
      compiled.engine.finalize();
      return;
    }
    compiled.engine.clearBindings();
    this.#cache.put(sql, compiled);
  }

  /** Kept statements no longer say the truth about what they touch. */
  forgetStatements(): void {
    this.#cache.clear();
  }

  /** Runs `work` with a deadline on the clock port. */
  withDeadline<T>(deadlineMs: Milliseconds, work: () => T): T {
    this.#deadlineMs = deadlineMs;
    try {
      return work();
    } finally {
      this.#deadlineMs = Infinity;
    }
  }

  #shouldStop(): boolean {
    if (this.#deadlineMs === Infinity) return false;
    if (this.#options.cancel.isCancelled()) this.#stopped = "cancelled";
    else if (this.#options.clock.nowMs() >= this.#deadlineMs) this.#stopped = "timeout";
    return this.#stopped !== undefined;
  }

  /**
   * Runs a statement of walraft's own, past the policy and without a deadline, and keeps it compiled. Returns what `read` makes of the
   * first row.
   */
  internal<T>(
    sql: string,
    parameters: SqlParameters = [],
    read?: (row: EngineStatement) => T,
  ): T | undefined {
    const deadlineMs = this.#deadlineMs;
    this.#deadlineMs = Infinity;
    try {
      return this.policy.internally(() => {
        const statement = this.#internalStatement(sql);
        const run = (): T | undefined => {
          bindParameters(statement, parameters);
          return statement.step() && read !== undefined ? read(statement) : undefined;
        };
        return finishing(run, () => {
          statement.reset();
          statement.clearBindings();
        });
      });
    } finally {
      this.#deadlineMs = deadlineMs;
    }
  }

  #internalStatement(sql: string): EngineStatement {
    const known = this.#internal.get(sql);
    if (known !== undefined) return known;
    const { statement } = this.connection.prepare(sql, true);
    assert(statement !== undefined, () => `No statement in ${sql}`);
    // PRAGMAs act while they are compiled: nothing is gained by keeping them.
    this.#internal.set(sql, statement);
    return statement;
  }

  /** A dead instance is only dropped: a call into it could throw again. */
  close(): void {
    if (this.#isDead) return;
    this.#isDead = true;
    this.#cache.clear();
    for (const statement of this.#internal.values()) statement.finalize();
    this.connection.close();
  }
}

/** After anything but a result of SQLite the instance must not be called again, not even to tidy up. */
export function finishing<T>(work: () => T, tidy: () => void): T {
  let result: T;
  try {
    result = work();
  } catch (error) {
    if (isOrdinary(error)) tidy();
    throw error;
  }
  tidy();
  return result;
}

/** An error that leaves the instance sound. */
export function isOrdinary(error: unknown): boolean {
  return error instanceof NodeError || error instanceof SqliteError;
}

function engineFailed(cause: unknown): NodeError {
  if (cause instanceof NodeError) return cause;
  const text = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
  return new NodeError(
    "engine_failed",
    `Cannot finish the statement: its SQLite instance was lost (${text}); nothing was changed`,
    {},
    { cause },
  );
}

/** White space, semicolons and comments only. */
function isBlank(sql: string): boolean {
  let rest = sql;
  while (rest !== "") {
    rest = rest.replace(/^[\s;]+/, "");
    const end = rest.startsWith("--") ? "\n" : rest.startsWith("/*") ? "*/" : undefined;
    if (end === undefined) break;
    const found = rest.indexOf(end, 2);
    rest = found < 0 ? "" : rest.slice(found + end.length);
  }
  return rest === "";
}
