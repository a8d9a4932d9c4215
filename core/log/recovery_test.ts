import assert from "node:assert/strict";
import { SeededRandom } from "../../tests/support/seeded_random.ts";
import { SimDisk } from "../../tests/support/sim_disk.ts";
import { type Entry, EntryType } from "../raft/message.ts";
import { type DamagedRange, DamageError, UnknownFormatError } from "./damage.ts";
import { crc32 } from "../codec/crc32.ts";
import { Log } from "./log.ts";
import type { RecoveryReport } from "./recovery.ts";
import { chainHash, paddingAfter, RECORD_HEADER_BYTES } from "./record.ts";
import { LOG_FOLDER, SEGMENT_HEADER_BYTES } from "./segment_header.ts";

const CLUSTER_ID = "0123456789abcdef0123456789abcdef";
const SEGMENT_BYTES_MAX = 900;

interface Place {
  readonly path: string;
  /** Offset of the record in its file. */
  readonly offset: number;
  readonly bodyLength: number;
}

interface Sample {
  readonly disk: SimDisk;
  readonly entries: readonly Entry[];
  readonly places: readonly Place[];
}

/** Twelve entries in several segments, each synced before the next one was written: all but the last are noted as durable. */
async function sample(count = 12): Promise<Sample> {
  const disk = new SimDisk({ seed: 1 });
  const { log } = await Log.open(disk, {
    clusterId: CLUSTER_ID,
    segmentBytesMax: SEGMENT_BYTES_MAX,
    fillAheadBytes: 0,
  });
  const entries: Entry[] = [];
  let hash = 0;
  for (let index = 1; index <= count; index++) {
    const data = new SeededRandom(index).bytes(90 + index);
    hash = chainHash(hash, 1, index, EntryType.data, data);
    entries.push({ index, term: 1, type: EntryType.data, hash, data });
    log.append(entries.slice(-1), index - 1);
    await log.sync();
  }
  const places = entries.map(({ index, data }) => {
    const position = log.positionOf(index) - RECORD_HEADER_BYTES;
    const segment = log.segments().list.findLast(({ startPosition }) => startPosition <= position);
    assert.ok(segment !== undefined);
    return { path: segment.path, offset: position - segment.startPosition, bodyLength: data.length };
  });
  await log.close();
  return { disk, entries, places };
}

type Outcome =
  | { readonly kind: "open"; readonly entries: readonly Entry[]; readonly recovery: RecoveryReport }
  | { readonly kind: "damaged"; readonly damaged: readonly DamagedRange[] };

async function reopen(disk: SimDisk): Promise<Outcome> {
  try {
    const { log, recovery } = await Log.open(disk, {
      clusterId: CLUSTER_ID,
      base: { index: 0, term: 0, hash: 0 },
    });
    const entries = log.lastIndex() === 0 ? [] : log.entries(1, log.lastIndex(), Number.MAX_SAFE_INTEGER);
    await log.close();
    return { kind: "open", entries, recovery };
  } catch (error) {
    if (error instanceof DamageError) return { kind: "damaged", damaged: error.damaged };
    throw error;
  }
}

function overwrite(disk: SimDisk, path: string, change: (bytes: Uint8Array) => Uint8Array): void {
  disk.putFile(path, change(disk.contentOf(path)));
}

Deno.test("recovery reports damage in every region of a durable record and never cuts (promise 6)", async () => {
  const { disk, places } = await sample();
  for (const index of [1, 5, 6, 7, 11]) {
    const { path, offset, bodyLength } = places[index - 1] as Place;
    const regions = {
      magic: 0,
      type: 6,
      length: 9,
      bodyCrc: 12,
      index: 16,
      term: 24,
      note: 32,
      hash: 48,
      position: 52,
      headerCrc: 60,
      bodyStart: RECORD_HEADER_BYTES,
      bodyEnd: RECORD_HEADER_BYTES + bodyLength - 1,
    };
    for (const [region, at] of Object.entries(regions)) {
      const damaged = disk.clone(2);
      damaged.flipBit(path, offset + at, 1);
      const before = damaged.list(LOG_FOLDER);
      const outcome = await reopen(damaged);
      assert.equal(outcome.kind, "damaged", `${region} of entry ${index}`);
      if (outcome.kind !== "damaged") continue;
      const [found] = outcome.damaged;
      assert.deepEqual(
        { segment: found?.segment, fromIndex: found?.fromIndex, toIndex: found?.toIndex },
        { segment: path, fromIndex: index, toIndex: index },
        region,
      );
      assert.deepEqual(damaged.list(LOG_FOLDER), before);
    }
  }
});

