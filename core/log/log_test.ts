import assert from "node:assert/strict";
import { SeededRandom } from "../../tests/support/seeded_random.ts";
import { SimDisk } from "../../tests/support/sim_disk.ts";
import { type Entry, EntryType } from "../raft/message.ts";
import { DamageError } from "./damage.ts";
import { Log } from "./log.ts";
import type { LogOptions } from "./log_options.ts";
import { chainHash } from "./record.ts";
import { LOG_FOLDER, type LogBase } from "./segment_header.ts";
import { SegmentReader } from "./segment_reader.ts";

const CLUSTER = "00112233445566778899aabbccddeeff";

function options(more: Partial<LogOptions> = {}): LogOptions {
  return { clusterId: CLUSTER, ...more };
}

/** Entries after `base`, with data that differs from entry to entry. */
function entriesAfter(base: LogBase, count: number, term: number, bytes = 100): Entry[] {
  const entries: Entry[] = [];
  let hash = base.hash;
  for (let index = base.index + 1; index <= base.index + count; index++) {
    const data = new SeededRandom(index * 1000 + term).bytes(bytes + index % 7);
    hash = chainHash(hash, term, index, EntryType.data, data);
    entries.push({ index, term, type: EntryType.data, hash, data });
  }
  return entries;
}

const START: LogBase = { index: 0, term: 0, hash: 0 };

async function openOn(disk: SimDisk, more: Partial<LogOptions> = {}): Promise<Log> {
  return (await Log.open(disk, options(more))).log;
}

function all(log: Log): Entry[] {
  return log.lastIndex() < log.firstIndex()
    ? []
    : log.entries(log.firstIndex(), log.lastIndex(), Number.MAX_SAFE_INTEGER);
}

Deno.test("Log is empty in a new folder", async () => {
  const log = await openOn(new SimDisk({ seed: 1 }));
  assert.equal(log.firstIndex(), 1);
  assert.equal(log.lastIndex(), 0);
  assert.equal(log.termAt(0), 0);
  assert.equal(log.hashAt(0), 0);
  assert.equal(log.termAt(1), undefined);
  await log.close();
});

Deno.test("Log gives entries back, from memory, from disk and after a restart", async () => {
  const disk = new SimDisk({ seed: 2 });
  const log = await openOn(disk, { segmentBytesMax: 1000, cacheBytesMax: 600 });
  const entries = entriesAfter(START, 40, 3);
  for (let i = 0; i < 40; i += 4) log.append(entries.slice(i, i + 4), i);
  assert.deepEqual(all(log), entries);
  assert.ok(log.segments().list.length > 3);
  assert.equal(log.syncedIndex, 0);
  await log.sync();
  assert.equal(log.syncedIndex, 40);
  await log.close();
  disk.crash();

  const heard: Entry[] = [];
  const positions: number[] = [];
  const { log: again, recovery } = await Log.open(
    disk,
    options({
      onEntry: (entry, position) => {
        heard.push({ ...entry, data: entry.data.slice() });
        positions.push(position);
      },
    }),
  );
  assert.deepEqual(all(again), entries);
  assert.deepEqual(heard, entries);
  assert.deepEqual(positions, entries.map(({ index }) => again.positionOf(index)));
  assert.equal(recovery.commitIndex, 36);
  assert.equal(recovery.tornTail, undefined);
  assert.equal(again.syncedIndex, 40);
  await again.close();
});

Deno.test("Log.entries() is cut after bytesMax and never empty", async () => {
  const log = await openOn(new SimDisk({ seed: 3 }), { cacheBytesMax: 0 });
  log.append(entriesAfter(START, 10, 1, 1000), 0);
  const sizes = (bytesMax: number) => log.entries(2, 9, bytesMax).length;
  assert.equal(sizes(0), 1);
  assert.equal(sizes(1002 + 1003), 2);
  assert.equal(sizes(1002 + 1003 - 1), 1);
  assert.equal(sizes(1e9), 8);
  assert.throws(() => log.entries(5, 11, 1), /Cannot read entries 5 to 11: the log holds 1 to 10/);
  await log.close();
});

Deno.test("Log.append() writes once per call and segment", async () => {
  const writes: string[] = [];
  const disk = new SimDisk({ seed: 4 });
  const log = await openOn(disk, { segmentBytesMax: 10_000, fillAheadBytes: 0 });
  disk.onOperation = ({ kind, path }) => {
    if (kind === "write") writes.push(path);
  };
  const entries = entriesAfter(START, 100, 1);
  log.append(entries.slice(0, 20), 0);
  assert.equal(writes.length, 1);
  log.append(entries.slice(20), 0);
  assert.equal(writes.length, 1 + 1 + new Set(writes).size - 1);
  assert.ok(new Set(writes).size > 1);
  await log.close();
});

