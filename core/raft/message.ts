/**
 * Entries and messages of the Raft module: data only. `net/wire` turns them into bytes. Names follow the Raft paper
 * (Ongaro and Ousterhout 2014) and Ongaro's thesis.
 */
import type { LogIndex, Milliseconds, NodeId, Term } from "../base/ids.ts";

export const EntryType = {
  /** First entry of each term: nothing of older terms is committed by counting (paper, 5.4.2). */
  empty: 0,
  /** A whole membership (see membership.ts), in force from the moment it is appended (paper, 6). */
  membership: 1,
  /** For the state machine; the core does not look inside. */
  data: 2,
} as const;
export type EntryType = (typeof EntryType)[keyof typeof EntryType];

export interface Entry {
  readonly index: LogIndex;
  readonly term: Term;
  readonly type: EntryType;
  /**
   * Running hash over this entry and all before it, unsigned 32 bits. Two logs that hold the same (index, term) hold
   * the same hash, or one of them is damaged: a fork (promise 4).
   */
  readonly hash: number;
  readonly data: Uint8Array;
}

interface MessageBase {
  readonly from: NodeId;
  readonly to: NodeId;
  readonly term: Term;
}

/** Entries after `previousIndex`; empty ones probe. */
export interface AppendMessage extends MessageBase {
  readonly kind: "append";
  readonly previousIndex: LogIndex;
  readonly previousTerm: Term;
  readonly previousHash: number;
  readonly commitIndex: LogIndex;
  readonly entries: readonly Entry[];
}

export interface AppendReply extends MessageBase {
  readonly kind: "append_reply";
  /** Accepted: the last index the follower now shares with the leader, durable. Rejected: the `previousIndex` refused. */
  readonly index: LogIndex;
  readonly rejected: boolean;
  /** Rejected: where the logs may still agree, and the follower's term there. Whole terms are skipped. */
  readonly hintIndex: LogIndex;
  readonly hintTerm: Term;
}

export interface HeartbeatMessage extends MessageBase {
  readonly kind: "heartbeat";
  /** Never above what the follower is known to hold. */
  readonly commitIndex: LogIndex;
  /** Newest read round this heartbeat confirms, 0 when none; see read_index.ts. */
  readonly readRound: number;
  /** So long, from its receipt, the follower is asked to elect nobody; 0: not asked. See lease.ts. */
  readonly leaseMs: Milliseconds;
}

export interface HeartbeatReply extends MessageBase {
  readonly kind: "heartbeat_reply";
  readonly readRound: number;
  /** What the follower has promised; 0: nothing. */
  readonly leaseMs: Milliseconds;
}

export interface VoteMessage extends MessageBase {
  readonly kind: "vote";
  /** A dry run that changes no state (thesis, 9.6). Its `term` is the term the candidate would have. */
  readonly preVote: boolean;
  readonly lastIndex: LogIndex;
  readonly lastTerm: Term;
  /** Sent because of a leadership transfer: not subject to leader stickiness. */
  readonly transfer: boolean;
}

export interface VoteReply extends MessageBase {
  readonly kind: "vote_reply";
  readonly preVote: boolean;
  readonly granted: boolean;
}

/** Leadership transfer: campaign now (thesis, 3.10). */
export interface TimeoutNowMessage extends MessageBase {
  readonly kind: "timeout_now";
}

/** A follower asks for an index at which it may serve a linearizable read. `context` is fresh for every attempt. */
export interface ReadIndexMessage extends MessageBase {
  readonly kind: "read_index";
  readonly context: number;
}

export interface ReadIndexReply extends MessageBase {
  readonly kind: "read_index_reply";
  readonly context: number;
  readonly index: LogIndex;
  /** The sender does not lead or cannot answer; try again. */
  readonly rejected: boolean;
}

/** Announces a snapshot: the entries before it are gone. The databases themselves travel outside of Raft. */
export interface SnapshotMessage extends MessageBase {
  readonly kind: "snapshot";
  readonly snapshot: SnapshotMetadata;
}

/** What a log that begins after `index` must know about everything before it. */
export interface SnapshotMetadata {
  readonly index: LogIndex;
  readonly term: Term;
  readonly hash: number;
  /** The encoded membership in force at `index`. */
  readonly membership: Uint8Array;
}

export type Message =
  | AppendMessage
  | AppendReply
  | HeartbeatMessage
  | HeartbeatReply
  | VoteMessage
  | VoteReply
  | TimeoutNowMessage
  | ReadIndexMessage
  | ReadIndexReply
  | SnapshotMessage;
