import type { Milliseconds } from "../../core/base/ids.ts";
import type { Clock } from "../../core/base/ports.ts";

interface Timer {
  readonly dueMs: Milliseconds;
  /** Breaks ties: timers of one moment fire in the order they were set. */
  readonly number: number;
  readonly callback: () => void;
}

/** A clock that stands still until the test moves it. */
export class ManualClock implements Clock {
  readonly #wallStartMs: Milliseconds;
  readonly #timers = new Set<Timer>();
  #nowMs = 0;
  #count = 0;

  /** @param wallStartMs wall time at the start; a fixed moment in 2026 by default */
  constructor(wallStartMs: Milliseconds = 1_767_225_600_000) {
    this.#wallStartMs = wallStartMs;
  }

  nowMs(): Milliseconds {
    return this.#nowMs;
  }

  wallMs(): Milliseconds {
    return this.#wallStartMs + this.#nowMs;
  }

  after(delayMs: Milliseconds, callback: () => void): () => void {
    const timer = { dueMs: this.#nowMs + Math.max(0, delayMs), number: this.#count++, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** When the next timer fires; undefined when none is set. */
  nextDueMs(): Milliseconds | undefined {
    return this.#first()?.dueMs;
  }

  /** Moves on and fires what falls due, each timer at its own moment, also timers set on the way. */
  advance(byMs: Milliseconds): void {
    const untilMs = this.#nowMs + byMs;
    for (let timer = this.#first(); timer !== undefined && timer.dueMs <= untilMs; timer = this.#first()) {
      this.#timers.delete(timer);
      this.#nowMs = Math.max(this.#nowMs, timer.dueMs);
      timer.callback();
    }
    this.#nowMs = untilMs;
  }

  #first(): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers) {
      if (first === undefined || timer.dueMs < first.dueMs) first = timer;
      else if (timer.dueMs === first.dueMs && timer.number < first.number) first = timer;
    }
    return first;
  }
}
