/** One test body for every Clock and Random: the machine's and those of the tests. */
import { deepStrictEqual, notDeepStrictEqual, ok, strictEqual } from "node:assert/strict";
import type { Clock, Random } from "../../core/base/ports.ts";
import { SystemClock } from "../../core/host/system_clock.ts";
import { SystemRandom } from "../../core/host/system_random.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { SeededRandom } from "../support/seeded_random.ts";

/** @param pass lets the clock move on by at least `milliseconds` */
function clockContract(name: string, clock: Clock, pass: (milliseconds: number) => Promise<void>): void {
  Deno.test(`${name} keeps the contract of Clock`, async () => {
    const startMs = clock.nowMs();
    ok(clock.wallMs() > Date.UTC(2025, 0), "the wall clock counts from 1970");
    const fired: string[] = [];
    clock.after(20, () => fired.push("later"));
    clock.after(5, () => fired.push("sooner"));
    const cancel = clock.after(10, () => fired.push("cancelled"));
    cancel();
    deepStrictEqual(fired, [], "never inside the call");
    await pass(40);
    deepStrictEqual(fired, ["sooner", "later"], "in order of time, each once");
    cancel();
    ok(clock.nowMs() >= startMs + 20, "monotonic, and not before its time");
  });
}

function randomContract(name: string, newRandom: () => Random): void {
  Deno.test(`${name} keeps the contract of Random`, () => {
    const random = newRandom();
    let sum = 0;
    for (let i = 0; i < 10_000; i++) {
      const value = random.next();
      ok(value >= 0 && value < 1, `${value} lies outside [0, 1)`);
      sum += value;
    }
    ok(Math.abs(sum / 10_000 - 0.5) < 0.05, `the mean of 10,000 draws is ${sum / 10_000}`);
    strictEqual(random.bytes(33).length, 33);
    notDeepStrictEqual(random.bytes(16), random.bytes(16));
    strictEqual(random.bytes(0).length, 0);
  });
}

const manual = new ManualClock();
clockContract("ManualClock", manual, (milliseconds) => Promise.resolve(manual.advance(milliseconds)));
clockContract("SystemClock", new SystemClock(), async (milliseconds) => {
  const { promise, resolve } = Promise.withResolvers<void>();
  new SystemClock().after(milliseconds, resolve);
  await promise;
});
randomContract("SeededRandom", () => new SeededRandom(1));
randomContract("SystemRandom", () => new SystemRandom());

Deno.test("SeededRandom draws the same again from the same seed", () => {
  deepStrictEqual(new SeededRandom(5).bytes(32), new SeededRandom(5).bytes(32));
});
