import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import fc from "fast-check";
import { RecentMap } from "./recent_map.ts";

Deno.test("RecentMap forgets what was not used, the oldest first", () => {
  const map = new RecentMap<string, number>(3);
  for (const [value, key] of ["a", "b", "c"].entries()) strictEqual(map.set(key, value), undefined);
  strictEqual(map.get("a"), 0);
  strictEqual(map.set("d", 3), 1);
  deepStrictEqual([map.get("b"), map.get("a")], [undefined, 0]);
  strictEqual(map.set("a", 10), 0);
  deepStrictEqual(map.values().sort(), [10, 2, 3]);
  map.clear();
  deepStrictEqual(map.values(), []);
  // To replace a value is to use it.
  const two = new RecentMap<string, number>(2);
  two.set("kept", 1);
  two.set("other", 2);
  two.set("kept", 3);
  deepStrictEqual([two.set("third", 4), two.get("kept")], [2, 3]);
  throws(() => new RecentMap(0), /holds nothing/);
});

Deno.test("RecentMap finds room when everything was used", () => {
  const map = new RecentMap<number, number>(4);
  for (let key = 0; key < 4; key++) map.set(key, key);
  for (let key = 0; key < 4; key++) map.get(key);
  strictEqual(map.set(4, 4), 0);
  // The second chance is over.
  strictEqual(map.set(5, 5), 1);
});

Deno.test("RecentMap gives back every value that goes, and keeps no more than it may", () => {
  const step = fc.record({ isSet: fc.boolean(), key: fc.nat(9) });
  fc.assert(fc.property(fc.integer({ min: 1, max: 6 }), fc.array(step), (countMax, steps) => {
    const map = new RecentMap<number, number>(countMax);
    const held = new Map<number, number>();
    for (const [value, { isSet, key }] of steps.entries()) {
      if (!isSet) {
        strictEqual(map.get(key), held.get(key));
        continue;
      }
      const gone = map.set(key, value);
      for (const [other, its] of held) if (its === gone) held.delete(other);
      held.set(key, value);
      deepStrictEqual(map.values().sort(), [...held.values()].sort());
      strictEqual(held.size <= countMax, true);
    }
  }));
});
