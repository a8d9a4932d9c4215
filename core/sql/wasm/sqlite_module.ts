/**
 * What the two builds of SQLite have in common, below the engine seam. Pointers are numbers; 64-bit integers pass as
 * two 32-bit halves, because a BigInt per call is an allocation per call.
 */

/** An instance of SQLite as WebAssembly: its memory, and the C API by name (https://sqlite.org/c3ref/funclist.html). */
export interface SqliteModule {
  /** Replaced whenever the memory of the instance grows: never keep it over a call. */
  readonly HEAPU8: Uint8Array;
  readonly HEAP32: Int32Array;
  UTF8ToString(pointer: number): string;
  /** High half of the 64-bit result of the call before. */
  getTempRet0(): number;
  /** Address of `sqlite3_free` as a C function, to hand over memory with a binding. */
  _getSqliteFree(): number;

  _sqlite3_malloc(bytes: number): number;
  _sqlite3_free(pointer: number): void;
  _sqlite3_libversion(): number;
  _sqlite3_open_v2(name: number, dbOut: number, flags: number, vfsName: number): number;
  _sqlite3_close_v2(db: number): number;
  _sqlite3_extended_result_codes(db: number, on: number): number;
  _sqlite3_extended_errcode(db: number): number;
  _sqlite3_errmsg(db: number): number;
  _sqlite3_errstr(code: number): number;
  _sqlite3_error_offset(db: number): number;
  _sqlite3_limit(db: number, category: number, value: number): number;
  _sqlite3_get_autocommit(db: number): number;
  _sqlite3_changes64(db: number): number;
  _sqlite3_total_changes64(db: number): number;
  _sqlite3_last_insert_rowid(db: number): number;
  _sqlite3_set_last_insert_rowid(db: number, low: number, high: number): void;

  _sqlite3_prepare_v3(
    db: number,
    sql: number,
    bytes: number,
    flags: number,
    statementOut: number,
    tailOut: number,
  ): number;
  _sqlite3_stmt_readonly(statement: number): number;
  _sqlite3_stmt_isexplain(statement: number): number;
  _sqlite3_stmt_status(statement: number, counter: number, reset: number): number;
  _sqlite3_bind_parameter_count(statement: number): number;
  _sqlite3_bind_parameter_name(statement: number, position: number): number;
  _sqlite3_bind_null(statement: number, position: number): number;
  _sqlite3_bind_int64(statement: number, position: number, low: number, high: number): number;
  _sqlite3_bind_double(statement: number, position: number, value: number): number;
  _sqlite3_bind_text(
    statement: number,
    position: number,
    text: number,
    bytes: number,
    destructor: number,
  ): number;
  _sqlite3_bind_blob(
    statement: number,
    position: number,
    blob: number,
    bytes: number,
    destructor: number,
  ): number;
  _sqlite3_bind_zeroblob(statement: number, position: number, bytes: number): number;
  _sqlite3_clear_bindings(statement: number): number;
  _sqlite3_step(statement: number): number;
  _sqlite3_reset(statement: number): number;
  _sqlite3_finalize(statement: number): number;
  _sqlite3_column_count(statement: number): number;
  _sqlite3_column_name(statement: number, column: number): number;
  /** Missing where SQLite was built without it. */
  _sqlite3_column_decltype?(statement: number, column: number): number;
  _sqlite3_column_type(statement: number, column: number): number;
  _sqlite3_column_int64(statement: number, column: number): number;
  _sqlite3_column_double(statement: number, column: number): number;
  _sqlite3_column_text(statement: number, column: number): number;
  _sqlite3_column_blob(statement: number, column: number): number;
  _sqlite3_column_bytes(statement: number, column: number): number;
}

/** The methods of `sqlite3_vfs` and `sqlite3_io_methods` (https://sqlite.org/c3ref/vfs.html), on raw pointers. */
export interface SqliteVfs {
  readonly name: string;
  readonly mxPathname: number;
  xOpen(vfs: number, name: number, file: number, flags: number, flagsOut: number): number;
  xDelete(vfs: number, name: number, syncDirectory: number): number;
  xAccess(vfs: number, name: number, flags: number, resultOut: number): number;
  xFullPathname(vfs: number, name: number, bytesMax: number, out: number): number;
  xRandomness(vfs: number, bytes: number, out: number): number;
  xSleep(vfs: number, microseconds: number): number;
  xCurrentTime(vfs: number, out: number): number;
  xCurrentTimeInt64(vfs: number, out: number): number;
  xGetLastError(vfs: number, bytes: number, out: number): number;
  xClose(file: number): number;
  xRead(file: number, data: number, bytes: number, offsetLow: number, offsetHigh: number): number;
  xWrite(file: number, data: number, bytes: number, offsetLow: number, offsetHigh: number): number;
  xTruncate(file: number, sizeLow: number, sizeHigh: number): number;
  xSync(file: number, flags: number): number;
  xFileSize(file: number, sizeOut: number): number;
  xLock(file: number, level: number): number;
  xUnlock(file: number, level: number): number;
  xCheckReservedLock(file: number, resultOut: number): number;
  xFileControl(file: number, operation: number, argument: number): number;
  xSectorSize(file: number): number;
  xDeviceCharacteristics(file: number): number;
}

/** Text arguments are pointers, 0 when absent. */
export type AuthorizerCallback = (
  application: number,
  action: number,
  first: number,
  second: number,
  database: number,
  inner: number,
) => number;

/** One instance, and what each build does in its own way. Results are SQLite's result codes. */
export interface SqliteInstance {
  readonly module: SqliteModule;
  /** Call it first, once: sets the memory limit and initializes SQLite. */
  initialize(): void;
  /** As the default VFS it also serves SQLite's randomness and time. */
  registerVfs(vfs: SqliteVfs): number;
  /** Makes a fresh connection behave the same whatever the build's defaults are. */
  configure(db: number): void;
  setAuthorizer(db: number, authorizer: AuthorizerCallback): number;
  setProgressHandler(db: number, operations: number, handler: () => number): void;
  setOption(db: number, option: number, on: boolean): number;
  checkpointTruncate(db: number): number;
}
