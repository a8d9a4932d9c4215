import { assert } from "../../base/assert.ts";
import type { EngineConnection, EngineHost, SqlEngine } from "../engine.ts";
import type { SqliteInstance } from "./sqlite_module.ts";
import { VfsBridge } from "./vfs_bridge.ts";
import { WasmConnection } from "./wasm_connection.ts";

const OPEN_READ_ONLY = 1;
const OPEN_READ_WRITE_CREATE = 2 | 4;
const OPEN_URI = 0x40;
/** `nolock`: nobody else can reach the file, and each lock would be a call into JavaScript. WAL mode refuses it. */
const FILE_NAME = { read_only: "file:main.db?nolock=1", read_write: "file:main.db" } as const;
const TEXT = new TextEncoder();

/** One instance of a build of SQLite: its own memory, its own VFS, one connection. */
export class WasmEngine implements SqlEngine {
  readonly sqliteVersion: string;
  readonly #instance: SqliteInstance;
  readonly #bridge: VfsBridge;
  #isOpen = false;

  constructor(instance: SqliteInstance, host: EngineHost) {
    const { module } = instance;
    this.#instance = instance;
    instance.initialize();
    this.sqliteVersion = module.UTF8ToString(module._sqlite3_libversion());
    this.#bridge = new VfsBridge(module, host);
    const registered = instance.registerVfs(this.#bridge);
    assert(registered === 0, () => `Cannot register the VFS: SQLite answers ${registered}`);
  }

  open(mode: "read_only" | "read_write"): EngineConnection {
    assert(!this.#isOpen, "An engine instance holds one connection");
    this.#isOpen = true;
    const { module } = this.#instance;
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
    this.#instance.configure(db);
    return new WasmConnection(this.#instance, this.#bridge, db);
  }
}
