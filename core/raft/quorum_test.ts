import { deepStrictEqual, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import {
  type Electorate,
  isOnlyVoter,
  majorityValue,
  quorumValue,
  quorumWith,
  voteOutcome,
} from "./quorum.ts";

const ids = fc.uniqueArray(fc.integer({ min: 1, max: 9 }), { maxLength: 7 });
const values = fc.array(fc.integer({ min: 0, max: 12 }), { minLength: 10, maxLength: 10 });
const votes = fc.array(fc.constantFrom(true, false, undefined), { minLength: 10, maxLength: 10 });

/** Slow and plain: the largest value that more than half have reached. */
function slowMajority(voters: readonly number[], valueOf: (id: number) => number): number {
  if (voters.length === 0) return Infinity;
  const candidates = voters.map(valueOf).sort((a, b) => b - a);
  return candidates.find((value) => voters.filter((id) => valueOf(id) >= value).length * 2 > voters.length)!;
}

Deno.test("majorityValue() is the largest value a majority has reached", () => {
  fc.assert(fc.property(ids, values, (voters, of) => {
    strictEqual(majorityValue(voters, (id) => of[id]!), slowMajority(voters, (id) => of[id]!));
  }));
});

Deno.test("quorumValue() of a joint configuration needs both majorities", () => {
  fc.assert(fc.property(ids, ids, values, (voters, votersOutgoing, of) => {
    const valueOf = (id: number) => of[id]!;
    const slow = Math.min(slowMajority(voters, valueOf), slowMajority(votersOutgoing, valueOf));
    strictEqual(quorumValue({ voters, votersOutgoing }, valueOf), slow);
  }));
});

Deno.test("quorumValue() of a joint configuration with twice the same voters is that of one", () => {
  fc.assert(fc.property(ids, values, (voters, of) => {
    const valueOf = (id: number) => of[id]!;
    strictEqual(
      quorumValue({ voters, votersOutgoing: voters }, valueOf),
      quorumValue({ voters, votersOutgoing: [] }, valueOf),
    );
  }));
});

Deno.test("quorumWith() takes the first candidates that are needed, and none that cannot help", () => {
  const electorate = { voters: [1, 2, 3, 4, 5], votersOutgoing: [] };
  deepStrictEqual([...quorumWith(electorate, 1, [4, 9, 2, 3, 5])], [4, 2]);
  deepStrictEqual([...quorumWith({ voters: [1], votersOutgoing: [] }, 1, [2, 3])], []);
  deepStrictEqual([...quorumWith({ voters: [1, 2, 3], votersOutgoing: [1, 4, 5] }, 1, [2, 3, 4, 5])], [
    2,
    3,
    4,
  ]);
  fc.assert(fc.property(ids, ids, ids, (voters, votersOutgoing, candidates) => {
    const of = { voters, votersOutgoing };
    const reaches = (some: ReadonlySet<number>) =>
      quorumValue(of, (id) => id === 1 || some.has(id) ? 1 : 0) >= 1;
    const chosen = quorumWith(of, 1, candidates);
    strictEqual(reaches(chosen), reaches(new Set(candidates)));
    if (chosen.size > 0 && reaches(chosen)) strictEqual(reaches(new Set([...chosen].slice(0, -1))), false);
  }));
});

/** Plays every way the open votes may go. */
function slowOutcome({ voters, votersOutgoing }: Electorate, of: (boolean | undefined)[]): string {
  const all = [...new Set([...voters, ...votersOutgoing])];
  const open = all.filter((id) => of[id] === undefined);
  const ends = new Set<boolean>();
  for (let bits = 0; bits < 1 << open.length; bits++) {
    const voteOf = (id: number) => of[id] ?? (bits >> open.indexOf(id) & 1) === 1;
    const wins = (some: readonly number[]) =>
      some.length === 0 || some.filter(voteOf).length * 2 > some.length;
    ends.add(wins(voters) && wins(votersOutgoing));
  }
  if (ends.size === 2) return "open";
  return ends.has(true) ? "won" : "lost";
}

Deno.test("voteOutcome() is decided when, and only when, the open votes cannot change it", () => {
  // Disjoint sets: with shared voters the two sums may exclude what neither excludes alone.
  const disjoint = fc.tuple(
    fc.uniqueArray(fc.integer({ min: 1, max: 4 }), { maxLength: 4 }),
    fc.uniqueArray(fc.integer({ min: 5, max: 9 }), { maxLength: 4 }),
  );
  fc.assert(fc.property(disjoint, votes, ([voters, votersOutgoing], of) => {
    const electorate = { voters, votersOutgoing };
    strictEqual(voteOutcome(electorate, (id) => of[id]), slowOutcome(electorate, of));
  }));
});

Deno.test("voteOutcome() never contradicts the end of the count", () => {
  fc.assert(fc.property(ids, ids, votes, (voters, votersOutgoing, of) => {
    const electorate = { voters, votersOutgoing };
    const outcome = voteOutcome(electorate, (id) => of[id]);
    if (outcome !== "open") strictEqual(outcome, slowOutcome(electorate, of));
  }));
});

Deno.test("voteOutcome() of two and of four voters needs more than half", () => {
  const outcomes = [1, 2, 3, 4].map((granted) =>
    voteOutcome({ voters: [1, 2, 3, 4], votersOutgoing: [] }, (id) => id <= granted)
  );
  deepStrictEqual(outcomes, ["lost", "lost", "won", "won"]);
  strictEqual(voteOutcome({ voters: [1, 2], votersOutgoing: [] }, (id) => id === 1), "lost");
});

Deno.test("isOnlyVoter() is false while somebody joins or leaves", () => {
  const electorates = [[[1], []], [[2], []], [[1, 2], []], [[1], [1, 2]], [[1, 2], [1]], [[], [1]]] as const;
  deepStrictEqual(
    electorates.map(([voters, votersOutgoing]) => isOnlyVoter({ voters, votersOutgoing }, 1)),
    [true, false, false, false, false, false],
  );
});
