import { equal } from "node:assert/strict";
import { commonVersion } from "./version.ts";

Deno.test("commonVersion() is the newest version both sides speak", () => {
  equal(commonVersion({ min: 1, max: 3 }, { min: 2, max: 5 }), 3);
  equal(commonVersion({ min: 2, max: 5 }, { min: 1, max: 3 }), 3);
  equal(commonVersion({ min: 1, max: 1 }, { min: 1, max: 1 }), 1);
  equal(commonVersion({ min: 1, max: 2 }, { min: 3, max: 4 }), undefined);
  equal(commonVersion({ min: 3, max: 4 }, { min: 1, max: 2 }), undefined);
  equal(commonVersion({ min: 5, max: 1 }, { min: 1, max: 9 }), undefined);
});
