import assert from "node:assert/strict";
import type { Disk } from "../../core/base/ports.ts";
import { SimCrash, SimDisk } from "./sim_disk.ts";

function write(disk: Disk, path: string, bytes: Uint8Array, offset = 0): void {
  const file = disk.openFile(path, "write");
  file.writeAt(bytes, offset);
  file.close();
}

async function sync(disk: Disk, path: string): Promise<void> {
  const file = disk.openFile(path, "write");
  await file.sync();
  file.close();
}

/** The outcomes of one experiment over many seeds. */
async function outcomes(experiment: (disk: SimDisk) => Promise<string>): Promise<Set<string>> {
  const seen = new Set<string>();
  for (let seed = 0; seed < 200; seed++) seen.add(await experiment(new SimDisk({ seed })));
  return seen;
}

Deno.test("SimDisk keeps what was synced, file and name, through a crash", async () => {
  const seen = await outcomes(async (disk) => {
    write(disk, "a", new Uint8Array(2000).fill(1));
    await sync(disk, "a");
    await disk.syncDirectory("");
    disk.crash();
    return disk.contentOf("a").every((byte) => byte === 1) ? "whole" : "torn";
  });
  assert.deepEqual([...seen], ["whole"]);
});

Deno.test("SimDisk loses a name that was not synced, or not", async () => {
  const seen = await outcomes(async (disk) => {
    write(disk, "a", new Uint8Array(10));
    await sync(disk, "a");
    disk.crash();
    return disk.list("").join();
  });
  assert.deepEqual(seen, new Set(["", "a"]));
});

Deno.test("SimDisk keeps, drops or garbles each unit of unsynced bytes by itself", async () => {
  const seen = await outcomes(async (disk) => {
    write(disk, "a", new Uint8Array(1536).fill(1));
    await sync(disk, "a");
    await disk.syncDirectory("");
    write(disk, "a", new Uint8Array(1024).fill(2), 256);
    disk.crash();
    const after = disk.contentOf("a");
    assert.ok(
      after.subarray(0, 256).every((byte) => byte === 1),
      "bytes that were not written are left alone",
    );
    assert.ok(after.subarray(1280).every((byte) => byte === 1));
    const state = (from: number, to: number) => {
      const part = after.subarray(from, to);
      return part.every((byte) => byte === 1) ? "o" : part.every((byte) => byte === 2) ? "n" : "g";
    };
    return state(256, 512) + state(512, 1024) + state(1024, 1280);
  });
  assert.equal(seen.size, 27);
});

Deno.test("SimDisk syncs only what was written before the call", async () => {
  const disk = new SimDisk({ seed: 5, syncMode: "manual" });
  const file = disk.openFile("a", "write");
  file.writeAt(new Uint8Array(100).fill(1), 0);
  const syncing = file.sync();
  const naming = disk.syncDirectory("");
  file.writeAt(new Uint8Array(100).fill(2), 100);
  assert.deepEqual(disk.pendingSyncs, ["a", ""]);
  disk.completeAllSyncs();
  await Promise.all([syncing, naming]);
  const lost = new Set<number>();
  for (let i = 0; i < 100; i++) {
    const copy = new SimDisk({ seed: i });
    const other = copy.openFile("a", "write");
    other.writeAt(new Uint8Array(100).fill(1), 0);
    await Promise.all([other.sync(), copy.syncDirectory("")]);
    other.writeAt(new Uint8Array(100).fill(2), 100);
    copy.crash();
    assert.ok(copy.contentOf("a").subarray(0, 100).every((byte) => byte === 1));
    lost.add(copy.contentOf("a").length);
  }
  assert.ok(lost.has(100) && lost.has(200));
});

Deno.test("SimDisk: after a failed sync the bytes are readable, count as clean, and are gone after a crash", async () => {
  const disk = new SimDisk({ seed: 6 });
  write(disk, "a", new Uint8Array(10).fill(1));
  await sync(disk, "a");
  await disk.syncDirectory("");
  write(disk, "a", new Uint8Array(10).fill(2));
  disk.failNextSyncs(1);
  await assert.rejects(sync(disk, "a"), /Input\/output error/);
  await sync(disk, "a");
  assert.equal(disk.contentOf("a")[0], 2);
  disk.crash();
  assert.equal(disk.contentOf("a")[0], 1);
});

Deno.test("SimDisk fails at the operation asked for and stays down until the crash", async () => {
  const disk = new SimDisk({ seed: 7 });
  const file = disk.openFile("a", "write");
  disk.crashAtOperation(disk.operationCount + 2);
  file.writeAt(new Uint8Array(1), 0);
  assert.throws(() => file.writeAt(new Uint8Array(1), 1), SimCrash);
  assert.equal(disk.isDown, true);
  assert.throws(() => disk.list(""), SimCrash);
  await assert.rejects(file.sync(), SimCrash);
  disk.crash();
  assert.throws(() => file.size(), /was opened before the crash/);
  disk.list("");
});

Deno.test("SimDisk repeats itself for a seed", () => {
  const run = () => {
    const disk = new SimDisk({ seed: 8, unitBytes: 4096 });
    for (let i = 0; i < 20; i++) write(disk, `f${i}`, new Uint8Array(10_000).fill(i));
    disk.crash();
    return disk.list("").map((name) => [name, [...disk.contentOf(name)]]);
  };
  assert.deepEqual(run(), run());
});

Deno.test("SimDisk has a bound, flips bits and refuses reads", () => {
  const disk = new SimDisk({ seed: 9, capacityBytes: 100 });
  assert.throws(() => write(disk, "a", new Uint8Array(150).fill(1)), { code: "disk_full" });
  assert.equal(disk.contentOf("a").length, 100, "what fits is written");
  disk.flipBit("a", 5, 2);
  assert.equal(disk.contentOf("a")[5], 1 ^ 4);
  disk.failReads("a", 50, 60);
  const file = disk.openFile("a", "read");
  assert.equal(file.readAt(new Uint8Array(50), 0), 50);
  assert.throws(() => file.readAt(new Uint8Array(51), 0), /input\/output error/);
});

Deno.test("SimDisk puts a spoiled write elsewhere or nowhere, once, and reports it as done", async () => {
  const disk = new SimDisk({ seed: 10 });
  await write(disk, "a", new Uint8Array(4).fill(1));
  const file = disk.openFile("a", "write");
  disk.spoilNextWrite((path, offset) => path === "a" ? offset + 2 : offset);
  file.writeAt(Uint8Array.of(7), 0);
  file.writeAt(Uint8Array.of(8), 1);
  assert.deepEqual([...disk.contentOf("a")], [1, 8, 7, 1]);
  disk.spoilNextWrite(() => undefined);
  file.writeAt(Uint8Array.of(9), 0);
  assert.deepEqual([...disk.contentOf("a")], [1, 8, 7, 1]);
});
