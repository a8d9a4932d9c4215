import { assert, mustHave } from "../base/assert.ts";
import type { LogIndex, NodeId, Term } from "../base/ids.ts";
import type { Candidacy } from "./candidate.ts";
import { Durability } from "./durability.ts";
import type { Leader } from "./leader.ts";
import { LeasePromise } from "./lease.ts";
import { LogTail } from "./log_tail.ts";
import { isOnlyVoter } from "./quorum.ts";
import { MembershipHistory } from "./membership_history.ts";
import { decodeMembership, encodeMembership, isVoter, type Membership } from "./membership.ts";
import { type Entry, EntryType, type SnapshotMetadata } from "./message.ts";
import type { RaftOptions } from "./options.ts";
import { Outbox } from "./outbox.ts";
import type { HardState, LogReader, Role } from "./output.ts";
import { ForwardedReads } from "./read_index.ts";

export interface RaftStart {
  /** As read from the disk; zeros for a new node. */
  readonly hardState: HardState;
  readonly log: LogReader;
  /** The latest one in the log, or else that of the snapshot the log begins after; see `EMPTY_MEMBERSHIP`. */
  readonly membership: Membership;
  /** Known to be committed: the index of the snapshot or checkpoint. */
  readonly commitIndex: LogIndex;
  /** Uniform in [0, 1); draws the election timeouts. */
  readonly random: () => number;
}

/** What every role shares: term, vote, log, membership, timers. The roles' own state is in `leading` and `candidacy`. */
export class RaftState {
  readonly id: NodeId;
  readonly options: RaftOptions;
  readonly log: LogTail;
  readonly memberships: MembershipHistory;
  readonly durability: Durability;
  readonly outbox = new Outbox();
  readonly forwardedReads = new ForwardedReads();
  readonly promise: LeasePromise;
  readonly #random: () => number;

  term: Term;
  vote: NodeId;
  role: Role = "follower";
  /** 0 when unknown. */
  leaderId: NodeId = 0;
  commitIndex: LogIndex;
  /** Made at each election won, so that nothing of it outlives the term. */
  leading: Leader | undefined;
  candidacy: Candidacy | undefined;
  /** A snapshot was handed to the driver and is not installed yet. */
  installing: SnapshotMetadata | undefined;

  /** Reads answered without a round, since the start. */
  leaseReadCount = 0;
  tickCount = 0;
  /** Ticks since the leader was heard, a vote was given, or a campaign began. */
  electionElapsed = 0;
  electionTimeout = 0;

  constructor(options: RaftOptions, start: RaftStart) {
    this.id = options.id;
    this.options = options;
    this.#random = start.random;
    this.log = new LogTail(start.log);
    const { firstIndex, lastIndex, lastTerm } = this.log;
    assert(
      start.commitIndex >= firstIndex - 1 && start.commitIndex <= lastIndex,
      () =>
        `Cannot start with commit index ${start.commitIndex}: the log holds ${firstIndex} to ${lastIndex}`,
    );
    this.commitIndex = start.commitIndex;
    this.term = start.hardState.term;
    this.vote = start.hardState.vote;
    this.durability = new Durability(lastIndex, this.term, this.vote);
    if (lastTerm > this.term) {
      // Entries reached the disk before the term they came with. No vote of that term can have left.
      this.term = lastTerm;
      this.vote = 0;
    }
    this.memberships = new MembershipHistory(start.log, start.membership, start.commitIndex);
    this.promise = new LeasePromise(options.lease, isOnlyVoter(this.membership, this.id));
    this.redrawTimeout();
  }

  get membership(): Membership {
    return this.memberships.latest;
  }

  /** A campaign now could be won, and winning would help. */
  get promotable(): boolean {
    return this.#mayLead && this.installing === undefined && !this.diskStalled;
  }

