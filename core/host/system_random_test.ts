import assert from "node:assert/strict";
import { SystemRandom } from "./system_random.ts";

Deno.test("SystemRandom draws numbers in [0, 1) and any number of bytes", () => {
  const random = new SystemRandom();
  const drawn = Array.from({ length: 1000 }, () => random.next());
  assert.ok(drawn.every((number) => number >= 0 && number < 1));
  assert.equal(new Set(drawn).size, 1000);
  const bytes = random.bytes(200_000);
  assert.equal(bytes.length, 200_000);
  assert.ok(bytes.subarray(199_000).some((byte) => byte !== 0));
});
