/** Majorities and joint majorities: arithmetic only. */
import type { NodeId } from "../base/ids.ts";

/** The voting part of a membership. */
export interface Electorate {
  readonly voters: readonly NodeId[];
  /** Not empty: a second majority is needed, of these. */
  readonly votersOutgoing: readonly NodeId[];
}

/** Reused by every call, since the commit index is computed for each acknowledgement. */
const descending: number[] = [];

/** The largest value that a majority has reached; Infinity for an empty set, which asks nobody. */
export function majorityValue(voters: readonly NodeId[], valueOf: (id: NodeId) => number): number {
  const count = voters.length;
  if (count === 0) return Infinity;
  for (let i = 0; i < count; i++) {
    const value = valueOf(voters[i]!);
    let at = i;
    while (at > 0 && descending[at - 1]! < value) {
      descending[at] = descending[at - 1]!;
      at--;
    }
    descending[at] = value;
  }
  return descending[Math.floor(count / 2)]!;
}

/** The largest value reached by a majority and, in a joint configuration, by both majorities (paper, 6). */
export function quorumValue(electorate: Electorate, valueOf: (id: NodeId) => number): number {
  const incoming = majorityValue(electorate.voters, valueOf);
  if (electorate.votersOutgoing.length === 0) return incoming;
  return Math.min(incoming, majorityValue(electorate.votersOutgoing, valueOf));
}

/** As many of the candidates, from the first one on, as make a quorum together with `self`; all if they are too few. */
export function quorumWith(electorate: Electorate, self: NodeId, candidates: readonly NodeId[]): Set<NodeId> {
  const chosen = new Set<NodeId>();
  for (const id of candidates) {
    if (quorumValue(electorate, (voter) => voter === self || chosen.has(voter) ? 1 : 0) >= 1) break;
    if (electorate.voters.includes(id) || electorate.votersOutgoing.includes(id)) chosen.add(id);
  }
  return chosen;
}

/** Nobody else can be elected, and nobody else need be asked. */
export function isOnlyVoter({ voters, votersOutgoing }: Electorate, id: NodeId): boolean {
  return voters.length === 1 && voters[0] === id && votersOutgoing.length === 0;
}

export type VoteOutcome = "won" | "lost" | "open";

function majorityOutcome(
  voters: readonly NodeId[],
  voteOf: (id: NodeId) => boolean | undefined,
): VoteOutcome {
  if (voters.length === 0) return "won";
  const needed = Math.floor(voters.length / 2) + 1;
  let granted = 0;
  let open = 0;
  for (const id of voters) {
    const vote = voteOf(id);
    if (vote === true) granted++;
    else if (vote === undefined) open++;
  }
  if (granted >= needed) return "won";
  return granted + open >= needed ? "open" : "lost";
}

/** `voteOf` answers undefined for those who have not voted yet. */
export function voteOutcome(
  electorate: Electorate,
  voteOf: (id: NodeId) => boolean | undefined,
): VoteOutcome {
  const incoming = majorityOutcome(electorate.voters, voteOf);
  const outgoing = majorityOutcome(electorate.votersOutgoing, voteOf);
  if (incoming === "lost" || outgoing === "lost") return "lost";
  return incoming === "won" && outgoing === "won" ? "won" : "open";
}
