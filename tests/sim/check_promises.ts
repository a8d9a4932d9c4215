import type { LogIndex, NodeId, Term } from "../../core/base/ids.ts";
import type { AppendMessage, Message } from "../../core/raft/message.ts";

/**
 * What a member has said on the wire binds it for ever, over crashes too: it never goes back to an older term, and gives
 * one vote in a term at most (paper, figure 2: term and vote are persistent).
 */
export class PromiseChecker {
  /** Highest term in which a member has voted or acknowledged anything. */
  readonly #terms = new Map<NodeId, Term>();
  readonly #votes = new Map<string, NodeId>();
  /** By leader and term: what was committed when it began to lead, and its first own entry. */
  readonly #leaderships = new Map<string, { readonly committed: LogIndex; start: LogIndex }>();

  onSend(message: Message): void {
    if (message.kind === "append") this.#checkCommit(message);
    const { from, to, term } = message;
    const promised = this.#terms.get(from) ?? 0;
    // A pre-vote names the term its sender would have.
    const isPreVote = (message.kind === "vote" || message.kind === "vote_reply") && message.preVote;
    if (term < promised && !isPreVote) {
      throw new Error(
        `Member ${from} sends a ${message.kind} of term ${term} after a promise in term ${promised}`,
      );
    }
    const promises = (message.kind === "vote_reply" && message.granted && !message.preVote) ||
      (message.kind === "append_reply" && !message.rejected);
    if (promises) this.#terms.set(from, Math.max(promised, term));
    if (message.kind !== "vote_reply" || !message.granted || message.preVote) return;
    const key = `${from} ${term}`;
    const other = this.#votes.get(key);
    if (other !== undefined && other !== to) {
      throw new Error(`Member ${from} votes for ${other} and for ${to} in term ${term}`);
    }
    this.#votes.set(key, to);
  }

  /** A leader commits nothing before its first own entry (paper, 5.4.2). */
  #checkCommit({ from, term, commitIndex, entries }: AppendMessage): void {
    const key = `${from} ${term}`;
    const leadership = this.#leaderships.get(key) ?? { committed: commitIndex, start: Infinity };
    this.#leaderships.set(key, leadership);
    for (const entry of entries) {
      if (entry.term === term) leadership.start = Math.min(leadership.start, entry.index);
    }
    if (commitIndex <= leadership.committed || commitIndex >= leadership.start) return;
    throw new Error(
      `Leader ${from} of term ${term} commits entry ${commitIndex}, older than its first, ${leadership.start}`,
    );
  }
}
