import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert/strict";
import { metric, NodeCluster, type NodeTuning } from "../../tests/support/node_cluster.ts";
import { NodeError } from "../base/errors.ts";
import { LIMITS } from "../base/limits.ts";
import type { Transaction } from "./service.ts";

const TABLE = "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)";
const NAMES = "SELECT name FROM t ORDER BY id";
const OPTIONS = { format: "json", rowShape: "arrays", timeoutMs: 5_000 } as const;

type Fields = { rows?: unknown[][]; changes?: number; last_insert_rowid?: number };

async function withCluster(
  size: number,
  body: (cluster: NodeCluster) => Promise<void>,
  tuning: NodeTuning = {},
): Promise<void> {
  const cluster = await NodeCluster.start(size, tuning);
  await cluster.finish(cluster.write(1, TABLE));
  await body(cluster);
  await cluster.close();
}

function begin(cluster: NodeCluster, id = 1, database = "main", timeoutMs = 10_000): Promise<Transaction> {
  return cluster.finish(cluster.node(id).beginTransaction(database, { timeoutMs }));
}

async function run(cluster: NodeCluster, transaction: Transaction, sql: string): Promise<Fields> {
  const { bytes } = await cluster.finish(transaction.run({ sql, parameters: [] }, OPTIONS));
  return JSON.parse(`{${new TextDecoder().decode(bytes)}}`);
}

function insert(name: string): string {
  return `INSERT INTO t (name) VALUES ('${name}')`;
}

/** Whether the promise is still open after this much time of the cluster. */
async function isWaiting(cluster: NodeCluster, promise: Promise<unknown>, ms: number): Promise<boolean> {
  let isSettled = false;
  promise.then(() => (isSettled = true), () => (isSettled = true));
  await cluster.advance(ms);
  return !isSettled;
}

async function mustShow(cluster: NodeCluster, names: readonly string[]): Promise<void> {
  for (const { id } of cluster.members) {
    deepStrictEqual(await cluster.rows(id, NAMES), names.map((name) => [name]));
  }
}

/** A write of the same database goes through: the writer is free. */
async function mustBeFree(cluster: NodeCluster, id = 1): Promise<void> {
  await cluster.finish(cluster.write(id, "DELETE FROM t WHERE name = 'nobody'", { timeoutMs: 2_000 }));
}

Deno.test("Transaction: several requests see their own changes and nobody else does before the commit", async () => {
  await withCluster(3, async (cluster) => {
    const transaction = await begin(cluster);
    deepStrictEqual(await run(cluster, transaction, insert("a")), { changes: 1, last_insert_rowid: 1 });
    deepStrictEqual((await run(cluster, transaction, insert("b"))).last_insert_rowid, 2);
    deepStrictEqual((await run(cluster, transaction, NAMES)).rows, [["a"], ["b"]]);
    await mustShow(cluster, []);
    const { index } = await cluster.finish(transaction.commit(5_000));
    strictEqual(transaction.isOpen, false);
    ok(index <= metric(cluster.node(1), "commit_index"), "committed when it is answered");
    await mustShow(cluster, ["a", "b"]);
    await rejects(transaction.run({ sql: NAMES, parameters: [] }, OPTIONS), /it was committed/);
    await transaction.rollback();
    await mustShow(cluster, ["a", "b"]);
  });
});

Deno.test("Transaction: writes and transactions that come meanwhile wait, in order, and then run", async () => {
  await withCluster(3, async (cluster) => {
    const first = await begin(cluster);
    await run(cluster, first, insert("1"));
    const write = cluster.write(2, insert("2"));
    await cluster.advance(20);
    const second = cluster.node(1).beginTransaction("main", { timeoutMs: 5_000 });
    const last = cluster.write(1, insert("4"));
    ok(await isWaiting(cluster, Promise.any([write, second, last]), 1_000));
    await run(cluster, first, insert("1b"));
    await cluster.finish(first.commit(5_000));
    await cluster.finish(write);
    const transaction = await cluster.finish(second);
    ok(await isWaiting(cluster, last, 500));
    await run(cluster, transaction, insert("3"));
    await cluster.finish(transaction.commit(5_000));
    await cluster.finish(last);
    await mustShow(cluster, ["1", "1b", "2", "3", "4"]);
  });
});

