import { assert } from "../../core/base/assert.ts";
import type { Disk, DiskFile } from "../../core/base/ports.ts";
import { DiskFullError } from "../../core/host/deno_disk.ts";
import { SeededRandom } from "./seeded_random.ts";
import { SimFile, type SyncCapture } from "./sim_file.ts";

/** Every call after the simulated power failure, until `crash()` has brought the disk back. */
export class SimCrash extends Error {
  override name = "SimCrash";
}

export interface SimOperation {
  /** Counts all operations that change something, from 1. */
  readonly number: number;
  readonly kind:
    | "create"
    | "write"
    | "truncate"
    | "remove"
    | "rename"
    | "make_directory"
    | "sync"
    | "sync_done";
  readonly path: string;
}

export interface SimDiskOptions {
  readonly seed: number;
  /** What is kept or lost as a whole; 512 by default. */
  readonly unitBytes?: 512 | 4096;
  /** Bytes all files together may have. */
  readonly capacityBytes?: number;
  /** `manual`: a sync waits until the test calls `completeSync`. */
  readonly syncMode?: "immediate" | "manual";
  /** Called after an operation took effect (before, for syncs). What it throws, the operation throws. */
  readonly onOperation?: (operation: SimOperation) => void;
}

interface FolderChange {
  readonly folder: string;
  readonly apply: (files: Map<string, SimFile>) => void;
}

/**
 * Where a write ends up instead of at `offset` in a file of `size` bytes: another offset, or nowhere. The disk spoils one
 * write; a path it leaves where it is does not count.
 */
export type SpoilWrite = (path: string, offset: number, size: number) => number | undefined;

interface PendingSync {
  readonly path: string;
  readonly complete: () => void;
  readonly fail: (error: Error) => void;
}

/**
 * A disk with a cache and a device, deterministic for a seed. Files, and the names in folders, survive a crash for
 * certain only when they were synced; everything else survives or not by chance.
 */
export class SimDisk implements Disk {
  readonly #random: SeededRandom;
  readonly #unitBytes: number;
  readonly #syncMode: "immediate" | "manual";
  /** Names as programs see them, and on the device. */
  #files = new Map<string, SimFile>();
  #durableFiles = new Map<string, SimFile>();
  #folders = new Set<string>([""]);
  #durableFolders = new Set<string>([""]);
  #changes: FolderChange[] = [];
  #pending: PendingSync[] = [];
  #failingSyncs = 0;
  #spoilWrite: SpoilWrite | undefined;
  readonly #unreadable: { readonly path: string; readonly from: number; readonly to: number }[] = [];
  #operations = 0;
  #crashAt: number | undefined;
  #isDown = false;
  /** Handles of an earlier life of the machine are dead. */
  #life = 1;
  capacityBytes: number;
  onOperation: ((operation: SimOperation) => void) | undefined;

  constructor(options: SimDiskOptions) {
    this.#random = new SeededRandom(options.seed);
    this.#unitBytes = options.unitBytes ?? 512;
    this.#syncMode = options.syncMode ?? "immediate";
    this.capacityBytes = options.capacityBytes ?? Infinity;
    this.onOperation = options.onOperation;
  }

  /** Operations so far. */
  get operationCount(): number {
    return this.#operations;
  }

  get isDown(): boolean {
    return this.#isDown;
  }