Deno.test("recovery: no flipped bit goes unnoticed but in padding", async () => {
  const { disk, entries, places } = await sample();
  const last = entries.length;
  for (const path of new Set(places.map((place) => place.path))) {
    const size = disk.contentOf(path).length;
    const inside = places.flatMap((place, i) => place.path === path ? [{ ...place, index: i + 1 }] : []);
    for (let at = 0; at < size; at++) {
      const flipped = disk.clone(3);
      flipped.flipBit(path, at, at % 8);
      const outcome = await reopen(flipped);
      const owner = inside.findLast(({ offset }) => offset <= at);
      const end = (owner?.offset ?? 0) + RECORD_HEADER_BYTES + (owner?.bodyLength ?? 0);
      const isPadding = owner !== undefined && at >= end && at < end + paddingAfter(end);
      const what = `byte ${at} of ${path}`;
      if (isPadding) {
        assert.ok(outcome.kind === "open" && outcome.entries.length === last, what);
      } else if (owner?.index === last) {
        // Nothing on disk says that the newest batch was synced: it is a torn tail.
        assert.ok(outcome.kind === "open" && outcome.entries.length === last - 1, what);
        assert.equal(outcome.recovery.tornTail?.fromIndex, last);
      } else {
        assert.equal(outcome.kind, "damaged", what);
      }
    }
  }
});

Deno.test("recovery reports a missing file, a shortened file and zeros in the middle", async () => {
  const { disk, places } = await sample(20);
  const paths = [...new Set(places.map((place) => place.path))];
  const [first, second, third] = paths as [string, string, string];
  const cases: { name: string; change: (disk: SimDisk) => void; from: number }[] = [
    { name: "first missing", change: (d) => d.remove(first), from: 1 },
    { name: "middle missing", change: (d) => d.remove(second), from: indexesIn(second, places)[0] as number },
    {
      name: "shortened",
      change: (d) => overwrite(d, second, (bytes) => bytes.slice(0, -150)),
      from: indexesIn(second, places).at(-1) as number,
    },
    {
      name: "empty",
      change: (d) => overwrite(d, third, () => new Uint8Array(0)),
      from: indexesIn(third, places)[0] as number,
    },
    {
      name: "zeros",
      change: (d) => {
        const { path, offset, bodyLength } = places[2] as Place;
        overwrite(d, path, (bytes) => bytes.fill(0, offset, offset + RECORD_HEADER_BYTES + bodyLength));
      },
      from: 3,
    },
    { name: "unreadable", change: (d) => d.failReads(first, 200, 201), from: 1 },
  ];
  for (const { name, change, from } of cases) {
    const damaged = disk.clone(4);
    change(damaged);
    const outcome = await reopen(damaged);
    assert.equal(outcome.kind, "damaged", name);
    if (outcome.kind === "damaged") assert.equal(outcome.damaged[0]?.fromIndex, from, name);
  }
});

function indexesIn(path: string, places: readonly Place[]): number[] {
  return places.flatMap((place, i) => place.path === path ? [i + 1] : []);
}

Deno.test("recovery names several damaged places", async () => {
  const { disk, places } = await sample();
  for (const index of [2, 3, 8]) {
    const { path, offset } = places[index - 1] as Place;
    disk.flipBit(path, offset + RECORD_HEADER_BYTES, 0);
  }
  const outcome = await reopen(disk);
  assert.equal(outcome.kind, "damaged");
  if (outcome.kind === "damaged") {
    assert.deepEqual(outcome.damaged.map(({ fromIndex, toIndex }) => [fromIndex, toIndex]), [[2, 2], [3, 3], [
      8,
      8,
    ]]);
  }
});

Deno.test("recovery cuts an unsynced batch whose records reached the disk in any order", async () => {
  const { disk, entries } = await sample(3);
  const { log } = await Log.open(disk, { clusterId: CLUSTER_ID });
  let { hash } = entries[2] as Entry;
  const batch = [4, 5, 6, 7].map((index): Entry => {
    const data = new SeededRandom(index).bytes(600);
    hash = chainHash(hash, 1, index, EntryType.data, data);
    return { index, term: 1, type: EntryType.data, hash, data };
  });
  log.append(batch, 3);
  const segment = log.segments().list.at(-1);
  assert.ok(segment !== undefined);
  const bodyAt = (index: number) => log.positionOf(index) - segment.startPosition;
  const torn = disk.clone(5);
  overwrite(torn, segment.path, (bytes) => bytes.fill(0, bodyAt(5) - RECORD_HEADER_BYTES, bodyAt(6) - 200));
  const outcome = await reopen(torn);
  assert.ok(outcome.kind === "open");
  assert.deepEqual(outcome.entries, [...entries, ...batch.slice(0, 1)]);
  assert.equal(outcome.recovery.tornTail?.why, "zeros lie where a record should");
  assert.equal(outcome.recovery.commitIndex, 3);
  // What was cut stays away, also when the place becomes readable again.
  torn.putFile(segment.path, disk.contentOf(segment.path));
  const again = await reopen(torn);
  assert.ok(again.kind === "open");
  assert.equal(again.entries.length, 4);
});

