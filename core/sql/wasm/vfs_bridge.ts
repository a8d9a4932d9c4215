import {
  type EngineFile,
  type EngineFileKind,
  type EngineHost,
  READ_REFUSED,
  ResultCode,
} from "../engine.ts";
import type { SqliteModule, SqliteVfs } from "./sqlite_module.ts";

const OPEN_MAIN_DATABASE = 0x100;
const OPEN_MAIN_JOURNAL = 0x800;
const OPEN_WAL = 0x80000;
const IO_ERROR_READ = 10 | (1 << 8);
const IO_ERROR_SHORT_READ = 10 | (2 << 8);
const IO_ERROR_WRITE = 10 | (3 << 8);
const IO_ERROR_TRUNCATE = 10 | (6 << 8);
const IO_ERROR_SIZE = 10 | (7 << 8);
const FILE_CONTROL_COMMIT_PHASE_TWO = 22;
/** SAFE_APPEND, SEQUENTIAL and POWERSAFE_OVERWRITE: no padding frames, no header syncs. Nothing here is a real disk. */
const DEVICE_CHARACTERISTICS = 0x200 | 0x400 | 0x1000;
const SECTOR_BYTES = 4096;
/** `sqlite3_int64` milliseconds at 1970-01-01, counted from noon of 24 November 4714 BC. */
const JULIAN_MS_OF_1970 = 210_866_760_000_000;
const TWO_POWER_32 = 0x1_0000_0000;
const HYPHEN = 0x2d;

/**
 * The raw `x…` methods of a VFS over an `EngineFileSystem`. Nothing may be thrown through WebAssembly
 * frames, so whatever a file throws is kept in `failure` and SQLite sees an I/O error.
 */
export class VfsBridge implements SqliteVfs {
  readonly name = "walraft";
  readonly mxPathname = 64;
  /** The first thing thrown; undefined while all is well. */
  failure: unknown = undefined;
  readonly #host: EngineHost;
  readonly #module: SqliteModule;
  readonly #files = new Map<number, EngineFile>();

  constructor(module: SqliteModule, host: EngineHost) {
    this.#module = module;
    this.#host = host;
  }

  /** wa-sqlite asks about each method when the VFS is registered. */
  hasAsyncMethod(_method: string): boolean {
    return false;
  }

  xOpen(_vfs: number, _name: number, file: number, flags: number, flagsOut: number): number {
    try {
      this.#files.set(file, this.#host.fileSystem.open(fileKind(flags)));
    } catch (error) {
      return this.#fail(error, ResultCode.cannotOpen);
    }
    if (flagsOut !== 0) this.#module.HEAP32[flagsOut >> 2] = flags;
    return ResultCode.ok;
  }

  xDelete(_vfs: number, _name: number, _syncDirectory: number): number {
    return ResultCode.ok;
  }

  xAccess(_vfs: number, name: number, _flags: number, resultOut: number): number {
    try {
      const exists = this.#host.fileSystem.exists(kindOfName(this.#module, name));
      this.#module.HEAP32[resultOut >> 2] = exists ? 1 : 0;
      return ResultCode.ok;
    } catch (error) {
      return this.#fail(error, ResultCode.ioError);
    }
  }

  xFullPathname(_vfs: number, name: number, bytesMax: number, out: number): number {
    const heap = this.#module.HEAPU8;
    const end = heap.indexOf(0, name) + 1;
    if (end - name > bytesMax) return ResultCode.cannotOpen;
    heap.copyWithin(out, name, end);
    return ResultCode.ok;
  }

  xRandomness(_vfs: number, bytes: number, out: number): number {
    try {
      this.#module.HEAPU8.set(this.#host.random.bytes(bytes), out);
      return bytes;
    } catch (error) {
      this.#fail(error, ResultCode.error);
      return 0;
    }
  }

  xSleep(_vfs: number, _microseconds: number): number {
    return 0;
  }

