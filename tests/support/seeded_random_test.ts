import assert from "node:assert/strict";
import { SeededRandom } from "./seeded_random.ts";

Deno.test("SeededRandom repeats itself for a seed and differs between seeds", () => {
  const draw = (seed: number) => {
    const random = new SeededRandom(seed);
    return [...random.bytes(8), random.next(), random.integer(1, 1000), random.fork().word()];
  };
  assert.deepEqual(draw(1), draw(1));
  assert.notDeepEqual(draw(1), draw(2));
  assert.notDeepEqual(draw(1), draw(1 + 2 ** 32));
});

Deno.test("SeededRandom is uniform enough", () => {
  const random = new SeededRandom(3);
  const counts = new Array<number>(10).fill(0);
  for (let i = 0; i < 100_000; i++) {
    const drawn = random.integer(0, 9);
    counts[drawn] = (counts[drawn] as number) + 1;
  }
  for (const count of counts) assert.ok(Math.abs(count - 10_000) < 500, `${counts}`);
  assert.ok(random.next() >= 0 && random.next() < 1);
});
