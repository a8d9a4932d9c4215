import { deepStrictEqual, ok, rejects } from "node:assert/strict";
import { metric, NodeCluster } from "../../tests/support/node_cluster.ts";
import { NodeError } from "../base/errors.ts";

const MIB = 1024 * 1024;

async function fill(cluster: NodeCluster, rows: number, through = 1): Promise<void> {
  for (let i = 0; i < rows; i++) {
    await cluster.finish(
      cluster.write(through, `INSERT INTO filler (bytes) VALUES (randomblob(20000))`),
    );
  }
}

Deno.test("The log is cut when everything in it is in the .db files, and the node starts again from what is left (promise 3)", async () => {
  const cluster = await NodeCluster.start(3, { logBytesMax: 4 * MIB, checkpointBytes: MIB / 2 });
  await cluster.finish(cluster.write(1, "CREATE TABLE filler (id INTEGER PRIMARY KEY, bytes BLOB)"));
  await cluster.finish(cluster.write(1, "CREATE TABLE t (a)", { database: "other" }));
  await fill(cluster, 200);
  const trimmed = cluster.events.filter(({ name }) => name === "log_trimmed");
  ok(trimmed.length > 0, "the log was never cut");
  for (const { id } of cluster.members) ok(metric(cluster.node(id), "log_bytes") <= 4 * MIB);
  for (const id of [1, 2, 3]) {
    await cluster.restart(id);
    await cluster.until(() => cluster.members.every(({ node }) => node.isReady()));
    deepStrictEqual(await cluster.rows(id, "SELECT count(*) FROM filler"), [[200]]);
    deepStrictEqual(await cluster.rows(id, "SELECT count(*) FROM t", { database: "other" }), [[0]]);
  }
  await cluster.finish(cluster.write(2, "INSERT INTO t VALUES (1)", { database: "other" }));
  await cluster.close();
});

Deno.test("A new member and one that was away get the databases when the log is cut", async () => {
  const cluster = await NodeCluster.start(3, { logBytesMax: 2 * MIB, checkpointBytes: MIB / 2 });
  await cluster.finish(cluster.write(1, "CREATE TABLE filler (id INTEGER PRIMARY KEY, bytes BLOB)"));
  await fill(cluster, 50);
  cluster.crash(3);
  await fill(cluster, 150);
  await cluster.restart(3);
  await cluster.until(() => cluster.node(3).isReady());
  ok(cluster.events.some(({ name }) => name === "snapshot_installed"));
  deepStrictEqual(await cluster.rows(3, "SELECT count(*) FROM filler", { level: "stale" }), [[200]]);
  await cluster.add(4);
  await cluster.until(() => cluster.node(4).isReady());
  deepStrictEqual(await cluster.rows(4, "SELECT count(*) FROM filler", { level: "stale" }), [[200]]);
  deepStrictEqual(await cluster.rows(4, "PRAGMA integrity_check"), [["ok"]]);
  await cluster.finish(cluster.write(4, "INSERT INTO filler (bytes) VALUES ('x')"));
  await cluster.restart(4);
  await cluster.until(() => cluster.node(4).isReady());
  deepStrictEqual(await cluster.rows(4, "SELECT count(*) FROM filler"), [[201]]);
  await cluster.close();
});

Deno.test("The past stays readable inside the window, by index and by time", async () => {
  const cluster = await NodeCluster.start(3, { retainMs: 60_000, checkpointBytes: 20_000 });
  await cluster.finish(cluster.write(1, "CREATE TABLE t (a)"));
  const moments: { index: number; wallMs: number }[] = [];
  for (let i = 1; i <= 20; i++) {
    const { index } = await cluster.finish(cluster.write(1, `INSERT INTO t VALUES (${i})`));
    moments.push({ index, wallMs: cluster.network.clock.wallMs() });
    await cluster.advance(1_000);
  }
  for (const id of [1, 3]) {
    for (const [i, { index, wallMs }] of moments.entries()) {
      for (const asOf of [{ index }, { wallMs }]) {
        deepStrictEqual(await cluster.rows(id, "SELECT count(*) FROM t", { level: "as_of", asOf }), [[
          i + 1,
        ]]);
      }
    }
  }
  await cluster.advance(120_000);
  await cluster.finish(cluster.write(1, "INSERT INTO t VALUES (21)"));
  await cluster.finish(cluster.node(1).checkpoint("main", "passive", 10_000));
  const first = cluster.rows(1, "SELECT count(*) FROM t", { level: "as_of", asOf: moments[0]! });
  await rejects(first, (error) => error instanceof NodeError && error.code === "view_expired");
  await cluster.close();
});

