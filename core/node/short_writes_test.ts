/** Short writes on the main thread, in whole nodes: what runs there, what does not, and that nobody sees the difference. */
import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { metric, NodeCluster, type NodeTuning } from "../../tests/support/node_cluster.ts";
import { NodeError } from "../base/errors.ts";
import { Log } from "../log/log.ts";

const INSERT = "INSERT INTO t (v) VALUES (?)";
const ALL = "SELECT id, v FROM t ORDER BY id";
/** Until the text is judged, until eight short batches in a row have been seen; with the last one the engine is loaded. */
const RUNS_BEFORE = 4 + 8 + 1;

interface Answer {
  readonly changes: number;
  readonly last_insert_rowid: number;
  readonly rows?: unknown[][];
}

type Run = (sql: string, parameters?: readonly (number | string)[]) => Promise<Answer>;

async function withTable(
  body: (cluster: NodeCluster, run: Run) => Promise<void>,
  { size = 1, ...tuning }: NodeTuning & { size?: number } = {},
): Promise<void> {
  const cluster = await NodeCluster.start(size, tuning);
  const run: Run = async (sql, parameters = []) => {
    const { fields } = await cluster.finish(cluster.write(1, sql, { statements: [{ sql, parameters }] }));
    return JSON.parse(`{${new TextDecoder().decode(fields.bytes)}}`);
  };
  await run("CREATE TABLE t (id INTEGER PRIMARY KEY, v UNIQUE)");
  await body(cluster, run);
  await cluster.close();
}

const shortWrites = (cluster: NodeCluster): number => metric(cluster.node(1), "short_writes_total");

/** Whether the main thread ran it. */
async function isShort(cluster: NodeCluster, work: () => Promise<unknown>): Promise<boolean> {
  const before = shortWrites(cluster);
  await work();
  return shortWrites(cluster) > before;
}

/** Inserts rows until the main thread does, and shows that it does. Returns how many there are. */
async function warm(cluster: NodeCluster, run: Run, prefix = "warm"): Promise<number> {
  for (let row = 1; row <= 200; row++) {
    if (await isShort(cluster, () => run(INSERT, [`${prefix} ${row}`]))) return row;
  }
  throw new Error("No write ran on the main thread");
}

Deno.test("short writes that have proved themselves run on the main thread, and every node has them", async () => {
  await withTable(async (cluster, run) => {
    const rows = await warm(cluster, run);
    strictEqual(rows, RUNS_BEFORE);
    for (let row = rows + 1; row <= rows + 50; row++) {
      const answer = await run(INSERT, [`row ${row}`]);
      deepStrictEqual([answer.changes, answer.last_insert_rowid], [1, row]);
    }
    strictEqual(shortWrites(cluster), 51);
    const expected = await cluster.rows(1, ALL);
    strictEqual(expected.length, rows + 50);
    for (const id of [2, 3]) deepStrictEqual(await cluster.rows(id, ALL), expected);
    await cluster.restart(1);
    await cluster.until(() => cluster.leader !== undefined);
    deepStrictEqual(await cluster.rows(1, ALL), expected);
  }, { size: 3 });
});

Deno.test("updates, deletes, upserts, RETURNING and batches are short, too", async () => {
  await withTable(async (cluster, run) => {
    await warm(cluster, run);
    const texts: [string, (number | string)[]][] = [
      ["UPDATE t SET v = 'x' || ? WHERE id = 1", [1]],
      ["DELETE FROM t WHERE id = ?", [2]],
      ["INSERT INTO t VALUES (?, 'y') ON CONFLICT DO UPDATE SET v = v || 'z' RETURNING id, v", [3]],
      ["REPLACE INTO t VALUES (?, 'four')", [4]],
    ];
    for (const [sql, parameters] of texts) {
      for (let round = 0; !await isShort(cluster, () => run(sql, parameters)); round++) ok(round < 300, sql);
    }
    const statements = texts.map(([sql, parameters]) => ({ sql, parameters }));
    const batch = () => cluster.finish(cluster.write(1, "", { kind: "batch", statements }));
    ok(await isShort(cluster, batch));
    deepStrictEqual((await cluster.rows(1, ALL)).slice(0, 3).map(([id]) => id), [1, 3, 4]);
  });
});

