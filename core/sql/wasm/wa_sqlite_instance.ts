import factory from "wa-sqlite/dist/wa-sqlite.mjs";
import { assert } from "../../base/assert.ts";
import type { EngineModule } from "../engine.ts";
import { replaceCallbackRelays } from "./callback_relays.ts";
import { exposeStackPointer, moveStack } from "./own_stack.ts";
import type { AuthorizerCallback, SqliteInstance, SqliteModule, SqliteVfs } from "./sqlite_module.ts";
import { WasmEngine } from "./wasm_engine.ts";

const CONFIG_MEMORY_STATUS = 9;
const CHECKPOINT_TRUNCATE = 3;

/** What wa-sqlite's Emscripten module has beside the API that both builds share. */
export interface WaSqliteModule extends SqliteModule {
  vfs_register(vfs: SqliteVfs, makeDefault: boolean): number;
  set_authorizer(db: number, authorizer: AuthorizerCallback, application: number): number;
  progress_handler(db: number, operations: number, handler: () => number, application: number): void;
  /** The object or function registered under a key, for the relays of callback_relays.ts. */
  getCallback(key: number): unknown;
  _main(argumentCount: number, argumentValues: number): number;
  /** Of the C library: works before SQLite is initialized. */
  _malloc(bytes: number): number;
  _free(pointer: number): void;
  _sqlite3_config(option: number, values: number): number;
  _sqlite3_hard_heap_limit64(low: number, high: number): number;
  _sqlite3_db_config(db: number, option: number, values: number): number;
  _sqlite3_wal_checkpoint_v2(
    db: number,
    name: number,
    mode: number,
    framesOut: number,
    checkpointedOut: number,
  ): number;
}

interface FactoryOptions {
  readonly noInitialRun: boolean;
  readonly noFSInit: boolean;
  instantiateWasm(
    imports: WebAssembly.Imports,
    receive: (instance: WebAssembly.Instance, module: WebAssembly.Module) => void,
  ): WebAssembly.Exports;
}

const createModule = factory as unknown as (options: FactoryOptions) => Promise<WaSqliteModule>;

/**
 * The factory of the package is an `async` function although nothing in it waits: with `instantiateWasm` the instance
 * is made synchronously, and the promise resolves in the same turn of the event loop.
 */
export function compileWaSqlite(bytes: Uint8Array<ArrayBuffer>): EngineModule {
  const wasm = new WebAssembly.Module(exposeStackPointer(bytes));
  return {
    name: "wa-sqlite",
    knowsDeclaredTypes: false,
    limitsExpressionDepth: false,
    async createInstance(host) {
      let relays: ReturnType<typeof replaceCallbackRelays> | undefined;
      let exports: WebAssembly.Exports = {};
      const module = await createModule({
        // `initialize` sets memory accounting before SQLite initializes, which `main` does.
        noInitialRun: true,
        noFSInit: true,
        instantiateWasm(imports, receive) {
          relays = replaceCallbackRelays(imports);
          const instance = new WebAssembly.Instance(wasm, imports);
          receive(instance, wasm);
          exports = instance.exports;
          return exports;
        },
      });
      relays?.attach(module);
      moveStack(exports, module._malloc);
      return new WasmEngine(new WaSqliteInstance(module, host.heapBytesMax), host);
    },
  };
}

class WaSqliteInstance implements SqliteInstance {
  readonly module: WaSqliteModule;
  readonly #heapBytesMax: number;

  constructor(module: WaSqliteModule, heapBytesMax: number) {
    this.module = module;
    this.#heapBytesMax = heapBytesMax;
  }

  initialize(): void {
    const { module } = this;
    // Memory accounting is compiled out by default, and without it the heap limit is not enforced. It can only be
    // switched on before SQLite initializes, which `main` does.
    const values = module._malloc(4);
    module.HEAP32[values >> 2] = 1;
    const configured = module._sqlite3_config(CONFIG_MEMORY_STATUS, values);
    module._free(values);
    assert(configured === 0, () => `Cannot switch on memory accounting: SQLite answers ${configured}`);
    module._main(0, 0);
    module._sqlite3_hard_heap_limit64(this.#heapBytesMax, 0);
  }

  registerVfs(vfs: SqliteVfs): number {
    return this.module.vfs_register(vfs, true);
  }

  /** The defaults of this build are the ones that walraft is made for. */
  configure(_db: number): void {}

  setAuthorizer(db: number, authorizer: AuthorizerCallback): number {
    return this.module.set_authorizer(db, authorizer, 0);
  }

  setProgressHandler(db: number, operations: number, handler: () => number): void {
    this.module.progress_handler(db, operations, handler, 0);
  }

  setOption(db: number, option: number, on: boolean): number {
    const { module } = this;
    // The variable arguments (int, int*) of the C function, in memory.
    const values = module._sqlite3_malloc(8);
    module.HEAP32[values >> 2] = on ? 1 : 0;
    module.HEAP32[(values + 4) >> 2] = 0;
    const code = module._sqlite3_db_config(db, option, values);
    module._sqlite3_free(values);
    return code;
  }

  checkpointTruncate(db: number): number {
    return this.module._sqlite3_wal_checkpoint_v2(db, 0, CHECKPOINT_TRUNCATE, 0, 0);
  }
}
