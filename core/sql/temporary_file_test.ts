import assert from "node:assert/strict";
import { TemporaryFile, TemporarySpace } from "./temporary_file.ts";

Deno.test("reads give what was written, over the borders of chunks, and nothing beyond the end", () => {
  const file = new TemporaryFile(new TemporarySpace(2 ** 20));
  const bytes = Uint8Array.from({ length: 150_000 }, (_, index) => index % 251);
  assert.equal(file.write(bytes, 60_000), true);
  const into = new Uint8Array(150_000);
  assert.equal(file.read(into, 60_000), 150_000);
  assert.deepEqual(into, bytes);
  assert.equal(file.read(into, 209_990), 10);
  assert.equal(file.read(into, 300_000), 0);
});

Deno.test("what was cut off reads as zeros when the file grows again", () => {
  const file = new TemporaryFile(new TemporarySpace(2 ** 20));
  file.write(new Uint8Array(100).fill(9), 0);
  file.truncate(10);
  file.write(Uint8Array.of(1), 99);
  const into = new Uint8Array(100);
  file.read(into, 0);
  assert.deepEqual([into[9], into[10], into[98], into[99]], [9, 0, 0, 1]);
});

Deno.test("all files share one bound, and closing gives back", () => {
  const space = new TemporarySpace(128 * 1024);
  const files = [new TemporaryFile(space), new TemporaryFile(space)];
  assert.equal(files[0]!.write(new Uint8Array(65_000), 0), true);
  assert.equal(files[1]!.write(new Uint8Array(65_000), 0), true);
  assert.equal(files[1]!.write(new Uint8Array(65_000), 65_000), false);
  assert.equal(space.wasExceeded, true);
  files[0]!.close();
  assert.equal(files[1]!.write(new Uint8Array(65_000), 65_000), true);
});
