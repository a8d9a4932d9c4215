import { NodeError } from "../base/errors.ts";
import type { LogIndex, Milliseconds, Term } from "../base/ids.ts";

interface Waiter {
  readonly index: LogIndex;
  /** Term of the entry waited for; undefined: any entry at the index will do. */
  readonly term: Term | undefined;
  readonly deadlineMs: Milliseconds;
  readonly resolve: (committedIndex: LogIndex) => void;
  readonly reject: (error: NodeError) => void;
  readonly onTimeout: () => NodeError;
}

/**
 * Who waits for which log index. An appended entry is not given up when leadership is lost: its fate is decided
 * by what is committed at its index, so most writes that a leader change catches get a true answer (promise 5).
 */
export class CommitWaiters {
  /** Ascending by index. */
  #waiters: Waiter[] = [];
  #closed = false;

  get size(): number {
    return this.#waiters.length;
  }

  /**
   * Resolves when the entry at `index`, of `term`, is committed. Rejects with `not_leader` when another entry was committed
   * there (the write never happened) and with what `onTimeout` says at the deadline.
   */
  wait(
    index: LogIndex,
    term: Term | undefined,
    deadlineMs: Milliseconds,
    onTimeout: () => NodeError,
  ): Promise<LogIndex> {
    if (this.#closed) return Promise.reject(onTimeout());
    return new Promise((resolve, reject) => {
      const waiter = { index, term, deadlineMs, resolve, reject, onTimeout };
      let at = this.#waiters.length;
      while (at > 0 && (this.#waiters[at - 1] as Waiter).index > index) at--;
      if (at === this.#waiters.length) this.#waiters.push(waiter);
      else this.#waiters.splice(at, 0, waiter);
    });
  }

  /**
   * @param termAt term of the entry that is now in the log at an index; undefined when the log does not reach back to it,
   * after a snapshot: nobody here can tell what became of the entry
   */
  published(commitIndex: LogIndex, termAt: (index: LogIndex) => Term | undefined): void {
    let count = 0;
    for (const waiter of this.#waiters) {
      if (waiter.index > commitIndex) break;
      count++;
      const term = waiter.term === undefined ? undefined : termAt(waiter.index);
      if (term === waiter.term) {
        waiter.resolve(waiter.index);
      } else if (term === undefined) {
        waiter.reject(waiter.onTimeout());
      } else {
        waiter.reject(
          new NodeError(
            "not_leader",
            `Entry ${waiter.index} of term ${waiter.term} was replaced by another leader`,
          ),
        );
      }
    }
    if (count > 0) this.#waiters.splice(0, count);
  }

  /** Gives up those whose deadline has passed. */
  expire(nowMs: Milliseconds): void {
    const expired = this.#waiters.filter((waiter) => waiter.deadlineMs <= nowMs);
    if (expired.length === 0) return;
    this.#waiters = this.#waiters.filter((waiter) => waiter.deadlineMs > nowMs);
    for (const waiter of expired) waiter.reject(waiter.onTimeout());
  }

  /** The node stops: nobody will hear more, now or later. */
  rejectAll(): void {
    this.#closed = true;
    for (const waiter of this.#waiters.splice(0)) waiter.reject(waiter.onTimeout());
  }
}