Deno.test("A power failure at any operation of taking a snapshot leaves a node that takes it at the next start", async () => {
  const cluster = await NodeCluster.start(3, { logBytesMax: MIB, checkpointBytes: MIB / 8 });
  await cluster.finish(cluster.write(1, "CREATE TABLE filler (id INTEGER PRIMARY KEY, bytes BLOB)"));
  await cluster.finish(cluster.write(1, "CREATE TABLE gone (a)", { database: "gone" }));
  await cluster.finish(cluster.write(1, "CREATE TABLE idle (a)", { database: "idle" }));
  await fill(cluster, 10);
  cluster.crash(3);
  await cluster.finish(cluster.node(1).dropDatabase("gone", 10_000));
  await cluster.finish(cluster.write(1, "CREATE TABLE t (a)", { database: "new" }));
  await fill(cluster, 100);
  const member = cluster.member(3);
  let installed = 0;
  let crashes = 0;
  for (let at = 1; installed === 0 && at < 400; at += 1) {
    member.disk.crashAtOperation(member.disk.operationCount + at);
    member.fatal.length = 0;
    try {
      await cluster.boot(3);
      await cluster.until(() => cluster.node(3).isReady() || member.fatal.length > 0);
      installed = metric(cluster.node(3), "snapshots_installed_total");
      const isWhole = await cluster.rows(3, "SELECT count(*) FROM filler", { level: "stale" }).then(
        ([row]) => row![0] === 110,
        () => false,
      );
      if (isWhole && member.fatal.length === 0) break;
    } catch {
      // The power failed while the node was starting.
    }
    crashes++;
    cluster.crash(3);
  }
  ok(crashes > 20, `${crashes} power failures`);
  member.disk.crashAtOperation(undefined);
  member.fatal.length = 0;
  await cluster.restart(3);
  await cluster.until(() => cluster.node(3).isReady());
  deepStrictEqual(await cluster.rows(3, "SELECT count(*) FROM filler"), [[110]]);
  deepStrictEqual(await cluster.rows(3, "PRAGMA integrity_check"), [["ok"]]);
  const names = (await cluster.finish(cluster.node(3).listDatabases())).map(({ name }) => name);
  deepStrictEqual(names, ["idle", "main", "new"]);
  deepStrictEqual(member.disk.list("db").filter((name) => name.startsWith("gone")), []);
  await cluster.close();
});

Deno.test("Only pages that changed are sent to a member that has an older copy", async () => {
  const cluster = await NodeCluster.start(3, { logBytesMax: MIB, checkpointBytes: MIB / 8 });
  await cluster.finish(cluster.write(1, "CREATE TABLE filler (id INTEGER PRIMARY KEY, bytes BLOB)"));
  await cluster.finish(cluster.write(1, "CREATE TABLE t (a)"));
  await fill(cluster, 100);
  await cluster.finish(cluster.write(1, "CREATE TABLE t (a)", { database: "idle" }));
  await cluster.advance(1_000);
  cluster.crash(3);
  for (let i = 0; i < 150; i++) {
    await cluster.finish(cluster.write(1, "UPDATE filler SET bytes = randomblob(20000) WHERE id = 7"));
  }
  await cluster.restart(3);
  await cluster.until(() => cluster.node(3).isReady());
  const fetched = cluster.events.findLast(({ name }) => name === "snapshot_fetched");
  ok(fetched !== undefined, "no snapshot was taken");
  const { sentPages, keptPages } = fetched.facts as { sentPages: number; keptPages: number };
  ok(sentPages < 40 && keptPages > 400, `${sentPages} pages were sent, ${keptPages} were kept`);
  deepStrictEqual(await cluster.rows(3, "PRAGMA integrity_check"), [["ok"]]);
  await cluster.close();
});

