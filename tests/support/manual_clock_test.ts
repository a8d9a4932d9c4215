import assert from "node:assert/strict";
import { ManualClock } from "./manual_clock.ts";

Deno.test("ManualClock fires timers in order, each at its own time", () => {
  const clock = new ManualClock(1000);
  const fired: string[] = [];
  const note = (name: string) => () => fired.push(`${name}@${clock.nowMs()}`);
  clock.after(20, note("b"));
  clock.after(10, () => {
    note("a")();
    clock.after(5, note("nested"));
  });
  clock.after(20, note("c"));
  const cancel = clock.after(15, note("cancelled"));
  cancel();
  assert.equal(clock.nextDueMs(), 10);
  clock.advance(9);
  assert.deepEqual(fired, []);
  clock.advance(30);
  assert.deepEqual(fired, ["a@10", "nested@15", "b@20", "c@20"]);
  assert.equal(clock.nowMs(), 39);
  assert.equal(clock.wallMs(), 1039);
  assert.equal(clock.nextDueMs(), undefined);
});