Deno.test("Transaction: other databases go on meanwhile", async () => {
  await withCluster(1, async (cluster) => {
    const transaction = await begin(cluster);
    await run(cluster, transaction, insert("a"));
    await cluster.finish(cluster.write(1, TABLE, { database: "other", timeoutMs: 500 }));
    const other = await begin(cluster, 1, "other");
    await run(cluster, other, insert("b"));
    await cluster.finish(transaction.commit(5_000));
    await cluster.finish(other.rollback());
    await mustShow(cluster, ["a"]);
    deepStrictEqual(await cluster.rows(1, NAMES, { database: "other" }), []);
  });
});

Deno.test("Transaction.rollback() takes everything back, changes of the schema included, and frees the writer", async () => {
  await withCluster(3, async (cluster) => {
    const before = metric(cluster.node(1), "log_tip_index");
    const transaction = await begin(cluster);
    await run(cluster, transaction, insert("a"));
    await run(cluster, transaction, "ALTER TABLE t RENAME COLUMN name TO title");
    await run(cluster, transaction, "INSERT INTO t (title) VALUES ('b')");
    await cluster.finish(transaction.rollback());
    strictEqual(transaction.isOpen, false);
    strictEqual(metric(cluster.node(1), "log_tip_index"), before, "nothing was logged");
    await cluster.finish(cluster.write(1, insert("after")));
    await mustShow(cluster, ["after"]);
    await rejects(transaction.commit(1_000), { code: "sql_error" });
  });
});

Deno.test("Transaction: an error of SQLite leaves it open, and savepoints work in it", async () => {
  await withCluster(1, async (cluster) => {
    const transaction = await begin(cluster);
    await run(cluster, transaction, "INSERT INTO t VALUES (1, 'a')");
    await rejects(run(cluster, transaction, "INSERT INTO t VALUES (2, 'x'), (1, 'y')"), {
      code: "constraint_failed",
    });
    await rejects(run(cluster, transaction, "COMMIT"), { code: "statement_refused" });
    await rejects(run(cluster, transaction, "VACUUM"), { code: "statement_refused" });
    strictEqual(transaction.isOpen, true);
    await run(cluster, transaction, "SAVEPOINT one");
    await run(cluster, transaction, insert("lost"));
    await run(cluster, transaction, "ROLLBACK TO one");
    await run(cluster, transaction, insert("b"));
    await run(cluster, transaction, "RELEASE one");
    await cluster.finish(transaction.commit(5_000));
    await mustShow(cluster, ["a", "b"]);
    await rejects(cluster.finish(cluster.write(1, "SAVEPOINT one")), { code: "statement_refused" });
    await mustBeFree(cluster);
  });
});

Deno.test("Transaction: deferred foreign keys fail at the commit, and it stays open", async () => {
  await withCluster(3, async (cluster) => {
    const reference = "p INTEGER REFERENCES t(id) DEFERRABLE INITIALLY DEFERRED";
    await cluster.finish(cluster.write(1, `CREATE TABLE child (${reference})`));
    const transaction = await begin(cluster);
    await run(cluster, transaction, "INSERT INTO child VALUES (7)");
    await rejects(cluster.finish(transaction.commit(5_000)), { code: "constraint_failed" });
    strictEqual(transaction.isOpen, true);
    await run(cluster, transaction, "INSERT INTO t VALUES (7, 'parent')");
    await cluster.finish(transaction.commit(5_000));
    await mustShow(cluster, ["parent"]);
  });
});

