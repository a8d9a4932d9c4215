import type { LogIndex, Milliseconds, Term } from "../base/ids.ts";
import type { Clock } from "../base/ports.ts";
import type { Message } from "../raft/message.ts";

export interface LeaderContactHost {
  readonly clock: Pick<Clock, "nowMs">;
  /** An index that was committed after the call, from the leader. */
  readonly confirm: (deadlineMs: Milliseconds) => Promise<LogIndex>;
}

/** One question to the leader; unanswered ones are asked again. */
const ASK_MS_MAX = 2_000;

/** When a leader was last heard, and how far this node has to come before it may call itself ready. */
export class LeaderContact {
  readonly #host: LeaderContactHost;
  #heardMs: Milliseconds = -Infinity;
  /** Committed when this node first had a leader; unknown until the leader has said it. */
  #readyIndex: LogIndex = Infinity;
  #isAsking = false;

  constructor(host: LeaderContactHost) {
    this.#host = host;
  }

  /** @param term the term of this node: what a leader of an older one says does not count */
  onMessage(message: Message, term: Term): void {
    const isLeader = message.kind === "append" || message.kind === "heartbeat";
    if (isLeader && message.term >= term) this.#heardMs = this.#host.clock.nowMs();
  }

  /**
   * To be called whenever a leader is known. What the leader sends by itself does not tell how far the cluster is: a heartbeat
   * names only what this node is known to have.
   */
  ask(): void {
    if (this.#readyIndex !== Infinity || this.#isAsking) return;
    this.#isAsking = true;
    this.#host.confirm(this.#host.clock.nowMs() + ASK_MS_MAX).then(
      (index) => {
        this.#readyIndex = index;
      },
      () => {
        this.#isAsking = false;
      },
    );
  }

  /** Infinity when no leader was heard since the start. */
  get ageMs(): Milliseconds {
    return this.#host.clock.nowMs() - this.#heardMs;
  }

  /** It has published what was committed when it first had a leader. */
  hasCaughtUp(publishedIndex: LogIndex): boolean {
    return publishedIndex > 0 && publishedIndex >= this.#readyIndex;
  }
}
