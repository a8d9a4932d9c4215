/**
 * The narrow seam between walraft and a build of SQLite. Everything above it knows SQLite by these interfaces only;
 * `wasm/` implements them for two builds. `tests/contracts/sql_engine_contract.ts` says what an implementation must do.
 *
 * One engine instance holds one connection (DESIGN 9): what an instance loses when it dies is one database.
 */
import type { Clock, Random } from "../base/ports.ts";

/** The builds there are; the README of this folder says which suits which use. */
export const ENGINE_NAMES = ["wa-sqlite", "sqlite-wasm"] as const;
export type EngineName = typeof ENGINE_NAMES[number];

/** Nodes of one cluster may differ: what is replicated is pages. */
export const DEFAULT_ENGINE: EngineName = "wa-sqlite";

/** The primary result codes that are told apart here (https://sqlite.org/rescode.html). */
export const ResultCode = {
  ok: 0,
  error: 1,
  busy: 5,
  noMemory: 7,
  readOnly: 8,
  interrupt: 9,
  ioError: 10,
  notFound: 12,
  full: 13,
  cannotOpen: 14,
  tooBig: 18,
  constraint: 19,
  authorization: 23,
  row: 100,
  done: 101,
} as const;

/** Storage classes as `sqlite3_column_type` numbers them. */
export const StorageClass = { integer: 1, real: 2, text: 3, blob: 4, null: 5 } as const;

/** Categories of `sqlite3_limit` (https://sqlite.org/c3ref/c_limit_attached.html). */
export const EngineLimit = {
  valueBytes: 0,
  sqlBytes: 1,
  columns: 2,
  /** Unknown to wa-sqlite, which was built without it: 0 before and after. */
  expressionDepth: 3,
  compoundSelects: 4,
  operations: 5,
  functionArguments: 6,
  attached: 7,
  likePatternBytes: 8,
  parameters: 9,
  triggerDepth: 10,
  /** Since SQLite 3.53; an older engine ignores it. */
  parserDepth: 12,
} as const;

/** Options of `sqlite3_db_config` that take a switch (https://sqlite.org/c3ref/c_dbconfig_defensive.html). */
export const EngineOption = {
  foreignKeys: 1002,
  loadExtension: 1005,
  defensive: 1010,
} as const;

/** An answer of SQLite that is not OK. The connection stays usable. */
export class SqliteError extends Error {
  override name = "SqliteError";

  /**
   * @param resultCode SQLite's extended result code
   * @param sqlOffset byte offset in the statement text that the error points at, where SQLite knows it
   */
  constructor(readonly resultCode: number, message: string, readonly sqlOffset: number | undefined) {
    super(message);
  }

  get primaryCode(): number {
    return this.resultCode & 0xff;
  }
}

/** Which file SQLite opens; the number of flags it uses elsewhere does not matter here. */
export type EngineFileKind = "database" | "wal" | "journal" | "temporary";

/** What a file's `read` answers instead of a number of bytes: SQLite sees an I/O error, and the connection goes on. */
export const READ_REFUSED = -1;

/** An open file. Every method may throw: SQLite then sees an I/O error and `EngineConnection.failure` keeps what was thrown. */
export interface EngineFile {
  /**
   * Fills `into` from `offset`; returns the bytes found, or READ_REFUSED. The caller sets the rest to zero.
   * `into` is memory of the engine: valid during the call only.
   */
  read(into: Uint8Array, offset: number): number;
  /** False: full, SQLite answers SQLITE_FULL and rolls back. `bytes` is valid during the call only. */
  write(bytes: Uint8Array, offset: number): boolean;
  truncate(size: number): void;
  size(): number;
  /**
   * SQLITE_FCNTL_COMMIT_PHASETWO: the transaction is committed. Comes exactly once for each commit of the database file,
   * in every journal mode, never for a rollback.
   */
  committed(): void;
  close(): void;
}

/** The files of one connection, as SQLite's VFS sees them. */
export interface EngineFileSystem {
  open(kind: EngineFileKind): EngineFile;
  /** Only the database and its `-wal` and `-journal` are asked for. */
  exists(kind: EngineFileKind): boolean;
}

export interface EngineHost {
  readonly fileSystem: EngineFileSystem;
  /** SQL's `datetime('now')` reads `wallMs`. */
  readonly clock: Pick<Clock, "wallMs">;
  /** Seeds SQL's `random()` and SQLite's WAL salts. */
  readonly random: Pick<Random, "bytes">;
  /** Memory SQLite may allocate; beyond it a statement fails with SQLITE_NOMEM. */
  readonly heapBytesMax: number;
}

