import { assert } from "../../base/assert.ts";
import type { EngineConnection, EngineHost, SqlEngine } from "../engine.ts";
import { VfsBridge } from "./vfs_bridge.ts";
import { WaSqliteConnection } from "./wa_sqlite_connection.ts";
import type { WaSqliteModule } from "./wa_sqlite_module.ts";

const OPEN_READ_ONLY = 1;
const OPEN_READ_WRITE_CREATE = 2 | 4;
const OPEN_URI = 0x40;
const CONFIG_MEMORY_STATUS = 9;
/** `nolock`: nobody else can reach the file, and each lock would be a call into JavaScript. WAL mode refuses it. */
const FILE_NAME = { read_only: "file:main.db?nolock=1", read_write: "file:main.db" } as const;
const TEXT = new TextEncoder();

/** One instance of wa-sqlite: its own memory, its own VFS, one connection. */
export class WaSqliteEngine implements SqlEngine {
  readonly sqliteVersion: string;
  readonly #module: WaSqliteModule;
  readonly #bridge: VfsBridge;
  #isOpen = false;

  constructor(module: WaSqliteModule, host: EngineHost) {
    this.#module = module;
    // Memory accounting is compiled out by default, and without it the heap limit is not enforced. It can only be
    // switched on before SQLite initializes, which `main` does.
    const values = module._malloc(4);
    module.HEAP32[values >> 2] = 1;
    const configured = module._sqlite3_config(CONFIG_MEMORY_STATUS, values);
    module._free(values);
    assert(configured === 0, () => `Cannot switch on memory accounting: SQLite answers ${configured}`);
    module._main(0, 0);
    module._sqlite3_hard_heap_limit64(host.heapBytesMax, 0);
    this.sqliteVersion = module.UTF8ToString(module._sqlite3_libversion());
    this.#bridge = new VfsBridge(module, host);
    // As the default VFS it also serves SQLite's randomness and time.
    const registered = module.vfs_register(this.#bridge, true);
    assert(registered === 0, () => `Cannot register the VFS: SQLite answers ${registered}`);
  }

  open(mode: "read_only" | "read_write"): EngineConnection {
    assert(!this.#isOpen, "An engine instance holds one connection");
    this.#isOpen = true;
    const module = this.#module;
    const nameBytes = TEXT.encode(`${FILE_NAME[mode]}\0`);
    const name = module._sqlite3_malloc(nameBytes.length);
    module.HEAPU8.set(nameBytes, name);
    const dbOut = module._sqlite3_malloc(4);
    const flags = (mode === "read_only" ? OPEN_READ_ONLY : OPEN_READ_WRITE_CREATE) | OPEN_URI;
    const code = module._sqlite3_open_v2(name, dbOut, flags, 0);
    const db = module.HEAP32[dbOut >> 2]!;
    module._sqlite3_free(dbOut);
    module._sqlite3_free(name);
    if (code !== 0) {
      const reason = module.UTF8ToString(module._sqlite3_errstr(code));
      throw this.#bridge.failure ?? new Error(`Cannot open the database: ${reason}`);
    }
    return new WaSqliteConnection(module, this.#bridge, db);
  }
}
