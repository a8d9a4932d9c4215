import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { metric, NodeCluster } from "../../tests/support/node_cluster.ts";
import { encodePages } from "../pages/entry_body.ts";
import { decodeAnswer, encodeRequest, type PeerMethods } from "./peer_calls.ts";

const COUNT = "SELECT name, COUNT(*) FROM t GROUP BY name ORDER BY name";
const TABLE = "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)";

async function withCluster(
  size: number,
  body: (cluster: NodeCluster) => Promise<void>,
  tuning: { checkpointBytes?: number; createDatabases?: boolean } = {},
): Promise<void> {
  const cluster = await NodeCluster.start(size, tuning);
  if (tuning.createDatabases === false) {
    await cluster.finish(cluster.node(1).createDatabase("main", true, 10_000));
  }
  await body(cluster);
  await cluster.close();
}

function insert(name: string): string {
  return `INSERT INTO t (name) VALUES ('${name}')`;
}

/** Leadership moves away from a node that is cut off, and the cut is healed. */
async function depose(cluster: NodeCluster, id: number, others: readonly number[]): Promise<number> {
  cluster.network.partition([id], others);
  await cluster.until(() => cluster.leader !== undefined && cluster.leader.id !== id);
  await cluster.until(() => metric(cluster.node(id), "is_leader") === 0);
  cluster.network.partition([id], others, false);
  await cluster.until(() => cluster.members.every(({ node }) => node.isReady()));
  return cluster.leader!.id;
}

Deno.test("Node: a write through any member is read back through every member", async () => {
  await withCluster(3, async (cluster) => {
    await cluster.finish(cluster.write(3, TABLE));
    await cluster.finish(cluster.write(2, insert("a")));
    for (const id of [1, 2, 3]) deepStrictEqual(await cluster.rows(id, COUNT), [["a", 1]]);
  });
});

Deno.test("Node: followers of an idle cluster hear of a commit long before the next heartbeat", async () => {
  await withCluster(3, async (cluster) => {
    await cluster.finish(cluster.write(1, TABLE));
    const heartbeatMs = 100;
    for (let round = 0; round < 5; round++) {
      // Wherever the next heartbeat is.
      await cluster.advance(35);
      await cluster.finish(cluster.write(1, insert("a")));
      const beganMs = cluster.network.clock.nowMs();
      const committed = metric(cluster.node(1), "commit_index");
      await cluster.until(() => [2, 3].every((id) => metric(cluster.node(id), "commit_index") >= committed));
      ok(cluster.network.clock.nowMs() - beganMs < heartbeatMs / 4, `round ${round}`);
    }
  });
});

Deno.test("Node: what the worker made for a lost leadership never answers a write of the next one (promise 5)", async () => {
  await withCluster(3, async (cluster) => {
    await cluster.finish(cluster.write(1, TABLE));
    const { writerGate } = cluster.member(1);
    writerGate.hold();
    const before = cluster.write(1, insert("before"), { timeoutMs: 60_000 });
    await cluster.advance(50);
    const next = await depose(cluster, 1, [2, 3]);
    await cluster.finish(before);
    await cluster.finish(cluster.node(next).transferLeadership(1, 10_000));
    const after = cluster.write(1, "INSERT INTO t (id, name) VALUES (77, 'after') RETURNING id");
    await cluster.advance(50);
    writerGate.release();
    const answer = await cluster.finish(after);
    ok(
      new TextDecoder().decode(answer.fields.bytes).includes("77"),
      "the answer is that of the write itself",
    );
    for (const id of [1, 2, 3]) deepStrictEqual(await cluster.rows(id, COUNT), [["after", 1], ["before", 1]]);
  });
});

Deno.test("Node: a write whose fate is not known in time says so, also when nothing else happens (promise 5)", async () => {
  await withCluster(3, async (cluster) => {
    await cluster.finish(cluster.write(1, TABLE));
    const { writerGate } = cluster.member(1);
    writerGate.hold();
    const write = cluster.write(1, insert("a"), { timeoutMs: 400 });
    await cluster.advance(100);
    cluster.network.partition([1], [2, 3]);
    writerGate.release();
    const startMs = cluster.network.clock.nowMs();
    await rejects(cluster.finish(write), { code: "commit_unknown" });
    ok(cluster.network.clock.nowMs() - startMs < 500);
    cluster.network.partition([1], [2, 3], false);
  });
});

