import { NodeError } from "../base/errors.ts";
import type { LogIndex, Milliseconds } from "../base/ids.ts";
import type { EndOfTurn } from "../base/ports.ts";
import type { ReadState } from "../raft/output.ts";

export interface ReadGateHost {
  readonly nowMs: () => Milliseconds;
  /** Asks the Raft core for an index that `count` reads wait for; the answer comes as a ReadState with this context. */
  readonly readIndex: (context: number, count: number) => void;
  /** An index that needs no round (`Raft.readNow`); undefined: `readIndex` has to be asked. */
  readonly readNow: () => LogIndex | undefined;
  readonly hasLeader: () => boolean;
  readonly endOfTurn: EndOfTurn;
}

interface Waiter {
  readonly deadlineMs: Milliseconds;
  readonly resolve: (index: LogIndex) => void;
  readonly reject: (error: NodeError) => void;
}

/** A refused round is asked for again after this: elections take longer than a few of these. */
const RETRY_MS = 25;
/** A round that nobody answers is given up after this and asked for anew: its messages were lost. */
const ROUND_MS_MAX = 500;

/**
 * Finds an index at which a linearizable read may be served. Reads that come while a round is being prepared share it;
 * every round, and every repetition of one, has a fresh number, so that a late answer to an old round can never
 * confirm a new one (etcd issue 20418).
 */
export class ReadGate {
  readonly #host: ReadGateHost;
  /** Not asked for yet. */
  #gathering: Waiter[] = [];
  #scheduled = false;
  #retryAtMs: Milliseconds | undefined;
  #closed: NodeError | undefined;
  readonly #rounds = new Map<number, { waiters: Waiter[]; startedMs: Milliseconds }>();
  #nextContext: number;

  /** @param firstContext random, so that numbers of an earlier life of this process are not mistaken */
  constructor(host: ReadGateHost, firstContext: number) {
    this.#host = host;
    this.#nextContext = firstContext;
  }

  get waitingCount(): number {
    let count = this.#gathering.length;
    for (const round of this.#rounds.values()) count += round.waiters.length;
    return count;
  }

  /** An index that is sure already (a lease, or no other voter); undefined: `confirm` has to be asked. */
  get confirmed(): LogIndex | undefined {
    return this.#closed === undefined ? this.#host.readNow() : undefined;
  }

  /** Resolves with an index that was committed after the call; rejects at the deadline. */
  confirm(deadlineMs: Milliseconds): Promise<LogIndex> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    const { confirmed } = this;
    if (confirmed !== undefined) return Promise.resolve(confirmed);
    return new Promise((resolve, reject) => {
      this.#gathering.push({ deadlineMs, resolve, reject });
      if (this.#scheduled || this.#retryAtMs !== undefined) return;
      this.#scheduled = true;
      this.#host.endOfTurn(() => {
        this.#scheduled = false;
        this.#ask();
      });
    });
  }

  onReadState(state: ReadState): void {
    const round = this.#rounds.get(state.context);
    if (round === undefined) return;
    this.#rounds.delete(state.context);
    if (state.rejected) this.#askAgain(round.waiters);
    else for (const waiter of round.waiters) waiter.resolve(state.index);
  }

  /** To be called with every tick, or more often. */
  sweep(): void {
    const nowMs = this.#host.nowMs();
    for (const [context, round] of this.#rounds) {
      round.waiters = this.#expire(round.waiters, nowMs);
      if (round.waiters.length > 0 && nowMs - round.startedMs < ROUND_MS_MAX) continue;
      this.#rounds.delete(context);
      if (round.waiters.length > 0) this.#askAgain(round.waiters);
    }
    this.#gathering = this.#expire(this.#gathering, nowMs);
    if (this.#retryAtMs !== undefined && nowMs >= this.#retryAtMs) {
      this.#retryAtMs = undefined;
      this.#ask();
    }
  }

  /** The node stops: rejects those who wait, and all who come later. */
  rejectAll(error: NodeError): void {
    this.#closed = error;
    const waiters = [...this.#gathering, ...[...this.#rounds.values()].flatMap((round) => round.waiters)];
    this.#gathering = [];
    this.#rounds.clear();
    for (const waiter of waiters) waiter.reject(error);
  }

  #expire(waiters: readonly Waiter[], nowMs: Milliseconds): Waiter[] {
    return waiters.filter((waiter) => {
      if (waiter.deadlineMs > nowMs) return true;
      waiter.reject(this.#host.hasLeader() ? noQuorum() : noLeader());
      return false;
    });
  }

  #ask(): void {
    if (this.#gathering.length === 0) return;
    const context = this.#nextContext++;
    const waiters = this.#gathering;
    this.#gathering = [];
    this.#rounds.set(context, { waiters, startedMs: this.#host.nowMs() });
    this.#host.readIndex(context, waiters.length);
  }

  #askAgain(waiters: readonly Waiter[]): void {
    this.#gathering.push(...waiters);
    this.#retryAtMs ??= this.#host.nowMs() + RETRY_MS;
  }
}

function noQuorum(): NodeError {
  return new NodeError(
    "no_quorum",
    "Cannot read: the leader could not confirm a majority in time; try again",
  );
}

function noLeader(): NodeError {
  return new NodeError("no_leader", "Cannot read: no leader is known; try again, or read at level `stale`");
}
