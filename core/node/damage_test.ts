import { deepStrictEqual, ok, rejects } from "node:assert/strict";
import { NodeCluster } from "../../tests/support/node_cluster.ts";
import type { SimDisk } from "../../tests/support/sim_disk.ts";
import { NodeError } from "../base/errors.ts";

/** Inverts one bit in the middle of a file. */
function flipBit(disk: SimDisk, path: string, part: number): void {
  const file = disk.openFile(path, "write");
  const byte = new Uint8Array(1);
  const offset = Math.floor(file.size() * part);
  file.readAt(byte, offset);
  byte[0]! ^= 1;
  file.writeAt(byte, offset);
  void file.sync();
  file.close();
}

Deno.test("A node whose log is damaged in the middle takes everything from the leader before it takes part (promise 6)", async () => {
  for (const id of [1, 2]) {
    const cluster = await NodeCluster.start(3, { checkpointBytes: 50_000 });
    await cluster.finish(cluster.write(1, "CREATE TABLE t (id INTEGER PRIMARY KEY, bytes BLOB)"));
    for (let i = 0; i < 60; i++) {
      await cluster.finish(cluster.write(2, "INSERT INTO t (bytes) VALUES (randomblob(3000))"));
    }
    cluster.crash(id);
    const { disk } = cluster.member(id);
    const [segment] = disk.list("raft/log");
    flipBit(disk, `raft/log/${segment}`, 0.05);
    await cluster.boot(id);
    ok(cluster.events.some(({ name }) => name === "log_rebuilt"), "the damage was not found");
    await cluster.until(() => cluster.members.every(({ node }) => node.isReady()));
    await cluster.finish(cluster.write(id, "INSERT INTO t (bytes) VALUES ('after')"));
    deepStrictEqual(await cluster.rows(id, "SELECT count(*) FROM t"), [[61]]);
    deepStrictEqual(await cluster.rows(id, "PRAGMA integrity_check"), [["ok"]]);
    await cluster.close();
  }
});

Deno.test("A damaged log that ends with entries which nobody else got is replaced although the cluster stands still", async () => {
  const cluster = await NodeCluster.start(3);
  await cluster.finish(cluster.write(1, "CREATE TABLE t (id INTEGER PRIMARY KEY, bytes BLOB)"));
  for (let i = 0; i < 20; i++) {
    await cluster.finish(cluster.write(1, "INSERT INTO t (bytes) VALUES (randomblob(3000))"));
  }
  cluster.network.partition([1], [2, 3]);
  const lost = Array.from({ length: 5 }, async () => {
    await rejects(cluster.write(1, "INSERT INTO t (bytes) VALUES ('lost')"));
  });
  await cluster.advance(100);
  await cluster.until(() => cluster.leader !== undefined && cluster.leader.id !== 1);
  await cluster.finish(Promise.all(lost));
  cluster.crash(1);
  cluster.network.partition([1], [2, 3], false);
  const { disk } = cluster.member(1);
  flipBit(disk, `raft/log/${disk.list("raft/log")[0]}`, 0.05);
  await cluster.boot(1);
  ok(cluster.events.some(({ name }) => name === "log_rebuilt"), "the damage was not found");
  await cluster.until(() => cluster.members.every(({ node }) => node.isReady()));
  deepStrictEqual(await cluster.rows(1, "SELECT count(*) FROM t WHERE bytes = 'lost'"), [[0]]);
  await cluster.close();
});

Deno.test("On a full disk writes are refused and reads go on; with room again the node goes on without a restart", async () => {
  const cluster = await NodeCluster.start(1, { checkpointBytes: 1e9, logBytesMax: 4 * 1024 * 1024 });
  await cluster.finish(cluster.write(1, "CREATE TABLE t (id INTEGER PRIMARY KEY, bytes BLOB)"));
  const { disk, fatal } = cluster.member(1);
  disk.capacityBytes = disk.usedBytes + 300_000;
  let acknowledged = 0;
  let refusal: unknown;
  while (refusal === undefined) {
    await cluster.finish(cluster.write(1, "INSERT INTO t (bytes) VALUES (randomblob(10000))")).then(
      () => acknowledged++,
      (error) => (refusal = error),
    );
  }
  ok(refusal instanceof NodeError && refusal.code === "disk_full", String(refusal));
  deepStrictEqual(await cluster.rows(1, "SELECT count(*) FROM t"), [[acknowledged]]);
  await cluster.advance(5_000);
  await rejects(cluster.finish(cluster.write(1, "DELETE FROM t")), { code: "disk_full" });
  deepStrictEqual(await cluster.rows(1, "SELECT count(*) FROM t"), [[acknowledged]]);
  disk.capacityBytes = Infinity;
  await cluster.advance(5_000);
  await cluster.finish(cluster.write(1, "INSERT INTO t (bytes) VALUES ('after')"));
  await cluster.restart(1);
  await cluster.until(() => cluster.node(1).isReady());
  deepStrictEqual(await cluster.rows(1, "SELECT count(*) FROM t"), [[acknowledged + 1]]);
  deepStrictEqual(fatal, []);
  await cluster.close();
});

