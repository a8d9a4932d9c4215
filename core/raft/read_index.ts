/** Linearizable reads without a log entry (thesis, 6.4). */
import type { LogIndex, NodeId } from "../base/ids.ts";

/** A question that waits on the leader; `from` is the leader itself or the follower that asked. */
export interface WaitingRead {
  readonly context: number;
  readonly from: NodeId;
  /** Reads of clients that share it, as far as it is known. */
  readonly count: number;
}

interface Round {
  readonly round: number;
  readonly index: LogIndex;
  readonly reads: readonly WaitingRead[];
}

/** Rounds under way at once: one more read need not wait a whole round trip, and heartbeats stay few. */
const ROUNDS_IN_FLIGHT_MAX = 4;

/** With fewer reads waiting a round asks everybody: the first answers count, and there is little to spare. */
const READS_WORTH_FEW_QUESTIONS = 4;

/** Reads that may wait on one node. Beyond it a quorum has been silent for long, and callers should hear that. */
const READS_WAITING_MAX = 65_536;

/**
 * The leader's side. A round is a number carried by heartbeats: a follower that echoes it proves that, after the round
 * began, nobody newer led it. Reads that arrive while rounds are under way gather for the next one; they never join a
 * round that has begun, so a delayed answer cannot confirm a younger read.
 */
export class ReadRounds {
  #gathering: WaitingRead[] = [];
  readonly #rounds: Round[] = [];
  /** Number of the newest round. */
  newest = 0;
  #waiting = 0;
  /** Reads of clients among them. */
  #readCount = 0;

  /** Returns false when too many wait. */
  add(read: WaitingRead): boolean {
    if (this.#waiting >= READS_WAITING_MAX) return false;
    this.#gathering.push(read);
    this.#waiting++;
    this.#readCount += read.count;
    return true;
  }

  get hasGathered(): boolean {
    return this.#gathering.length > 0;
  }

  get mayBegin(): boolean {
    return this.#rounds.length < ROUNDS_IN_FLIGHT_MAX;
  }

  /** So many reads wait that a round should cost no more messages than it needs. */
  get mayAskFew(): boolean {
    return this.#readCount >= READS_WORTH_FEW_QUESTIONS;
  }

  /** The gathered reads need no round. Returns how many there were. */
  answerGathered(answer: (read: WaitingRead) => void): number {
    const reads = this.#gathering;
    this.#gathering = [];
    this.#answered(reads);
    for (const read of reads) answer(read);
    return reads.length;
  }

  /** The gathered reads, if any, become a round; they may be served at `index`. */
  begin(index: LogIndex): void {
    this.newest++;
    this.#rounds.push({ round: this.newest, index, reads: this.#gathering });
    this.#gathering = [];
  }

  /** A quorum has answered `round` and so every round before it. */
  confirmed(round: number, answer: (read: WaitingRead, index: LogIndex) => void): void {
    let done = 0;
    for (const each of this.#rounds) {
      if (each.round > round) break;
      for (const read of each.reads) answer(read, each.index);
      this.#answered(each.reads);
      done++;
    }
    if (done > 0) this.#rounds.splice(0, done);
  }

  /** Leadership ends: nothing may be confirmed any more. */
  rejectAll(reject: (read: WaitingRead) => void): void {
    for (const round of this.#rounds) round.reads.forEach(reject);
    this.#gathering.forEach(reject);
    this.#rounds.length = 0;
    this.#gathering = [];
    this.#waiting = 0;
    this.#readCount = 0;
  }

  #answered(reads: readonly WaitingRead[]): void {
    this.#waiting -= reads.length;
    for (const { count } of reads) this.#readCount -= count;
  }
}

/** The follower's side: which contexts were sent to the present leader. Answers to any other are out of date. */
export class ForwardedReads {
  /** Context to the tick at which it was sent; in order of sending. */
  readonly #sent = new Map<number, number>();

  /** Returns false when too many wait. */
  add(context: number, tick: number): boolean {
    if (this.#sent.size >= READS_WAITING_MAX) return false;
    this.#sent.set(context, tick);
    return true;
  }

  /** Returns false for a context that is not waited for. */
  answered(context: number): boolean {
    return this.#sent.delete(context);
  }

  /** Question or answer was lost. */
  expire(sentBefore: number, reject: (context: number) => void): void {
    for (const [context, tick] of this.#sent) {
      if (tick >= sentBefore) return;
      this.#sent.delete(context);
      reject(context);
    }
  }

  rejectAll(reject: (context: number) => void): void {
    for (const context of this.#sent.keys()) reject(context);
    this.#sent.clear();
  }
}