Deno.test("a constraint that fails, and parameters that do not fit, are answers of the main thread", async () => {
  await withTable(async (cluster, run) => {
    const rows = await warm(cluster, run);
    const twice = () => rejects(run(INSERT, ["warm 1"]), { code: "constraint_failed" });
    ok(await isShort(cluster, twice));
    const tooMany = () => rejects(run(INSERT, ["a", "b"]), { code: "parameter_mismatch" });
    ok(await isShort(cluster, tooMany));
    ok(await isShort(cluster, () => run(INSERT, ["next"])));
    strictEqual((await cluster.rows(1, ALL)).length, rows + 1);
  });
});

Deno.test("what goes beyond its budget has changed nothing, and the worker does it once (promise 5)", async () => {
  await withTable(async (cluster, run) => {
    await run(
      "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) INSERT INTO t SELECT i, i FROM n",
    );
    await warm(cluster, run);
    const add = "UPDATE t SET v = v + 10000 WHERE id <= ?";
    for (let round = 0; !await isShort(cluster, () => run(add, [1])); round++) ok(round < 300);
    const [[before]] = await cluster.rows(1, "SELECT v FROM t WHERE id = 2") as [[number]];
    ok(!await isShort(cluster, async () => strictEqual((await run(add, [3000])).changes, 3000)));
    deepStrictEqual(await cluster.rows(1, "SELECT v FROM t WHERE id IN (2, 3000, 3001)"), [
      [before + 10_000],
      [13_000],
      [3001],
    ]);
    ok(!await isShort(cluster, () => run(add, [1])), "it has been long, so it stays with the worker");
    deepStrictEqual(await cluster.rows(1, "SELECT v FROM t WHERE id = 2"), [[before + 10_000]]);
  });
});

Deno.test("large parameters, functions, triggers and statements with keys never run on the main thread", async () => {
  await withTable(async (cluster, run) => {
    await warm(cluster, run);
    ok(!await isShort(cluster, () => run(INSERT, ["x".repeat(20_000)])));
    await run("CREATE TABLE heard (v)");
    await run("CREATE TRIGGER hears AFTER INSERT ON t BEGIN INSERT INTO heard VALUES (new.v); END");
    for (let row = 0; row < 40; row++) {
      ok(!await isShort(cluster, () => run(INSERT, [`trigger ${row}`])));
      ok(!await isShort(cluster, () => run("UPDATE heard SET v = upper(v) WHERE rowid = ?", [row])));
    }
    strictEqual((await cluster.rows(1, "SELECT * FROM heard")).length, 40);
    const keyed = (idempotencyKey: string) =>
      cluster.finish(cluster.write(1, "UPDATE heard SET v = 'key' WHERE rowid = 1", { idempotencyKey }));
    for (let row = 0; row < 40; row++) ok(!await isShort(cluster, () => keyed(`key ${row}`)));
  });
});

Deno.test("a text that was judged before the schema changed is judged anew", async () => {
  await withTable(async (cluster, run) => {
    await warm(cluster, run);
    const other = "DELETE FROM t WHERE id = ?";
    for (let round = 0; !await isShort(cluster, () => run(other, [1])); round++) ok(round < 300);
    await run("CREATE TABLE gone (id)");
    await run("CREATE TRIGGER goes AFTER DELETE ON t BEGIN INSERT INTO gone VALUES (old.id); END");
    // The session comes back for this one; the other text was short only without the trigger.
    await warm(cluster, run, "again");
    ok(!await isShort(cluster, () => run(other, [3])));
    deepStrictEqual(await cluster.rows(1, "SELECT id FROM gone"), [[3]]);
  });
});

Deno.test("transactions over several requests take the session to the worker, and it comes back", async () => {
  await withTable(async (cluster, run) => {
    const rows = await warm(cluster, run);
    const transaction = await cluster.finish(cluster.node(1).beginTransaction("main", { timeoutMs: 10_000 }));
    const statement = { sql: INSERT, parameters: ["inside"] };
    await cluster.finish(
      transaction.run(statement, { format: "json", rowShape: "arrays", timeoutMs: 10_000 }),
    );
    const waiting = cluster.write(1, INSERT, { statements: [{ sql: INSERT, parameters: ["behind"] }] });
    await cluster.finish(transaction.commit(10_000));
    await cluster.finish(waiting);
    const more = await warm(cluster, run, "again");
    strictEqual((await cluster.rows(1, ALL)).length, rows + 2 + more);
  });
});