  /** Days since noon of 24 November 4714 BC, as a double. */
  xCurrentTime(_vfs: number, out: number): number {
    try {
      const days = (this.#host.clock.wallMs() + JULIAN_MS_OF_1970) / 86_400_000;
      new DataView(this.#module.HEAPU8.buffer).setFloat64(out, days, true);
      return ResultCode.ok;
    } catch (error) {
      return this.#fail(error, ResultCode.error);
    }
  }

  xCurrentTimeInt64(_vfs: number, out: number): number {
    try {
      this.#writeInteger(out, Math.floor(this.#host.clock.wallMs()) + JULIAN_MS_OF_1970);
      return ResultCode.ok;
    } catch (error) {
      return this.#fail(error, ResultCode.error);
    }
  }

  xGetLastError(_vfs: number, _bytes: number, _out: number): number {
    return 0;
  }

  xClose(file: number): number {
    try {
      this.#files.get(file)?.close();
    } catch (error) {
      this.#fail(error, ResultCode.ioError);
    }
    this.#files.delete(file);
    return ResultCode.ok;
  }

  xRead(file: number, data: number, bytes: number, offsetLow: number, offsetHigh: number): number {
    const heap = this.#module.HEAPU8;
    try {
      const into = heap.subarray(data, data + bytes);
      const read = this.#file(file).read(into, (offsetLow >>> 0) + offsetHigh * TWO_POWER_32);
      if (read === bytes) return ResultCode.ok;
      if (read === READ_REFUSED) return IO_ERROR_READ;
      into.fill(0, read);
      return IO_ERROR_SHORT_READ;
    } catch (error) {
      return this.#fail(error, IO_ERROR_READ);
    }
  }

  xWrite(file: number, data: number, bytes: number, offsetLow: number, offsetHigh: number): number {
    try {
      const from = this.#module.HEAPU8.subarray(data, data + bytes);
      const written = this.#file(file).write(from, (offsetLow >>> 0) + offsetHigh * TWO_POWER_32);
      return written ? ResultCode.ok : ResultCode.full;
    } catch (error) {
      return this.#fail(error, IO_ERROR_WRITE);
    }
  }

  xTruncate(file: number, sizeLow: number, sizeHigh: number): number {
    try {
      this.#file(file).truncate((sizeLow >>> 0) + sizeHigh * TWO_POWER_32);
      return ResultCode.ok;
    } catch (error) {
      return this.#fail(error, IO_ERROR_TRUNCATE);
    }
  }

  xSync(_file: number, _flags: number): number {
    return ResultCode.ok;
  }

  xFileSize(file: number, sizeOut: number): number {
    try {
      this.#writeInteger(sizeOut, this.#file(file).size());
      return ResultCode.ok;
    } catch (error) {
      return this.#fail(error, IO_ERROR_SIZE);
    }
  }

  xLock(_file: number, _level: number): number {
    return ResultCode.ok;
  }

  xUnlock(_file: number, _level: number): number {
    return ResultCode.ok;
  }

  xCheckReservedLock(_file: number, resultOut: number): number {
    this.#module.HEAP32[resultOut >> 2] = 0;
    return ResultCode.ok;
  }

  xFileControl(file: number, operation: number, _argument: number): number {
    if (operation !== FILE_CONTROL_COMMIT_PHASE_TWO) return ResultCode.notFound;
    try {
      this.#file(file).committed();
      return ResultCode.notFound;
    } catch (error) {
      return this.#fail(error, ResultCode.ioError);
    }
  }

  xSectorSize(_file: number): number {
    return SECTOR_BYTES;
  }

  xDeviceCharacteristics(_file: number): number {
    return DEVICE_CHARACTERISTICS;
  }

  #file(pointer: number): EngineFile {
    const file = this.#files.get(pointer);
    if (file === undefined) throw new Error("SQLite used a file that is not open");
    return file;
  }

  #fail(error: unknown, code: number): number {
    this.failure ??= error ?? new Error("Unknown failure in the file system");
    return code;
  }

  #writeInteger(pointer: number, value: number): void {
    this.#module.HEAP32[pointer >> 2] = value % TWO_POWER_32 | 0;
    this.#module.HEAP32[(pointer >> 2) + 1] = Math.floor(value / TWO_POWER_32);
  }
}

function fileKind(flags: number): EngineFileKind {
  if ((flags & OPEN_MAIN_DATABASE) !== 0) return "database";
  if ((flags & OPEN_WAL) !== 0) return "wal";
  if ((flags & OPEN_MAIN_JOURNAL) !== 0) return "journal";
  return "temporary";
}

/** SQLite asks about the database, `…-wal` and `…-journal`. */
function kindOfName(module: SqliteModule, name: number): EngineFileKind {
  const heap = module.HEAPU8;
  const end = heap.indexOf(0, name);
  if (heap[end - "-wal".length] === HYPHEN) return "wal";
  return heap[end - "-journal".length] === HYPHEN ? "journal" : "database";
}
