import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { Deadline } from "./deadline.ts";

const passed = (deadline: Deadline, ...timesMs: number[]) => timesMs.map((ms) => deadline.hasPassed(ms));

Deno.test("Deadline passes once its limit is over since a sweep first saw it", () => {
  const deadline = new Deadline();
  deadline.set(1_000);
  deepStrictEqual(passed(deadline, 5_000, 5_250, 5_999, 6_000, 7_000), [false, false, false, true, true]);
});

Deno.test("Deadline begins anew with each limit, and without one it never passes", () => {
  const deadline = new Deadline();
  strictEqual(deadline.hasPassed(1e12), false);
  deadline.set(100);
  strictEqual(deadline.hasPassed(0), false);
  deadline.set(100);
  deepStrictEqual(passed(deadline, 150, 249, 250), [false, false, true]);
  deadline.set(Infinity);
  strictEqual(deadline.hasPassed(1e12), false);
});
