/** Who leads next: in the place of a leader whose process is gone, and when a leader hands over without naming anybody. */
import type { LogIndex, Milliseconds, NodeId, Term, Unsigned64 } from "../base/ids.ts";
import type { MemberTraits } from "../raft/membership.ts";

/** Longer than a vote takes (two round trips and a sync), so that the first to campaign has won when the next one would. */
const STEP_MS = 40;
/** Clocks and connections differ by a little anyway. */
const SPREAD_MS = 10;
/** A voter this close to the tip has the rest within a moment; writes wait while leadership is handed over. */
const LAG_MAX = 256;

/** A voter; members without a weight have 0. */
export interface Heir extends Pick<MemberTraits, "weight"> {
  readonly id: NodeId;
}

/**
 * How long a member waits before it campaigns in the place of a leader whose process is gone. Each has its turn: a vote that
 * is split between two costs an election timeout. The lightest come first; among equals another one is first in each term,
 * so that one that cannot win holds nobody up twice. Pre-vote keeps a mistake harmless.
 *
 * @param voters of the membership, in an order that all members share
 * @param random in [0, 1)
 */
export function campaignPauseMs(
  voters: readonly Heir[],
  { lost, self, term }: { readonly lost: NodeId; readonly self: NodeId; readonly term: Term },
  random: number,
): Milliseconds {
  const heirs = voters.filter(({ id }) => id !== lost);
  const own = heirs.find(({ id }) => id === self);
  const turn = own === undefined ? heirs.length : turnOf(own, heirs, term);
  return turn * STEP_MS + random * SPREAD_MS;
}

function turnOf(own: Heir, heirs: readonly Heir[], term: Term): number {
  const weight = weightOf(own);
  const lighter = heirs.filter((heir) => weightOf(heir) < weight).length;
  const equals = heirs.filter((heir) => weightOf(heir) === weight);
  return lighter + (equals.indexOf(own) + term) % equals.length;
}

function weightOf({ weight }: Heir): Unsigned64 {
  return weight ?? 0;
}

/** A voter as the leader that hands over sees it. */
export interface Successor extends MemberTraits {
  readonly id: NodeId;
  /** How far its log goes. */
  readonly match: LogIndex;
}

/**
 * The voter that leadership is handed to: of those that are near the tip the lightest; among equals one of another failure
 * domain than the leader's, since a leader often goes because of what surrounds it; then the one that has most of the log.
 * When nobody is near, whoever has most of the log. Undefined when there is nobody.
 *
 * @param candidates voters that answer
 */
export function chooseSuccessor(
  candidates: readonly Successor[],
  { tip, failureDomain }: { readonly tip: LogIndex; readonly failureDomain: Unsigned64 },
): NodeId | undefined {
  const near = candidates.filter(({ match }) => match + LAG_MAX >= tip);
  const isElsewhere = (one: Successor): boolean => (one.failureDomain ?? 0) !== failureDomain;
  const compare = (a: Successor, b: Successor): number => {
    if (near.length > 0 && weightOf(a) !== weightOf(b)) return weightOf(a) < weightOf(b) ? -1 : 1;
    if (near.length > 0 && isElsewhere(a) !== isElsewhere(b)) return isElsewhere(a) ? -1 : 1;
    return b.match - a.match || a.id - b.id;
  };
  return [...near.length > 0 ? near : candidates].sort(compare)[0]?.id;
}
