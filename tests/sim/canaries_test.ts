import { ok } from "node:assert/strict";
import { CANARIES } from "./canaries.ts";
import { plantCanary, SEEDS_MAX } from "./plant_canary.ts";

for (const canary of CANARIES) {
  Deno.test(`The simulator finds within ${SEEDS_MAX} seeds: ${canary.name}`, async () => {
    const found = await plantCanary(canary);
    ok(found !== undefined, `${SEEDS_MAX} seeds did not find it`);
  });
}