Deno.test("Node: a leader that was replaced unawares answers nothing from its old state, through writes neither", async () => {
  await withCluster(3, async (cluster) => {
    await cluster.finish(cluster.write(1, TABLE));
    cluster.network.partition([1], [2, 3]);
    for (const id of [2, 3]) cluster.node(id).onDisconnected(1);
    await cluster.until(() =>
      metric(cluster.node(2), "is_leader") + metric(cluster.node(3), "is_leader") === 1
    );
    strictEqual(metric(cluster.node(1), "is_leader"), 1, "the old leader does not know yet");
    await cluster.finish(cluster.write(2, "INSERT INTO t VALUES (1, 'new')"));
    let answered = 0;
    const stale = ["SELECT COUNT(*) FROM t", "INSERT INTO t VALUES (NULL, 1, 2)"].map((sql) =>
      cluster.write(1, sql, { timeoutMs: 30_000 }).then((answer) => {
        answered++;
        return new TextDecoder().decode(answer.fields.bytes);
      })
    );
    stale[1]!.catch(() => {});
    await cluster.advance(100);
    strictEqual(answered, 0);
    cluster.network.partition([1], [2, 3], false);
    ok((await cluster.finish(stale[0]!)).includes("[[1]]"), "asked again at the new leader");
    await rejects(cluster.finish(stale[1]!), { code: "sql_error" });
  });
});

Deno.test("Node: databases dropped and made again under one name while views, writes and checkpoints run (promises 2, 3)", async () => {
  await withCluster(3, async (cluster) => {
    for (let round = 1; round <= 6; round++) {
      await cluster.finish(cluster.write(2, TABLE));
      for (let i = 0; i < 3; i++) await cluster.finish(cluster.write(2, insert(`round ${round}`)));
      const backup = await cluster.finish(cluster.node(3).backup("main", 10_000));
      const reads = [1, 2, 3].map((id) => cluster.rows(id, COUNT));
      const late = cluster.write(2, insert("late")).then(() => "done", (error) => error.code as string);
      await cluster.advance(20 * round);
      await cluster.finish(cluster.node(1).dropDatabase("main", 10_000));
      for (const rows of await Promise.all(reads)) ok(rows[0]![1] as number >= 1);
      ok(["done", "database_not_found", "sql_error"].includes(await cluster.finish(late)));
      await cluster.advance(30 * (round % 3));
      const file = await collect(cluster, backup.chunks);
      deepStrictEqual(openFile(file), [[`round ${round}`, 3]], "a backup is of its moment");
      await cluster.finish(cluster.node(1).dropDatabase("main", 10_000)).catch(() => {});
    }
    await cluster.finish(cluster.write(1, TABLE));
    await cluster.finish(cluster.write(1, insert("last")));
    for (const id of [1, 2, 3]) deepStrictEqual(await cluster.rows(id, COUNT), [["last", 1]]);
    await cluster.advance(500);
    for (const { disk } of cluster.members) {
      deepStrictEqual(disk.list("db"), ["main.db", "main.meta", "main.sum"]);
      deepStrictEqual(openFile(disk.contentOf("db/main.db")), [["last", 1]]);
    }
  }, { checkpointBytes: 1 });
});

