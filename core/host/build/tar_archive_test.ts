import assert from "node:assert/strict";
import { tarArchive } from "./tar_archive.ts";

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

Deno.test("tarArchive() is unpacked by tar with contents and modes intact", async () => {
  const folder = await Deno.makeTempDir({ prefix: "walraft-tar-" });
  try {
    const block = new Uint8Array(512).fill(7);
    const files = [
      { name: "run", bytes: bytesOf("#!/bin/sh\n"), executable: true },
      { name: "empty", bytes: new Uint8Array(), executable: false },
      { name: "one_block", bytes: block, executable: false },
    ];
    await Deno.writeFile(`${folder}/archive.tar`, tarArchive(files));
    const { success, stderr } = await new Deno.Command("tar", { args: ["-xof", "archive.tar"], cwd: folder })
      .output();
    assert.equal(new TextDecoder().decode(stderr), "");
    assert.ok(success);
    for (const file of files) {
      assert.deepEqual(await Deno.readFile(`${folder}/${file.name}`), file.bytes);
      const { mode } = await Deno.stat(`${folder}/${file.name}`);
      assert.equal(((mode ?? 0) & 0o100) !== 0, file.executable, file.name);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("tarArchive() gives the same bytes for the same files", () => {
  const files = [{ name: "a", bytes: bytesOf("b"), executable: false }];
  assert.deepEqual(tarArchive(files), tarArchive(files));
});

Deno.test("tarArchive() refuses a name that the header cannot hold", () => {
  const file = (name: string) => [{ name, bytes: bytesOf("b"), executable: false }];
  assert.equal(tarArchive(file("n".repeat(100))).length, 4 * 512);
  assert.throws(() => tarArchive(file("n".repeat(101))), /names have 1 to 100 bytes/);
  assert.throws(() => tarArchive(file("")), RangeError);
});
