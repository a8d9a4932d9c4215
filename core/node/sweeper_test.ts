import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { ManualClock } from "../../tests/support/manual_clock.ts";
import { Sweeper } from "./sweeper.ts";

Deno.test("Sweeper looks after time limits while something waits, and leaves the clock alone otherwise", () => {
  const clock = new ManualClock();
  const seen: number[] = [];
  let waiting = 1;
  const sweeper = new Sweeper({ clock, sweep: () => seen.push(clock.nowMs()), waitingCount: () => waiting });
  strictEqual(clock.nextDueMs(), undefined);
  sweeper.watch();
  sweeper.watch();
  clock.advance(25);
  deepStrictEqual(seen, [10, 20]);
  waiting = 0;
  clock.advance(100);
  deepStrictEqual(seen, [10, 20, 30]);
  strictEqual(clock.nextDueMs(), undefined);
  sweeper.watch();
  sweeper.stop();
  sweeper.watch();
  strictEqual(clock.nextDueMs(), undefined);
});
