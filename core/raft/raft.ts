/** The Raft state machine: inputs in, one output out. README.md says what the driver has to do with it. */
import type { LogIndex, Milliseconds, NodeId, Term } from "../base/ids.ts";
import { askAgain, onVotePersisted, onVoteReply, startCampaign } from "./candidate.ts";
import { admit, onVote } from "./election.ts";
import { onAppend, onHeartbeat, onReadIndexReply, onSnapshot, onSnapshotInstalled } from "./follower.ts";
import type { ProposalRefusal, ProposedChange } from "./leader.ts";
import { encodeMembership, isVoter, type Membership } from "./membership.ts";
import type { Message, SnapshotMetadata } from "./message.ts";
import { checkRaftOptions, type RaftOptions } from "./options.ts";
import type { HardState, Output, Role } from "./output.ts";
import type { MembershipChange } from "./plan_change.ts";
import type { ProgressState } from "./progress.ts";
import { type RaftStart, RaftState } from "./state.ts";

export interface ProgressStatus {
  readonly id: NodeId;
  readonly state: ProgressState;
  readonly match: LogIndex;
  readonly next: LogIndex;
  readonly recentActive: boolean;
  readonly ticksSinceContact: number;
}

export interface RaftStatus {
  readonly role: Role;
  readonly term: Term;
  /** 0 when unknown. */
  readonly leader: NodeId;
  readonly commitIndex: LogIndex;
  /** A change of members is under way, as far as this node knows. */
  readonly membershipPending: boolean;
  /** 0 when leadership is not being handed over. */
  readonly transferTarget: NodeId;
  /** Followers as the leader sees them; empty elsewhere. */
  readonly progress: readonly ProgressStatus[];
}

export class Raft {
  readonly #state: RaftState;
  #hardState: HardState;
  /** What the last output said. */
  #commitIndex: LogIndex;
  #role: Role = "follower";
  #term: Term;
  #leader: NodeId = 0;

  constructor(options: RaftOptions, start: RaftStart) {
    this.#state = new RaftState(checkRaftOptions(options), start);
    this.#hardState = start.hardState;
    this.#commitIndex = this.#state.commitIndex;
    this.#term = this.#state.term;
  }

  get role(): Role {
    return this.#state.role;
  }

  get term(): Term {
    return this.#state.term;
  }

  /** Known to be committed; an output names it only when it is durable here, too. */
  get commitIndex(): LogIndex {
    return this.#state.commitIndex;
  }

  get lastIndex(): LogIndex {
    return this.#state.log.lastIndex;
  }

  get lastTerm(): Term {
    return this.#state.log.lastTerm;
  }

  /** The one in force. */
  get membership(): Membership {
    return this.#state.membership;
  }

  /** Data bytes in the leader's log that are not committed; 0 elsewhere. */
  get uncommittedBytes(): number {
    return this.#state.leading?.uncommittedBytes ?? 0;
  }

  /** One step of time. Election and heartbeat timeouts count these. */
  tick(): void {
    const state = this.#state;
    state.tickCount++;
    state.forwardedReads.expire(
      state.tickCount - state.options.electionTicks,
      (context) => state.answerRead(context, 0, true),
    );
    if (state.leading !== undefined) return state.leading.tick();
    state.electionElapsed++;
    if (state.electionElapsed < state.electionTimeout) return askAgain(state);
    if (!state.promotable) state.setLeader(0);
    else if (!state.promise.isBinding) startCampaign(state, "pre_vote");
  }

  /** A leader sends its heartbeat with the next output: a member can be reached again, or commits are to be told. */
  greet(): void {
    this.#state.leading?.greet();
  }