Deno.test("Transaction: a statement that runs out of time rolls it back, as SQLite does, and it says so", async () => {
  await withCluster(1, async (cluster) => {
    const transaction = await begin(cluster);
    await run(cluster, transaction, insert("a"));
    const endless = "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) " +
      "INSERT INTO t (name) SELECT n FROM c";
    const failed = transaction.run({ sql: endless, parameters: [] }, { ...OPTIONS, timeoutMs: 0 });
    await rejects(cluster.finish(failed), { code: "statement_timeout" });
    strictEqual(transaction.isOpen, false);
    await rejects(transaction.commit(1_000), { code: "sql_error" });
    await mustShow(cluster, []);
    await mustBeFree(cluster);
  });
});

Deno.test("Transaction: one that only reads commits without an entry", async () => {
  await withCluster(3, async (cluster) => {
    await cluster.finish(cluster.write(1, insert("a")));
    const before = metric(cluster.node(1), "log_tip_index");
    const transaction = await begin(cluster);
    deepStrictEqual((await run(cluster, transaction, NAMES)).rows, [["a"]]);
    strictEqual((await cluster.finish(transaction.commit(5_000))).index, before);
    strictEqual(metric(cluster.node(1), "log_tip_index"), before);
    const empty = await begin(cluster);
    await cluster.finish(empty.commit(5_000));
    await mustBeFree(cluster);
  });
});

Deno.test("Transaction: idle for too long, or open for too long, it is rolled back and says which limit it met", async () => {
  await withCluster(3, async (cluster) => {
    const idle = await begin(cluster);
    await run(cluster, idle, insert("idle"));
    const waiting = cluster.write(2, insert("waited"), { timeoutMs: 30_000 });
    ok(await isWaiting(cluster, waiting, LIMITS.transactionIdleMsMax - 100));
    strictEqual(idle.isOpen, true);
    await cluster.finish(waiting);
    strictEqual(idle.isOpen, false);
    const closed = (error: NodeError) => error.code === "timeout" && error.details.limit?.name;
    await rejects(run(cluster, idle, NAMES), (error: NodeError) => closed(error) === "transactionIdleMsMax");
    await rejects(idle.commit(1_000), (error: NodeError) => closed(error) === "transactionIdleMsMax");
    await idle.rollback();

    const busy = await begin(cluster);
    const startMs = cluster.network.clock.nowMs();
    while (busy.isOpen) {
      await run(cluster, busy, insert("busy")).catch(() => {});
      await cluster.advance(1_000);
    }
    const openMs = cluster.network.clock.nowMs() - startMs;
    ok(openMs >= LIMITS.transactionMsMax && openMs < LIMITS.transactionMsMax + 2_000, String(openMs));
    await rejects(run(cluster, busy, NAMES), (error: NodeError) => closed(error) === "transactionMsMax");
    await mustShow(cluster, ["waited"]);
  });
});

Deno.test("Transaction: refused on a node that does not lead, and past its time in the queue", async () => {
  await withCluster(3, async (cluster) => {
    await rejects(begin(cluster, 2), { code: "not_leader" });
    await rejects(begin(cluster, 1, "no/name"), { code: "bad_request" });
    const transaction = await begin(cluster);
    await rejects(begin(cluster, 1, "main", 300), { code: "timeout" });
    await rejects(
      cluster.finish(cluster.write(1, insert("x"), { timeoutMs: 300 })),
      { code: "timeout" },
    );
    await cluster.finish(transaction.rollback());
    const [first, second] = [0, 1].map(() => transaction.run({ sql: NAMES, parameters: [] }, OPTIONS));
    await Promise.all([rejects(first!), rejects(second!)]);
  });
});

Deno.test("Transaction: one statement at a time", async () => {
  await withCluster(1, async (cluster) => {
    const transaction = await begin(cluster);
    const first = run(cluster, transaction, insert("a"));
    await rejects(transaction.run({ sql: NAMES, parameters: [] }, OPTIONS), { code: "bad_request" });
    await first;
    await cluster.finish(transaction.commit(5_000));
    await mustShow(cluster, ["a"]);
  });
});

