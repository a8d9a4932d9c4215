import type { LogIndex, NodeId, Term } from "../../core/base/ids.ts";
import type { AppendMessage, AppendReply, Message } from "../../core/raft/message.ts";

interface Leadership {
  /** What was committed when it began to lead. */
  committed: LogIndex;
  /** Its first own entry. */
  start: LogIndex;
  /** Running hash by index of what it has sent. */
  readonly hashes: Map<LogIndex, number>;
}

/**
 * What a member has said on the wire binds it for ever, over crashes too: it never goes back to an older term, gives one
 * vote in a term at most, and still has what it acknowledged (paper, figure 2: term, vote and log are persistent). What a
 * leader has called committed is in the log of every later leader, with the same history before it.
 */
export class PromiseChecker {
  /** A disk that rots may lose what was acknowledged; the member takes a snapshot then. */
  readonly #mayForget: boolean;
  /** Highest term in which a member has voted or acknowledged anything. */
  readonly #terms = new Map<NodeId, Term>();
  readonly #votes = new Map<string, NodeId>();
  /** By leader and term. */
  readonly #leaderships = new Map<string, Leadership>();
  /** With the oldest term in which it was known to be committed. */
  readonly #committed = new Map<LogIndex, { readonly hash: number; readonly term: Term }>();
  /** By member and leader: the last index it has acknowledged, and in which term. */
  readonly #acknowledged = new Map<string, { readonly term: Term; readonly index: LogIndex }>();

  constructor(mayForget: boolean) {
    this.#mayForget = mayForget;
  }

  onSend(message: Message): void {
    if (message.kind === "append") this.#checkAppend(message);
    if (message.kind === "append_reply") this.#checkAcknowledged(message);
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

  #checkAcknowledged({ from, to, term, rejected, index, hintIndex }: AppendReply): void {
    const key = `${from} ${to}`;
    const known = this.#acknowledged.get(key);
    const isSameTerm = known?.term === term;
    if (!rejected) {
      this.#acknowledged.set(key, { term, index: isSameTerm ? Math.max(index, known.index) : index });
      return;
    }
    if (!isSameTerm || hintIndex >= known.index || this.#mayForget) return;
    throw new Error(
      `Member ${from} has no more than entry ${hintIndex} after it acknowledged ${known.index} in term ${term}`,
    );
  }

  #checkAppend(message: AppendMessage): void {
    const { from, term, commitIndex, entries, previousIndex, previousHash } = message;
    const key = `${from} ${term}`;
    const leadership: Leadership = this.#leaderships.get(key) ??
      { committed: commitIndex, start: Infinity, hashes: new Map() };
    this.#leaderships.set(key, leadership);
    this.#checkHistory(leadership, message, previousIndex, previousHash);
    for (const entry of entries) {
      this.#checkHistory(leadership, message, entry.index, entry.hash);
      if (entry.term === term) leadership.start = Math.min(leadership.start, entry.index);
    }
    this.#checkCommit(leadership, message);
  }

  /** What was committed is in the log of every leader of that term or a later one (paper, 5.4.3). */
  #checkHistory({ hashes }: Leadership, { from, term }: Message, index: LogIndex, hash: number): void {
    const committed = this.#committed.get(index);
    if (committed !== undefined && committed.term <= term && committed.hash !== hash) {
      throw new Error(`Leader ${from} sends another entry ${index} than the one that was committed`);
    }
    hashes.set(index, hash);
  }

  /** A leader commits nothing before its first own entry (paper, 5.4.2). */
  #checkCommit(leadership: Leadership, { from, term, commitIndex }: AppendMessage): void {
    const { committed, start, hashes } = leadership;
    if (commitIndex <= committed) return;
    if (commitIndex < start) {
      throw new Error(
        `Leader ${from} of term ${term} commits entry ${commitIndex}, older than its first, ${start}`,
      );
    }
    for (let index = committed + 1; index <= commitIndex; index++) {
      const hash = hashes.get(index);
      const known = this.#committed.get(index);
      if (hash === undefined || (known !== undefined && known.term <= term)) continue;
      this.#committed.set(index, { hash, term });
    }
    leadership.committed = commitIndex;
  }
}
