/**
 * The files of version 1 as they were written when it was new. They stay readable for ever: a later version may write
 * other bytes, and then gets golden files of its own beside these. `deno run -A` of this file with `--update` writes
 * them anew, which is right only before the first release.
 */
import assert from "node:assert/strict";
import { HARD_STATE_PATH, HardStateFile } from "../../core/log/hard_state.ts";
import { Log } from "../../core/log/log.ts";
import {
  NODE_IDENTITY_PATH,
  type NodeIdentity,
  readNodeIdentity,
  writeNodeIdentity,
} from "../../core/log/node_identity.ts";
import { chainHash } from "../../core/log/record.ts";
import { LOG_FOLDER, type LogBase } from "../../core/log/segment_header.ts";
import { type Entry, EntryType, type SnapshotMetadata } from "../../core/raft/message.ts";
import { SeededRandom } from "../support/seeded_random.ts";
import { SimDisk } from "../support/sim_disk.ts";

const GOLDEN = new URL("./v1/log/", import.meta.url);
const CLUSTER_ID = "77616c72616674210123456789abcdef";
const IDENTITY: NodeIdentity = {
  clusterId: CLUSTER_ID,
  nodeId: 3,
  state: "member",
  peers: [{ id: 1, raftAddress: "127.0.0.1:7001" }],
  joinToken: "00ff00ff00ff00ff00ff00ff00ff00ff",
};
const SNAPSHOT: SnapshotMetadata = {
  index: 100,
  term: 7,
  hash: 0x8123_4567,
  membership: new Uint8Array([1, 2, 250]),
};

function entry(before: LogBase, term: number, type: EntryType, length: number): Entry {
  const index = before.index + 1;
  const data = new SeededRandom(index * 100 + term).bytes(length);
  return { index, term, type, hash: chainHash(before.hash, term, index, type, data), data };
}

/** Entries 101 to 106, of which 104 to 106 were replaced by 104 and 105 of a higher term. */
function expectedEntries(): { readonly first: Entry[]; readonly replaced: Entry[]; readonly last: Entry[] } {
  const first: Entry[] = [entry(SNAPSHOT, 8, EntryType.empty, 0)];
  first.push(entry(first[0] as Entry, 8, EntryType.membership, 33));
  first.push(entry(first[1] as Entry, 8, EntryType.data, 1000));
  const replaced = [entry(first[2] as Entry, 8, EntryType.data, 100)];
  replaced.push(entry(replaced[0] as Entry, 8, EntryType.data, 8));
  replaced.push(entry(replaced[1] as Entry, 8, EntryType.data, 9));
  const last = [entry(first[2] as Entry, 9, EntryType.empty, 0)];
  last.push(entry(last[0] as Entry, 9, EntryType.data, 4097));
  return { first, replaced, last };
}

async function write(): Promise<SimDisk> {
  const disk = new SimDisk({ seed: 1 });
  await writeNodeIdentity(disk, IDENTITY);
  const state = await HardStateFile.open(disk);
  await state.save({ term: 9, vote: 2 });
  await state.saveBase(SNAPSHOT);
  const { log } = await Log.open(disk, {
    clusterId: CLUSTER_ID,
    base: SNAPSHOT,
    segmentBytesMax: 1_500,
    fillAheadBytes: 0,
  });
  const { first, replaced, last } = expectedEntries();
  log.append(first.slice(0, 2), 100);
  await log.sync();
  log.append(first.slice(2), 101);
  log.append(replaced, 102);
  await log.sync();
  log.append(last, 103);
  await log.sync();
  await log.close();
  return disk;
}

function paths(disk: SimDisk): string[] {
  return [
    NODE_IDENTITY_PATH,
    HARD_STATE_PATH,
    ...disk.list(LOG_FOLDER).map((name) => `${LOG_FOLDER}/${name}`),
  ];
}

async function readGolden(): Promise<SimDisk> {
  const disk = new SimDisk({ seed: 2 });
  const segments = await Array.fromAsync(
    Deno.readDir(new URL(LOG_FOLDER, GOLDEN)),
    ({ name }) => `${LOG_FOLDER}/${name}`,
  );
  for (const path of [NODE_IDENTITY_PATH, HARD_STATE_PATH, ...segments]) {
    disk.putFile(path, await Deno.readFile(new URL(path, GOLDEN)));
  }
  return disk;
}

Deno.test("a data folder of version 1 is opened", async () => {
  const disk = await readGolden();
  assert.deepEqual(readNodeIdentity(disk), IDENTITY);
  const state = await HardStateFile.open(disk);
  assert.deepEqual(state.value, { term: 9, vote: 2 });
  assert.deepEqual(state.base, SNAPSHOT);
  const { log, recovery, restarted } = await Log.open(disk, { clusterId: CLUSTER_ID, base: SNAPSHOT });
  const { first, last } = expectedEntries();
  assert.equal(restarted, false);
  assert.equal(log.firstIndex(), 101);
  assert.deepEqual(log.entries(101, 105, Number.MAX_SAFE_INTEGER), [...first, ...last]);
  assert.equal(recovery.commitIndex, 103);
  assert.equal(recovery.tornTail, undefined);
  assert.equal(log.hashAt(105), 1_755_009_816);
  await log.close();
});

Deno.test("version 1 is still written byte for byte", async () => {
  const golden = await readGolden();
  const disk = await write();
  assert.deepEqual(paths(disk), paths(golden));
  for (const path of paths(disk)) assert.deepEqual(disk.contentOf(path), golden.contentOf(path), path);
});

if (import.meta.main && Deno.args.includes("--update")) {
  const disk = await write();
  await Deno.remove(GOLDEN, { recursive: true }).catch(() => {});
  await Deno.mkdir(new URL(LOG_FOLDER, GOLDEN), { recursive: true });
  for (const path of paths(disk)) await Deno.writeFile(new URL(path, GOLDEN), disk.contentOf(path));
}
