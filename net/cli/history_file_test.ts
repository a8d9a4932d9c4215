import assert from "node:assert/strict";
import { defaultHistoryFile, readHistory, writeHistory } from "./history_file.ts";

Deno.test("writeHistory() and readHistory() keep the newest lines, for the user only", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/deep/er/history`;
  try {
    assert.deepEqual(await readHistory(path), []);
    await writeHistory(path, ["newest", " ", "x".repeat(20_000), "oldest"]);
    assert.deepEqual(await readHistory(path), ["newest", "oldest"]);
    assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
    await writeHistory(path, Array.from({ length: 5_000 }, (_, i) => `line ${i}`));
    const lines = await readHistory(path);
    assert.deepEqual([lines.length, lines[0]], [1_000, "line 0"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("writeHistory() does not mind a place it cannot write to", async () => {
  await writeHistory("/dev/null/nowhere/history", ["line"]);
  await writeHistory(undefined, ["line"]);
});

Deno.test("defaultHistoryFile() follows the customs of the platform", () => {
  assert.equal(defaultHistoryFile({ HOME: "/home/a" }), "/home/a/.cache/walraft/history");
  assert.equal(defaultHistoryFile({ HOME: "/home/a", XDG_CACHE_HOME: "/c" }), "/c/walraft/history");
  assert.equal(defaultHistoryFile({}), undefined);
});
