import type { LogIndex, NodeId, Term } from "../base/ids.ts";
import type { Membership } from "./membership.ts";
import type { Entry, Message, SnapshotMetadata } from "./message.ts";

/** Term and vote: on disk before any message of `sendAfterSync` leaves. */
export interface HardState {
  readonly term: Term;
  /** 0: no vote in this term. */
  readonly vote: NodeId;
}

/** What the core needs to read back of the log the driver keeps. All calls are synchronous. */
export interface LogReader {
  /** Index of the first entry that is still there; `lastIndex + 1` in an empty log. */
  firstIndex(): LogIndex;
  lastIndex(): LogIndex;
  /** Known for `firstIndex - 1 ..= lastIndex`; undefined outside. */
  termAt(index: LogIndex): Term | undefined;
  hashAt(index: LogIndex): number | undefined;
  /** Entries `from ..= to`, cut after `bytesMax` bytes of data but never empty. */
  entries(from: LogIndex, to: LogIndex, bytesMax: number): Entry[];
}

/** Two logs disagree where Raft says they cannot. The message that showed it was not acted on (promise 4). */
export interface Fork {
  readonly reason:
    /** Same index and term, other running hash: one of the two logs is damaged. */
    | "hash_differs"
    /** An entry does not continue the hash of the entry before it: damaged at the sender or on the way. */
    | "chain_broken"
    /** The leader has another entry where this node knows one to be committed. */
    | "committed_entry_differs"
    /** The leader holds an acknowledgement for entries this node does not have: its disk lost them. */
    | "acknowledged_entries_missing";
  readonly leader: NodeId;
  readonly index: LogIndex;
  readonly ourTerm: Term | undefined;
  readonly ourHash: number | undefined;
  readonly theirTerm: Term | undefined;
  readonly theirHash: number | undefined;
}

export type Role = "follower" | "pre_candidate" | "candidate" | "leader";

/** How a linearizable read ended. */
export interface ReadState {
  readonly context: number;
  /** Serve the read when this index is published. */
  readonly index: LogIndex;
  /** Leadership was lost, is unknown, or the message was refused: the read must start over or fail. */
  readonly rejected: boolean;
}

/**
 * What the driver must do, in this order: truncate, append and start the sync; persist `hardState`; send `sendNow`;
 * when everything of this output and of all before it is durable, tell the core (`persisted`) and send
 * `sendAfterSync`; publish `commitIndex`; serve `readStates`. Outputs may overlap: the next one may be taken
 * before the sync of this one ends, but syncs complete in order.
 */
export interface Output {
  /** From 1, without gaps, for the life of this Raft object; what `persisted` is called with. */
  readonly sequence: number;
  /** Present when it changed. */
  readonly hardState: HardState | undefined;
  /** Consecutive. The first one may lie inside the log: everything from its index on is replaced. */
  readonly entries: readonly Entry[];
  readonly sendNow: readonly Message[];
  /** Promises about what is on this disk: acknowledgements and votes. A type of its own, so that it cannot leave early. */
  readonly sendAfterSync: readonly Message[];
  /** A snapshot to fetch and install before anything else is appended. */
  readonly snapshot: SnapshotMetadata | undefined;
  /** Committed and durable here: views may show it, a checkpoint may copy it. Never moves back. */
  readonly commitIndex: LogIndex;
  readonly readStates: readonly ReadState[];
  readonly role: Role;
  readonly term: Term;
  /** 0 when unknown. */
  readonly leader: NodeId;
  /** Present when a membership was appended, truncated away or installed: connections must follow. */
  readonly membership: Membership | undefined;
  /** Facts worth a line in the node's log; tests read them too. */
  readonly events: readonly RaftEvent[];
  /** The node must not go on with this log: stop, say so, repair from a peer. */
  readonly fork: Fork | undefined;
}

export interface RaftEvent {
  readonly name: string;
  readonly facts: Record<string, unknown>;
}
