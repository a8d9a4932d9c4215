import type { Signature } from "./int64_adapter.ts";
import type { SqliteModule } from "./sqlite_module.ts";
import type { SqliteWasmMemory } from "./sqlite_wasm_memory.ts";

/** Functions of the API with 64-bit integers, which go through the adapter. */
export const INT64_CALLS = {
  sqlite3_changes64: "i:I",
  sqlite3_total_changes64: "i:I",
  sqlite3_last_insert_rowid: "i:I",
  sqlite3_set_last_insert_rowid: "iI:",
  sqlite3_bind_int64: "iiI:i",
  sqlite3_column_int64: "ii:I",
} as const satisfies Record<string, Signature>;

type CName<Name> = Name extends `_sqlite3_${infer Rest}` ? `sqlite3_${Rest}` : never;

/** The functions of `SqliteModule` as C calls them. */
type SharedFunctions = {
  readonly [Name in keyof SqliteModule as CName<Name>]-?: NonNullable<SqliteModule[Name]>;
};

/** What an instance exports, as far as it is used. */
export interface SqliteWasmExports extends SharedFunctions {
  readonly __indirect_function_table: WebAssembly.Table;
  __wasm_call_ctors(): void;
  /** Of the C library: works before SQLite is initialized. */
  malloc(bytes: number): number;
  sqlite3_initialize(): number;
  sqlite3_vfs_register(vfs: number, makeDefault: number): number;
  sqlite3_exec(db: number, sql: number, callback: number, argument: number, messageOut: number): number;
  sqlite3_create_module(db: number, name: number, methods: number, argument: number): number;
  sqlite3_set_authorizer(db: number, authorizer: number, application: number): number;
  sqlite3_progress_handler(db: number, operations: number, handler: number, application: number): void;
  /** `sqlite3_config` and `sqlite3_db_config` without variable arguments. */
  sqlite3__wasm_config_i(option: number, value: number): number;
  sqlite3__wasm_db_config_ip(db: number, option: number, value: number, valueOut: number): number;
}

/** The exports of the adapter that are calls. */
export type AdaptedCalls =
  & Pick<SharedFunctions, keyof typeof INT64_CALLS>
  & { high(): number };

/** An object of one fixed shape, because V8 calls through it faster than through the exports of an instance. */
export function sqliteWasmModule(
  memory: SqliteWasmMemory,
  c: SqliteWasmExports,
  adapted: AdaptedCalls,
  freeAddress: number,
): SqliteModule {
  return {
    get HEAPU8() {
      return memory.bytes;
    },
    get HEAP32() {
      return memory.words;
    },
    UTF8ToString: (pointer) => memory.textAt(pointer),
    getTempRet0: adapted.high,
    _getSqliteFree: () => freeAddress,
    _sqlite3_malloc: c.sqlite3_malloc,
    _sqlite3_free: c.sqlite3_free,
    _sqlite3_libversion: c.sqlite3_libversion,
    _sqlite3_open_v2: c.sqlite3_open_v2,
    _sqlite3_close_v2: c.sqlite3_close_v2,
    _sqlite3_extended_result_codes: c.sqlite3_extended_result_codes,
    _sqlite3_extended_errcode: c.sqlite3_extended_errcode,
    _sqlite3_errmsg: c.sqlite3_errmsg,
    _sqlite3_errstr: c.sqlite3_errstr,
    _sqlite3_error_offset: c.sqlite3_error_offset,
    _sqlite3_limit: c.sqlite3_limit,
    _sqlite3_get_autocommit: c.sqlite3_get_autocommit,
    _sqlite3_changes64: adapted.sqlite3_changes64,
    _sqlite3_total_changes64: adapted.sqlite3_total_changes64,
    _sqlite3_last_insert_rowid: adapted.sqlite3_last_insert_rowid,
    _sqlite3_set_last_insert_rowid: adapted.sqlite3_set_last_insert_rowid,
    _sqlite3_prepare_v3: c.sqlite3_prepare_v3,
    _sqlite3_stmt_readonly: c.sqlite3_stmt_readonly,
    _sqlite3_stmt_isexplain: c.sqlite3_stmt_isexplain,
    _sqlite3_stmt_status: c.sqlite3_stmt_status,
    _sqlite3_bind_parameter_count: c.sqlite3_bind_parameter_count,
    _sqlite3_bind_parameter_name: c.sqlite3_bind_parameter_name,
    _sqlite3_bind_null: c.sqlite3_bind_null,
    _sqlite3_bind_int64: adapted.sqlite3_bind_int64,
    _sqlite3_bind_double: c.sqlite3_bind_double,
    _sqlite3_bind_text: c.sqlite3_bind_text,
    _sqlite3_bind_blob: c.sqlite3_bind_blob,
    _sqlite3_bind_zeroblob: c.sqlite3_bind_zeroblob,
    _sqlite3_clear_bindings: c.sqlite3_clear_bindings,
    _sqlite3_step: c.sqlite3_step,
    _sqlite3_reset: c.sqlite3_reset,
    _sqlite3_finalize: c.sqlite3_finalize,
    _sqlite3_column_count: c.sqlite3_column_count,
    _sqlite3_column_name: c.sqlite3_column_name,
    _sqlite3_column_decltype: c.sqlite3_column_decltype,
    _sqlite3_column_type: c.sqlite3_column_type,
    _sqlite3_column_int64: adapted.sqlite3_column_int64,
    _sqlite3_column_double: c.sqlite3_column_double,
    _sqlite3_column_text: c.sqlite3_column_text,
    _sqlite3_column_blob: c.sqlite3_column_blob,
    _sqlite3_column_bytes: c.sqlite3_column_bytes,
  };
}
