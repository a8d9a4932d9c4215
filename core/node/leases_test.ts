import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { metric, NodeCluster } from "../../tests/support/node_cluster.ts";
import { SimDisk } from "../../tests/support/sim_disk.ts";
import { LEASE_NOTE_PATH, noteLeases } from "./lease_note.ts";

const LEASE_MS = 200;
const COUNT = "SELECT COUNT(*) FROM t";

/** Member 1 leads and holds a lease; the others have just promised it. */
async function withLease(body: (cluster: NodeCluster) => Promise<void>): Promise<void> {
  const cluster = await NodeCluster.start(3, { leaseMs: LEASE_MS });
  await cluster.finish(cluster.write(1, "CREATE TABLE t (id INTEGER PRIMARY KEY)"));
  // Whatever was promised before is over.
  await cluster.advance(2 * LEASE_MS);
  await cluster.rows(1, COUNT);
  ok(metric(cluster.node(1), "lease_seconds") > 0.1);
  await body(cluster);
  await cluster.close();
}

/** How long something takes on the clock of the cluster. */
async function timeOf(cluster: NodeCluster, action: () => Promise<unknown>): Promise<number> {
  const { clock } = cluster.network;
  const startMs = clock.nowMs();
  await action();
  return clock.nowMs() - startMs;
}

Deno.test("Leases: reads through any member need no round while there is one", async () => {
  await withLease(async (cluster) => {
    const leader = cluster.node(1);
    const before = metric(leader, "lease_reads_total");
    for (const id of [1, 2, 3]) deepStrictEqual(await cluster.rows(id, COUNT), [[0]]);
    strictEqual(metric(leader, "lease_reads_total"), before + 3);
    // Reads go on for much longer than one lease, and none of them waits.
    for (let i = 0; i < 20; i++) {
      await cluster.advance(30);
      await cluster.rows(1, COUNT);
    }
    strictEqual(metric(leader, "lease_reads_total"), before + 23);
    await cluster.advance(LEASE_MS);
    strictEqual(metric(leader, "lease_seconds"), 0);
  });
});

Deno.test("Leases: the followers of a leader that died elect another one when their promises end", async () => {
  await withLease(async (cluster) => {
    cluster.crash(1);
    const leads = () => [2, 3].some((id) => metric(cluster.node(id), "is_leader") === 1);
    await cluster.advance(LEASE_MS - 30);
    strictEqual(leads(), false);
    // Less than the election timeout of 500 ms: nobody waits for that.
    const ms = await timeOf(cluster, () => cluster.until(leads));
    ok(ms < 150, `${ms} ms`);
    cluster.members.splice(0, 1);
  });
});

Deno.test("Leases: after a start a member waits half a second, and an election that needs it no longer", async () => {
  await withLease(async (cluster) => {
    await cluster.restart(3);
    await cluster.until(() => cluster.node(3).isReady());
    cluster.crash(1);
    const leads = () => [2, 3].some((id) => metric(cluster.node(id), "is_leader") === 1);
    const ms = await timeOf(cluster, () => cluster.until(leads));
    ok(ms > 350 && ms < 650, `${ms} ms`);
    cluster.members.splice(0, 1);
  });
});

Deno.test("Leases: a leader whose connections close goes on reading, and nobody else is elected before it has stopped", async () => {
  await withLease(async (cluster) => {
    const { network } = cluster;
    network.partition([1], [2, 3]);
    for (const id of [2, 3]) network.disconnect(1, id);
    let reads = 0;
    while (metric(cluster.node(1), "lease_seconds") > 0) {
      deepStrictEqual([2, 3].map((id) => metric(cluster.node(id), "is_leader")), [0, 0]);
      deepStrictEqual(await cluster.rows(1, COUNT), [[0]]);
      reads++;
      await cluster.advance(5);
    }
    ok(reads > 10, `${reads} reads`);
    const ms = await timeOf(cluster, () => cluster.until(() => cluster.leader?.id !== 1));
    ok(ms < 150, `${ms} ms`);
    network.partition([1], [2, 3], false);
  });
});

Deno.test("Leases: leadership is handed over when the promises are over, also by a node that stops", async () => {
  await withLease(async (cluster) => {
    const ms = await timeOf(cluster, () => cluster.finish(cluster.node(1).transferLeadership(2, 5_000)));
    ok(ms > LEASE_MS / 2 && ms < 2 * LEASE_MS, `${ms} ms`);
    await cluster.rows(2, COUNT);
    await cluster.finish(cluster.node(2).stop());
    cluster.members.splice(1, 1);
    strictEqual(cluster.leader !== undefined, true);
  });
});

Deno.test("noteLeases(): once there were leases a later life hears of them, whatever its own option is", async () => {
  const disk = new SimDisk({ seed: 1 });
  disk.makeDirectory("raft");
  await disk.syncDirectory("");
  strictEqual(await noteLeases(disk, false), false);
  strictEqual(disk.exists(LEASE_NOTE_PATH), false);
  strictEqual(await noteLeases(disk, true), false);
  for (const isOn of [true, false, false, true]) {
    disk.crash();
    strictEqual(await noteLeases(disk, isOn), true);
  }
});
