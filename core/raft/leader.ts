import { assert } from "../base/assert.ts";
import type { LogIndex, Milliseconds, NodeId } from "../base/ids.ts";
import { Lease } from "./lease.ts";
import { encodeMembership, isJoint, isSpare, leaveJoint, type Membership } from "./membership.ts";
import { type AppendReply, EntryType, type HeartbeatReply, type ReadIndexMessage } from "./message.ts";
import { type ChangeRefusal, type MembershipChange, planChange } from "./plan_change.ts";
import { Progress } from "./progress.ts";
import { isOnlyVoter, quorumValue, quorumWith } from "./quorum.ts";
import { ReadRounds, type WaitingRead } from "./read_index.ts";
import { isCommitNews, replicate, retryIndexFor, sendHeartbeat } from "./replication.ts";
import type { RaftState } from "./state.ts";
import { Uncommitted } from "./uncommitted.ts";

export type ProposalRefusal =
  | "not_leader"
  /** Leadership is being handed over. */
  | "transferring"
  /** Too much waits for a majority. */
  | "uncommitted_full";

export type ProposedChange =
  | { readonly index: LogIndex; readonly added: readonly NodeId[]; readonly refused: undefined }
  | {
    readonly refused:
      | ChangeRefusal
      | "not_leader"
      | "transferring"
      /** Nothing of this term is committed yet (Ongaro 2015: single-server changes need it). */
      | "term_not_committed";
  };

const EMPTY_DATA = new Uint8Array(0);
const NOBODY: ReadonlySet<NodeId> = new Set();

/** All that exists only while this node leads; made at each election won (paper, figure 2, "Leaders"). */
export class Leader {
  readonly #state: RaftState;
  readonly #progress = new Map<NodeId, Progress>();
  readonly #reads = new ReadRounds();
  readonly #uncommitted: Uncommitted;
  readonly #lease: Lease;
  /** Leadership is handed over when those who have promised are free. */
  #handOverWaits = false;
  /** A read was answered under the lease since the last output. */
  #renewalWanted = false;
  /** As the last read under the lease saw it. */
  #mayBeDue = false;
  /** Index of the empty entry that began the term. */
  readonly #termStart: LogIndex;
  transferTarget: NodeId = 0;
  #transferElapsed = 0;
  #heartbeatElapsed = 0;
  #quorumElapsed = 0;
  #heartbeatDue = true;
  /** A read round begins that needs only their answers. */
  #asked = NOBODY;
  #standsDown = false;

  /** See `start`. */
  constructor(state: RaftState) {
    this.#state = state;
    this.#uncommitted = new Uncommitted(state.options.uncommittedBytesMax);
    this.#lease = new Lease(state.options.lease);
    this.#termStart = state.log.lastIndex + 1;
  }

  /** The election is won. */
  static start(state: RaftState): void {
    assert(state.role === "candidate", () => `Cannot lead term ${state.term} as ${state.role}`);
    state.candidacy = undefined;
    state.role = "leader";
    state.setLeader(state.id);
    const leader = new Leader(state);
    state.leading = leader;
    leader.#followMembership();
    // Commits nothing of older terms by counting, and tells everybody who leads (paper, 5.4.2).
    state.appendOwn(EntryType.empty, EMPTY_DATA);
    state.outbox.event("became_leader", { term: state.term, lastIndex: state.log.lastIndex });
  }

  get uncommittedBytes(): number {
    return this.#uncommitted.bytes;
  }

  get progress(): Iterable<Progress> {
    return this.#progress.values();
  }

  /** Nothing that waits on this leadership may be answered any more. */
  resign(): void {
    this.#reads.rejectAll((read) => this.#answer(read, 0, true));
    this.#state.outbox.event("stepped_down", { term: this.#state.term });
  }

