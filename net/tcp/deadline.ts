import type { Milliseconds } from "../../core/base/ids.ts";

const UNSEEN = -1;

/**
 * A time limit that is set for every request and hardly ever passes. It counts from the first sweep that sees it, so that
 * setting it needs no clock: it passes up to two intervals of the sweep late, and never early.
 */
export class Deadline {
  #limitMs: Milliseconds = Infinity;
  #sinceMs: Milliseconds = UNSEEN;

  /** Begins anew. Infinity: there is none. */
  set(limitMs: Milliseconds): void {
    this.#limitMs = limitMs;
    this.#sinceMs = UNSEEN;
  }

  /** To be asked by each sweep. */
  hasPassed(nowMs: Milliseconds): boolean {
    if (this.#limitMs === Infinity) return false;
    if (this.#sinceMs === UNSEEN) this.#sinceMs = nowMs;
    return nowMs - this.#sinceMs >= this.#limitMs;
  }
}
