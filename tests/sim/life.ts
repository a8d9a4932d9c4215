import type { Milliseconds } from "../../core/base/ids.ts";
import type { Clock, Disk, DiskFile } from "../../core/base/ports.ts";
import { SimCrash } from "../support/sim_disk.ts";

/** One run of a process on a machine. What it still does after its end reaches nothing. */
export interface Life {
  readonly isOver: boolean;
  /** It stands still, and is as if it ran when it is asked something: its timers are late. */
  readonly isPaused: boolean;
}

/** How late timers of a pause are after its end. */
const PAUSE_STEP_MS = 10;

/** No timer fires during a pause and after the end. */
export class LifeClock implements Clock {
  readonly #clock: Clock;
  readonly #life: Life;
  readonly #wallSkewMs: () => Milliseconds;
  readonly #rate: number;

  /** @param rate of the monotonic clock: 1 is right */
  constructor(clock: Clock, life: Life, wallSkewMs: () => Milliseconds, rate: number) {
    this.#clock = clock;
    this.#life = life;
    this.#wallSkewMs = wallSkewMs;
    this.#rate = rate;
  }

  nowMs(): Milliseconds {
    return this.#clock.nowMs() * this.#rate;
  }

  wallMs(): Milliseconds {
    return this.#clock.wallMs() + this.#wallSkewMs();
  }

  after(delayMs: Milliseconds, callback: () => void): () => void {
    let cancel = (): void => {};
    const fire = (): void => {
      if (this.#life.isPaused) cancel = this.#clock.after(PAUSE_STEP_MS, fire);
      else if (!this.#life.isOver) untilCrash(callback);
    };
    cancel = this.#clock.after(delayMs / this.#rate, fire);
    return () => cancel();
  }
}

/** The power may fail in the middle: the process ends there, and hears of it nowhere. */
function untilCrash(callback: () => void): void {
  try {
    callback();
  } catch (error) {
    if (!(error instanceof SimCrash)) throw error;
  }
}

/** Every call fails after the end; files that are open by then fail by themselves. */
export class LifeDisk implements Disk {
  readonly #disk: Disk;
  readonly #life: Life;

  constructor(disk: Disk, life: Life) {
    this.#disk = disk;
    this.#life = life;
  }

  openFile(path: string, mode: "read" | "write"): DiskFile {
    return this.#alive().openFile(path, mode);
  }

  exists(path: string): boolean {
    return this.#alive().exists(path);
  }

  list(path: string): string[] {
    return this.#alive().list(path);
  }

  makeDirectory(path: string): void {
    this.#alive().makeDirectory(path);
  }

  remove(path: string): void {
    this.#alive().remove(path);
  }

  rename(from: string, to: string): void {
    this.#alive().rename(from, to);
  }

  async syncDirectory(path: string): Promise<void> {
    await this.#alive().syncDirectory(path);
  }

  #alive(): Disk {
    if (this.#life.isOver) throw new SimCrash("This process has ended");
    return this.#disk;
  }
}
