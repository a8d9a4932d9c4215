import type { SqliteModule } from "./sqlite_module.ts";

/** Parameters of nearly every statement fit; larger ones are allocated one by one. */
const ARENA_BYTES = 64 * 1024;

/**
 * Memory for the text and blobs bound to the statement that runs now, so that binding costs neither an allocation nor
 * a second copy. It is used again as soon as no statement has bindings in it.
 */
export class BindingArena {
  readonly #module: SqliteModule;
  #start = 0;
  #used = 0;
  #holders = 0;

  constructor(module: SqliteModule) {
    this.#module = module;
  }

  /** Address of `bytes` bytes; 0 when they do not fit. */
  take(bytes: number): number {
    if (bytes > ARENA_BYTES - this.#used) return 0;
    if (this.#start === 0) {
      this.#start = this.#module._sqlite3_malloc(ARENA_BYTES);
      if (this.#start === 0) return 0;
    }
    const pointer = this.#start + this.#used;
    this.#used += bytes;
    return pointer;
  }

  /** Gives back the end of what `take` gave last. */
  giveBack(bytes: number): void {
    this.#used -= bytes;
  }

  hold(): void {
    this.#holders += 1;
  }

  release(): void {
    this.#holders -= 1;
    if (this.#holders === 0) this.#used = 0;
  }
}