Deno.test("Log.append() replaces a tail, over segments, and files of the old tail go with the next sync", async () => {
  const disk = new SimDisk({ seed: 5 });
  const log = await openOn(disk, { segmentBytesMax: 1000 });
  const old = entriesAfter(START, 30, 1);
  log.append(old, 0);
  await log.sync();
  const files = disk.list(LOG_FOLDER).length;
  const fresh = entriesAfter(old[3] as Entry, 5, 2);
  const positionBefore = log.positionOf(30);
  log.append(fresh, 0);
  assert.equal(log.syncedIndex, 4);
  assert.equal(log.lastIndex(), 9);
  assert.equal(log.termAt(10), undefined);
  assert.deepEqual(all(log), [...old.slice(0, 4), ...fresh]);
  assert.ok(log.positionOf(5) > positionBefore, "positions are never used again");
  await log.sync();
  assert.ok(disk.list(LOG_FOLDER).length < files);
  await log.close();
  disk.crash();
  assert.deepEqual(all(await openOn(disk)), [...old.slice(0, 4), ...fresh]);
});

Deno.test("Log.append() can replace everything", async () => {
  const disk = new SimDisk({ seed: 6 });
  const log = await openOn(disk);
  log.append(entriesAfter(START, 5, 1), 0);
  await log.sync();
  const fresh = entriesAfter(START, 2, 2);
  log.append(fresh, 0);
  await log.sync();
  await log.close();
  disk.crash();
  assert.deepEqual(all(await openOn(disk)), fresh);
});

Deno.test("Log.append() refuses gaps, falling terms and wrong hashes", async () => {
  const log = await openOn(new SimDisk({ seed: 7 }));
  const entries = entriesAfter(START, 5, 3);
  log.append(entries, 0);
  const next = entriesAfter(entries[4] as Entry, 2, 3);
  assert.throws(() => log.append(next.slice(1), 0), /Cannot append entry 7: the log holds 1 to 5/);
  assert.throws(
    () => log.append(entriesAfter(entries[4] as Entry, 1, 2), 0),
    /of term 2 after entry 5 of term 3/,
  );
  assert.equal(log.failure, undefined);
  assert.throws(
    () => log.append([{ ...(next[0] as Entry), hash: 7 }], 0),
    /Entry 6 does not carry the hash/,
  );
  await log.close();
});

Deno.test("Log.sync() is shared: one under way, one queued", async () => {
  const disk = new SimDisk({ seed: 8, syncMode: "manual" });
  const opening = Log.open(disk, options());
  await completeSyncsUntil(disk, opening);
  const { log } = await opening;
  const entries = entriesAfter(START, 4, 1);
  log.append(entries.slice(0, 1), 0);
  const first = log.sync();
  assert.equal(disk.pendingSyncs.length, 2, "the file and its folder");
  log.append(entries.slice(1, 3), 0);
  const second = log.sync();
  const third = log.sync();
  assert.equal(second, third);
  assert.equal(disk.pendingSyncs.length, 2);
  disk.completeAllSyncs();
  await first;
  assert.equal(log.syncedIndex, 1, "what came later is not covered");
  await turn();
  assert.equal(disk.pendingSyncs.length, 1);
  log.append(entriesAfter(entries[1] as Entry, 1, 2), 0);
  disk.completeAllSyncs();
  await second;
  assert.equal(log.syncedIndex, 2, "what was truncated meanwhile is not claimed");
  assert.equal(log.syncCount, 3);
});

Deno.test("Log refuses everything after a failed sync (promise 1)", async () => {
  const disk = new SimDisk({ seed: 9, syncMode: "manual" });
  const opening = Log.open(disk, options());
  await completeSyncsUntil(disk, opening);
  const { log } = await opening;
  const entries = entriesAfter(START, 3, 1);
  log.append(entries.slice(0, 2), 0);
  const first = log.sync();
  const second = log.sync();
  disk.failSync();
  await assert.rejects(first, /Input\/output error/);
  await assert.rejects(second, /Input\/output error/);
  assert.equal(log.syncedIndex, 0);
  await assert.rejects(log.sync());
  assert.throws(() => log.append(entries.slice(2), 0), /an earlier write or sync failed .* end the process/);
  assert.equal(all(log).length, 2, "reading goes on");
});

