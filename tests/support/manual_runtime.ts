import { type Runtime, webRuntime } from "../../net/client/runtime.ts";

interface Timer {
  readonly dueMs: number;
  readonly callback: () => void;
}

/** A runtime whose time passes only when a test says so, or when the client sleeps. */
export class ManualRuntime implements Runtime {
  readonly fetch = webRuntime().fetch;
  /** Every pause the client made, in milliseconds. */
  readonly pauses: number[] = [];
  readonly #timers = new Set<Timer>();
  #nowMs = 1_000;
  #keys = 0;

  nowMs(): number {
    return this.#nowMs;
  }

  startTimer(ms: number, callback: () => void): () => void {
    const timer = { dueMs: this.#nowMs + ms, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  sleep(ms: number, _signal: AbortSignal): Promise<void> {
    this.pauses.push(ms);
    this.advance(ms);
    return Promise.resolve();
  }

  /** Lets time pass and fires what is due, in order. */
  advance(ms: number): void {
    this.#nowMs += ms;
    const due = [...this.#timers].filter((timer) => timer.dueMs <= this.#nowMs).sort((a, b) =>
      a.dueMs - b.dueMs
    );
    for (const timer of due) {
      this.#timers.delete(timer);
      timer.callback();
    }
  }

  /** In how many milliseconds each running timer fires. */
  get dueInMs(): number[] {
    return Array.from(this.#timers, (timer) => timer.dueMs - this.#nowMs);
  }

  get timerCount(): number {
    return this.#timers.size;
  }

  random(): number {
    return 0.5;
  }

  newIdempotencyKey(): string {
    return `key-${++this.#keys}`;
  }
}
