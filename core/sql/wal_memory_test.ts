import assert from "node:assert/strict";
import { WalMemory } from "./wal_memory.ts";

const PAGE = 512;
const FRAME = 24 + PAGE;

/** Writes frames as SQLite does: header, then page. `pageCount` 0: not the last frame of its transaction. */
function writeFrame(wal: WalMemory, frame: number, pageNumber: number, fill: number, pageCount = 0): boolean {
  const header = new Uint8Array(24);
  new DataView(header.buffer).setUint32(0, pageNumber);
  new DataView(header.buffer).setUint32(4, pageCount);
  const offset = 32 + frame * FRAME;
  return wal.write(header, offset) && wal.write(new Uint8Array(PAGE).fill(fill), offset + 24);
}

function taken(wal: WalMemory): [number, number][] {
  return wal.takePages().map(({ pageNumber, bytes }) => [pageNumber, bytes[0]!]);
}

Deno.test("pages leave in their newest committed version, once", () => {
  const wal = new WalMemory(PAGE, 1, 100 * PAGE, 0);
  writeFrame(wal, 0, 1, 10);
  writeFrame(wal, 1, 2, 20, 2);
  wal.commit();
  writeFrame(wal, 2, 2, 21, 2);
  wal.commit();
  assert.deepEqual(taken(wal), [[1, 10], [2, 21]]);
  assert.deepEqual(taken(wal), []);
  assert.equal(wal.pageCount, 2);
  assert.equal(wal.commits, 2);
});

Deno.test("frames of a transaction that was rolled back are not delivered, and are overwritten", () => {
  const wal = new WalMemory(PAGE, 1, 100 * PAGE, 0);
  writeFrame(wal, 0, 1, 10, 1);
  wal.commit();
  writeFrame(wal, 1, 1, 66);
  writeFrame(wal, 2, 7, 66);
  assert.deepEqual(taken(wal), [[1, 10]]);
  writeFrame(wal, 1, 1, 11, 1);
  wal.commit();
  assert.deepEqual(taken(wal), [[1, 11]]);
});

Deno.test("after a cache spill frames are written again in place: the state at the commit counts", () => {
  const wal = new WalMemory(PAGE, 1, 100 * PAGE, 0);
  writeFrame(wal, 0, 1, 1);
  writeFrame(wal, 1, 2, 1);
  writeFrame(wal, 0, 1, 2);
  writeFrame(wal, 2, 3, 3, 3);
  writeFrame(wal, 2, 3, 4, 3);
  wal.commit();
  assert.deepEqual(taken(wal), [[1, 2], [2, 1], [3, 4]]);
});

Deno.test("a commit without frames changes nothing", () => {
  const wal = new WalMemory(PAGE, 5, 100 * PAGE, 0);
  wal.commit();
  assert.deepEqual([wal.commits, wal.pageCount, taken(wal).length], [0, 5, 0]);
});

Deno.test("a database that shrank and grew delivers every page between, zeros where nothing was written", () => {
  const wal = new WalMemory(PAGE, 6, 100 * PAGE, 0);
  writeFrame(wal, 0, 1, 1, 2);
  wal.commit();
  writeFrame(wal, 1, 4, 4, 5);
  wal.commit();
  assert.deepEqual(taken(wal), [[1, 1], [3, 0], [4, 4], [5, 0]]);
});

Deno.test("pages beyond the end are left out", () => {
  const wal = new WalMemory(PAGE, 1, 100 * PAGE, 0);
  writeFrame(wal, 0, 9, 9, 9);
  wal.commit();
  writeFrame(wal, 1, 1, 1, 1);
  wal.commit();
  assert.deepEqual(taken(wal), [[1, 1]]);
});

Deno.test("a transaction of more pages than the limit is refused at its first page too many", () => {
  const wal = new WalMemory(PAGE, 1, 2 * PAGE, 0);
  assert.equal(writeFrame(wal, 0, 1, 1), true);
  assert.equal(writeFrame(wal, 1, 2, 1), true);
  assert.equal(wal.transactionWasTooLarge, false);
  assert.equal(writeFrame(wal, 2, 3, 1, 3), false);
  assert.equal(wal.transactionWasTooLarge, true);
  wal.commit();
  assert.deepEqual(taken(wal), []);
});

Deno.test("frames lie in many chunks and are read back whole", () => {
  const wal = new WalMemory(PAGE, 1, 1_000 * PAGE, 0);
  for (let frame = 0; frame < 300; frame += 1) {
    writeFrame(wal, frame, frame + 1, frame % 256, frame === 299 ? 300 : 0);
  }
  wal.commit();
  const into = new Uint8Array(PAGE);
  assert.equal(wal.read(into, 32 + 250 * FRAME + 24), PAGE);
  assert.equal(into[0], 250);
  assert.equal(taken(wal).length, 300);
  wal.truncate(0);
  assert.equal(wal.size(), 0);
  assert.equal(wal.read(into, 32), 0);
});

Deno.test("the WAL is never emptied before its frames are delivered", () => {
  const wal = new WalMemory(PAGE, 1, 100 * PAGE, 0);
  writeFrame(wal, 0, 1, 1, 1);
  wal.commit();
  assert.throws(() => wal.truncate(0), /before its frames are delivered/);
});
