import assert from "node:assert/strict";
import { DataDirLock } from "./data_dir_lock.ts";

Deno.test("DataDirLock keeps a second process out, names the first, and ends with it", async () => {
  const folder = `${await Deno.makeTempDir({ prefix: "walraft_lock_" })}/data`;
  try {
    const source = `import { DataDirLock } from ${
      JSON.stringify(new URL("./data_dir_lock.ts", import.meta.url).href)
    };
      DataDirLock.take(${JSON.stringify(folder)});
      console.log("taken");
      await Deno.stdin.read(new Uint8Array(1));`;
    const child = new Deno.Command(Deno.execPath(), {
      args: ["eval", "--no-lock", source],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const output = child.stdout.getReader();
    const { value } = await output.read();
    assert.match(new TextDecoder().decode(value), /taken/);
    assert.throws(
      () => DataDirLock.take(folder),
      new RegExp(`Cannot use the data folder .*: process ${child.pid} uses it; stop that process`),
    );
    await output.cancel();
    await child.stdin.close();
    await child.status;
    const lock = DataDirLock.take(folder);
    assert.throws(() => DataDirLock.take(folder), new RegExp(`process ${Deno.pid} uses it`));
    lock.release();
    DataDirLock.take(folder).release();
  } finally {
    await Deno.remove(folder.slice(0, -"/data".length), { recursive: true });
  }
});