Deno.test("Log does not trust bytes that a failed sync left in the cache (promise 1)", async () => {
  const disk = new SimDisk({ seed: 10 });
  const log = await openOn(disk);
  const entries = entriesAfter(START, 6, 1);
  log.append(entries.slice(0, 3), 0);
  await log.sync();
  log.append(entries.slice(3), 0);
  disk.failNextSyncs(1);
  await assert.rejects(log.sync());
  // The process restarts, the machine does not: the bytes are still readable and count as clean.
  const again = await openOn(disk);
  assert.equal(again.syncedIndex, 6);
  disk.crash();
  assert.deepEqual(all(await openOn(disk)), entries);
});

Deno.test("Log survives a full disk", async () => {
  const disk = new SimDisk({ seed: 11, capacityBytes: 4000 });
  const log = await openOn(disk);
  const entries = entriesAfter(START, 40, 1);
  log.append(entries.slice(0, 10), 0);
  await log.sync();
  assert.throws(() => log.append(entries.slice(10), 0), { code: "disk_full" });
  assert.equal(log.lastIndex(), 10);
  assert.equal(log.failure, undefined);
  disk.capacityBytes = Infinity;
  log.append(entries.slice(10), 0);
  await log.sync();
  assert.deepEqual(all(log), entries);
  await log.close();
  disk.crash();
  assert.deepEqual(all(await openOn(disk)), entries);
});

Deno.test("Log fills files with zeros ahead, up to the size of a segment, and does without when there is no room", async () => {
  const disk = new SimDisk({ seed: 18 });
  const log = await openOn(disk, { segmentBytesMax: 20_000, fillAheadBytes: 8_192 });
  const entries = entriesAfter(START, 100, 1, 500);
  for (const entry of entries.slice(0, 10)) log.append([entry], 0);
  const path = log.segments().list[0]?.path ?? "";
  const used = log.positionOf(10) + (entries[9] as Entry).data.length;
  assert.ok(disk.contentOf(path).length >= used + 2_048);
  assert.ok(disk.contentOf(path).subarray(used).every((byte) => byte === 0));
  for (const entry of entries.slice(10, 60)) log.append([entry], 0);
  assert.equal(disk.contentOf(path).length, 20_000);
  await log.sync();
  // Room for what is left of the zeros that are there, and a little more.
  disk.capacityBytes = disk.usedBytes + 1_000;
  let appended = 60;
  assert.throws(() => {
    for (const entry of entries.slice(60)) {
      log.append([entry], 0);
      appended++;
    }
  }, { code: "disk_full" });
  assert.ok(appended > 62, `${appended}`);
  assert.equal(log.lastIndex(), appended);
  disk.capacityBytes = Infinity;
  await log.sync();
  await log.close();
  disk.crash();
  assert.deepEqual(all(await openOn(disk)), entries.slice(0, appended));
});

Deno.test("Log.removeBefore() drops whole segments and keeps what comes before the rest", async () => {
  const disk = new SimDisk({ seed: 12 });
  const log = await openOn(disk, { segmentBytesMax: 1000 });
  const entries = entriesAfter(START, 40, 2);
  log.append(entries, 0);
  assert.equal(await log.removeBefore(30), undefined);
  assert.equal(log.firstIndex(), 1, "nothing is durable yet");
  await log.sync();
  await log.removeBefore(30);
  assert.equal(log.firstIndex(), 1, "no record says so yet");
  const more = entriesAfter(entries[39] as Entry, 1, 2);
  log.append(more, 0);
  await log.sync();
  const { version } = log.segments();
  await log.removeBefore(30);
  const first = log.firstIndex();
  assert.ok(first > 20 && first <= 30);
  assert.notEqual(log.segments().version, version);
  assert.equal(log.termAt(first - 1), 2);
  assert.equal(log.hashAt(first - 1), entries[first - 2]?.hash);
  assert.equal(log.termAt(first - 2), undefined);
  await log.close();
  disk.crash();
  const again = await openOn(disk);
  assert.equal(again.firstIndex(), first);
  assert.equal(again.hashAt(first - 1), entries[first - 2]?.hash);
  assert.deepEqual(all(again), [...entries.slice(first - 1), ...more]);
  await again.removeBefore(42);
  assert.equal(again.lastIndex(), 41);
});

Deno.test("Log.restart() begins anew after a snapshot", async () => {
  const disk = new SimDisk({ seed: 13 });
  const log = await openOn(disk, { segmentBytesMax: 1000 });
  log.append(entriesAfter(START, 20, 1), 0);
  await log.sync();
  const base = { index: 100, term: 4, hash: 77 };
  log.restart(base);
  assert.equal(log.firstIndex(), 101);
  assert.equal(log.lastIndex(), 100);
  assert.equal(log.termAt(100), 4);
  const fresh = entriesAfter(base, 5, 4);
  log.append(fresh, 0);
  await log.sync();
  // A tail that is replaced down to the first entry must not bring the old log back.
  const other = entriesAfter(base, 2, 5);
  log.append(other, 0);
  await log.sync();
  await log.close();
  disk.crash();
  const { log: again, restarted } = await Log.open(disk, options({ base }));
  assert.equal(restarted, false);
  assert.equal(again.firstIndex(), 101);
  assert.deepEqual(all(again), other);
});