  step(message: Message): void {
    const state = this.#state;
    if (message.to !== state.id || !admit(state, message)) return;
    switch (message.kind) {
      case "append":
        return onAppend(state, message);
      case "append_reply":
        return state.leading?.onAppendReply(message);
      case "heartbeat":
        return onHeartbeat(state, message);
      case "heartbeat_reply":
        return state.leading?.onHeartbeatReply(message);
      case "vote":
        return onVote(state, message);
      case "vote_reply":
        return onVoteReply(state, message);
      case "timeout_now":
        state.promise.release(message.from);
        if (this.#mayCampaign) startCampaign(state, "transfer");
        return;
      case "read_index":
        if (state.leading !== undefined) state.leading.onReadIndex(message);
        else this.#refuseRead(message.from, message.context);
        return;
      case "read_index_reply":
        return onReadIndexReply(state, message);
      case "snapshot":
        return onSnapshot(state, message);
    }
  }

  /** Appends data on the leader. It is committed when `commitIndex` passes the index while the entry has this term. */
  propose(
    data: Uint8Array,
  ): { readonly index: LogIndex; readonly term: Term } | { readonly refused: ProposalRefusal } {
    const proposed = this.#state.leading?.propose(data) ?? "not_leader";
    return typeof proposed === "number" ? { index: proposed, term: this.#state.term } : { refused: proposed };
  }

  proposeMembership(change: MembershipChange | readonly MembershipChange[]): ProposedChange {
    return this.#state.leading?.proposeMembership(change) ?? { refused: "not_leader" };
  }

  /**
   * Asks for an index at which a linearizable read may be served. The answer, which may be a refusal, comes in
   * `readStates`. `context` must be fresh for every attempt, over restarts, too.
   *
   * @param count reads that wait for the answer
   */
  readIndex(context: number, count = 1): void {
    const state = this.#state;
    if (state.leading !== undefined) return state.leading.read({ context, from: state.id, count });
    if (state.leaderId === 0) return state.answerRead(context, 0, true);
    if (!state.forwardedReads.add(context, state.tickCount)) return state.answerRead(context, 0, true);
    state.outbox.sendNow({
      kind: "read_index",
      from: state.id,
      to: state.leaderId,
      term: state.term,
      context,
    });
  }

  /**
   * An index at which a linearizable read may be served at once: what `readIndex` would answer with the next output.
   * Undefined unless this node leads, and holds a lease or is the only voter. If the lease is due for renewal, take an
   * output after it.
   */
  readNow(): LogIndex | undefined {
    return this.#state.leading?.readNow();
  }

  /** The next output after a read under the lease asks for another one. */
  get isLeaseRenewalDue(): boolean {
    return this.#state.leading?.isLeaseRenewalDue ?? false;
  }

  /** Of the lease in force; 0 when there is none. */
  get leaseLeftMs(): Milliseconds {
    return this.#state.leading?.leaseLeftMs ?? 0;
  }

  /** Reads this node has answered under a lease since its start. */
  get leaseReadCount(): number {
    return this.#state.leaseReadCount;
  }

  /** On the leader: hands over to a voter once it has the whole log; given up after an election timeout. */
  transferLeadership(to: NodeId): void {
    this.#state.leading?.transferTo(to);
  }

  /**
   * Campaigns at once, beginning with a pre-vote: for a driver that knows the leader is gone, or for the only voter.
   * The others grant it only when they do not hear the leader either.
   */
  campaign(): void {
    if (this.#mayCampaign) startCampaign(this.#state, "pre_vote");
  }

  get #mayCampaign(): boolean {
    const { leading, promotable, promise } = this.#state;
    return leading === undefined && promotable && !promise.isBinding;
  }

  /**
   * For a driver that knows the leader is gone: after so long nobody is bound any more by what the followers promised it
   * together; 0 when nothing binds this one. A campaign of a member that is bound does nothing.
   */
  get allFreeAfterMs(): Milliseconds {
    return this.#state.promise.allFreeAfterMs;
  }

  /** The leader is known to be gone: lets this node vote for another one before the election timeout. */
  forgetLeader(): void {
    if (this.#state.leading === undefined) this.#state.setLeader(0);
  }

  reportUnreachable(id: NodeId): void {
    this.#state.leading?.unreachable(id);
  }

  /** On the leader: how sending a snapshot ended. */
  snapshotReported(id: NodeId, isInstalled: boolean): void {
    this.#state.leading?.snapshotReported(id, isInstalled);
  }

  /**
   * The encoded membership of the newest committed change. It may stand for any earlier index behind which the log is
   * cut: a log that goes on from there holds the changes since, and says before each what it replaced.
   */
  committedMembership(): Uint8Array {
    const { memberships, commitIndex } = this.#state;
    return encodeMembership(memberships.at(commitIndex));
  }

  /** The driver has installed the snapshot that an output asked for. */
  snapshotInstalled(snapshot: SnapshotMetadata): void {
    onSnapshotInstalled(this.#state, snapshot);
  }

  /** The snapshot could not be fetched; the leader will announce another one. */
  snapshotFailed(): void {
    this.#state.installing = undefined;
  }

  /** Everything of every output up to this number is durable. */
  persisted(sequence: number): void {
    const state = this.#state;
    state.durability.persisted(sequence);
    onVotePersisted(state);
    state.leading?.onPersisted();
  }

  status(): RaftStatus {
    const state = this.#state;
    const { leading, tickCount } = state;
    return {
      role: state.role,
      term: state.term,
      leader: state.leaderId,
      commitIndex: state.commitIndex,
      membershipPending: leading?.membershipPending ?? state.membership.votersOutgoing.length > 0,
      transferTarget: leading?.transferTarget ?? 0,
      progress: [...leading?.progress ?? []].map((follower) => ({
        id: follower.id,
        state: follower.state,
        match: follower.match,
        next: follower.next,
        recentActive: follower.recentActive,
        ticksSinceContact: tickCount - follower.lastContactTick,
      })),
    };
  }

  /** This node leads, and followers hold entries of which they do not know that they are committed. The next append, or heartbeat, tells them. */
  get hasCommitNews(): boolean {
    return this.#state.leading?.hasCommitNews ?? false;
  }

  get isVoter(): boolean {
    return isVoter(this.#state.membership, this.#state.id);
  }

  #refuseRead(to: NodeId, context: number): void {
    const { id, term, outbox } = this.#state;
    outbox.sendNow({ kind: "read_index_reply", from: id, to, term, context, index: 0, rejected: true });
  }

  /** What is to be done now; undefined when there is nothing. */
  takeOutput(): Output | undefined {
    const state = this.#state;
    state.leading?.flush();
    const { outbox, log, durability, term, vote, role, leaderId } = state;
    const hardStateChanged = term !== this.#hardState.term || vote !== this.#hardState.vote;
    // A commit index may run ahead of this disk; what is published must survive a crash here.
    const commitIndex = Math.max(this.#commitIndex, Math.min(state.commitIndex, durability.durableIndex));
    const isIdle = !log.hasPending && !hardStateChanged && outbox.isEmpty &&
      commitIndex === this.#commitIndex &&
      role === this.#role && term === this.#term && leaderId === this.#leader;
    if (isIdle) return undefined;

    if (hardStateChanged) this.#hardState = { term, vote };
    this.#commitIndex = commitIndex;
    this.#role = role;
    this.#term = term;
    this.#leader = leaderId;
    const output: Output = {
      sequence: durability.taken(log.lastIndex, term, vote, state.tickCount),
      hardState: hardStateChanged ? this.#hardState : undefined,
      entries: log.take(),
      sendNow: outbox.takeSendNow(),
      sendAfterSync: outbox.takeSendAfterSync(),
      snapshot: outbox.snapshot,
      commitIndex,
      readStates: outbox.takeReadStates(),
      role,
      term,
      leader: leaderId,
      membership: outbox.membershipChanged ? state.membership : undefined,
      events: outbox.takeEvents(),
      fork: outbox.fork,
    };
    outbox.snapshot = undefined;
    outbox.fork = undefined;
    outbox.membershipChanged = false;
    return output;
  }
}
