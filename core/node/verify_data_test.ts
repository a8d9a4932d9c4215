import { deepStrictEqual, ok } from "node:assert/strict";
import { NodeCluster } from "../../tests/support/node_cluster.ts";
import type { SimDisk } from "../../tests/support/sim_disk.ts";
import { verifyData } from "./verify_data.ts";

/** The disk of a node that has stopped in good order, with a checkpoint and a log. */
async function stoppedDisk(): Promise<SimDisk> {
  const cluster = await NodeCluster.start(1);
  await cluster.finish(cluster.write(1, "CREATE TABLE t (id INTEGER PRIMARY KEY, bytes BLOB)"));
  for (let i = 0; i < 30; i++) {
    await cluster.finish(cluster.write(1, "INSERT INTO t (bytes) VALUES (randomblob(3000))"));
  }
  const { disk } = cluster.member(1);
  await cluster.close();
  return disk;
}

Deno.test("verifyData() finds a stopped node's folder sound, and changes nothing", async () => {
  const disk = await stoppedDisk();
  const before = disk.operationCount;
  const findings = await verifyData(disk);
  deepStrictEqual(findings.filter(({ state }) => state !== "ok"), []);
  deepStrictEqual(findings.map(({ what }) => what), ["node.json", "raft/state", "raft/log", "db/main.db"]);
  deepStrictEqual(disk.operationCount, before);
});

Deno.test("verifyData() names what is damaged", async () => {
  const cases: [string, (disk: SimDisk) => void][] = [
    ["node.json", (disk) => disk.flipBit("node.json", 1, 3)],
    ["raft/state", (disk) => disk.flipBit("raft/state", 14, 3)],
    ["raft/log", (disk) => disk.flipBit(`raft/log/${disk.list("raft/log")[0]}`, 64 + 64 + 3, 3)],
    ["db/main.db", (disk) => disk.flipBit("db/main.db", 5 * 4096 + 7, 3)],
    ["db/main.db", (disk) => disk.flipBit("db/main.sum", 16 + 4 * 3, 3)],
    ["db/main.meta", (disk) => disk.flipBit("db/main.meta", 5, 3)],
    ["fork.json", (disk) =>
      disk.putFile(
        "fork.json",
        new TextEncoder().encode('{"nodeId":1,"index":7,"reason":"hash_differs","theirs":{"2":{}}}'),
      )],
  ];
  for (const [what, damage] of cases) {
    const disk = await stoppedDisk();
    damage(disk);
    const damaged = (await verifyData(disk)).filter(({ state }) => state === "damaged");
    ok(damaged.some((finding) => finding.what.startsWith(what)), `${what}: ${JSON.stringify(damaged)}`);
  }
});