Deno.test("Transaction: a change of leaders in the middle ends it, and nothing of it is there (promise 5)", async () => {
  await withCluster(3, async (cluster) => {
    const transaction = await begin(cluster);
    await run(cluster, transaction, insert("gone"));
    await cluster.finish(cluster.node(1).transferLeadership(2, 5_000));
    await cluster.until(() => metric(cluster.node(1), "is_leader") === 0);
    strictEqual(transaction.isOpen, false);
    await rejects(transaction.run({ sql: NAMES, parameters: [] }, OPTIONS), { code: "not_leader" });
    await rejects(transaction.commit(1_000), { code: "not_leader" });
    await transaction.rollback();
    const next = await begin(cluster, 2);
    await run(cluster, next, insert("new"));
    await cluster.finish(next.commit(5_000));
    await mustShow(cluster, ["new"]);
    await cluster.finish(cluster.node(2).transferLeadership(1, 5_000));
    await mustBeFree(cluster, 1);
    await mustShow(cluster, ["new"]);
  });
});

Deno.test("Transaction: a leader that is replaced right after COMMIT answers with the true fate (promise 5)", async () => {
  await withCluster(3, async (cluster) => {
    const lost = await begin(cluster);
    await run(cluster, lost, insert("lost"));
    cluster.network.partition([1], [2, 3]);
    const commit = lost.commit(60_000);
    commit.catch(() => {});
    await cluster.until(() => cluster.leader !== undefined && cluster.leader.id !== 1);
    await cluster.finish(cluster.write(cluster.leader!.id, insert("kept")));
    cluster.network.partition([1], [2, 3], false);
    await rejects(cluster.finish(commit), { code: "not_leader" });
    await mustShow(cluster, ["kept"]);
  });
});

Deno.test("Transaction: a commit whose fate is not known in time says so (promise 5)", async () => {
  await withCluster(3, async (cluster) => {
    const transaction = await begin(cluster);
    await run(cluster, transaction, insert("maybe"));
    cluster.network.partition([1], [2, 3]);
    await rejects(cluster.finish(transaction.commit(300)), { code: "commit_unknown" });
    strictEqual(transaction.isOpen, false);
    cluster.network.partition([1], [2, 3], false);
  });
});

Deno.test("Transaction: a leader that was replaced unawares shows nothing inside a transaction", async () => {
  await withCluster(3, async (cluster) => {
    const transaction = await begin(cluster);
    cluster.network.partition([1], [2, 3]);
    const read = transaction.run({ sql: NAMES, parameters: [] }, { ...OPTIONS, timeoutMs: 200 });
    await rejects(cluster.finish(read), (error: NodeError) => !error.mayHaveCommitted);
    strictEqual(transaction.isOpen, false, "what was not confirmed is rolled back");
    cluster.network.partition([1], [2, 3], false);
    await cluster.until(() => cluster.members.every(({ node }) => node.isReady()));
    await mustBeFree(cluster, cluster.leader!.id);
  });
});

Deno.test("Transaction: the loss of its session ends it, and the next write finds a new one (promise 7)", async () => {
  await withCluster(3, async (cluster) => {
    const transaction = await begin(cluster);
    await run(cluster, transaction, insert("gone"));
    // An expression that only grows too deep through views is not refused, and exhausts the stack of the instance.
    for (let level = 0; level < 20; level++) {
      const from = level === 0 ? "(SELECT 1 AS a)" : `v${level - 1}`;
      await run(
        cluster,
        transaction,
        `CREATE VIEW v${level} AS SELECT a${"+1".repeat(990)} AS a FROM ${from}`,
      );
    }
    const failed = await run(cluster, transaction, "SELECT a FROM v19").then(() => "ok", ({ code }) => code);
    strictEqual(failed, "engine_failed");
    strictEqual(transaction.isOpen, false);
    await rejects(transaction.commit(1_000), { code: "engine_failed" });
    await cluster.finish(cluster.write(1, insert("after")));
    await mustShow(cluster, ["after"]);
  });
});

