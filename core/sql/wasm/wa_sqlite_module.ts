/** The part of wa-sqlite's Emscripten module that is used, by the names of SQLite's C API. Pointers are numbers. */
export interface WaSqliteModule {
  /** Replaced whenever the memory of the instance grows: never keep it over a call. */
  readonly HEAPU8: Uint8Array;
  readonly HEAP32: Int32Array;
  UTF8ToString(pointer: number): string;
  /** High half of the 64-bit result of the call before. */
  getTempRet0(): number;
  /** Registers a wa-sqlite VFS object; its `x…` methods are called with raw pointers. */
  vfs_register(vfs: WaSqliteVfs, makeDefault: boolean): number;
  set_authorizer(
    db: number,
    authorizer: (
      application: number,
      action: number,
      first: number,
      second: number,
      database: number,
      inner: number,
    ) => number,
    application: number,
  ): number;
  /** The object or function registered under a key, for the relays of callback_relays.ts. */
  getCallback(key: number): unknown;
  progress_handler(db: number, operations: number, handler: () => number, application: number): void;

  _main(argumentCount: number, argumentValues: number): number;
  _getSqliteFree(): number;
  /** Of the C library: works before SQLite is initialized. */
  _malloc(bytes: number): number;
  _free(pointer: number): void;
  _sqlite3_malloc(bytes: number): number;
  _sqlite3_free(pointer: number): void;
  _sqlite3_config(option: number, values: number): number;
  _sqlite3_initialize(): number;
  _sqlite3_hard_heap_limit64(low: number, high: number): number;
  _sqlite3_libversion(): number;
  _sqlite3_open_v2(name: number, dbOut: number, flags: number, vfsName: number): number;
  _sqlite3_close_v2(db: number): number;
  _sqlite3_extended_result_codes(db: number, on: number): number;
  _sqlite3_extended_errcode(db: number): number;
  _sqlite3_errmsg(db: number): number;
  _sqlite3_errstr(code: number): number;
  _sqlite3_error_offset(db: number): number;
  _sqlite3_limit(db: number, category: number, value: number): number;
  _sqlite3_db_config(db: number, option: number, values: number): number;
  _sqlite3_get_autocommit(db: number): number;
  _sqlite3_changes64(db: number): number;
  _sqlite3_total_changes64(db: number): number;
  _sqlite3_last_insert_rowid(db: number): number;
  _sqlite3_set_last_insert_rowid(db: number, low: number, high: number): void;
  _sqlite3_wal_checkpoint_v2(
    db: number,
    name: number,
    mode: number,
    framesOut: number,
    checkpointedOut: number,
  ): number;

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
  _sqlite3_column_type(statement: number, column: number): number;
  _sqlite3_column_int64(statement: number, column: number): number;
  _sqlite3_column_double(statement: number, column: number): number;
  _sqlite3_column_text(statement: number, column: number): number;
  _sqlite3_column_blob(statement: number, column: number): number;
  _sqlite3_column_bytes(statement: number, column: number): number;
}

/** The object wa-sqlite's `libvfs` calls, method by method; 64-bit arguments arrive as two halves. */
export interface WaSqliteVfs {
  readonly name: string;
  readonly mxPathname: number;
  hasAsyncMethod(method: string): boolean;
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