Deno.test("A member whose log ends behind the snapshot, with entries that were never committed, takes it", async () => {
  const cluster = await NodeCluster.start(3, { logBytesMax: MIB, checkpointBytes: MIB / 8 });
  const databases = Array.from({ length: 10 }, (_, i) => `small-${i}`);
  await cluster.finish(cluster.write(1, "CREATE TABLE filler (id INTEGER PRIMARY KEY, bytes BLOB)"));
  for (const database of databases) {
    await cluster.finish(cluster.write(1, "CREATE TABLE t (a)", { database }));
  }
  await cluster.advance(500);
  cluster.network.partition([1], [2, 3]);
  const lost: Promise<void>[] = [];
  for (let i = 0; i < 38; i++) {
    for (const database of databases) {
      lost.push(rejects(cluster.write(1, "INSERT INTO t VALUES ('lost')", { database, timeoutMs: 400 })));
    }
    await cluster.advance(10);
  }
  const tail = metric(cluster.node(1), "log_tip_index");
  await cluster.until(() => cluster.leader !== undefined && cluster.leader.id !== 1);
  await fill(cluster, 180, 2);
  ok(tail > metric(cluster.node(2), "commit_index"), "the lost entries are not ahead");
  await cluster.advance(2_000);
  cluster.network.partition([1], [2, 3], false);
  await cluster.until(() => cluster.events.some(({ name }) => name === "snapshot_installed"));
  await cluster.finish(Promise.all(lost));
  deepStrictEqual(await cluster.rows(1, "SELECT count(*) FROM filler"), [[180]]);
  deepStrictEqual(await cluster.rows(1, "SELECT count(*) FROM t", { database: "small-3" }), [[0]]);
  await cluster.close();
});

Deno.test("At the limit of the log an old view is given up, and says so; below it holds what it needs (promise 3)", async () => {
  for (
    const { logBytesMax, rows, isKept } of [
      { logBytesMax: 2 * MIB, rows: 150, isKept: false },
      { logBytesMax: 64 * MIB, rows: 150, isKept: true },
    ]
  ) {
    const cluster = await NodeCluster.start(1, { logBytesMax, checkpointBytes: MIB / 8 });
    await cluster.finish(cluster.write(1, "CREATE TABLE filler (id INTEGER PRIMARY KEY, bytes BLOB)"));
    await fill(cluster, 60);
    const { chunks } = await cluster.finish(cluster.node(1).backup("main", 10_000));
    await chunks.next();
    await fill(cluster, rows);
    const rest = async (): Promise<void> => {
      for await (const chunk of chunks) ok(chunk.length > 0);
    };
    if (isKept) await rest();
    else await rejects(rest(), { code: "view_expired" });
    if (!isKept) ok(metric(cluster.node(1), "log_bytes") <= logBytesMax);
    await cluster.close();
  }
});

Deno.test("checkpoint: passive leaves what a view needs, full waits for it", async () => {
  const cluster = await NodeCluster.start(1, { checkpointBytes: 1e9 });
  const node = cluster.node(1);
  await cluster.finish(cluster.write(1, "CREATE TABLE filler (id INTEGER PRIMARY KEY, bytes BLOB)"));
  await fill(cluster, 60);
  const { chunks } = await cluster.finish(node.backup("main", 10_000));
  await chunks.next();
  await fill(cluster, 3);
  const passive = await cluster.finish(node.checkpoint("main", "passive", 10_000));
  ok(!passive.complete && passive.index > 0, JSON.stringify(passive));
  await rejects(cluster.finish(node.checkpoint("main", "full", 500)), { code: "timeout" });
  const full = node.checkpoint("main", "full", 10_000);
  await cluster.advance(1_000);
  for await (const chunk of chunks) ok(chunk.length > 0);
  const { complete, index } = await cluster.finish(full);
  ok(complete && index > passive.index);
  await rejects(cluster.finish(node.checkpoint("other", "full", 500)), { code: "database_not_found" });
  await cluster.close();
});

Deno.test("checkpoint: small changes are copied when they are old enough", async () => {
  const cluster = await NodeCluster.start(1, { checkpointBytes: 1e9, checkpointAgeMs: 60_000 });
  await cluster.finish(cluster.write(1, "CREATE TABLE t (a)"));
  await cluster.advance(50_000);
  deepStrictEqual(metric(cluster.node(1), "checkpoints_total"), 0);
  await cluster.advance(15_000);
  deepStrictEqual(metric(cluster.node(1), "checkpoints_total"), 1);
  await cluster.close();
});
