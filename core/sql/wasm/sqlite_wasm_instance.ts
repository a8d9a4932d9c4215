import { assert } from "../../base/assert.ts";
import { type EngineHost, type EngineModule, ResultCode } from "../engine.ts";
import { compileInt64Adapter } from "./int64_adapter.ts";
import { exposeStackPointer, moveStack, STACK_BYTES } from "./own_stack.ts";
import type { AuthorizerCallback, SqliteInstance, SqliteModule, SqliteVfs } from "./sqlite_module.ts";
import { CALLBACKS, SqliteWasmCallbacks } from "./sqlite_wasm_callbacks.ts";
import { sqliteWasmImports } from "./sqlite_wasm_imports.ts";
import { SqliteWasmMemory } from "./sqlite_wasm_memory.ts";
import {
  type AdaptedCalls,
  INT64_CALLS,
  type SqliteWasmExports,
  sqliteWasmModule,
} from "./sqlite_wasm_module.ts";
import { WasmEngine } from "./wasm_engine.ts";

const CONFIG_MEMORY_STATUS = 9;
const OPTION_DOUBLE_QUOTED_TEXT_IN_QUERIES = 1013;
const OPTION_DOUBLE_QUOTED_TEXT_IN_SCHEMA = 1014;
/** Temporary files go to the VFS, which bounds them and gives their memory back; this build keeps them in its heap. */
const TEMPORARY_FILES = "PRAGMA temp_store = FILE";
/**
 * Tables that show what is beside the data of a user: raw pages, the statements of others, bytecode. wa-sqlite does not
 * have them.
 */
const FORBIDDEN_MODULES = ["sqlite_dbpage", "sqlite_stmt", "bytecode", "tables_used"];
const CHECKPOINT = "PRAGMA wal_checkpoint(TRUNCATE)";
const TEXT = new TextEncoder();

/**
 * The build of the SQLite project, as npm package @sqlite.org/sqlite-wasm. Only its WASM file is used: the JavaScript of
 * the package builds a complete API for browsers on each start.
 */
export function compileSqliteWasm(bytes: Uint8Array<ArrayBuffer>): EngineModule {
  const wasm = new WebAssembly.Module(exposeStackPointer(bytes));
  const adapter = compileInt64Adapter({ calls: INT64_CALLS, callbacks: CALLBACKS });
  return {
    name: "sqlite-wasm",
    knowsDeclaredTypes: true,
    limitsExpressionDepth: true,
    createInstance: (host) =>
      Promise.resolve(new WasmEngine(new SqliteWasmInstance(wasm, adapter, host), host)),
  };
}

class SqliteWasmInstance implements SqliteInstance {
  readonly module: SqliteModule;
  readonly #exports: WebAssembly.Exports;
  readonly #c: SqliteWasmExports;
  readonly #memory: SqliteWasmMemory;
  readonly #callbacks: SqliteWasmCallbacks;
  readonly #addresses = new Map<string, number>();

