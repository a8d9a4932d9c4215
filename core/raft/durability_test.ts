import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { Durability } from "./durability.ts";

const TERM = 2;
const NOBODY = 0;

Deno.test("Durability moves when an output is persisted, not when it is taken (promise 1)", () => {
  const durability = new Durability(3, TERM, NOBODY);
  const first = durability.taken(5, TERM, NOBODY, 0);
  const second = durability.taken(8, 3, 1, 0);
  strictEqual(durability.durableIndex, 3);
  durability.persisted(first);
  deepStrictEqual([durability.durableIndex, durability.durableTerm, durability.durableVote], [
    5,
    TERM,
    NOBODY,
  ]);
  durability.persisted(second);
  deepStrictEqual([durability.durableIndex, durability.durableTerm, durability.durableVote], [8, 3, 1]);
});

Deno.test("Durability: one call stands for all outputs before", () => {
  const durability = new Durability(0, 0, NOBODY);
  durability.taken(5, 1, NOBODY, 0);
  const second = durability.taken(5, 1, 2, 0);
  durability.persisted(second);
  deepStrictEqual([durability.durableIndex, durability.durableVote], [5, 2]);
});

Deno.test("Durability: the sync of replaced entries never vouches for the new ones at their place", () => {
  const durability = new Durability(3, TERM, NOBODY);
  const old = durability.taken(8, TERM, NOBODY, 0);
  durability.truncated(5);
  const replacing = durability.taken(8, 3, NOBODY, 0);
  durability.persisted(old);
  strictEqual(durability.durableIndex, 4);
  durability.persisted(replacing);
  strictEqual(durability.durableIndex, 8);
});

Deno.test("Durability: back and forth, three writers of one index", () => {
  const durability = new Durability(0, 1, NOBODY);
  const a = durability.taken(2, 1, NOBODY, 0);
  durability.truncated(2);
  const b = durability.taken(2, 2, NOBODY, 0);
  durability.truncated(1);
  const c = durability.taken(1, 3, NOBODY, 0);
  durability.persisted(a);
  strictEqual(durability.durableIndex, 0);
  durability.persisted(b);
  strictEqual(durability.durableIndex, 0);
  durability.persisted(c);
  strictEqual(durability.durableIndex, 1);
});

Deno.test("Durability: entries that were durable are not any more when they are replaced", () => {
  const durability = new Durability(9, 1, NOBODY);
  durability.truncated(4);
  strictEqual(durability.durableIndex, 3);
});

Deno.test("Durability: an installed snapshot is durable, outputs before it do not reach behind it", () => {
  const durability = new Durability(3, 1, NOBODY);
  const before = durability.taken(30, 1, NOBODY, 0);
  durability.installed(20);
  strictEqual(durability.durableIndex, 20);
  durability.persisted(before);
  strictEqual(durability.durableIndex, 20);
});

Deno.test("Durability refuses numbers that go back or were never given out", () => {
  const durability = new Durability(0, 0, NOBODY);
  const first = durability.taken(1, 1, NOBODY, 0);
  throws(() => durability.persisted(first + 1), /Cannot note output/);
  durability.persisted(first);
  throws(() => durability.persisted(first), /Cannot note output/);
});

Deno.test("Durability.waitingTicks() counts from the oldest output", () => {
  const durability = new Durability(0, 0, NOBODY);
  strictEqual(durability.waitingTicks(50), 0);
  const first = durability.taken(1, 1, NOBODY, 10);
  durability.taken(2, 1, NOBODY, 14);
  strictEqual(durability.waitingTicks(20), 10);
  durability.persisted(first);
  strictEqual(durability.waitingTicks(20), 6);
});
