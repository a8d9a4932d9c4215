import type { NodeId, Term } from "../../core/base/ids.ts";
import type { Message } from "../../core/raft/message.ts";

/**
 * What a member has said on the wire binds it for ever, over crashes too: it never goes back to an older term, and gives
 * one vote in a term at most (paper, figure 2: term and vote are persistent).
 */
export class PromiseChecker {
  /** Highest term in which a member has voted or acknowledged anything. */
  readonly #terms = new Map<NodeId, Term>();
  readonly #votes = new Map<string, NodeId>();

  onSend(message: Message): void {
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
}