Deno.test("a session on the main thread goes on over checkpoints, and holds no log back", async () => {
  await withTable(async (cluster, run) => {
    const rows = await warm(cluster, run);
    for (let round = 0; round < 5; round++) {
      for (let row = 0; row < 20; row++) await run(INSERT, [`round ${round} row ${row}`]);
      await cluster.finish(cluster.node(1).checkpoint("main", "full", 10_000));
      ok(await isShort(cluster, () => run(INSERT, [`behind ${round}`])), `after checkpoint ${round}`);
    }
    strictEqual((await cluster.rows(1, ALL)).length, rows + 5 * 21);
    deepStrictEqual(await cluster.rows(1, "PRAGMA integrity_check"), [["ok"]]);
  });
});

Deno.test("writes on the main thread of a leader that is cut off are lost with it, and nobody sees them (promises 2 and 5)", async () => {
  await withTable(async (cluster, run) => {
    const rows = await warm(cluster, run);
    cluster.network.partition([1], [2, 3]);
    const lost = cluster.write(1, INSERT, {
      statements: [{ sql: INSERT, parameters: ["lost"] }],
      timeoutMs: 500,
    });
    await rejects(cluster.finish(lost), { code: "commit_unknown" });
    strictEqual((await cluster.rows(1, ALL, { level: "stale" })).length, rows);
    await cluster.until(() => cluster.leader !== undefined && cluster.leader.id !== 1);
    const { id } = cluster.leader!;
    const write = (value: string) =>
      cluster.finish(cluster.write(id, INSERT, { statements: [{ sql: INSERT, parameters: [value] }] }));
    for (let row = 0; row < 30; row++) await write(`new leader ${row}`);
    cluster.network.partition([1], [2, 3], false);
    await cluster.finish(cluster.node(id).transferLeadership(1, 10_000));
    await cluster.until(() => metric(cluster.node(1), "is_leader") === 1);
    await warm(cluster, run, "back");
    const values = (await cluster.rows(1, ALL)).map(([, value]) => value);
    strictEqual(values.includes("lost"), false);
    ok(values.includes("new leader 29") && values.includes("back 1"));
    for (const other of [2, 3]) {
      deepStrictEqual((await cluster.rows(other, ALL)).map(([, value]) => value), values);
    }
  }, { size: 3 });
});

Deno.test("a damaged page met by a write on the main thread is found by the worker, repaired, and written (promise 6)", async () => {
  await withTable(async (cluster, run) => {
    await run("CREATE TABLE large (id INTEGER PRIMARY KEY, v)");
    for (let row = 0; row < 40; row++) await run("INSERT INTO large (v) VALUES (hex(randomblob(1500)))");
    const update = "UPDATE large SET v = 'small' WHERE id = ?";
    for (let round = 0; !await isShort(cluster, () => run(update, [1])); round++) ok(round < 100);
    await cluster.finish(cluster.node(1).checkpoint("main", "full", 10_000));
    const damagedPage = 20;
    cluster.member(1).disk.flipBit("db/main.db", damagedPage * 4096 + 77, 3);
    for (let id = 2; id <= 40; id++) {
      await run(update, [id]).catch(async ({ code }) => {
        strictEqual(code, "data_damaged");
        await cluster.until(() => cluster.events.some(({ name }) => name === "damage_repaired"));
        await run(update, [id]);
      });
    }
    ok(cluster.events.some(({ name }) => name === "damage_repaired"));
    deepStrictEqual(await cluster.rows(1, "SELECT COUNT(*) FROM large WHERE v = 'small'"), [[40]]);
  }, { size: 3 });
});

Deno.test("four databases have their writer on the main thread; one that is dropped or not used makes room", async () => {
  await withTable(async (cluster) => {
    const insert = (database: string) => {
      const statements = [{ sql: "INSERT INTO t VALUES (?)", parameters: [1] }];
      return cluster.finish(cluster.write(1, "", { database, statements }));
    };
    const names = ["a", "b", "c", "d", "e"];
    await cluster.finish(cluster.write(1, "CREATE TABLE t (v)", { database: "warm" }));
    for (const database of names) {
      await cluster.finish(cluster.write(1, "CREATE TABLE t (v)", { database }));
      for (let row = 0; row < RUNS_BEFORE; row++) await insert(database);
    }
    const places = async () => {
      const found: string[] = [];
      for (const database of names) if (await isShort(cluster, () => insert(database))) found.push(database);
      return found;
    };
    deepStrictEqual(await places(), ["a", "b", "c", "d"]);
    await cluster.finish(cluster.node(1).dropDatabase("b", 10_000));
    names.splice(1, 1);
    deepStrictEqual(await places(), ["a", "c", "d", "e"]);
    await insert("a");
    await cluster.advance(6_000);
    for (const database of ["a", "d", "e"]) await insert(database);
    await cluster.advance(6_000);
    // Not used for ten seconds, "c" makes room, and goes on with the worker.
    for (let row = 0; row < RUNS_BEFORE; row++) await insert("warm");
    names.push("warm");
    deepStrictEqual(await places(), ["a", "d", "e", "warm"]);
    deepStrictEqual(await cluster.rows(1, "SELECT COUNT(*) FROM t", { database: "c" }), [[RUNS_BEFORE + 3]]);
  });
});

