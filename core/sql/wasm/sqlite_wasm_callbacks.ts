import type { Signature } from "./int64_adapter.ts";
import type { AuthorizerCallback, SqliteVfs } from "./sqlite_module.ts";
import type { SqliteWasmMemory } from "./sqlite_wasm_memory.ts";

/** Types of the functions that C calls; their order is that of their addresses. */
export const CALLBACKS = {
  xOpen: "iiiii:i",
  xDelete: "iii:i",
  xAccess: "iiii:i",
  xFullPathname: "iiii:i",
  xRandomness: "iii:i",
  xSleep: "ii:i",
  xCurrentTime: "ii:i",
  xGetLastError: "iii:i",
  xCurrentTimeInt64: "ii:i",
  xClose: "i:i",
  xRead: "iiiI:i",
  xWrite: "iiiI:i",
  xTruncate: "iI:i",
  xSync: "ii:i",
  xFileSize: "ii:i",
  xLock: "ii:i",
  xUnlock: "ii:i",
  xCheckReservedLock: "ii:i",
  xFileControl: "iii:i",
  xSectorSize: "i:i",
  xDeviceCharacteristics: "i:i",
  authorize: "iiiiii:i",
  progress: "i:i",
} as const satisfies Record<string, Signature>;

type CallbackName = keyof typeof CALLBACKS;

const WORD_BYTES = 4;
/** Room for `sqlite3_file`: nothing but the pointer to its methods. */
const FILE_BYTES = 4;
/** With `xCurrentTimeInt64`, without a table of system calls. */
const VFS_VERSION = 2;
/** Without shared memory and mapped pages. */
const METHODS_VERSION = 1;
const FILE_METHODS: readonly CallbackName[] = [
  "xClose",
  "xRead",
  "xWrite",
  "xTruncate",
  "xSync",
  "xFileSize",
  "xLock",
  "xUnlock",
  "xCheckReservedLock",
  "xFileControl",
  "xSectorSize",
  "xDeviceCharacteristics",
];

/** The JavaScript that an instance calls: one VFS, one authorizer, one progress handler, set after the instance is made. */
export class SqliteWasmCallbacks {
  readonly #memory: SqliteWasmMemory;
  #vfs!: SqliteVfs;
  /** Address of the `sqlite3_io_methods`. */
  #fileMethods = 0;
  authorize: AuthorizerCallback = () => 0;
  progress: () => number = () => 0;
  /** SQL of the engine itself is nothing the authorizer knows. */
  isInternal = false;

  constructor(memory: SqliteWasmMemory) {
    this.#memory = memory;
  }

  functions(): Record<CallbackName, (...values: number[]) => number> {
    const typed: { readonly [Name in keyof SqliteVfs & CallbackName]: SqliteVfs[Name] } = {
      xOpen: (vfs, name, file, flags, flagsOut) => this.#open(vfs, name, file, flags, flagsOut),
      xDelete: (vfs, name, sync) => this.#vfs.xDelete(vfs, name, sync),
      xAccess: (vfs, name, flags, out) => this.#vfs.xAccess(vfs, name, flags, out),
      xFullPathname: (vfs, name, bytesMax, out) => this.#vfs.xFullPathname(vfs, name, bytesMax, out),
      xRandomness: (vfs, bytes, out) => this.#vfs.xRandomness(vfs, bytes, out),
      xSleep: (vfs, microseconds) => this.#vfs.xSleep(vfs, microseconds),
      xCurrentTime: (vfs, out) => this.#vfs.xCurrentTime(vfs, out),
      xGetLastError: (vfs, bytes, out) => this.#vfs.xGetLastError(vfs, bytes, out),
      xCurrentTimeInt64: (vfs, out) => this.#vfs.xCurrentTimeInt64(vfs, out),
      xClose: (file) => this.#vfs.xClose(file),
      xRead: (file, data, bytes, low, high) => this.#vfs.xRead(file, data, bytes, low, high),
      xWrite: (file, data, bytes, low, high) => this.#vfs.xWrite(file, data, bytes, low, high),
      xTruncate: (file, low, high) => this.#vfs.xTruncate(file, low, high),
      xSync: (file, flags) => this.#vfs.xSync(file, flags),
      xFileSize: (file, out) => this.#vfs.xFileSize(file, out),
      xLock: (file, level) => this.#vfs.xLock(file, level),
      xUnlock: (file, level) => this.#vfs.xUnlock(file, level),
      xCheckReservedLock: (file, out) => this.#vfs.xCheckReservedLock(file, out),
      xFileControl: (file, operation, argument) => this.#vfs.xFileControl(file, operation, argument),
      xSectorSize: (file) => this.#vfs.xSectorSize(file),
      xDeviceCharacteristics: (file) => this.#vfs.xDeviceCharacteristics(file),
    };
    const authorize: AuthorizerCallback = (application, action, first, second, database, inner) =>
      this.isInternal ? 0 : this.authorize(application, action, first, second, database, inner);
    const progress = (): number => this.progress();
    return { ...typed, authorize, progress } as Record<CallbackName, (...values: number[]) => number>;
  }

  /** SQLite closes a file that could not be opened unless it has no methods. */
  #open(vfs: number, name: number, file: number, flags: number, flagsOut: number): number {
    const code = this.#vfs.xOpen(vfs, name, file, flags, flagsOut);
    this.#memory.words[file >> 2] = code === 0 ? this.#fileMethods : 0;
    return code;
  }

  /**
   * Writes `sqlite3_vfs` and `sqlite3_io_methods` into the memory of the instance, where they stay.
   *
   * @param addressOf address of a callback as a C function
   * @returns address of the `sqlite3_vfs`
   */
  layOut(
    vfs: SqliteVfs,
    addressOf: (name: CallbackName) => number,
    allocate: (bytes: number) => number,
  ): number {
    this.#vfs = vfs;
    const words = (values: readonly number[]): number => {
      const address = allocate(values.length * WORD_BYTES);
      this.#memory.words.set(values, address / WORD_BYTES);
      return address;
    };
    this.#fileMethods = words([METHODS_VERSION, ...FILE_METHODS.map(addressOf)]);
    const nameBytes = new TextEncoder().encode(`${vfs.name}\0`);
    const name = allocate(nameBytes.length);
    this.#memory.bytes.set(nameBytes, name);
    const [next, applicationData] = [0, 0];
    const [open, load] = [["xOpen", "xDelete", "xAccess", "xFullPathname"] as const, [0, 0, 0, 0]];
    const rest = ["xRandomness", "xSleep", "xCurrentTime", "xGetLastError", "xCurrentTimeInt64"] as const;
    return words([
      ...[VFS_VERSION, FILE_BYTES, vfs.mxPathname, next, name, applicationData],
      ...open.map(addressOf),
      ...load,
      ...rest.map(addressOf),
    ]);
  }
}
