import { strictEqual } from "node:assert/strict";
import { Uncommitted } from "./uncommitted.ts";

Deno.test("Uncommitted refuses what would pass its bound", () => {
  const uncommitted = new Uncommitted(10);
  uncommitted.add(1, 6);
  strictEqual(uncommitted.accepts(4), true);
  strictEqual(uncommitted.accepts(5), false);
});

Deno.test("Uncommitted takes one proposal of any size when nothing else waits", () => {
  const uncommitted = new Uncommitted(10);
  strictEqual(uncommitted.accepts(1000), true);
  uncommitted.add(1, 1000);
  strictEqual(uncommitted.accepts(1), false);
  uncommitted.committed(1);
  strictEqual(uncommitted.accepts(1000), true);
});

Deno.test("Uncommitted gives free exactly what is committed, in steps of any size", () => {
  const uncommitted = new Uncommitted(1_000_000);
  for (let index = 1; index <= 100; index++) uncommitted.add(index, index);
  let expected = 5050;
  for (const upTo of [1, 2, 2, 50, 49, 99, 100]) {
    uncommitted.committed(upTo);
    expected = 5050 - upTo * (upTo + 1) / 2;
    if (upTo === 49) continue;
    strictEqual(uncommitted.bytes, expected);
  }
  uncommitted.add(101, 7);
  strictEqual(uncommitted.bytes, 7);
});
