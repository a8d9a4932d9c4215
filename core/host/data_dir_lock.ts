import { NodeError } from "../base/errors.ts";

const LOCK_FILE = "lock";

/**
 * Keeps every other process out of a data folder: two nodes on one log would destroy it. The operating system gives
 * the lock back when the process ends, however it ends, so a leftover file does no harm.
 */
export class DataDirLock {
  readonly #file: Deno.FsFile;

  /** Use `take`. */
  constructor(file: Deno.FsFile) {
    this.#file = file;
  }

  /**
   * @param dataFolder created with its parents when missing
   * @throws NodeError `internal` when another process holds the folder; the message names it
   */
  static take(dataFolder: string): DataDirLock {
    Deno.mkdirSync(dataFolder, { recursive: true });
    const path = `${dataFolder}/${LOCK_FILE}`;
    const file = Deno.openSync(path, { read: true, write: true, create: true });
    if (!file.tryLockSync(true)) {
      file.close();
      const holder = Deno.readTextFileSync(path).trim();
      throw new NodeError(
        "internal",
        `Cannot use the data folder ${dataFolder}: ${
          holder === "" ? "another process" : `process ${holder}`
        } ` +
          "uses it; stop that process, or start this node with another folder",
      );
    }
    file.truncateSync(0);
    file.writeSync(new TextEncoder().encode(`${Deno.pid}\n`));
    return new DataDirLock(file);
  }

  /** The file stays: removing it could take the lock away from a process that has just opened it. */
  release(): void {
    this.#file.close();
  }
}