  propose(data: Uint8Array): LogIndex | ProposalRefusal {
    if (this.transferTarget !== 0) return "transferring";
    if (!this.#uncommitted.accepts(data.length)) return "uncommitted_full";
    const { index } = this.#state.appendOwn(EntryType.data, data);
    this.#uncommitted.add(index, data.length);
    return index;
  }

  proposeMembership(change: MembershipChange | readonly MembershipChange[]): ProposedChange {
    const state = this.#state;
    if (this.transferTarget !== 0) return { refused: "transferring" };
    if (state.commitIndex < this.#termStart) return { refused: "term_not_committed" };
    if (this.membershipPending) return { refused: "change_pending" };
    const planned = planChange(state.membership, change);
    if (planned.membership === undefined) return { refused: planned.refused };
    const index = this.#appendMembership(planned.membership);
    return { index, added: planned.added, refused: undefined };
  }

  get membershipPending(): boolean {
    const { memberships, commitIndex, membership } = this.#state;
    return memberships.latestIndex > commitIndex || isJoint(membership);
  }

  transferTo(target: NodeId): void {
    const follower = this.#progress.get(target);
    if (follower === undefined || !this.#state.membership.voters.includes(target)) return;
    // Asking again must not prolong the time in which nothing can be proposed.
    if (target === this.transferTarget) return;
    this.transferTarget = target;
    this.#transferElapsed = 0;
    this.#lease.suspend();
    this.#maybeHandOver(follower);
  }

  tick(): void {
    const { electionTicks, heartbeatTicks } = this.#state.options;
    this.#quorumElapsed++;
    this.#heartbeatElapsed++;
    if (this.transferTarget !== 0 && ++this.#transferElapsed >= electionTicks) this.#abortTransfer("timeout");
    const target = this.#progress.get(this.transferTarget);
    if (this.#handOverWaits && target !== undefined) this.#maybeHandOver(target);
    if (this.#quorumElapsed >= electionTicks) {
      this.#quorumElapsed = 0;
      if (!this.#quorumIsActive()) return this.#standDown("no_quorum");
    }
    // A leader that cannot write must not keep its followers from electing one that can.
    if (this.#state.diskStalled) return this.#standDown("disk_stalled");
    if (this.#heartbeatElapsed >= heartbeatTicks) this.#heartbeatDue = true;
  }

  greet(): void {
    this.#heartbeatDue = true;
  }

  get hasCommitNews(): boolean {
    for (const follower of this.#progress.values()) {
      if (isCommitNews(this.#state, follower)) return true;
    }
    return false;
  }

  onAppendReply(message: AppendReply): void {
    const state = this.#state;
    const follower = this.#progress.get(message.from);
    if (follower === undefined) return;
    follower.heard(state.tickCount);
    if (message.rejected) {
      const retryIndex = retryIndexFor(state, message.hintIndex, message.hintTerm);
      follower.rejected(message.index, retryIndex);
      return;
    }
    if (message.index > state.log.lastIndex) {
      state.outbox.event("reply_malformed", { from: message.from, index: message.index });
      return;
    }
    follower.accepted(message.index, state.log.firstIndex);
    this.#maybeCommit();
    this.#maybeHandOver(follower);
  }

  onHeartbeatReply(message: HeartbeatReply): void {
    const follower = this.#progress.get(message.from);
    if (follower === undefined) return;
    follower.heard(this.#state.tickCount);
    follower.probeOut = false;
    if (follower.state === "replicate" && follower.inFlight.count > 0) follower.askDue = true;
    if (message.readRound > this.#reads.newest) return;
    const promisedFromMs = this.#lease.countsFromMs(message.readRound, message.leaseMs);
    if (promisedFromMs > follower.promisedFromMs) {
      follower.promisedFromMs = promisedFromMs;
      this.#countPromises();
    }
    if (message.readRound <= follower.readRound) return;
    follower.readRound = message.readRound;
    this.#confirmReads();
  }

  onReadIndex(message: ReadIndexMessage): void {
    this.read({ context: message.context, from: message.from, count: 1 });
  }

  /** Serves a read once a quorum has shown, after this call, that nobody newer leads (thesis, 6.4). */
  read(read: WaitingRead): void {
    if (!this.#reads.add(read)) this.#answer(read, 0, true);
  }

  /** An index at which a read may be served at once; undefined without a lease, but for the only voter. */
  readNow(): LogIndex | undefined {
    const { commitIndex, membership, id } = this.#state;
    this.#mayBeDue = false;
    if (commitIndex < this.#termStart) return undefined;
    if (isOnlyVoter(membership, id)) return commitIndex;
    const { leftMs } = this.#lease;
    if (leftMs === 0) return undefined;
    this.#state.leaseReadCount++;
    this.#renewalWanted = true;
    // Most reads look at the clock once.
    this.#mayBeDue = leftMs <= this.#lease.lastsMs / 2;
    return commitIndex;
  }

  get isLeaseRenewalDue(): boolean {
    return this.#mayBeDue && this.#lease.isAttemptDue;
  }

  get leaseLeftMs(): Milliseconds {
    return this.#lease.leftMs;
  }

  unreachable(id: NodeId): void {
    const follower = this.#progress.get(id);
    if (follower?.state !== "replicate") return;
    follower.becomeProbe(follower.match + 1);
    // A read round may wait for it that the others can confirm.
    this.#heartbeatDue = true;
  }

  snapshotReported(id: NodeId, isInstalled: boolean): void {
    const follower = this.#progress.get(id);
    if (follower?.state !== "snapshot") return;
    follower.becomeProbe(isInstalled ? follower.snapshotIndex + 1 : follower.match + 1);
    // The next heartbeat that is answered goes on.
    follower.probeOut = true;
  }

  onPersisted(): void {
    this.#maybeCommit();
  }

  /** Called before each output: sends what has come up since the last one. */
  flush(): void {
    const state = this.#state;
    if (state.commitIndex >= this.#termStart) this.#serveReads();
    const leaseMs = this.#heartbeatDue || this.#asked.size > 0 ? this.#lease.ask() : 0;
    for (const follower of this.#progress.values()) {
      if (this.#heartbeatDue || this.#asked.has(follower.id)) {
        sendHeartbeat(state, follower, this.#reads.newest, leaseMs);
      }
      if (follower.state === "spare") continue;
      replicate(state, follower);
      // What was just sent ends with the entry that made it a spare.
      if (isSpare(state.membership, follower.id)) follower.becomeSpare();
    }
    if (this.#heartbeatDue) this.#heartbeatElapsed = 0;
    this.#heartbeatDue = false;
    this.#asked = NOBODY;
    if (this.#standsDown) this.#standDown("removed");
  }

  /** Under a lease at once; else in a round, which asks for the next lease. */
  #serveReads(): void {
    const { commitIndex } = this.#state;
    const reads = this.#reads;
    if (reads.hasGathered && this.#lease.holds) {
      this.#state.leaseReadCount += reads.answerGathered((read) => this.#answer(read, commitIndex, false));
      this.#renewalWanted = true;
    }
    const isRenewal = this.#renewalWanted && this.#lease.isAttemptDue;
    this.#renewalWanted = false;
    if (!reads.mayBegin || !(reads.hasGathered || isRenewal)) return;
    if (reads.mayAskFew && !this.#lease.isAttemptDue) this.#asked = this.#quickestQuorum();
    else this.#heartbeatDue = true;
    reads.begin(commitIndex);
    this.#lease.roundBegins(reads.newest);
    this.#confirmReads();
  }

  /** Those who have answered the newest rounds. */
  #quickestQuorum(): ReadonlySet<NodeId> {
    const { membership, id } = this.#state;
    const quickest = [...this.#progress.values()].sort((a, b) => b.readRound - a.readRound);
    return quorumWith(membership, id, quickest.map((follower) => follower.id));
  }

  #maybeCommit(): void {
    const state = this.#state;
    const { log, durability } = state;
    const index = quorumValue(
      state.membership,
      (id) => id === state.id ? durability.durableIndex : this.#progress.get(id)?.match ?? 0,
    );
    // Entries of older terms are committed only by one of this term behind them (paper, 5.4.2 and figure 8).
    if (index <= state.commitIndex || index > log.lastIndex || log.termAt(index) !== state.term) return;
    state.commitTo(index);
    this.#uncommitted.committed(index);
    this.#onCommitted();
  }

  #onCommitted(): void {
    const state = this.#state;
    if (state.memberships.latestIndex > state.commitIndex) return;
    if (isJoint(state.membership)) this.#appendMembership(leaveJoint(state.membership));
    // A removed leader replicates its own removal, then goes; the followers hear of the commit first (thesis, 4.2.2).
    else if (!state.membership.voters.includes(state.id)) {
      this.#standsDown = true;
      this.#heartbeatDue = true;
    }
  }

  #appendMembership(membership: Membership): LogIndex {
    const state = this.#state;
    const data = encodeMembership(membership, state.membership);
    const { index } = state.appendOwn(EntryType.membership, data);
    this.#followMembership();
    if (this.transferTarget !== 0 && !membership.voters.includes(this.transferTarget)) {
      this.#abortTransfer("removed");
    }
    return index;
  }

  /** One progress for each other member, in the order of the ids so that outputs are reproducible. */
  #followMembership(): void {
    const state = this.#state;
    const known = new Map(this.#progress);
    this.#progress.clear();
    for (const { id } of state.membership.members) {
      if (id === state.id) continue;
      const progress = known.get(id) ??
        new Progress(id, Math.max(1, this.#termStart), state.tickCount, state.options);
      if (isSpare(state.membership, id)) progress.dismiss();
      else if (progress.state === "spare") progress.becomeProbe(Math.max(1, this.#termStart));
      this.#progress.set(id, progress);
    }
    this.#countPromises();
  }

  /**
   * A lease stands on promises of the quorum in force, whatever the membership was when they were made. A leader counts by
   * itself: it votes for nobody before it has stood down. One without a vote has no lease: an election may do without it.
   */
  #countPromises(): void {
    const { membership, id: self } = this.#state;
    const fromMs = quorumValue(
      membership,
      (id) => id === self ? Infinity : this.#progress.get(id)?.promisedFromMs ?? -Infinity,
    );
    this.#lease.granted(membership.voters.includes(self) ? fromMs : -Infinity);
  }

  #confirmReads(): void {
    const state = this.#state;
    const round = quorumValue(
      state.membership,
      (id) => id === state.id ? this.#reads.newest : this.#progress.get(id)?.readRound ?? 0,
    );
    this.#reads.confirmed(round, (read, index) => this.#answer(read, index, false));
  }

  #answer(read: WaitingRead, index: LogIndex, rejected: boolean): void {
    const state = this.#state;
    const { context, from } = read;
    if (from === state.id) state.answerRead(context, index, rejected);
    else {
      state.outbox.sendNow({
        kind: "read_index_reply",
        from: state.id,
        to: from,
        term: state.term,
        context,
        index,
        rejected,
      });
    }
  }

  #maybeHandOver(follower: Progress): void {
    const state = this.#state;
    if (follower.id !== this.transferTarget || follower.match !== state.log.lastIndex) return;
    this.#handOverWaits = !this.#lease.areOthersFree;
    if (this.#handOverWaits) return;
    this.#lease.giveUp();
    state.outbox.sendNow({ kind: "timeout_now", from: state.id, to: follower.id, term: state.term });
  }

  #abortTransfer(reason: string): void {
    this.#state.outbox.event("transfer_aborted", { to: this.transferTarget, reason });
    this.transferTarget = 0;
    this.#handOverWaits = false;
    this.#lease.resume();
  }

  /** Has a majority been heard since the last check (thesis, 6.2)? */
  #quorumIsActive(): boolean {
    const state = this.#state;
    const active = quorumValue(
      state.membership,
      (id) => id === state.id || this.#progress.get(id)?.recentActive === true ? 1 : 0,
    );
    for (const follower of this.#progress.values()) follower.recentActive = false;
    return active >= 1;
  }

  #standDown(reason: string): void {
    this.#state.outbox.event("standing_down", { term: this.#state.term, reason });
    this.#state.becomeFollower(this.#state.term, 0);
  }
}
