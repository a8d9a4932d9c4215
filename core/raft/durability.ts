import { assert } from "../base/assert.ts";
import type { LogIndex, NodeId, Term } from "../base/ids.ts";

interface Outstanding {
  readonly sequence: number;
  readonly term: Term;
  readonly vote: NodeId;
  readonly takenTick: number;
  /** Entries up to here are in the log as this output left it, and have not been replaced since. */
  lastIndex: LogIndex;
}

/**
 * What of this node's log, term and vote is on disk. Outputs are numbered and each remembers where the log ended. An
 * entry that is replaced lowers that mark in all outputs before, so an old sync that completes late can never vouch
 * for the new entry at the same index (the ABA race of asynchronous appends).
 */
export class Durability {
  #outstanding: Outstanding[] = [];
  #sequence = 0;
  #persisted = 0;
  /** The prefix of the current log that is on disk. */
  durableIndex: LogIndex;
  durableTerm: Term;
  durableVote: NodeId;

  constructor(lastIndex: LogIndex, term: Term, vote: NodeId) {
    this.durableIndex = lastIndex;
    this.durableTerm = term;
    this.durableVote = vote;
  }

  /** An output leaves; returns its number. */
  taken(lastIndex: LogIndex, term: Term, vote: NodeId, tick: number): number {
    this.#sequence++;
    this.#outstanding.push({ sequence: this.#sequence, term, vote, takenTick: tick, lastIndex });
    return this.#sequence;
  }

  /** Entries from `index` on are replaced. */
  truncated(index: LogIndex): void {
    if (this.durableIndex >= index) this.durableIndex = index - 1;
    for (const output of this.#outstanding) {
      if (output.lastIndex >= index) output.lastIndex = index - 1;
    }
  }

  /** Every output up to `sequence` is on disk. */
  persisted(sequence: number): void {
    assert(
      sequence > this.#persisted && sequence <= this.#sequence,
      () =>
        `Cannot note output ${sequence} as persisted: ${this.#persisted} was the last one, ${this.#sequence} the last taken`,
    );
    this.#persisted = sequence;
    let done = 0;
    for (const output of this.#outstanding) {
      if (output.sequence > sequence) break;
      this.durableIndex = Math.max(this.durableIndex, output.lastIndex);
      this.durableTerm = output.term;
      this.durableVote = output.vote;
      done++;
    }
    this.#outstanding.splice(0, done);
  }

  /** The log was replaced by a durable snapshot that ends at `index`. */
  installed(index: LogIndex): void {
    this.durableIndex = index;
    for (const output of this.#outstanding) output.lastIndex = Math.min(output.lastIndex, index);
  }

  /** Ticks the oldest output has waited for its sync; 0 when none waits. */
  waitingTicks(tick: number): number {
    const oldest = this.#outstanding[0];
    return oldest === undefined ? 0 : tick - oldest.takenTick;
  }
}
