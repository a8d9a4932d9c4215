import type { Milliseconds, NodeId, Term } from "../base/ids.ts";

/** Longer than a vote takes (two round trips and a sync), so that the first to campaign has won when the next one would. */
const STEP_MS = 40;
/** Clocks and connections differ by a little anyway. */
const SPREAD_MS = 10;

/**
 * How long a member waits before it campaigns in the place of a leader whose process is gone. Each has its turn, another one
 * in each term: a vote that is split between two costs an election timeout. Pre-vote keeps a mistake harmless.
 *
 * @param voters of the membership, in an order that all members share
 * @param random in [0, 1)
 */
export function campaignPauseMs(
  voters: readonly NodeId[],
  { lost, self, term }: { readonly lost: NodeId; readonly self: NodeId; readonly term: Term },
  random: number,
): Milliseconds {
  const heirs = voters.filter((id) => id !== lost);
  const place = heirs.indexOf(self);
  const turn = place < 0 ? heirs.length : (place + term) % heirs.length;
  return turn * STEP_MS + random * SPREAD_MS;
}
