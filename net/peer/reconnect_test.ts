import { deepEqual, ok } from "node:assert/strict";
import fc from "fast-check";
import type { Random } from "../../core/base/ports.ts";
import { backoffMs } from "./reconnect.ts";

const range = { backoffMsMin: 50, backoffMsMax: 2_000 };
const fixed = (value: number): Random => ({ next: () => value, bytes: (length) => new Uint8Array(length) });

Deno.test("backoffMs() doubles up to its maximum", () => {
  const waits = [1, 2, 3, 6, 7, 1_000_000].map((failures) => backoffMs(failures, range, fixed(0)));
  deepEqual(waits, [25, 50, 100, 800, 1_000, 1_000]);
});

Deno.test("backoffMs() spreads over the upper half of a step", () => {
  fc.assert(
    fc.property(fc.nat(5_000), fc.double({ min: 0, max: 0.999, noNaN: true }), (failures, value) => {
      const least = backoffMs(failures, range, fixed(0));
      const wait = backoffMs(failures, range, fixed(value));
      ok(wait >= least && wait < least * 2 && wait <= range.backoffMsMax);
    }),
  );
});
