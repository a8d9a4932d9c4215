import { deepStrictEqual, ok } from "node:assert/strict";
import fc from "fast-check";
import { campaignPauseMs, chooseSuccessor, type Heir, type Successor } from "./succession.ts";

const VOTERS: readonly Heir[] = [1, 3, 4, 7, 9].map((id) => ({ id }));

/** Ids in the order in which they campaign, and whether chance leaves time for a vote in between. */
function order(voters: readonly Heir[], lost: number, term: number): { ids: number[]; isApart: boolean } {
  // The worst that chance can do: the early ones late, the late ones early.
  const turns = voters.map(({ id }) => id).filter((id) => id !== lost).map((self) => ({
    self,
    earliest: campaignPauseMs(voters, { lost, self, term }, 0),
    latest: campaignPauseMs(voters, { lost, self, term }, 0.999),
  })).sort((a, b) => a.earliest - b.earliest);
  const isApart = turns.every(({ earliest }, i) => i === 0 || earliest - turns[i - 1]!.latest >= 30);
  return { ids: turns.map(({ self }) => self), isApart };
}

Deno.test("campaignPauseMs(): members take turns, far enough apart for a vote, and the first is another one in the next term", () => {
  for (const { id: lost } of VOTERS) {
    const first = new Set<number>();
    for (const term of [5, 6, 7, 8]) {
      const { ids, isApart } = order(VOTERS, lost, term);
      ok(isApart, `${ids}`);
      first.add(ids[0]!);
    }
    deepStrictEqual(first.size, 4);
  }
});

Deno.test("campaignPauseMs(): the lighter ones come first, and equals take turns among each other", () => {
  const weights = new Map<number, number | bigint>([[3, 5], [7, 5], [9, 2n ** 60n]]);
  const voters = VOTERS.map(({ id }) => {
    const weight = weights.get(id);
    return weight === undefined ? { id } : { id, weight };
  });
  const orders = [6, 7].map((term) => order(voters, 1, term));
  ok(orders.every(({ isApart }) => isApart));
  deepStrictEqual(orders.map(({ ids }) => ids), [[4, 3, 7, 9], [4, 7, 3, 9]]);
});

Deno.test("campaignPauseMs(): who is no voter, or the only one left, has a turn as well", () => {
  const heirs = (...ids: number[]) => ids.map((id) => ({ id }));
  deepStrictEqual(campaignPauseMs(heirs(1, 2, 3), { lost: 1, self: 8, term: 4 }, 0), 80);
  deepStrictEqual(campaignPauseMs(heirs(1, 2), { lost: 1, self: 2, term: 4 }, 0), 0);
});

Deno.test("chooseSuccessor(): near the tip, then light, then elsewhere, then the longest log, then the lowest id", () => {
  const leader = { tip: 1_000, failureDomain: 1 };
  const choose = (...list: Successor[]) => chooseSuccessor(list, leader);
  deepStrictEqual(choose(), undefined);
  // Half of its log is missing: writes would wait.
  deepStrictEqual(choose({ id: 2, match: 500 }, { id: 3, match: 990, weight: 9, failureDomain: 1 }), 3);
  deepStrictEqual(choose({ id: 2, match: 1_000, weight: 7 }, { id: 3, match: 800, weight: 6 }), 3);
  deepStrictEqual(
    choose({ id: 2, match: 1_000, weight: 1 }, { id: 3, match: 900, failureDomain: 1 }),
    3,
    "weight is what somebody asked for",
  );
  deepStrictEqual(
    choose({ id: 2, match: 1_000, failureDomain: 1 }, { id: 3, match: 900, failureDomain: 2 }),
    3,
  );
  deepStrictEqual(choose({ id: 2, match: 1_000, failureDomain: 1 }, { id: 3, match: 900 }), 3);
  deepStrictEqual(choose({ id: 2, match: 900 }, { id: 3, match: 901 }), 3);
  deepStrictEqual(choose({ id: 3, match: 900 }, { id: 2, match: 900 }), 2);
  // Nobody is near: the fewest entries are to be sent.
  deepStrictEqual(choose({ id: 2, match: 10 }, { id: 3, match: 20, weight: 9 }), 3);
});

Deno.test("chooseSuccessor(): the order in which members are listed decides nothing", () => {
  const successor = fc.record({
    match: fc.integer({ min: 700, max: 1_000 }),
    weight: fc.nat(2),
    failureDomain: fc.nat(2),
  });
  fc.assert(fc.property(fc.array(successor, { minLength: 1, maxLength: 6 }), fc.nat(2), (drawn, domain) => {
    const list = drawn.map((one, i) => ({ ...one, id: i + 1 }));
    const leader = { tip: 1_000, failureDomain: domain };
    deepStrictEqual(chooseSuccessor(list, leader), chooseSuccessor([...list].reverse(), leader));
  }));
});