Deno.test("Node: an upload that a leader change catches changes nothing and leaves nothing behind", async () => {
  await withCluster(3, async (cluster) => {
    await cluster.finish(cluster.write(1, TABLE));
    await cluster.finish(cluster.write(1, insert("kept")));
    const file = makeFile(4_000);
    const { readerGate } = cluster.member(2);
    readerGate.hold();
    const restore = cluster.node(2).restore("main", chunksOf(file), 10_000);
    restore.catch(() => {});
    await cluster.advance(50);
    readerGate.release();
    // The first pages are in the log of a leader that is replaced.
    await cluster.until(() => metric(cluster.node(1), "databases") === 2);
    await depose(cluster, 1, [2, 3]);
    await cluster.finish(
      restore.then(() => ok(false, "it was caught"), (error) => ok(error.code, String(error))),
    );
    await cluster.until(() => cluster.members.every(({ node }) => metric(node, "databases") === 1));
    for (const id of [1, 2, 3]) deepStrictEqual(await cluster.rows(id, COUNT), [["kept", 1]]);
    const again = await cluster.finish(cluster.node(2).restore("main", chunksOf(file), 10_000));
    strictEqual(again.pages * again.pageSize, file.length);
    for (const id of [1, 2, 3]) deepStrictEqual(await cluster.rows(id, COUNT), [["uploaded", 4_000]]);
    await cluster.finish(cluster.write(3, insert("after")));
    deepStrictEqual(await cluster.rows(2, COUNT), [["after", 1], ["uploaded", 4_000]]);
    deepStrictEqual(cluster.member(2).disk.list("tmp"), []);
  });
});

Deno.test("Node: a restarted follower is ready only when it has what was committed before it came back", async () => {
  await withCluster(3, async (cluster) => {
    await cluster.finish(cluster.write(1, TABLE));
    cluster.crash(3);
    for (let i = 0; i < 20; i++) await cluster.finish(cluster.write(1, insert("a")));
    await cluster.restart(3);
    strictEqual(cluster.node(3).isReady(), false);
    await cluster.until(() => cluster.node(3).isReady());
    deepStrictEqual(await cluster.rows(3, COUNT, { level: "stale" }), [["a", 20]]);
  });
});

Deno.test("Node: a node that never heard a leader serves stale reads, but none that limits the age", async () => {
  await withCluster(3, async (cluster) => {
    await cluster.finish(cluster.write(1, TABLE));
    cluster.network.partition([3], [1, 2]);
    await cluster.restart(3);
    deepStrictEqual(await cluster.rows(3, "SELECT 1", { level: "stale" }), [[1]]);
    const limited = cluster.rows(3, COUNT, { level: "stale", maxAgeMs: 60_000 });
    await rejects(limited, { code: "too_stale", message: /has not heard a leader since it started/ });
    await rejects(cluster.rows(3, COUNT, { timeoutMs: 300 }), { code: "no_leader" });
    cluster.network.partition([3], [1, 2], false);
  });
});

Deno.test("Node: a backup that is given up before its first chunk releases its view", async () => {
  await withCluster(1, async (cluster) => {
    await cluster.finish(cluster.write(1, TABLE));
    const backup = await cluster.finish(cluster.node(1).backup("main", 10_000));
    await cluster.finish(cluster.write(1, insert("a")));
    await cluster.advance(300);
    const before = await cluster.finish(cluster.node(1).describeDatabase("main"));
    ok(before.checkpointIndex < before.index, "the view holds the checkpoint back");
    await backup.chunks.return!();
    await cluster.advance(300);
    const after = await cluster.finish(cluster.node(1).describeDatabase("main"));
    strictEqual(after.checkpointIndex, after.index);
  }, { checkpointBytes: 1 });
});

Deno.test("Node.stop() waits for neither a query nor the check of an upload, answers everybody and leaves no timer", async () => {
  const cluster = await NodeCluster.start(1, { checkpointBytes: 1 });
  await cluster.finish(cluster.write(1, TABLE));
  const { readerGate, writerGate, node, disk } = cluster.member(1);
  readerGate.hold();
  writerGate.hold();
  const codes: Promise<string>[] = [
    node.restore("main", chunksOf(makeFile(10)), 10_000),
    cluster.write(1, insert("a"), { timeoutMs: 60_000 }),
    cluster.rows(1, COUNT, { timeoutMs: 60_000 }),
  ].map((asked) => (asked as Promise<unknown>).then(() => "done", (error) => String(error.code)));
  await cluster.advance(50);
  const stopped = [node.stop(), node.stop()];
  deepStrictEqual(await cluster.finish(Promise.all(codes)), ["stopping", "stopping", "stopping"]);
  readerGate.release();
  await cluster.finish(Promise.all(stopped));
  deepStrictEqual(
    disk.list("db"),
    ["main.db", "main.meta", "main.sum"],
    "the last checkpoint was made all the same",
  );
  await rejects(cluster.rows(1, COUNT), { code: "stopping" });
  await rejects(cluster.rows(1, COUNT, { level: "stale" }), { code: "stopping" });
  await rejects(cluster.write(1, insert("b")), { code: "stopping" });
  strictEqual(cluster.network.clock.timerCount, 0);
});

