import type { LogIndex, Milliseconds, Term } from "../base/ids.ts";
import type { Clock } from "../base/ports.ts";
import type { Message } from "../raft/message.ts";

/** When a leader was last heard, and how far this node has to come before it may call itself ready. */
export class LeaderContact {
  readonly #clock: Pick<Clock, "nowMs">;
  #heardMs: Milliseconds = -Infinity;
  /** What must be published first; unknown until this node hears a leader or leads. */
  #readyIndex: LogIndex = Infinity;

  constructor(clock: Pick<Clock, "nowMs">) {
    this.#clock = clock;
  }

  /** @param term the term of this node: what a leader of an older one says does not count */
  onMessage(message: Message, term: Term): void {
    if ((message.kind !== "append" && message.kind !== "heartbeat") || message.term < term) return;
    this.#heardMs = this.#clock.nowMs();
    // A heartbeat names only what this node is known to have; an append says how far the cluster is.
    if (message.kind === "append" && this.#readyIndex === Infinity) this.#readyIndex = message.commitIndex;
  }

  /** @param lastIndex of the log with which this node was elected */
  onElected(lastIndex: LogIndex): void {
    if (this.#readyIndex === Infinity) this.#readyIndex = lastIndex;
  }

  /** Infinity when no leader was heard since the start. */
  get ageMs(): Milliseconds {
    return this.#clock.nowMs() - this.#heardMs;
  }

  /** It has published what was committed when it first heard a leader. */
  hasCaughtUp(publishedIndex: LogIndex): boolean {
    return publishedIndex > 0 && publishedIndex >= this.#readyIndex;
  }
}