  constructor(wasm: WebAssembly.Module, adapter: WebAssembly.Module, host: EngineHost) {
    this.#memory = new SqliteWasmMemory(host.heapBytesMax + STACK_BYTES);
    this.#callbacks = new SqliteWasmCallbacks(this.#memory);
    const imports = sqliteWasmImports(wasm, this.#memory, host.clock);
    const exports = new WebAssembly.Instance(wasm, imports).exports;
    this.#exports = exports;
    this.#c = exports as unknown as SqliteWasmExports;
    const adapted = new WebAssembly.Instance(adapter, {
      calls: exports as Record<string, WebAssembly.ImportValue>,
      callbacks: this.#callbacks.functions(),
    }).exports;
    // C knows functions by their place in a table.
    const table = this.#c.__indirect_function_table;
    const names = [...Object.keys(CALLBACKS), "sqlite3_free"];
    const start = table.grow(names.length);
    for (const [position, name] of names.entries()) {
      table.set(start + position, (adapted[name] ?? exports[name]) as CallableFunction);
      this.#addresses.set(name, start + position);
    }
    this.module = sqliteWasmModule(
      this.#memory,
      this.#c,
      adapted as unknown as AdaptedCalls,
      this.#address("sqlite3_free"),
    );
  }

  initialize(): void {
    this.#c.__wasm_call_ctors();
    moveStack(this.#exports, this.#c.malloc);
    // The maximum of the memory is the limit, so SQLite need not count.
    let code = this.#c.sqlite3__wasm_config_i(CONFIG_MEMORY_STATUS, 0);
    assert(code === ResultCode.ok, () => `Cannot switch off memory accounting: SQLite answers ${code}`);
    code = this.#c.sqlite3_initialize();
    assert(code === ResultCode.ok, () => `Cannot initialize: SQLite answers ${code}`);
  }

  registerVfs(vfs: SqliteVfs): number {
    const address = this.#callbacks.layOut(
      vfs,
      (name) => this.#address(name),
      (bytes) => this.#c.sqlite3_malloc(bytes),
    );
    return this.#c.sqlite3_vfs_register(address, 1);
  }

  configure(db: number): void {
    this.setOption(db, OPTION_DOUBLE_QUOTED_TEXT_IN_QUERIES, false);
    this.setOption(db, OPTION_DOUBLE_QUOTED_TEXT_IN_SCHEMA, false);
    const code = this.#withText(TEMPORARY_FILES, (sql) => this.#c.sqlite3_exec(db, sql, 0, 0, 0));
    assert(code === ResultCode.ok, () => `Cannot configure the connection: SQLite answers ${code}`);
    for (const name of FORBIDDEN_MODULES) {
      // A module without methods removes the one of that name.
      this.#withText(name, (pointer) => this.#c.sqlite3_create_module(db, pointer, 0, 0));
    }
  }

  setAuthorizer(db: number, authorizer: AuthorizerCallback): number {
    this.#callbacks.authorize = authorizer;
    return this.#c.sqlite3_set_authorizer(db, this.#address("authorize"), 0);
  }

  setProgressHandler(db: number, operations: number, handler: () => number): void {
    this.#callbacks.progress = handler;
    this.#c.sqlite3_progress_handler(db, operations, this.#address("progress"), 0);
  }

  setOption(db: number, option: number, on: boolean): number {
    return this.#c.sqlite3__wasm_db_config_ip(db, option, on ? 1 : 0, 0);
  }

  /** By SQL, because this build does not export `sqlite3_wal_checkpoint_v2`. Its one row begins with "busy". */
  checkpointTruncate(db: number): number {
    const { module } = this;
    this.#callbacks.isInternal = true;
    try {
      return this.#withText(CHECKPOINT, (sql) => {
        const statementOut = module._sqlite3_malloc(4);
        const prepared = module._sqlite3_prepare_v3(db, sql, -1, 0, statementOut, 0);
        const statement = module.HEAP32[statementOut >> 2]!;
        module._sqlite3_free(statementOut);
        if (prepared !== ResultCode.ok) return prepared;
        const isBusy = module._sqlite3_step(statement) === ResultCode.row &&
          module._sqlite3_column_int64(statement, 0) !== 0;
        const code = module._sqlite3_finalize(statement);
        return code === ResultCode.ok && isBusy ? ResultCode.busy : code;
      });
    } finally {
      this.#callbacks.isInternal = false;
    }
  }

  #address(name: string): number {
    const address = this.#addresses.get(name);
    assert(address !== undefined, () => `No C function is called ${name}`);
    return address;
  }

  #withText<T>(text: string, work: (pointer: number) => T): T {
    const bytes = TEXT.encode(`${text}\0`);
    const pointer = this.module._sqlite3_malloc(bytes.length);
    this.#memory.bytes.set(bytes, pointer);
    try {
      return work(pointer);
    } finally {
      this.module._sqlite3_free(pointer);
    }
  }
}
