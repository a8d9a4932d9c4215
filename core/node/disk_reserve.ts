import { NodeError } from "../base/errors.ts";
import type { Clock, Disk, EventSink } from "../base/ports.ts";

const RESERVE_PATH = "reserve";
/** Free space is looked for at this pace while there is none. */
const TRY_MS = 1_000;
/** What is written at once while the reserve is filled. */
const PIECE_BYTES = 1024 * 1024;

export interface DiskReserveOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly events: EventSink;
  readonly bytes: number;
}

/**
 * A file that is given up when the disk is full, so that votes, heartbeats, membership and what is already under way can
 * still be recorded while new writes are refused. It comes back when there is room again.
 */
export class DiskReserve {
  readonly #options: DiskReserveOptions;
  #isFull = false;
  #triedMs = -Infinity;
  #waiting: (() => void)[] = [];

  constructor(options: DiskReserveOptions) {
    this.#options = options;
    this.#isFull = !this.#fill();
  }

  /** Gives the space of an earlier run back: for what has to be written before anything else. */
  static remove(disk: Disk): boolean {
    if (!disk.exists(RESERVE_PATH)) return false;
    disk.remove(RESERVE_PATH);
    return true;
  }

  /** New writes have to be refused. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** The disk is full. Returns whether there is some room now. */
  release(): boolean {
    const { disk, events, bytes } = this.#options;
    if (!this.#isFull) events.event("disk_full", { reserveBytes: bytes });
    this.#isFull = true;
    this.#triedMs = this.#options.clock.nowMs();
    return DiskReserve.remove(disk);
  }

  /** Resolves when there may be room again. */
  whenTried(): Promise<void> {
    return new Promise((resolve) => void this.#waiting.push(resolve));
  }

  /** Called with every tick: looks for room at intervals while there is none. */
  sweep(): void {
    if (!this.#isFull) return;
    const nowMs = this.#options.clock.nowMs();
    if (nowMs - this.#triedMs < TRY_MS) return;
    this.#triedMs = nowMs;
    if (this.#fill()) {
      this.#isFull = false;
      this.#options.events.event("disk_has_room", {});
    }
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** Bytes without a pattern: a file system that compresses would give nothing back for zeros. */
  #fill(): boolean {
    const { disk, bytes } = this.#options;
    const file = disk.openFile(RESERVE_PATH, "write");
    try {
      let word = 0x9e37_79b9;
      for (let offset = file.size(); offset < bytes; offset += PIECE_BYTES) {
        const piece = new Uint32Array(Math.ceil(Math.min(PIECE_BYTES, bytes - offset) / 4));
        for (let i = 0; i < piece.length; i++) {
          word ^= word << 13;
          word ^= word >>> 17;
          word ^= word << 5;
          piece[i] = word;
        }
        file.writeAt(new Uint8Array(piece.buffer), offset);
      }
      return true;
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      file.truncate(0);
      return false;
    } finally {
      file.close();
    }
  }
}

export function isDiskFull(error: unknown): boolean {
  return error instanceof NodeError && error.code === "disk_full";
}