Deno.test("a write that found no room in the log is not missing when the session moves meanwhile (promises 1 and 5)", async () => {
  for (const isWarm of [true, false]) {
    await withTable(async (cluster, run) => {
      const add = "UPDATE t SET v = v + 1 WHERE id = 1";
      await run("INSERT INTO t VALUES (1, 0)");
      let count = 0;
      for (; isWarm && count < 100; count++) if (await isShort(cluster, () => run(add))) break;
      if (isWarm) count++;
      // As long as the disk is full, with no reserve left.
      const append = Log.prototype.append;
      Log.prototype.append = () => {
        throw new NodeError("disk_full", "no room");
      };
      const write = () => cluster.write(1, add, { timeoutMs: 60_000 }).then(() => count++, () => undefined);
      const begin = () =>
        cluster.node(1).beginTransaction("main", { timeoutMs: 60_000 }).catch(() => undefined);
      const first = write();
      const begun = begin();
      const second = write();
      await cluster.advance(300);
      Log.prototype.append = append;
      const transaction = await cluster.finish(begun);
      const options = { format: "json", rowShape: "arrays", timeoutMs: 10_000 } as const;
      if (transaction !== undefined) {
        await cluster.finish(transaction.run({ sql: add, parameters: [] }, options));
        await cluster.finish(transaction.commit(10_000));
        count++;
      }
      await cluster.finish(Promise.all([first, second]));
      for (let more = 0; more < 5; more++) await cluster.finish(write());
      deepStrictEqual(await cluster.rows(1, ALL), [[1, count]]);
    });
  }
});

Deno.test("a value of many pages that is replaced or deleted does not hold up the main thread", async () => {
  await withTable(async (cluster, run) => {
    await run("CREATE TABLE large (id INTEGER PRIMARY KEY, v)");
    for (const id of [1, 2]) await run("INSERT INTO large VALUES (?, randomblob(2000000))", [id]);
    for (let id = 3; id <= 60; id++) await run("INSERT INTO large VALUES (?, 'x')", [id]);
    await cluster.finish(cluster.node(1).checkpoint("main", "full", 10_000));
    const update = "UPDATE large SET v = 'y' WHERE id = ?";
    const remove = "DELETE FROM large WHERE id = ?";
    for (const [sql, large] of [[update, 1], [remove, 2]] as const) {
      for (let id = 3; !await isShort(cluster, () => run(sql, [id])); id++) ok(id < 60, sql);
      ok(!await isShort(cluster, async () => strictEqual((await run(sql, [large])).changes, 1)), sql);
    }
    deepStrictEqual(await cluster.rows(1, "SELECT id, v FROM large WHERE id < 3"), [[1, "y"]]);
    deepStrictEqual(await cluster.rows(1, "PRAGMA integrity_check"), [["ok"]]);
  });
});

Deno.test("writes that wait together are done in their order, whichever of them is long", async () => {
  await withTable(async (cluster, run) => {
    await run(
      "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) INSERT INTO t SELECT i, i FROM n",
    );
    const set = "UPDATE t SET v = ? || id WHERE id <= ?";
    for (let round = 0; !await isShort(cluster, () => run(set, ["warm", 1])); round++) ok(round < 100);
    const write = (value: string, last: number) =>
      cluster.write(1, set, { statements: [{ sql: set, parameters: [value, last] }] });
    const writes = [write("a", 1), write("b", 3000), write("c", 1), write("d", 1)];
    const indexes = (await cluster.finish(Promise.all(writes))).map(({ index }) => index);
    deepStrictEqual(indexes, indexes.toSorted((a, b) => a - b));
    ok(indexes[1]! > indexes[0]!, "the first one was done on the main thread");
    deepStrictEqual(await cluster.rows(1, "SELECT v FROM t WHERE id <= 2"), [["d1"], ["b2"]]);
  });
});