Deno.test("A leader whose disk is full hands over; a follower without room falls behind and catches up", async () => {
  const cluster = await NodeCluster.start(3, { checkpointBytes: 50_000, logBytesMax: 2 * 1024 * 1024 });
  await cluster.finish(cluster.write(1, "CREATE TABLE t (id INTEGER PRIMARY KEY, bytes BLOB)"));
  const { disk } = cluster.member(1);
  disk.capacityBytes = disk.usedBytes;
  let refused = 0;
  for (let i = 0; i < 300;) {
    await cluster.finish(cluster.write(2, "INSERT INTO t (bytes) VALUES (randomblob(10000))")).then(
      () => i++,
      (error) => {
        deepStrictEqual((error as NodeError).code, "disk_full");
        ok(refused++ < 100, "leadership does not move");
      },
    );
    await cluster.advance(5);
  }
  ok(cluster.leader !== undefined && cluster.leader.id !== 1, "the full node still leads");
  disk.capacityBytes = Infinity;
  await cluster.until(() => cluster.members.every(({ node }) => node.isReady()));
  deepStrictEqual(await cluster.rows(1, "SELECT count(*) FROM t"), [[300]]);
  deepStrictEqual(await cluster.rows(1, "PRAGMA integrity_check"), [["ok"]]);
  await cluster.close();
});

const FILL = "INSERT INTO t (bytes) VALUES (randomblob(3000))";

/** A cluster of three with a checkpointed table and some pages that are in the log only. */
async function damaged(
  damage: (disk: SimDisk) => void,
  rows: (cluster: NodeCluster) => Promise<void>,
): Promise<void> {
  const cluster = await NodeCluster.start(3, { checkpointBytes: 1e9 });
  await cluster.finish(cluster.write(1, "CREATE TABLE t (id INTEGER PRIMARY KEY, bytes BLOB)"));
  for (let i = 0; i < 40; i++) await cluster.finish(cluster.write(1, FILL));
  await cluster.advance(500);
  const { complete } = await cluster.finish(cluster.node(2).checkpoint("main", "full", 10_000));
  ok(complete);
  for (let i = 0; i < 40; i++) await cluster.finish(cluster.write(1, FILL));
  await cluster.advance(500);
  damage(cluster.member(2).disk);
  await rows(cluster);
  ok(cluster.events.some(({ name }) => name === "damage_repaired"), "nothing was repaired");
  await cluster.restart(2);
  await cluster.until(() => cluster.node(2).isReady());
  deepStrictEqual(await cluster.rows(2, "PRAGMA integrity_check", { level: "stale" }), [["ok"]]);
  await cluster.close();
}

async function readUntilRepaired(cluster: NodeCluster): Promise<void> {
  const read = () => cluster.rows(2, "SELECT count(length(bytes)) FROM t", { level: "stale" });
  await rejects(read(), { code: "data_damaged" });
  await cluster.advance(1_000);
  deepStrictEqual(await read(), [[80]]);
}

const PLACES: Record<string, (disk: SimDisk) => void> = {
  "page of the .db file": (disk) => disk.flipBit("db/main.db", 20 * 4096 + 77, 3),
  "page checksum": (disk) => disk.flipBit("db/main.sum", 16 + 4 * 20, 3),
  "page in the log": (disk) => {
    const [segment] = disk.list("raft/log").slice(-1);
    disk.flipBit(
      `raft/log/${segment}`,
      disk.contentOf(`raft/log/${segment}`).findLastIndex((byte) => byte !== 0) - 99,
      3,
    );
  },
};

for (const [what, damage] of Object.entries(PLACES)) {
  Deno.test(`A damaged ${what} fails the query that meets it and is repaired from another member`, async () => {
    await damaged(damage, readUntilRepaired);
  });

  Deno.test(`The scrubber finds a damaged ${what} that nobody reads`, async () => {
    await damaged(
      damage,
      (cluster) => cluster.until(() => cluster.events.some(({ name }) => name === "damage_repaired")),
    );
  });
}
