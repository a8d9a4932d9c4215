/** What must hold in every run of a Raft cluster (paper, figure 3), checked at each output and message. */
import { assert } from "../../core/base/assert.ts";
import type { LogIndex, NodeId, Term } from "../../core/base/ids.ts";
import type { Message } from "../../core/raft/message.ts";
import type { Output } from "../../core/raft/output.ts";
import type { RaftNode } from "./raft_node.ts";

/** Events that only a fault of the core explains: nothing damages logs or messages here. */
const BAD_EVENTS: ReadonlySet<string> = new Set([
  "two_leaders",
  "append_malformed",
  "reply_malformed",
  "fork_detected",
]);

interface Committed {
  readonly term: Term;
  /** The term whose leader committed it: later leaders must have it, a late one of an earlier term need not. */
  readonly committedIn: Term;
  readonly hash: number;
}

export class RaftChecker {
  readonly #leaders = new Map<Term, NodeId>();
  /** Hash by term and index: the hash covers all before it, so equal hashes are log matching. */
  readonly #entries = new Map<string, number>();
  readonly #committed: (Committed | undefined)[] = [];
  /** Candidate by term and voter. */
  readonly #votes = new Map<string, NodeId>();
  readonly #published = new Map<string, LogIndex>();
  /** Contexts to the highest commit index known anywhere when the read began. */
  readonly #reads = new Map<number, LogIndex>();
  highestCommit: LogIndex = 0;
  readsServed = 0;
  leaseReads = 0;
  readsRejected = 0;
  leadersSeen = 0;

  onOutput(node: RaftNode, output: Output): void {
    assert(output.fork === undefined, () => `Fork on ${node.id}: ${JSON.stringify(output.fork)}`);
    for (const event of output.events) {
      assert(
        !BAD_EVENTS.has(event.name),
        () => `${event.name} on ${node.id}: ${JSON.stringify(event.facts)}`,
      );
    }
    for (const { index, term, hash } of output.entries) {
      const key = `${term}/${index}`;
      const known = this.#entries.get(key);
      assert(known === undefined || known === hash, () => `Log matching: ${key} differs on ${node.id}`);
      this.#entries.set(key, hash);
    }
    if (output.role === "leader") this.#onLeader(node, output.term);
    this.#onCommit(node, output);
    for (const { context, index, rejected } of output.readStates) {
      const floor = this.#reads.get(context);
      assert(floor !== undefined, () => `Read ${context} was answered twice or never asked`);
      this.#reads.delete(context);
      if (rejected) this.readsRejected++;
      else {
        this.readsServed++;
        assert(
          index >= floor,
          () => `Stale read on ${node.id}: ${index}, although ${floor} was committed before`,
        );
      }
    }
  }

  #onLeader(node: RaftNode, term: Term): void {
    const known = this.#leaders.get(term);
    assert(
      known === undefined || known === node.id,
      () => `Election safety: ${known} and ${node.id} in ${term}`,
    );
    if (known !== undefined) return;
    this.leadersSeen++;
    this.#leaders.set(term, node.id);
    for (let index = node.log.firstIndex(); index < this.#committed.length; index++) {
      const entry = this.#committed[index];
      if (entry === undefined || entry.committedIn >= term) continue;
      assert(
        node.log.termAt(index) === entry.term && node.log.hashAt(index) === entry.hash,
        () => `Leader completeness: ${node.id} leads term ${term} without committed entry ${index}`,
      );
    }
  }

  #onCommit(node: RaftNode, output: Output): void {
    const key = `${node.id}/${node.life}`;
    const before = this.#published.get(key) ?? 0;
    assert(output.commitIndex >= before, () => `Commit of ${node.id} went from ${before} back`);
    this.#published.set(key, output.commitIndex);
    const durable = output.entries.length === 0 ? node.log.lastIndex() : output.entries[0]!.index - 1;
    assert(
      output.commitIndex <= durable || node.disk.log.termAt(output.commitIndex) !== undefined,
      () => `Node ${node.id} publishes ${output.commitIndex}, which is not durable`,
    );
    this.#compare(node, output.commitIndex);
    // Committed is what the core says, published or not.
    this.#compare(node, node.raft.commitIndex);
  }

  #compare(node: RaftNode, commitIndex: LogIndex): void {
    const published = this.#published.get(`${node.id}/compared`) ?? 0;
    for (
      let index = Math.max(node.log.firstIndex(), Math.min(published, commitIndex));
      index <= commitIndex;
      index++
    ) {
      const term = node.log.termAt(index);
      const hash = node.log.hashAt(index);
      assert(
        term !== undefined && hash !== undefined,
        () => `Node ${node.id} commits ${index} without having it`,
      );
      const known = this.#committed[index];
      assert(
        known === undefined || (known.term === term && known.hash === hash),
        () => `State machine safety: entry ${index} is ${known?.term} elsewhere, ${term} on ${node.id}`,
      );
      this.#committed[index] ??= { term, hash, committedIn: node.raft.term };
    }
    this.#published.set(`${node.id}/compared`, commitIndex);
    if (commitIndex > this.highestCommit) this.highestCommit = commitIndex;
  }

  onSend(node: RaftNode, message: Message): void {
    if (message.kind === "vote_reply" && message.granted && !message.preVote) {
      const key = `${message.term}/${message.from}`;
      const known = this.#votes.get(key) ?? message.to;
      assert(
        known === message.to,
        () => `Node ${message.from} votes for ${known} and ${message.to} in ${message.term}`,
      );
      this.#votes.set(key, message.to);
      assert(node.disk.hardState.term >= message.term, () => `Vote of ${node.id} left before it was durable`);
    }
    if (message.kind === "append_reply" && !message.rejected && message.term === node.raft.status().term) {
      assert(
        message.index <= node.disk.log.lastIndex(),
        () => `Promise 1: ${node.id} acknowledges ${message.index}, durable to ${node.disk.log.lastIndex()}`,
      );
    }
  }

  readBegins(context: number): void {
    this.#reads.set(context, this.highestCommit);
  }

  /** Answered at once, under a lease. */
  readNow(node: RaftNode, index: LogIndex): void {
    this.leaseReads++;
    assert(
      index >= this.highestCommit,
      () => `Stale read under the lease of ${node.id}: ${index}, although ${this.highestCommit} is committed`,
    );
  }

  /** The node died with its questions. */
  forgetReads(contexts: Iterable<number>): void {
    for (const context of contexts) this.#reads.delete(context);
  }

  get readsOpen(): number {
    return this.#reads.size;
  }
}
