/**
 * Which of several logs that disagree is the wrong one. Nobody can tell by looking at one log: checksums and running hash
 * may be sound in each. What the majority holds counts, as everywhere in Raft.
 *
 * Not every difference is a fork. At one index
 * - the same term and the same hash: the same log up to here;
 * - the same term and another hash: a contradiction, committed or not. A term has one leader, it writes each index once,
 *   and the running hash covers everything before;
 * - another term: nothing wrong as long as one side does not know its entry to be committed, since the next leader may
 *   replace it. Where both do, it is a contradiction: what is committed is never replaced.
 *
 * Answers are not of one moment, and need not be: a contradiction in this sense stays one.
 *
 * What this cannot tell: a damaged leader that hands its log to a follower which was behind makes that follower one of its
 * kind. Then a sound node may be in the minority; it stops, with both versions in its report.
 */
import type { NodeId, Term } from "../base/ids.ts";
import { type Electorate, voteOutcome } from "../raft/quorum.ts";

/** What a member's log holds at an index. */
export interface LogMark {
  readonly term: Term;
  /** Running hash over all entries up to this one. */
  readonly hash: number;
  /** It is known there to be committed. */
  readonly committed: boolean;
}

/** What each member answered; null or absent: it could not be asked, or its log does not reach there. */
export type LogMarks = Readonly<Record<NodeId, LogMark | null>>;

export type ForkVerdict =
  /** A majority of the voters agrees with each other and contradicts this node. */
  | "minority"
  /** A majority of the voters holds what this node holds. */
  | "majority"
  /** Not enough answers, or no majority for anything. */
  | "undecided";

/** In a joint configuration both majorities are needed. A node without a vote is judged by those who have one. */
export function forkVerdict(
  ours: LogMark | null,
  theirs: LogMarks,
  electorate: Electorate,
  nodeId: NodeId,
): ForkVerdict {
  if (ours === null || electorate.voters.length === 0) return "undecided";
  const marks: LogMarks = { ...theirs, [nodeId]: ours };
  const held = electorate.voters.map((id) => marks[id] ?? null).filter((mark) => mark !== null)
    .find((mark) => isHeldByMajority(mark, marks, electorate));
  if (held === undefined) return "undecided";
  if (isSame(held, ours)) return "majority";
  const committed = Object.values(marks).some((mark) =>
    mark !== null && mark.committed && isSame(mark, held)
  );
  return contradicts(ours, { ...held, committed }) ? "minority" : "undecided";
}

function isHeldByMajority(mark: LogMark, marks: LogMarks, electorate: Electorate): boolean {
  const holds = (id: NodeId) => {
    const other = marks[id] ?? null;
    return other !== null && isSame(other, mark) ? true : undefined;
  };
  return voteOutcome(electorate, holds) === "won";
}

/** The same entry, and the same log before it. */
export function isSame(one: LogMark, other: LogMark): boolean {
  return one.term === other.term && one.hash === other.hash;
}

/** One of the two logs is damaged. */
export function contradicts(one: LogMark, other: LogMark): boolean {
  if (one.term === other.term) return one.hash !== other.hash;
  return one.committed && other.committed;
}
