import assert from "node:assert/strict";
import { NodeError } from "../../core/base/errors.ts";
import type { Disk } from "../../core/base/ports.ts";

/** What the core may rely on, whichever disk it runs on. `open` gives an empty data folder. */
export function diskContract(
  name: string,
  open: () => { readonly disk: Disk; readonly close: () => void },
): void {
  const test = (what: string, body: (disk: Disk) => void | Promise<void>) =>
    Deno.test(`${name} ${what}`, async () => {
      const { disk, close } = open();
      try {
        await body(disk);
      } finally {
        close();
      }
    });

  test("creates a file only for writing", (disk) => {
    assert.throws(() => disk.openFile("a", "read"));
    assert.equal(disk.exists("a"), false);
    const file = disk.openFile("a", "write");
    assert.equal(file.size(), 0);
    file.close();
    assert.equal(disk.exists("a"), true);
    assert.throws(() => disk.openFile("missing/a", "write"));
  });

  test("reads what was written, short only at the end", (disk) => {
    const file = disk.openFile("a", "write");
    file.writeAt(bytes(1, 2, 3, 4), 0);
    file.writeAt(bytes(9, 8), 3);
    const into = new Uint8Array(10).fill(7);
    assert.equal(file.readAt(into, 1), 4);
    assert.deepEqual(into, bytes(2, 3, 9, 8, 7, 7, 7, 7, 7, 7));
    assert.equal(file.readAt(into, 5), 0);
    assert.equal(file.readAt(into, 500), 0);
    assert.equal(file.readAt(new Uint8Array(0), 0), 0);
    assert.equal(file.size(), 5);
    file.close();
  });

  test("reads zeros in a gap", (disk) => {
    const file = disk.openFile("a", "write");
    file.writeAt(bytes(1), 5000);
    const into = new Uint8Array(5001).fill(7);
    assert.equal(file.readAt(into, 0), 5001);
    assert.ok(into.subarray(0, 5000).every((byte) => byte === 0));
    assert.equal(into[5000], 1);
    file.close();
  });

  test("writes megabytes at once, also from shared memory and from the middle of a buffer", (disk) => {
    const file = disk.openFile("a", "write");
    const shared = new Uint8Array(new SharedArrayBuffer(3 * 1024 * 1024));
    for (let i = 0; i < shared.length; i++) shared[i] = i * 7;
    file.writeAt(shared.subarray(100, 2_500_000), 10);
    const into = new Uint8Array(shared.length);
    assert.equal(file.readAt(into.subarray(100, 2_500_000), 10), 2_499_900);
    assert.ok(into.subarray(100, 2_500_000).every((byte, i) => byte === shared[i + 100]));
    const intoShared = new Uint8Array(new SharedArrayBuffer(50));
    assert.equal(file.readAt(intoShared, 10), 50);
    assert.deepEqual([...intoShared], [...shared.subarray(100, 150)]);
    file.close();
  });

  test("shortens and lengthens files", (disk) => {
    const file = disk.openFile("a", "write");
    file.writeAt(bytes(1, 2, 3, 4), 0);
    file.truncate(2);
    assert.equal(file.size(), 2);
    file.truncate(4);
    const into = new Uint8Array(4);
    assert.equal(file.readAt(into, 0), 4);
    assert.deepEqual(into, bytes(1, 2, 0, 0));
    file.close();
  });

  test("shows a write at once to every other handle", (disk) => {
    const writer = disk.openFile("a", "write");
    const reader = disk.openFile("a", "read");
    writer.writeAt(bytes(5, 6), 0);
    const into = new Uint8Array(2);
    assert.equal(reader.readAt(into, 0), 2);
    assert.deepEqual(into, bytes(5, 6));
    assert.throws(() => reader.writeAt(bytes(1), 0));
    writer.close();
    reader.close();
  });

  test("goes on reading and writing while a sync runs", async (disk) => {
    const file = disk.openFile("a", "write");
    file.writeAt(new Uint8Array(1024 * 1024).fill(3), 0);
    const syncs = [file.sync(), file.sync()];
    file.writeAt(bytes(1, 2), 0);
    const into = new Uint8Array(3);
    assert.equal(file.readAt(into, 0), 3);
    assert.deepEqual(into, bytes(1, 2, 3));
    await Promise.all(syncs);
    await file.sync();
    file.close();
  });

  test("keeps an open file readable when its name is gone", async (disk) => {
    const file = disk.openFile("a", "write");
    file.writeAt(bytes(1), 0);
    disk.remove("a");
    assert.equal(disk.exists("a"), false);
    const into = new Uint8Array(1);
    assert.equal(file.readAt(into, 0), 1);
    await file.sync();
    file.close();
    assert.throws(() => disk.remove("a"));
  });

  test("renames over an existing file", (disk) => {
    put(disk, "a", 1);
    put(disk, "b", 2);
    disk.rename("a", "b");
    assert.equal(disk.exists("a"), false);
    const file = disk.openFile("b", "read");
    const into = new Uint8Array(1);
    file.readAt(into, 0);
    assert.equal(into[0], 1);
    file.close();
    assert.throws(() => disk.rename("missing", "c"));
  });

  test("makes folders with their parents and lists names in order", async (disk) => {
    assert.deepEqual(disk.list(""), []);
    assert.deepEqual(disk.list("x/y"), []);
    disk.makeDirectory("x/y");
    disk.makeDirectory("x/y");
    assert.equal(disk.exists("x"), true);
    put(disk, "x/y/b", 1);
    put(disk, "x/y/a", 1);
    put(disk, "top", 1);
    assert.deepEqual(disk.list("x/y"), ["a", "b"]);
    assert.deepEqual(disk.list("x"), ["y"]);
    assert.deepEqual(disk.list(""), ["top", "x"]);
    disk.rename("x/y/a", "moved");
    assert.deepEqual(disk.list("x/y"), ["b"]);
    await disk.syncDirectory("x/y");
    await disk.syncDirectory("");
    await assert.rejects(disk.syncDirectory("missing"));
  });
}

/** What a disk without room does. `open` gives a disk on which writes to `path` find no room. */
export function fullDiskContract(
  name: string,
  open: () => { readonly disk: Disk; readonly path: string },
): void {
  Deno.test(`${name} refuses a write without room with the code disk_full`, () => {
    const { disk, path } = open();
    const file = disk.openFile(path, "write");
    assert.throws(() => file.writeAt(new Uint8Array(8192), 0), (error: unknown) => {
      assert.ok(error instanceof NodeError);
      assert.equal(error.code, "disk_full");
      assert.match(error.message, /the disk is full; free some space/);
      return true;
    });
    file.close();
  });
}

function put(disk: Disk, path: string, byte: number): void {
  const file = disk.openFile(path, "write");
  file.writeAt(bytes(byte), 0);
  file.close();
}

function bytes(...values: number[]): Uint8Array {
  return Uint8Array.from(values);
}
