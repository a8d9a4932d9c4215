import type { CancelSignal } from "../../core/base/ports.ts";
import type { Frame } from "./frame.ts";
import { RequestType } from "./request.ts";

/**
 * Tells a query that its client does not want it any more: aborts with an Interrupt, with the end of the connection, and
 * with a frame that is none. What comes next is looked at only for those who ask: most queries are over before, and an
 * AbortController would cost more than the rest of a short one. So who asks for the first time hears of what came before
 * in a later turn only: to look is not enough, one has to listen.
 */
export class Interruption implements CancelSignal {
  /** Until somebody asks. */
  #next: Promise<Frame | undefined> | undefined;
  #aborted = false;
  #listeners: Set<() => void> | undefined;

  /** @param next what the client sends next; undefined for the end. Never rejects. */
  constructor(next: Promise<Frame | undefined>) {
    this.#next = next;
  }

  /** False when asked for the first time. */
  get aborted(): boolean {
    this.#watch();
    return this.#aborted;
  }

  addEventListener(_type: "abort", listener: () => void): void {
    this.#watch();
    (this.#listeners ??= new Set()).add(listener);
  }

  removeEventListener(_type: "abort", listener: () => void): void {
    this.#listeners?.delete(listener);
  }

  #watch(): void {
    const next = this.#next;
    this.#next = undefined;
    void next?.then((frame) => {
      if (frame === undefined || frame.type === RequestType.interrupt) this.#abort();
    });
  }

  #abort(): void {
    this.#aborted = true;
    for (const listener of this.#listeners ?? []) listener();
    this.#listeners = undefined;
  }
}
