import { NodeError } from "../base/errors.ts";
import type { Disk, DiskFile } from "../base/ports.ts";

/** No room for a write. What fitted was written; the file is otherwise sound, and a later write may succeed. */
export class DiskFullError extends NodeError {
  override name = "DiskFullError";

  constructor(path: string, options?: ErrorOptions) {
    super("disk_full", `Cannot write ${path}: the disk is full; free some space`, {}, options);
  }
}

/** Codes for "no room": the device is full, or the quota of the user. */
const DISK_FULL_CODES = new Set(["ENOSPC", "EDQUOT"]);

class DenoFile implements DiskFile {
  readonly #path: string;
  readonly #file: Deno.FsFile;

  constructor(path: string, file: Deno.FsFile) {
    this.#path = path;
    this.#file = file;
  }

  readAt(into: Uint8Array, offset: number): number {
    this.#file.seekSync(offset, Deno.SeekMode.Start);
    let count = 0;
    while (count < into.length) {
      const read = this.#file.readSync(count === 0 ? into : into.subarray(count));
      if (read === null || read === 0) break;
      count += read;
    }
    return count;
  }

  writeAt(bytes: Uint8Array, offset: number): void {
    this.#file.seekSync(offset, Deno.SeekMode.Start);
    try {
      for (let count = 0; count < bytes.length;) {
        count += this.#file.writeSync(count === 0 ? bytes : bytes.subarray(count));
      }
    } catch (error) {
      throw whenFull(error, this.#path);
    }
  }

  async sync(): Promise<void> {
    await this.#file.syncData();
  }

  truncate(size: number): void {
    this.#file.truncateSync(size);
  }

  size(): number {
    return this.#file.statSync().size;
  }

  close(): void {
    this.#file.close();
  }
}

/** The data folder of a node on the real disk. Creates nothing but what it is asked for. */
export class DenoDisk implements Disk {
  readonly #root: string;

  /** @param root the data folder; created with its parents when missing */
  constructor(root: string) {
    this.#root = root.endsWith("/") ? root.slice(0, -1) : root;
    Deno.mkdirSync(root, { recursive: true });
  }

  openFile(path: string, mode: "read" | "write"): DiskFile {
    const write = mode === "write";
    try {
      return new DenoFile(path, Deno.openSync(this.#at(path), { read: true, write, create: write }));
    } catch (error) {
      throw whenFull(error, path);
    }
  }

  exists(path: string): boolean {
    try {
      Deno.lstatSync(this.#at(path));
      return true;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  }

  list(path: string): string[] {
    try {
      return Array.from(Deno.readDirSync(this.#at(path)), (entry) => entry.name).sort();
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return [];
      throw error;
    }
  }

  makeDirectory(path: string): void {
    try {
      Deno.mkdirSync(this.#at(path), { recursive: true });
    } catch (error) {
      throw whenFull(error, path);
    }
  }

  remove(path: string): void {
    Deno.removeSync(this.#at(path));
  }

  rename(from: string, to: string): void {
    try {
      Deno.renameSync(this.#at(from), this.#at(to));
    } catch (error) {
      throw whenFull(error, to);
    }
  }

  async syncDirectory(path: string): Promise<void> {
    using folder = await Deno.open(this.#at(path), { read: true });
    await folder.sync();
  }

  #at(path: string): string {
    return path === "" ? this.#root : `${this.#root}/${path}`;
  }
}

function whenFull(error: unknown, path: string): unknown {
  const code = error instanceof Error ? (error as Error & { code?: unknown }).code : undefined;
  return typeof code === "string" && DISK_FULL_CODES.has(code)
    ? new DiskFullError(path, { cause: error })
    : error;
}