Deno.test("Node: a write that a stopping leader refused is served by the next one", async () => {
  await withCluster(3, async (cluster) => {
    await cluster.finish(cluster.write(1, TABLE));
    cluster.member(1).writerGate.hold();
    const write = cluster.write(2, insert("a"), { timeoutMs: 30_000 });
    await cluster.advance(50);
    const stop = cluster.node(1).stop();
    await cluster.finish(write);
    deepStrictEqual(await cluster.rows(2, COUNT), [["a", 1]]);
    cluster.member(1).writerGate.release();
    await cluster.finish(stop);
  });
});

Deno.test("Node: the power fails at every member in turn, and what was acknowledged is there (promises 1, 3)", async () => {
  await withCluster(3, async (cluster) => {
    await cluster.finish(cluster.write(1, TABLE));
    for (let i = 1; i <= 9; i++) {
      const through = 1 + i % 3;
      await cluster.finish(
        cluster.write(through, insert("a"), { timeoutMs: 60_000, idempotencyKey: `key ${i}` }),
      );
      await cluster.restart(1 + (i + 1) % 3);
      await cluster.until(() => cluster.members.every(({ node }) => node.isReady()));
      deepStrictEqual(await cluster.rows(through, COUNT), [["a", i]]);
    }
  }, { checkpointBytes: 20_000 });
});

Deno.test("Node: the record of a dropped database is gone for good before its file is touched (promise 3)", async () => {
  await withCluster(1, async (cluster) => {
    await cluster.finish(cluster.write(1, TABLE));
    const { disk } = cluster.member(1);
    await cluster.until(() => disk.exists("db/main.meta"));
    const removed: string[] = [];
    disk.onOperation = ({ kind, path }) => {
      if (kind === "remove" && path.startsWith("db/")) removed.push(path);
      if (kind === "sync_done" && path === "db") removed.push("synced");
    };
    await cluster.finish(cluster.node(1).dropDatabase("main", 10_000));
    await cluster.until(() => removed.length === 4);
    deepStrictEqual(removed, ["db/main.meta", "synced", "db/main.db", "db/main.sum"]);
    disk.onOperation = undefined;
  }, { checkpointBytes: 1 });
});

Deno.test("Node: pages of an upload that come out of order are refused, not misplaced", async () => {
  await withCluster(1, async (cluster) => {
    const call = async <M extends "import_begin" | "import_pages">(
      method: M,
      request: PeerMethods[M]["request"],
    ): Promise<PeerMethods[M]["answer"]> =>
      decodeAnswer<M>(
        await cluster.finish(cluster.node(1).onCall(2, method, encodeRequest<M>(request, 10_000))),
      );
    const databaseId = await call("import_begin", { name: "main", pageSize: 512 });
    const part = (pageNumber: number): Uint8Array =>
      encodePages([{ pageNumber, bytes: new Uint8Array(512) }], {
        databaseId,
        pageSize: 512,
        pageCount: pageNumber,
        wallMs: 0,
        entryBytesMax: 10_000,
      })[0]!;
    await call("import_pages", { databaseId, body: part(1) });
    await rejects(call("import_pages", { databaseId, body: part(3) }), { code: "timeout" });
    await rejects(call("import_pages", { databaseId, body: part(1) }), { code: "timeout" });
    await call("import_pages", { databaseId, body: part(2) });
  });
});

Deno.test("Node: a write asked for in the moment of a drop is not acknowledged into the dropped database", async () => {
  await withCluster(1, async (cluster) => {
    await cluster.finish(cluster.write(1, TABLE));
    const outcome = (promise: Promise<unknown>) =>
      promise.then(() => "done", (error) => error.code as string);
    const first = outcome(cluster.write(1, insert("before")));
    const dropped = cluster.node(1).dropDatabase("main", 10_000);
    const second = outcome(cluster.write(1, insert("after")));
    deepStrictEqual(await cluster.finish(Promise.all([first, second])), [
      "database_not_found",
      "database_not_found",
    ]);
    await cluster.finish(dropped);
    await rejects(cluster.finish(cluster.write(1, insert("later"))), { code: "database_not_found" });
    await cluster.finish(cluster.node(1).createDatabase("main", true, 10_000));
    await rejects(cluster.finish(cluster.node(1).createDatabase("main", true, 10_000)), {
      code: "database_exists",
    });
  }, { createDatabases: false });
});