  /** Bytes of all files. */
  get usedBytes(): number {
    let sum = 0;
    for (const file of new Set(this.#files.values())) sum += file.size;
    return sum;
  }

  /** The power fails at the operation of this number. */
  crashAtOperation(number: number | undefined): void {
    this.#crashAt = number;
  }

  /** Power failure, and power back: what was not synced is subject to chance, open files are dead. */
  crash(): void {
    this.#isDown = false;
    this.#crashAt = undefined;
    this.#life++;
    this.#pending = [];
    for (const change of this.#changes) if (this.#random.chance(0.5)) change.apply(this.#durableFiles);
    this.#changes = [];
    for (const folder of this.#folders) if (this.#random.chance(0.5)) this.#keepFolder(folder);
    this.#folders = new Set(this.#durableFolders);
    for (const path of this.#durableFiles.keys()) {
      if (!this.#durableFolders.has(folderOf(path))) this.#durableFiles.delete(path);
    }
    this.#files = new Map(this.#durableFiles);
    for (const file of new Set(this.#files.values())) file.crash(this.#random);
  }

  /** Ends the oldest pending sync, or the oldest of the path; false when there is none. */
  completeSync(path?: string): boolean {
    return this.#takePending(path, (pending) => pending.complete());
  }

  completeAllSyncs(): void {
    while (this.completeSync());
  }

  /** Lets the oldest pending sync fail, or the oldest of the path; false when there is none. */
  failSync(path?: string): boolean {
    return this.#takePending(path, (pending) => pending.fail(new Error("Input/output error")));
  }

  /** The next `count` syncs fail. */
  failNextSyncs(count: number): void {
    this.#failingSyncs = count;
  }

  /** One of the next writes is misdirected or lost, and reported as done. */
  spoilNextWrite(spoil: SpoilWrite | undefined): void {
    this.#spoilWrite = spoil;
  }

  get pendingSyncs(): readonly string[] {
    return this.#pending.map(({ path }) => path);
  }

  /** Reads of these bytes fail from now on. */
  failReads(path: string, from: number, to: number): void {
    this.#unreadable.push({ path, from, to });
  }

  flipBit(path: string, offset: number, bit: number): void {
    this.#file(path).flipBit(offset, bit);
  }

  /** The whole file as programs see it. */
  contentOf(path: string): Uint8Array {
    return this.#file(path).content();
  }

  /** A disk with the same durable state and a seed of its own. Unsynced state must not exist. */
  clone(seed: number): SimDisk {
    const copy = new SimDisk({ seed, unitBytes: this.#unitBytes === 4096 ? 4096 : 512 });
    for (const folder of this.#folders) copy.#keepFolder(folder);
    copy.#folders = new Set(copy.#durableFolders);
    for (const [path, file] of this.#files) copy.putFile(path, file.content());
    return copy;
  }

  /** Puts a durable file there, with its folders: for golden files and for damage. */
  putFile(path: string, bytes: Uint8Array): void {
    const file = new SimFile(this.#unitBytes);
    file.write(bytes, 0);
    file.completeSync(file.beginSync());
    this.#keepFolder(folderOf(path));
    this.#folders = new Set([...this.#folders, ...this.#durableFolders]);
    this.#files.set(path, file);
    this.#durableFiles.set(path, file);
  }

  openFile(path: string, mode: "read" | "write"): DiskFile {
    this.#checkUp();
    let file = this.#files.get(path);
    if (file === undefined) {
      if (mode === "read" || !this.#folders.has(folderOf(path))) {
        throw new Error(`Cannot open ${path}: no such file or folder`);
      }
      const created = file = new SimFile(this.#unitBytes);
      this.#changeFolder(folderOf(path), (files) => files.set(path, created));
      this.#count("create", path);
    }
    return this.#handle(path, file, mode, this.#life);
  }

  exists(path: string): boolean {
    this.#checkUp();
    return this.#files.has(path) || this.#folders.has(path);
  }

  list(path: string): string[] {
    this.#checkUp();
    const names = [...this.#files.keys(), ...this.#folders].filter((other) =>
      other !== "" && folderOf(other) === path
    );
    return names.map((name) => name.slice(path === "" ? 0 : path.length + 1)).sort();
  }

  makeDirectory(path: string): void {
    this.#checkUp();
    if (this.#folders.has(path)) return;
    for (let folder = path; folder !== ""; folder = folderOf(folder)) this.#folders.add(folder);
    this.#count("make_directory", path);
  }

  remove(path: string): void {
    this.#checkUp();
    const file = this.#file(path);
    this.#changeFolder(folderOf(path), (files) => {
      if (files.get(path) === file) files.delete(path);
    });
    this.#count("remove", path);
  }

  rename(from: string, to: string): void {
    this.#checkUp();
    const file = this.#file(from);
    this.#changeFolder(folderOf(to), (files) => {
      files.set(to, file);
      if (files.get(from) === file) files.delete(from);
    });
    this.#count("rename", to);
  }

  async syncDirectory(path: string): Promise<void> {
    if (!this.#folders.has(path)) throw new Error(`Cannot sync ${path}: no such folder`);
    const changes = this.#changes.filter(({ folder }) => folder === path);
    const folders = [...this.#folders].filter((folder) => folderOf(folder) === path);
    await this.#sync(path, () => {
      for (const change of changes) change.apply(this.#durableFiles);
      this.#changes = this.#changes.filter((change) => !changes.includes(change));
      for (const folder of folders) this.#keepFolder(folder);
    }, () => {});
  }

  #handle(path: string, file: SimFile, mode: "read" | "write", life: number): DiskFile {
    let isOpen = true;
    const check = (write: boolean) => {
      this.#checkUp();
      if (life !== this.#life) throw new SimCrash(`${path} was opened before the crash`);
      if (!isOpen) throw new Error(`Cannot use ${path}: it is closed`);
      if (write && mode === "read") throw new Error(`Cannot write ${path}: it is open for reading`);
    };
    return {
      readAt: (into, offset) => {
        check(false);
        this.#checkReadable(path, offset, offset + into.length);
        return file.read(into, offset);
      },
      writeAt: (bytes, offset) => {
        check(true);
        const growth = Math.max(0, offset + bytes.length - file.size);
        const room = this.capacityBytes === Infinity ? Infinity : this.capacityBytes - this.usedBytes;
        const fitting = growth > room
          ? Math.max(0, bytes.length - (growth - Math.max(0, room)))
          : bytes.length;
        this.#write(path, file, bytes.subarray(0, fitting), offset);
        this.#count("write", path);
        if (fitting < bytes.length) throw new DiskFullError(path);
      },
      sync: async () => {
        check(false);
        const capture: SyncCapture = file.beginSync();
        await this.#sync(path, () => file.completeSync(capture), () => file.failSync(capture));
      },
      truncate: (size) => {
        check(true);
        file.truncate(size);
        this.#count("truncate", path);
      },
      size: () => {
        check(false);
        return file.size;
      },
      close: () => {
        isOpen = false;
      },
    };
  }

  #write(path: string, file: SimFile, bytes: Uint8Array, offset: number): void {
    const place = this.#spoilWrite === undefined ? offset : this.#spoilWrite(path, offset, file.size);
    if (place !== offset) this.#spoilWrite = undefined;
    if (place !== undefined) file.write(bytes, place);
  }

  /** Async, so that what goes wrong at the call is a rejection as on a real disk. */
  async #sync(path: string, complete: () => void, fail: () => void): Promise<void> {
    this.#checkUp();
    this.#count("sync", path);
    if (this.#failingSyncs > 0) {
      this.#failingSyncs--;
      fail();
      throw new Error("Input/output error");
    }
    if (this.#syncMode === "manual") {
      await new Promise<void>((resolve, reject) => {
        this.#pending.push({
          path,
          complete: () => {
            complete();
            this.#count("sync_done", path);
            resolve();
          },
          fail: (error) => {
            fail();
            reject(error);
          },
        });
      });
      return;
    }
    complete();
    this.#count("sync_done", path);
  }

  #takePending(path: string | undefined, action: (pending: PendingSync) => void): boolean {
    const at = path === undefined ? 0 : this.#pending.findIndex((pending) => pending.path === path);
    const [pending] = at < 0 ? [] : this.#pending.splice(at, 1);
    if (pending === undefined) return false;
    action(pending);
    return true;
  }

  #changeFolder(folder: string, apply: (files: Map<string, SimFile>) => void): void {
    apply(this.#files);
    this.#changes.push({ folder, apply });
  }

  #keepFolder(path: string): void {
    for (let folder = path; folder !== ""; folder = folderOf(folder)) this.#durableFolders.add(folder);
  }

  #checkReadable(path: string, from: number, to: number): void {
    const bad = this.#unreadable.some((range) => range.path === path && range.from < to && from < range.to);
    if (bad) throw new Error(`Cannot read ${path}: input/output error`);
  }

  #file(path: string): SimFile {
    const file = this.#files.get(path);
    if (file === undefined) throw new Error(`Cannot find ${path}: no such file`);
    return file;
  }

  #checkUp(): void {
    if (this.#isDown) throw new SimCrash("The power is off");
  }

  #count(kind: SimOperation["kind"], path: string): void {
    const number = ++this.#operations;
    assert(!this.#isDown, "No operation while the power is off");
    if (number === this.#crashAt) {
      this.#isDown = true;
      throw new SimCrash(`The power failed at operation ${number}: ${kind} ${path}`);
    }
    this.onOperation?.({ number, kind, path });
  }
}

function folderOf(path: string): string {
  return path.slice(0, Math.max(path.lastIndexOf("/"), 0));
}