/** Compiled once per thread. */
export interface EngineModule {
  readonly name: EngineName;
  /** `EngineStatement.declaredType` knows declared types; without, it knows none. */
  readonly knowsDeclaredTypes: boolean;
  /** `EngineLimit.expressionDepth` is enforced by the compiler itself. */
  readonly limitsExpressionDepth: boolean;
  /** A fresh instance, 2 to 3 ms. Nothing is shared between instances. */
  createInstance(host: EngineHost): Promise<SqlEngine>;
}

export interface SqlEngine {
  readonly sqliteVersion: string;
  /** Opens the one connection of the instance. */
  open(mode: "read_only" | "read_write"): EngineConnection;
}

/** Numbers of the authorizer (https://sqlite.org/c3ref/c_alter_table.html). */
export type AuthorizerVerdict = "allow" | "deny" | "ignore";

/**
 * Called for every access while a statement is compiled, also for those SQLite compiles for itself at run time.
 * Absent arguments are "". `inner` is the innermost trigger or view that causes the access.
 */
export type Authorizer = (
  action: number,
  first: string,
  second: string,
  database: string,
  inner: string,
) => AuthorizerVerdict;

export interface PreparedText {
  /** Undefined when the text holds only white space and comments. */
  readonly statement: EngineStatement | undefined;
  /** The text after the first statement. */
  readonly rest: string;
}

export interface EngineConnection {
  /**
   * Compiles the first statement of the text.
   *
   * @param persistent the statement will be kept and run often
   * @throws SqliteError
   */
  prepare(sql: string, persistent: boolean): PreparedText;
  changes(): number | bigint;
  totalChanges(): number | bigint;
  lastInsertRowid(): number | bigint;
  /** So that `last_insert_rowid` of one request is never that of another. */
  clearLastInsertRowid(): void;
  /** False inside BEGIN … COMMIT. */
  isAutocommit(): boolean;
  setAuthorizer(authorizer: Authorizer): void;
  /** `shouldStop` is asked about every `operations` virtual machine operations; true ends the statement with SQLITE_INTERRUPT. */
  setProgressHandler(operations: number, shouldStop: () => boolean): void;
  /** Returns the former value; -1 when the engine does not know the category. */
  setLimit(category: number, value: number): number;
  setOption(option: number, on: boolean): void;
  /** `sqlite3_wal_checkpoint_v2(TRUNCATE)`. */
  checkpointTruncate(): void;
  /** The first thing a file or the authorizer threw. The session must not be used further. */
  readonly failure: unknown;
  close(): void;
}

/**
 * A compiled statement. Parameters and columns count from 0.
 *
 * Text and blobs may be bound without a copy of their own: `clearBindings` must be called after each run.
 */
export interface EngineStatement {
  /** `sqlite3_stmt_readonly`. */
  readonly isReadOnly: boolean;
  /** EXPLAIN and EXPLAIN QUERY PLAN change nothing, whatever they explain. */
  readonly isExplain: boolean;
  readonly parameterCount: number;
  /** With its prefix; "" for `?`, "?7" for a numbered one. */
  parameterName(index: number): string;
  bindNull(index: number): void;
  /** A safe integer, or a bigint of at most 64 bits. */
  bindInteger(index: number, value: number | bigint): void;
  bindReal(index: number, value: number): void;
  /** As UTF-8; a lone surrogate becomes U+FFFD. */
  bindText(index: number, value: string): void;
  bindBlob(index: number, value: Uint8Array): void;
  clearBindings(): void;
  /** True: a row is there. False: done. @throws SqliteError */
  step(): boolean;
  /** Ends the run. Never throws: an error of the run was reported by `step`. */
  reset(): void;
  /** Counts how often SQLite recompiled the statement because the schema changed. */
  recompilations(): number;
  /** Columns and their names may change with a recompilation, which happens in `step`. */
  columnCount(): number;
  columnName(column: number): string;
  /**
   * The type as the CREATE TABLE has it (`sqlite3_column_decltype`). Undefined for expressions, for columns declared
   * without a type, and always where the engine does not know declared types.
   */
  declaredType(column: number): string | undefined;
  columnType(column: number): number;
  /** A number when it is a safe integer. */
  columnInteger(column: number): number | bigint;
  columnReal(column: number): number;
  /** As UTF-8, whatever the database's encoding. A view into the engine: valid until the next call on the connection. */
  columnText(column: number): Uint8Array;
  /** A view like that of `columnText`. */
  columnBlob(column: number): Uint8Array;
  finalize(): void;
}