Deno.test("Node: a member that was removed while it was away ends itself; one that is only cut off does not", async () => {
  const cluster = await NodeCluster.start(4);
  await cluster.finish(cluster.write(1, "CREATE TABLE t (x)"));
  cluster.network.partition([4], [1, 2, 3]);
  await cluster.advance(30_000);
  deepStrictEqual(cluster.member(4).fatal, []);
  await cluster.finish(cluster.node(1).removeMember(4, 5_000));
  await cluster.advance(30_000);
  deepStrictEqual(cluster.member(4).fatal, []);
  cluster.network.partition([4], [1, 2, 3], false);
  await cluster.until(() => cluster.member(4).fatal.length > 0);
  match(String(cluster.member(4).fatal[0]), /Member 4 was removed from the cluster at or before index \d+/);
  cluster.member(4).fatal.length = 0;
  await cluster.close();
});

Deno.test("Node: the worst a caller may ask of time limits: none left, or all there is", async () => {
  await withCluster(1, async (cluster) => {
    await cluster.finish(cluster.write(1, TABLE, { timeoutMs: 1e12 }));
    deepStrictEqual(await cluster.rows(1, COUNT, { timeoutMs: 1e12 }), []);
    await rejects(cluster.rows(1, COUNT, { timeoutMs: 0 }));
    await rejects(cluster.finish(cluster.write(1, insert("a"), { timeoutMs: 0 })), { code: "timeout" });
    await cluster.finish(cluster.write(1, insert("b"), { timeoutMs: 1_000.25 }));
    deepStrictEqual(await cluster.rows(1, COUNT, { timeoutMs: 999.125 }), [["b", 1]]);
  });
});

Deno.test("Node: a leader hands over only itself, and says so to those who ask another", async () => {
  await withCluster(3, async (cluster) => {
    const asked = cluster.node(2).onCall(3, "transfer", encodeRequest<"transfer">({}, 1_000));
    await rejects(cluster.finish(asked), { code: "not_leader" });
    await rejects(cluster.finish(cluster.node(2).transferLeadership(9, 1_000)), { code: "member_not_found" });
    deepStrictEqual(await cluster.finish(cluster.node(3).transferLeadership(2, 5_000)), { leaderId: 2 });
    await rejects(cluster.finish(cluster.node(1).removeMember(9, 1_000)), { code: "member_not_found" });
    await cluster.finish(cluster.node(1).removeMember(1, 10_000));
    const { members } = await cluster.finish(cluster.node(2).cluster());
    deepStrictEqual(members.map(({ id, role }) => `${id} ${role}`), ["2 leader", "3 voter"]);
  });
});

async function collect(cluster: NodeCluster, chunks: AsyncIterableIterator<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) {
    parts.push(chunk);
    await cluster.advance(5);
  }
  return new Uint8Array(await new Blob(parts as Uint8Array<ArrayBuffer>[]).arrayBuffer());
}

async function* chunksOf(file: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < file.length; at += 100_000) {
    yield await Promise.resolve(file.subarray(at, at + 100_000));
  }
}

/** Native SQLite reads the bytes. */
function openFile(bytes: Uint8Array): unknown[][] {
  const database = new DatabaseSync(":memory:");
  const path = Deno.makeTempFileSync();
  try {
    // As a plain file, whatever the journal mode it was written in.
    const plain = bytes.slice();
    plain.fill(1, 18, 20);
    Deno.writeFileSync(path, plain);
    database.exec(`ATTACH '${path}' AS file`);
    return database.prepare(COUNT.replace("FROM t", "FROM file.t")).all().map((row) => Object.values(row));
  } finally {
    database.close();
    Deno.removeSync(path);
  }
}

