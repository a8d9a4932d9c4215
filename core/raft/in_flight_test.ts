import { deepStrictEqual, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import { InFlight } from "./in_flight.ts";

Deno.test("InFlight is full at its count, and at its bytes", () => {
  const byCount = new InFlight(2, 1000);
  byCount.add(1, 10);
  strictEqual(byCount.full, false);
  byCount.add(2, 10);
  strictEqual(byCount.full, true);
  const byBytes = new InFlight(10, 15);
  byBytes.add(1, 10);
  strictEqual(byBytes.full, false);
  byBytes.add(2, 10);
  strictEqual(byBytes.full, true);
});

Deno.test("InFlight lets one message pass that is larger than all it may hold", () => {
  const window = new InFlight(10, 15);
  strictEqual(window.full, false);
  window.add(1, 1000);
  strictEqual(window.full, true);
});

Deno.test("InFlight behaves like a list of messages", () => {
  const operation = fc.oneof(
    fc.record({ kind: fc.constant("add" as const), by: fc.integer({ min: 1, max: 3 }), bytes: fc.nat(9) }),
    fc.record({ kind: fc.constant("free" as const), by: fc.integer({ min: -3, max: 9 }), bytes: fc.nat(0) }),
    fc.record({ kind: fc.constant("clear" as const), by: fc.constant(0), bytes: fc.nat(0) }),
  );
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4 }), fc.array(operation, { maxLength: 40 }), (max, run) => {
      const window = new InFlight(max, 20);
      let model: { index: number; bytes: number }[] = [];
      let last = 0;
      for (const { kind, by, bytes } of run) {
        if (kind === "add" && !window.full) {
          last += by;
          window.add(last, bytes);
          model.push({ index: last, bytes });
        } else if (kind === "free") {
          const upTo = (model[0]?.index ?? 0) + by;
          window.freeTo(upTo);
          model = model.filter(({ index }) => index > upTo);
        } else if (kind === "clear") {
          window.clear();
          model = [];
        }
        const sum = model.reduce((total, each) => total + each.bytes, 0);
        deepStrictEqual([window.count, window.bytes], [model.length, sum]);
        strictEqual(window.full, model.length === max || sum >= 20);
      }
    }),
  );
});
