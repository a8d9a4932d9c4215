import type { Milliseconds } from "../base/ids.ts";
import type { Clock } from "../base/ports.ts";

/**
 * So long news of a commit waits for the next entries, which tell it as well: a client that writes one row after the other
 * sends the next one sooner.
 */
const WAIT_MS = 2;

/** Tells followers of commits that no entries tell them of: each such message costs them, and the leader, a turn. */
export class CommitNews {
  readonly #clock: Clock;
  readonly #tell: () => void;
  /** Undefined: there is no news. */
  #sinceMs: Milliseconds | undefined;
  #cancelTimer: (() => void) | undefined;

  constructor(clock: Clock, tell: () => void) {
    this.#clock = clock;
    this.#tell = tell;
  }

  /** To be called when there is news, and when there is none any more. */
  set(hasNews: boolean): void {
    this.#sinceMs = hasNews ? this.#clock.nowMs() : undefined;
    if (hasNews && this.#cancelTimer === undefined) this.#wait(WAIT_MS);
  }

  stop(): void {
    this.#cancelTimer?.();
    this.#sinceMs = undefined;
  }

  #wait(ms: Milliseconds): void {
    this.#cancelTimer = this.#clock.after(ms, () => {
      this.#cancelTimer = undefined;
      if (this.#sinceMs === undefined) return;
      const leftMs = this.#sinceMs + WAIT_MS - this.#clock.nowMs();
      if (leftMs > 0) this.#wait(leftMs);
      else this.#tell();
    });
  }
}