function makeFile(rows: number): Uint8Array {
  const path = Deno.makeTempFileSync();
  try {
    const database = new DatabaseSync(path);
    database.exec(TABLE);
    database.exec(
      `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows}) ` +
        "INSERT INTO t (name) SELECT 'uploaded' FROM n",
    );
    database.close();
    return Deno.readFileSync(path);
  } finally {
    Deno.removeSync(path);
  }
}

Deno.test("Node: the stages of a write have the times it spent there, and nothing is left out", async () => {
  await withCluster(3, async (cluster) => {
    const leader = cluster.node(1);
    await cluster.finish(cluster.write(1, TABLE));
    const { clock } = cluster.network;
    const before = stages(leader);
    const { writerGate } = cluster.member(1);
    const startMs = clock.nowMs();
    writerGate.hold();
    const first = cluster.write(1, insert("a"));
    await cluster.advance(20);
    const second = cluster.write(1, insert("b"));
    await cluster.advance(40);
    cluster.network.partition([1], [2, 3]);
    writerGate.release();
    await cluster.advance(100);
    cluster.network.partition([1], [2, 3], false);
    const answers = await Promise.all([cluster.finish(first), cluster.finish(second)]);
    const spent = stages(leader);
    for (const [name, value] of Object.entries(before)) spent[name] = spent[name]! - value;
    strictEqual(spent["writes"], 2);
    ok(spent["queue"]! >= 40 && spent["queue"]! < 60, `only the second one waited: ${spent["queue"]}`);
    ok(
      spent["sqlite"]! >= 60 && spent["sqlite"]! < 80,
      `only the first one had its batch held: ${spent["sqlite"]}`,
    );
    for (const name of ["log", "fsync"]) {
      ok(spent[name]! >= 0 && spent[name]! < 2 * 20, `nothing held up the ${name}: ${spent[name]}`);
    }
    ok(spent["network"]! >= 2 * 90, `both waited for the others: ${spent["network"]}`);
    const waitedMs = answers.reduce((sum, { committedMs }) => sum + committedMs!, 0) - startMs -
      (startMs + 20);
    const inAll = ["queue", "sqlite", "log", "fsync", "network"].reduce((sum, name) => sum + spent[name]!, 0);
    ok(Math.abs(inAll - waitedMs) < 1e-6, `${inAll} of ${waitedMs} ms`);
  });
});

Deno.test("Node: a write that was passed on is timed by the leader only, whose clock means nothing elsewhere", async () => {
  await withCluster(3, async (cluster) => {
    await cluster.finish(cluster.write(1, TABLE));
    const before = metric(cluster.node(1), "writes_total");
    const { committedMs } = await cluster.finish(cluster.write(2, insert("a")));
    strictEqual(committedMs, undefined);
    strictEqual(metric(cluster.node(1), "writes_total") - before, 1);
    strictEqual(metric(cluster.node(2), "writes_total"), 0);
    ok(metric(cluster.node(2), "peer_sent_bytes_total") > 0);
    ok(metric(cluster.node(2), "peer_received_bytes_total") > 0);
  });
});

Deno.test("Node: a write that was on its way when leadership was lost is not timed", async () => {
  await withCluster(3, async (cluster) => {
    await cluster.finish(cluster.write(1, TABLE));
    const before = metric(cluster.node(1), "writes_total");
    const tip = metric(cluster.node(1), "log_tip_index");
    cluster.network.partition([1], [2, 3]);
    const write = cluster.write(1, insert("a"));
    await cluster.until(() => metric(cluster.node(1), "log_tip_index") > tip);
    await depose(cluster, 1, [2, 3]);
    await cluster.finish(write);
    await cluster.until(() => metric(cluster.node(1), "commit_index") > tip + 1);
    strictEqual(metric(cluster.node(1), "writes_total"), before);
  });
});

/** Milliseconds, and the number of writes. */
function stages(node: NodeCluster["members"][number]["node"]): Record<string, number> {
  const names = ["queue", "sqlite", "log", "fsync", "network"];
  const times = names.map((name) => [name, metric(node, `write_${name}_seconds_total`) * 1_000] as const);
  return Object.fromEntries([["writes", metric(node, "writes_total")], ...times]);
}
