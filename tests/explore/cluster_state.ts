/** One state of the cluster: numbers of parts that are held elsewhere. */
import { type Budget, BUDGET_MAX, BUDGET_NAMES } from "./scope.ts";

export interface ClusterState {
  /** Local states of nodes 1, 2 and 3. */
  readonly nodes: readonly [number, number, number];
  readonly history: number;
  /** What of the budget is used up, packed. */
  readonly used: number;
  /** Numbers of the messages on the way, ascending; one that was sent twice is there twice. */
  readonly messages: readonly number[];
}

const BITS = Math.log2(BUDGET_MAX + 1);

export function usedOf(used: number, name: keyof Budget): number {
  return (used >>> (BUDGET_NAMES.indexOf(name) * BITS)) & BUDGET_MAX;
}

export function use(used: number, name: keyof Budget): number {
  return used + (1 << (BUDGET_NAMES.indexOf(name) * BITS));
}

/** Without one of the message at `removed` (-1: none), with those of `sent`. */
export function messagesAfter(
  messages: readonly number[],
  removed: number,
  sent: readonly number[],
): readonly number[] {
  const after = [...messages];
  if (removed !== -1) after.splice(removed, 1);
  for (const id of sent) {
    let at = after.length;
    while (at > 0 && after[at - 1]! > id) at--;
    after.splice(at, 0, id);
  }
  return after;
}
