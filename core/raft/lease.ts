/** Leader leases: a confirmed read round that stays good for a while. README.md says why it is safe, and what it costs. */
import type { Milliseconds, NodeId } from "../base/ids.ts";
import { LIMITS } from "../base/limits.ts";

export interface LeaseOptions {
  /** How long a leader asks its followers to promise; 0: this member neither asks nor promises. */
  readonly ms: Milliseconds;
  /** Monotonic. Clocks of members may differ in what they say, not by more than a tenth in how fast they go. */
  readonly nowMs: () => Milliseconds;
  /** An earlier life of this member may have promised something: it keeps what it does not know of. */
  readonly mayHavePromised: boolean;
}

/** Of what was promised a leader uses so much: its clock may go slower than those of its followers. */
const SHARE = 0.9;

/**
 * The leader's side. An attempt is a read round whose heartbeats ask for promises; answered by a quorum, it makes a lease
 * that begins when the round began: no promise that counts was made before. At most one attempt is begun in half a lease,
 * so that a lease that is used is renewed in time, and one that nobody grants costs little.
 */
export class Lease {
  readonly #options: LeaseOptions | undefined;
  /** The newest attempt. */
  #round = 0;
  #beganMs: Milliseconds = -Infinity;
  /** When a heartbeat last asked for promises. */
  #askedMs: Milliseconds = -Infinity;
  #untilMs: Milliseconds = -Infinity;
  /** Leadership is being handed over. */
  #isSuspended = false;
  /** Somebody was told to campaign, whatever it has promised: nothing counts any more in this term. */
  #isGivenUp = false;

  constructor(options: LeaseOptions | undefined) {
    this.#options = options === undefined || options.ms === 0 ? undefined : options;
  }

  /** Nobody else can have been elected by now. */
  get holds(): boolean {
    return this.#inUse !== undefined && this.leftMs > 0;
  }

  /** 0 when there is none. */
  get leftMs(): Milliseconds {
    const options = this.#inUse;
    return options === undefined ? 0 : Math.max(0, this.#untilMs - options.nowMs());
  }

  /** From its beginning; 0 when there is never one. */
  get lastsMs(): Milliseconds {
    return this.#options === undefined ? 0 : lastsMs(this.#options);
  }

  /** A round that begins now is an attempt. */
  get isAttemptDue(): boolean {
    const options = this.#inUse;
    return options !== undefined && options.nowMs() - this.#beganMs >= lastsMs(options) / 2;
  }

  /** To be called before the first heartbeat of the round leaves. */
  roundBegins(round: number): void {
    if (!this.isAttemptDue) return;
    this.#round = round;
    this.#beganMs = this.#inUse!.nowMs();
  }

  /** What a heartbeat that leaves now asks for; 0: nothing. */
  ask(): Milliseconds {
    const options = this.#inUse;
    if (options === undefined) return 0;
    const nowMs = options.nowMs();
    const isGranted = this.#untilMs >= this.#beganMs + lastsMs(options);
    if (isGranted || nowMs - this.#beganMs >= lastsMs(options)) return 0;
    this.#askedMs = nowMs;
    return options.ms;
  }

  /** When the promise of an answer counts from; -Infinity when it does not. */
  countsFromMs(readRound: number, promisedMs: Milliseconds): Milliseconds {
    const options = this.#inUse;
    if (options === undefined || promisedMs < options.ms || readRound < this.#round) return -Infinity;
    return this.#beganMs;
  }

  /** @param fromMs a quorum of the membership in force has promises that count from then */
  granted(fromMs: Milliseconds): void {
    if (this.#options !== undefined) this.#untilMs = fromMs + lastsMs(this.#options);
  }

  suspend(): void {
    this.#isSuspended = true;
  }

  resume(): void {
    this.#isSuspended = false;
  }

  giveUp(): void {
    this.#isGivenUp = true;
  }

  /** As far as the leader can tell, nobody is bound any more: the clocks of followers may go slower than its own. */
  get areOthersFree(): boolean {
    const options = this.#options;
    return options === undefined || options.nowMs() >= this.#askedMs + options.ms / SHARE;
  }

  get #inUse(): LeaseOptions | undefined {
    return this.#isSuspended || this.#isGivenUp ? undefined : this.#options;
  }
}

function lastsMs({ ms }: LeaseOptions): Milliseconds {
  return ms * SHARE;
}

/** The follower's side: until a promise ends, this member neither votes nor campaigns. */
export class LeasePromise {
  readonly #options: LeaseOptions | undefined;
  /** What an earlier life may have promised, to whomever. */
  readonly #earlierUntilMs: Milliseconds;
  #untilMs: Milliseconds = -Infinity;
  /** The newest promise: to whom, and how long. */
  #leader: NodeId = 0;
  #ms: Milliseconds = 0;

  /** @param isOnlyVoter nobody else can be elected without this member, so nobody holds a lease because of it */
  constructor(options: LeaseOptions | undefined, isOnlyVoter: boolean) {
    this.#options = options;
    const waits = options !== undefined && options.mayHavePromised && !isOnlyVoter;
    this.#earlierUntilMs = waits ? options.nowMs() + LIMITS.leaseMsMax : -Infinity;
  }

  get isBinding(): boolean {
    return this.leftMs > 0;
  }

  get leftMs(): Milliseconds {
    if (this.#options === undefined) return 0;
    return Math.max(0, Math.max(this.#untilMs, this.#earlierUntilMs) - this.#options.nowMs());
  }

  /** The leader asks; it may be a new one. @returns what it is promised, from now on */
  make(leader: NodeId, askedMs: Milliseconds): Milliseconds {
    const options = this.#options;
    if (options === undefined || options.ms === 0 || askedMs === 0) return 0;
    const ms = Math.min(askedMs, LIMITS.leaseMsMax);
    this.#untilMs = Math.max(this.#untilMs, options.nowMs() + ms);
    this.#leader = leader;
    this.#ms = ms;
    return ms;
  }

  /**
   * After so long all who promised what this member did are free, whichever of them heard of it first; 0 when this one is
   * free now.
   */
  get allFreeAfterMs(): Milliseconds {
    return this.isBinding ? Math.max(this.leftMs, this.#ms) : 0;
  }

  /** The leader has given up its lease. What an earlier life promised was perhaps promised to another one. */
  release(leader: NodeId): void {
    if (leader === this.#leader) this.#untilMs = -Infinity;
  }
}
