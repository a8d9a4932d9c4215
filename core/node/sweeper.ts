import type { Milliseconds } from "../base/ids.ts";
import type { Clock } from "../base/ports.ts";

/** Waiting reads and writes are looked at this often: the grain of their time limits. */
const SWEEP_MS: Milliseconds = 10;

export interface SweeperHost {
  readonly clock: Clock;
  /** Gives up what has waited past its time limit. */
  readonly sweep: () => void;
  /** How many still wait. */
  readonly waitingCount: () => number;
}

/** Looks after time limits while something waits; an idle node wakes nobody. */
export class Sweeper {
  readonly #host: SweeperHost;
  #cancel: (() => void) | undefined;
  #stopped = false;

  constructor(host: SweeperHost) {
    this.#host = host;
  }

  /** Something may wait from now on. */
  watch(): void {
    if (this.#cancel !== undefined || this.#stopped) return;
    this.#cancel = this.#host.clock.after(SWEEP_MS, () => {
      this.#cancel = undefined;
      this.#host.sweep();
      if (this.#host.waitingCount() > 0) this.watch();
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
  }
}