Deno.test("Log.open() begins anew when the log ends before the snapshot or contradicts it", async () => {
  const disk = new SimDisk({ seed: 14 });
  const log = await openOn(disk);
  const entries = entriesAfter(START, 20, 1);
  log.append(entries, 0);
  await log.sync();
  await log.close();
  const held = await Log.open(disk, options({ base: entries[9] as Entry }));
  assert.equal(held.restarted, false);
  assert.equal(held.log.firstIndex(), 1);
  const ahead = { index: 50, term: 2, hash: 9 };
  for (const base of [{ index: 10, term: 2, hash: 5 }, ahead]) {
    const { log: again, restarted } = await Log.open(disk.clone(3), options({ base }));
    assert.equal(restarted, true);
    assert.equal(again.firstIndex(), base.index + 1);
    assert.equal(again.lastIndex(), base.index);
  }
});

Deno.test("Log.open() refuses a log with a gap after the snapshot, and one of another cluster", async () => {
  const disk = new SimDisk({ seed: 15 });
  const log = await openOn(disk, { segmentBytesMax: 1000 });
  const entries = entriesAfter(START, 30, 1);
  log.append(entries.slice(0, 29), 0);
  await log.sync();
  log.append(entries.slice(29), 0);
  await log.sync();
  await log.removeBefore(20);
  await log.close();
  const base = { index: 3, term: 1, hash: 1 };
  await assert.rejects(Log.open(disk, options({ base })), (error: unknown) => {
    assert.ok(error instanceof DamageError);
    assert.equal(error.damaged[0]?.fromIndex, 4);
    return true;
  });
  await assert.rejects(
    openOn(disk, { clusterId: "f".repeat(32) }),
    /belongs to cluster 00112233.* this node to ffff/,
  );
});

Deno.test("SegmentReader follows a log that another thread appends to", async () => {
  const disk = new SimDisk({ seed: 16 });
  const log = await openOn(disk, { segmentBytesMax: 2000 });
  const reader = new SegmentReader(disk, []);
  let version = 0;
  let previous: LogBase = START;
  for (let round = 0; round < 30; round++) {
    const entries = entriesAfter(previous, 3, 1);
    log.append(entries, 0);
    previous = entries.at(-1) as Entry;
    if (log.segments().version !== version) {
      version = log.segments().version;
      reader.update(log.segments().list);
    }
    for (const entry of entries) {
      const into = new Uint8Array(entry.data.length - 10);
      reader.readAt(log.positionOf(entry.index) + 10, into);
      assert.deepEqual(into, entry.data.subarray(10));
      log.readAt(log.positionOf(entry.index) + 10, into);
      assert.deepEqual(into, entry.data.subarray(10));
    }
  }
  assert.ok(log.segments().list.length > 3);
  const into = new Uint8Array(5000);
  assert.throws(() => reader.readAt(log.positionOf(2), into), /Cannot read 5000 bytes of the log/);
  await log.close();
});

Deno.test("Log.entries() reports damage and never returns wrong bytes (promise 6)", async () => {
  const disk = new SimDisk({ seed: 17 });
  const log = await openOn(disk, { cacheBytesMax: 0 });
  const entries = entriesAfter(START, 10, 1);
  log.append(entries, 0);
  await log.sync();
  const [name] = disk.list(LOG_FOLDER);
  const path = `${LOG_FOLDER}/${name}`;
  disk.flipBit(path, log.positionOf(4) + 20, 3);
  assert.equal(log.entries(1, 3, 1e9).length, 3);
  assert.throws(() => log.entries(1, 10, 1e9), (error: unknown) => {
    assert.ok(error instanceof DamageError);
    assert.deepEqual(error.damaged, [
      { segment: path, fromIndex: 4, toIndex: 4, why: "the checksum of the body is wrong" },
    ]);
    return true;
  });
  disk.failReads(path, log.positionOf(7), log.positionOf(7) + 1);
  assert.throws(() => log.entries(7, 7, 1e9), /input\/output error/);
  await log.close();
});

function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

async function completeSyncsUntil(disk: SimDisk, ending: Promise<unknown>): Promise<void> {
  let ended = false;
  ending.then(() => ended = true, () => ended = true);
  while (!ended) {
    disk.completeAllSyncs();
    await turn();
  }
}