  /**
   * Until its removal is committed a voter may be the only one whose log can win: it campaigns, asks the voters without
   * itself, and goes when it has committed the removal (thesis, 4.2.2).
   */
  get #mayLead(): boolean {
    const { id, memberships, commitIndex } = this;
    if (isVoter(memberships.latest, id)) return true;
    return memberships.latestIndex > commitIndex && isVoter(memberships.at(commitIndex), id);
  }

  /** No sync has ended for an election timeout: whoever leads must be able to write. */
  get diskStalled(): boolean {
    return this.durability.waitingTicks(this.tickCount) >= this.options.electionTicks;
  }

  redrawTimeout(): void {
    const { electionTicks } = this.options;
    const extra = Math.min(electionTicks - 1, Math.floor(this.#random() * electionTicks));
    this.electionTimeout = electionTicks + extra;
  }

  becomeFollower(term: Term, leaderId: NodeId): void {
    assert(term >= this.term, () => `Cannot go back from term ${this.term} to ${term}`);
    const changed = term !== this.term || this.role !== "follower" || leaderId !== this.leaderId;
    // A leader that stands down starts waiting anew; who merely learns of a term goes on waiting for a leader.
    if (this.leading !== undefined) this.electionElapsed = 0;
    this.leading?.resign();
    this.leading = undefined;
    this.candidacy = undefined;
    this.raiseTerm(term);
    this.role = "follower";
    this.setLeader(leaderId);
    if (!changed) return;
    this.redrawTimeout();
    this.outbox.event("became_follower", { term, leader: leaderId });
  }

  raiseTerm(term: Term): void {
    if (term === this.term) return;
    assert(term > this.term, () => `Cannot go back from term ${this.term} to ${term}`);
    this.term = term;
    this.vote = 0;
    this.rejectForwardedReads();
  }

  setLeader(leaderId: NodeId): void {
    if (this.leaderId === leaderId) return;
    this.leaderId = leaderId;
    this.rejectForwardedReads();
  }

  /** Each attempt at a read belongs to one leader in one term. */
  rejectForwardedReads(): void {
    this.forwardedReads.rejectAll((context) => this.answerRead(context, 0, true));
  }

  answerRead(context: number, index: LogIndex, rejected: boolean): void {
    this.outbox.readState({ context, index, rejected });
  }

  /** An entry of this leader's own term. */
  appendOwn(type: EntryType, data: Uint8Array): Entry {
    const { log, term } = this;
    const index = log.lastIndex + 1;
    const hash = this.options.chainHash(log.lastHash, term, index, type, data);
    const entry: Entry = { index, term, type, hash, data };
    this.appendEntry(entry);
    return entry;
  }

  appendEntry(entry: Entry): void {
    // Decoded first: bytes that cannot be read must not get into the log half way.
    const membership = entry.type === EntryType.membership ? decodeMembership(entry.data) : undefined;
    this.log.append(entry);
    if (membership === undefined) return;
    this.memberships.appended(entry.index, membership);
    this.outbox.membershipChanged = true;
    this.outbox.event("membership_appended", {
      index: entry.index,
      ...rolesIn(membership),
    });
  }

  truncateFrom(index: LogIndex): void {
    assert(
      index > this.commitIndex,
      () => `Cannot cut the log at ${index}: ${this.commitIndex} is committed`,
    );
    this.outbox.event("log_truncated", { from: index, lastIndex: this.log.lastIndex });
    const reverted = this.memberships.truncated(index);
    this.log.truncateFrom(index);
    this.durability.truncated(index);
    this.outbox.dropAcknowledgementsFrom(index);
    if (!reverted) return;
    this.outbox.membershipChanged = true;
    this.outbox.event("membership_reverted", rolesIn(this.membership));
  }

  /** Moves the commit index forward; never back. */
  commitTo(index: LogIndex): void {
    if (index <= this.commitIndex) return;
    assert(
      index <= this.log.lastIndex,
      () => `Cannot commit ${index}: the log ends at ${this.log.lastIndex}`,
    );
    this.commitIndex = index;
    this.memberships.committed(index);
  }

  /** Describes everything up to the commit index: what a follower that lags too far is sent. */
  snapshotMetadata(): SnapshotMetadata {
    const index = this.commitIndex;
    return {
      index,
      term: mustHave(this.log.termAt(index), () => `term of committed entry ${index}`),
      hash: mustHave(this.log.hashAt(index), () => `hash of committed entry ${index}`),
      membership: encodeMembership(this.memberships.at(index)),
    };
  }
}

/** For events: seldom used roles only where there are any. */
function rolesIn({ voters, votersOutgoing, learners, standBys, spares }: Membership) {
  return {
    voters,
    votersOutgoing,
    learners,
    ...(standBys.length === 0 ? {} : { standBys }),
    ...(spares.length === 0 ? {} : { spares }),
  };
}