Deno.test("Transaction: a large one spans several entries and is there as a whole", async () => {
  await withCluster(3, async (cluster) => {
    const before = metric(cluster.node(1), "log_tip_index");
    const transaction = await begin(cluster);
    for (let i = 0; i < 6; i++) {
      await run(cluster, transaction, `INSERT INTO t (name) VALUES (hex(zeroblob(1000000)) || ${i})`);
    }
    await cluster.finish(transaction.commit(10_000));
    ok(metric(cluster.node(1), "log_tip_index") - before >= 3, "several entries");
    const sizes = "SELECT COUNT(*), SUM(LENGTH(name)) FROM t";
    for (const id of [1, 2, 3]) deepStrictEqual(await cluster.rows(id, sizes), [[6, 6 * 2_000_001]]);
    await cluster.finish(cluster.write(1, "DELETE FROM t"));
    await mustShow(cluster, []);
  });
});

Deno.test("Transaction: a large one that is given up leaves nothing behind, neither pages nor a broken worker", async () => {
  await withCluster(3, async (cluster) => {
    await cluster.finish(cluster.write(1, insert("a")));
    for (const end of ["rollback", "transfer"]) {
      const transaction = await begin(cluster);
      // More than SQLite's page cache: frames of it are in the WAL before the end.
      for (let i = 0; i < 6; i++) {
        await run(cluster, transaction, "INSERT INTO t (name) VALUES (hex(zeroblob(1000000)))");
      }
      if (end === "rollback") await cluster.finish(transaction.rollback());
      else await cluster.finish(cluster.node(1).transferLeadership(2, 5_000));
      await cluster.finish(cluster.write(cluster.leader!.id, insert(end)));
    }
    await mustShow(cluster, ["a", "rollback", "transfer"]);
    await cluster.finish(cluster.node(2).transferLeadership(1, 5_000));
    await cluster.finish(cluster.write(1, insert("back")));
    await mustShow(cluster, ["a", "rollback", "transfer", "back"]);
    strictEqual(cluster.events.filter(({ name }) => name === "sql_worker_replaced").length, 0);
  });
});

Deno.test("Transaction: checkpoints meanwhile do no harm", async () => {
  await withCluster(3, async (cluster) => {
    await cluster.finish(cluster.write(1, insert("before")));
    const transaction = await begin(cluster);
    await run(cluster, transaction, insert("inside"));
    await cluster.finish(cluster.node(1).checkpoint("main", "full", 5_000));
    deepStrictEqual((await run(cluster, transaction, NAMES)).rows, [["before"], ["inside"]]);
    await cluster.finish(transaction.commit(5_000));
    await cluster.finish(cluster.write(1, insert("after")));
    await mustShow(cluster, ["before", "inside", "after"]);
  });
});

Deno.test("Transaction: dropping its database, or stopping the node, ends it", async () => {
  await withCluster(1, async (cluster) => {
    const transaction = await begin(cluster);
    await run(cluster, transaction, insert("a"));
    await cluster.finish(cluster.node(1).dropDatabase("main", 5_000));
    strictEqual(transaction.isOpen, false);
    await rejects(transaction.commit(1_000), { code: "database_not_found" });
    const last = await begin(cluster, 1, "fresh");
    await run(cluster, last, TABLE);
    await cluster.finish(cluster.node(1).stop());
    strictEqual(last.isOpen, false);
    await rejects(begin(cluster, 1, "fresh"), { code: "stopping" });
    match(String(await last.commit(1_000).catch((error) => error.code)), /stopping/);
  });
});