/** A log 1 to 6 whose tail from 4 on was replaced by two new files; `between` runs when the first one is written. */
async function replacedTail(
  between: (log: Log) => Promise<void>,
): Promise<{ disk: SimDisk; old: Entry[]; files: string[] }> {
  const disk = new SimDisk({ seed: 20 });
  const { log } = await Log.open(disk, { clusterId: CLUSTER_ID, segmentBytesMax: 2_000, fillAheadBytes: 0 });
  const old: Entry[] = [];
  for (let index = 1; index <= 6; index++) {
    old.push(entry(index, old.at(-1)?.hash ?? 0, new SeededRandom(index).bytes(90)));
    log.append(old.slice(-1), 0);
    await log.sync();
  }
  let { hash } = old[2] as Entry;
  const fresh = [4, 5, 6, 7].map((index): Entry => {
    const data = new SeededRandom(100 + index).bytes(800);
    hash = chainHash(hash, 2, index, EntryType.data, data);
    return { index, term: 2, type: EntryType.data, hash, data };
  });
  log.append(fresh.slice(0, 2), 0);
  await between(log);
  log.append(fresh.slice(2), 0);
  const files = log.segments().list.map(({ path }) => path);
  assert.equal(files.length, 3);
  return { disk: disk.clone(21), old, files };
}

Deno.test("recovery cuts a file whose predecessor never reached the disk, and keeps the old entries", async () => {
  const { disk, old, files } = await replacedTail(() => Promise.resolve());
  disk.remove(files[1] as string);
  const outcome = await reopen(disk);
  assert.ok(outcome.kind === "open");
  assert.deepEqual(outcome.entries, old.slice(0, 5));
  assert.equal(outcome.recovery.tornTail?.why, "the segment continues another entry");
});

Deno.test("recovery does not put replaced entries in the place of durable ones that are gone (promise 6)", async () => {
  const { disk, files } = await replacedTail((log) => log.sync());
  disk.remove(files[1] as string);
  const outcome = await reopen(disk);
  assert.ok(outcome.kind === "damaged");
  assert.deepEqual(outcome.damaged.map(({ segment, fromIndex }) => [segment, fromIndex]), [[files[2], 5]]);
});

Deno.test("recovery takes zeros after the last record for the end", async () => {
  const { disk, entries, places } = await sample();
  const { path } = places.at(-1) as Place;
  overwrite(disk, path, (bytes) => {
    const longer = new Uint8Array(bytes.length + 5000);
    longer.set(bytes);
    return longer;
  });
  const outcome = await reopen(disk);
  assert.ok(outcome.kind === "open" && outcome.recovery.tornTail === undefined);
  assert.deepEqual(outcome.entries, entries);
});

Deno.test("recovery is not misled by a copy of a record inside a body", async () => {
  const disk = new SimDisk({ seed: 6 });
  const { log } = await Log.open(disk, { clusterId: CLUSTER_ID });
  const first: Entry = entry(1, 0, new SeededRandom(9).bytes(100));
  log.append([first], 0);
  await log.sync();
  // The header of a later record would note that entry 1 was durable; a body that contains such bytes must not.
  const copy = disk.contentOf(`${LOG_FOLDER}/${disk.list(LOG_FOLDER)[0]}`).slice(SEGMENT_HEADER_BYTES);
  const view = new DataView(copy.buffer);
  view.setUint32(16, 50, true);
  view.setUint32(32, 49, true);
  view.setUint32(60, crc32(copy.subarray(0, 60)), true);
  log.append([entry(2, first.hash, copy)], 0);
  const segment = log.segments().list[0];
  assert.ok(segment !== undefined);
  disk.putFile(segment.path, disk.contentOf(segment.path));
  disk.flipBit(segment.path, log.positionOf(2) - RECORD_HEADER_BYTES - segment.startPosition, 0);
  const outcome = await reopen(disk.clone(7));
  assert.ok(outcome.kind === "open");
  assert.deepEqual(outcome.entries, [first]);
});

Deno.test("recovery removes leftover temporary files and empty segments, and refuses what a newer program wrote", async () => {
  const { disk, entries, places } = await sample();
  disk.putFile(`${LOG_FOLDER}/tail.tmp`, new Uint8Array(10));
  disk.putFile(`${LOG_FOLDER}/00000000000000000013-00000000000000900000.seg`, new Uint8Array(0));
  const outcome = await reopen(disk.clone(8));
  assert.ok(outcome.kind === "open");
  assert.deepEqual(outcome.entries, entries);

  const { path, offset } = places[4] as Place;
  overwrite(disk, path, (bytes) => {
    const view = new DataView(bytes.buffer);
    view.setUint16(offset + 4, 2, true);
    view.setUint32(offset + 60, crc32(bytes.subarray(offset, offset + 60)), true);
    return bytes;
  });
  await assert.rejects(reopen(disk.clone(9)), UnknownFormatError);
});

Deno.test("DamageError says where the damage is and what to do", async () => {
  const { disk, places } = await sample();
  const { path, offset } = places[4] as Place;
  disk.flipBit(path, offset + RECORD_HEADER_BYTES, 0);
  await assert.rejects(
    Log.open(disk, { clusterId: CLUSTER_ID }),
    /Cannot read the log: entry 5 in raft\/log\/.*: the checksum of the body is wrong.*nothing was cut.*remove it from the cluster/,
  );
});

function entry(index: number, previousHash: number, data: Uint8Array): Entry {
  return {
    index,
    term: 1,
    type: EntryType.data,
    hash: chainHash(previousHash, 1, index, EntryType.data, data),
    data,
  };
}
