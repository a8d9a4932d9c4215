/**
 * The numbers the whole system is built on. All are safe integers (asserted where they enter) and take
 * eight bytes on disk and on the wire.
 */

/** Position of an entry in the Raft log; the first entry is 1, "nothing yet" is 0. */
export type LogIndex = number;

/** Raft term, from 1; 0 before the first election. */
export type Term = number;

/** A member of the cluster. Given out by the leader, never reused. */
export type NodeId = number;

/** The log index of the entry that created the database: unique for ever, unlike its name. */
export type DatabaseId = number;

/** SQLite's page number, from 1. */
export type PageNumber = number;

/** Byte position in the whole log: grows for ever, over the borders of segment files. */
export type LogPosition = number;

/** Milliseconds. Monotonic unless a name says `wall`. */
export type Milliseconds = number;

/** An unsigned integer of 64 bits: a bigint where it is larger than a number holds exactly, never otherwise. */
export type Unsigned64 = number | bigint;
