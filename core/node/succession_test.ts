import { deepStrictEqual, ok } from "node:assert/strict";
import { campaignPauseMs } from "./succession.ts";

const VOTERS = [1, 3, 4, 7, 9];

Deno.test("campaignPauseMs(): members take turns, far enough apart for a vote, and the first is another one in the next term", () => {
  for (const lost of VOTERS) {
    const first = new Set<number>();
    for (const term of [5, 6, 7, 8]) {
      // The worst that chance can do: the early ones late, the late ones early.
      const turns = VOTERS.filter((id) => id !== lost).map((self) => ({
        self,
        earliest: campaignPauseMs(VOTERS, { lost, self, term }, 0),
        latest: campaignPauseMs(VOTERS, { lost, self, term }, 0.999),
      })).sort((a, b) => a.earliest - b.earliest);
      for (const [i, { earliest }] of turns.entries()) {
        ok(i === 0 || earliest - turns[i - 1]!.latest >= 30, JSON.stringify(turns));
      }
      first.add(turns[0]!.self);
    }
    deepStrictEqual(first.size, 4);
  }
});

Deno.test("campaignPauseMs(): who is no voter, or the only one left, has a turn as well", () => {
  deepStrictEqual(campaignPauseMs([1, 2, 3], { lost: 1, self: 8, term: 4 }, 0), 80);
  deepStrictEqual(campaignPauseMs([1, 2], { lost: 1, self: 2, term: 4 }, 0), 0);
});
