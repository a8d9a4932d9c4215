/** Short queries on the main thread, in whole nodes: what runs there, what does not, and that nobody sees the difference. */
import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { metric, NodeCluster, type NodeTuning } from "../../tests/support/node_cluster.ts";
import type { QueryRequest } from "./service.ts";

const BY_ID = "SELECT v FROM t WHERE id = ?";
/** By workers, before a text is judged, and one more while the session on the main thread is made. */
const RUNS_BEFORE = 5;

async function withRows(
  body: (cluster: NodeCluster, read: ReadById) => Promise<void>,
  tuning: NodeTuning = {},
): Promise<void> {
  const cluster = await NodeCluster.start(1, tuning);
  await cluster.finish(cluster.write(1, "CREATE TABLE t (id INTEGER PRIMARY KEY, v)"));
  await cluster.finish(
    cluster.write(
      1,
      "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) INSERT INTO t SELECT i, 'v' || i FROM n",
    ),
  );
  const read: ReadById = async (sql, parameters, options = {}) =>
    await cluster.rows(1, sql, { parameters, ...options });
  await body(cluster, read);
  await cluster.close();
}

type ReadById = (
  sql: string,
  parameters: readonly (number | string)[],
  options?: Partial<QueryRequest>,
) => Promise<unknown[][]>;

const shortReads = (cluster: NodeCluster): number => metric(cluster.node(1), "short_reads_total");

/** Runs it until the main thread does, and shows that it does. */
async function warm(cluster: NodeCluster, read: ReadById, sql: string, parameters: number[]): Promise<void> {
  for (let run = 0; run < RUNS_BEFORE; run++) await read(sql, parameters);
  const before = shortReads(cluster);
  await read(sql, parameters);
  strictEqual(shortReads(cluster), before + 1, sql);
}

Deno.test("a short query that has proved itself runs on the main thread, and sees every write", async () => {
  await withRows(async (cluster, read) => {
    await warm(cluster, read, BY_ID, [7]);
    for (let round = 1; round <= 20; round++) {
      await cluster.finish(cluster.write(1, `UPDATE t SET v = 'round ${round}' WHERE id = 7`));
      deepStrictEqual(await read(BY_ID, [7]), [[`round ${round}`]]);
      deepStrictEqual(await read(BY_ID, [8]), [["v8"]]);
    }
    strictEqual(shortReads(cluster), 41);
  });
});

Deno.test("what runs beyond its budget is answered by a worker, and not tried again soon", async () => {
  await withRows(async (cluster, read) => {
    const range = "SELECT SUM(id) FROM t WHERE id <= ?";
    await warm(cluster, read, range, [10]);
    const before = shortReads(cluster);
    // Too many operations; then too many pages for a view that nothing was read of yet.
    deepStrictEqual(await read(range, [20_000]), [[200_010_000]]);
    deepStrictEqual(await read(range, [10]), [[55]]);
    strictEqual(shortReads(cluster), before);
  });
});

Deno.test("large values, many rows and large parameters go to a worker", async () => {
  await withRows(async (cluster, read) => {
    await cluster.finish(cluster.write(1, "UPDATE t SET v = zeroblob(100000) WHERE id = 9"));
    await warm(cluster, read, BY_ID, [1]);
    const atFirst = shortReads(cluster);
    strictEqual((await read(BY_ID, [9])).length, 1);
    strictEqual(shortReads(cluster), atFirst);

    const equal = "SELECT ? = v FROM t WHERE id = 1";
    for (let run = 0; run <= RUNS_BEFORE; run++) await read(equal, ["x"]);
    const before = shortReads(cluster);
    deepStrictEqual(await read(equal, ["x".repeat(20_000)]), [[0]]);
    strictEqual(shortReads(cluster), before);
    deepStrictEqual(await read(equal, ["v1"]), [[1]]);
    strictEqual(shortReads(cluster), before + 1);

    const rows = "SELECT id FROM t WHERE id <= ?";
    await warm(cluster, read, rows, [2]);
    strictEqual((await read(rows, [1_500])).length, 1_500);
  });
});

Deno.test("a changed schema is judged anew: a view that has become expensive does not run on the main thread", async () => {
  await withRows(async (cluster, read) => {
    await cluster.finish(cluster.write(1, "CREATE VIEW w AS SELECT id, v FROM t"));
    const sql = "SELECT v FROM w WHERE id = ?";
    await warm(cluster, read, sql, [3]);
    await cluster.finish(cluster.write(1, "DROP VIEW w"));
    await rejects(read(sql, [3]), { code: "sql_error" });
    await cluster.finish(cluster.write(1, "CREATE VIEW w AS SELECT id, upper(v) AS v FROM t"));
    const before = shortReads(cluster);
    for (let run = 0; run < 2 * RUNS_BEFORE; run++) deepStrictEqual(await read(sql, [3]), [["V3"]]);
    strictEqual(shortReads(cluster), before);
  });
});

Deno.test("a query that fails when it would be judged is judged later", async () => {
  await withRows(async (cluster, read) => {
    for (let run = 1; run < RUNS_BEFORE - 1; run++) await read(BY_ID, [1]);
    await rejects(read(BY_ID, []), { code: "parameter_mismatch" });
    await warm(cluster, read, BY_ID, [1]);
  });
});

Deno.test("functions and statements that write never run on the main thread", async () => {
  await withRows(async (cluster, read) => {
    for (let run = 0; run < 2 * RUNS_BEFORE; run++) {
      deepStrictEqual(await read("SELECT upper(v) FROM t WHERE id = ?", [2]), [["V2"]]);
      await rejects(read("DELETE FROM t WHERE id = ?", [2]), { code: "read_only" });
      await rejects(read("SELECT missing FROM t WHERE id = ?", [2]), { code: "sql_error" });
    }
    strictEqual(shortReads(cluster), 0);
  });
});

Deno.test("what is not committed is not shown on the main thread either (promise 2)", async () => {
  const cluster = await NodeCluster.start(3);
  await cluster.finish(cluster.write(1, "CREATE TABLE t (id INTEGER PRIMARY KEY, v)"));
  await cluster.finish(cluster.write(1, "INSERT INTO t VALUES (1, 'old')"));
  const read = () => cluster.rows(1, BY_ID, { parameters: [1], level: "stale" });
  for (let run = 0; run < RUNS_BEFORE; run++) await read();
  cluster.network.partition([1], [2, 3]);
  const tip = metric(cluster.node(1), "log_tip_index");
  const write = cluster.write(1, "UPDATE t SET v = 'never'");
  await cluster.until(() => metric(cluster.node(1), "log_tip_index") > tip);
  const before = shortReads(cluster);
  for (let run = 0; run < 3; run++) deepStrictEqual(await read(), [["old"]]);
  strictEqual(shortReads(cluster), before + 3);
  cluster.network.partition([1], [2, 3], false);
  await cluster.finish(write.catch(() => undefined));
  await cluster.close();
});

Deno.test("a damaged page met on the main thread costs its instance and one query (promises 6 and 7)", async () => {
  const cluster = await NodeCluster.start(3);
  await cluster.finish(cluster.write(1, "CREATE TABLE t (id INTEGER PRIMARY KEY, v)"));
  for (let row = 0; row < 40; row++) {
    await cluster.finish(cluster.write(1, "INSERT INTO t (v) VALUES (hex(randomblob(1500)))"));
  }
  await cluster.advance(500);
  await cluster.finish(cluster.node(1).checkpoint("main", "full", 10_000));
  const texts = [BY_ID, "SELECT id, v FROM t WHERE id = ?"] as const;
  const read = (sql: string, id: number) => cluster.rows(1, sql, { parameters: [id], level: "stale" });
  for (const sql of texts) for (let run = 0; run < RUNS_BEFORE; run++) await read(sql, 1);
  const damagedPage = 20;
  cluster.member(1).disk.flipBit("db/main.db", damagedPage * 4096 + 77, 3);
  const failed: number[] = [];
  for (let id = 1; id <= 40; id++) {
    await read(BY_ID, id).catch(({ code }) => failed.push(code === "data_damaged" ? id : -1));
  }
  ok(failed.length === 1 && failed[0] !== -1, String(failed));
  await cluster.until(() => cluster.events.some(({ name }) => name === "damage_repaired"));
  await cluster.advance(11_000);
  await read(texts[1], 1);
  const before = shortReads(cluster);
  for (let id = 1; id <= 40; id++) strictEqual((await read(texts[1], id)).length, 1);
  strictEqual(shortReads(cluster), before + 40);
  await cluster.close();
});

Deno.test("the past is shown by workers, the present beside it by the main thread", async () => {
  await withRows(async (cluster, read) => {
    await warm(cluster, read, BY_ID, [5]);
    const index = metric(cluster.node(1), "commit_index");
    await cluster.finish(cluster.write(1, "UPDATE t SET v = 'new' WHERE id = 5"));
    const before = shortReads(cluster);
    deepStrictEqual(await read(BY_ID, [5], { level: "as_of", asOf: { index } }), [["v5"]]);
    strictEqual(shortReads(cluster), before);
    deepStrictEqual(await read(BY_ID, [5]), [["new"]]);
    strictEqual(shortReads(cluster), before + 1);
  }, { retainMs: 600_000 });
});

Deno.test("checkpoints, and a database that is dropped and made anew, do not confuse the main thread", async () => {
  await withRows(async (cluster, read) => {
    await warm(cluster, read, BY_ID, [5]);
    await cluster.finish(cluster.node(1).checkpoint("main", "full", 10_000));
    deepStrictEqual(await read(BY_ID, [5]), [["v5"]]);
    await cluster.finish(cluster.write(1, "UPDATE t SET v = 'later' WHERE id = 5"));
    deepStrictEqual(await read(BY_ID, [5]), [["later"]]);
    await cluster.finish(cluster.node(1).dropDatabase("main", 10_000));
    await rejects(read(BY_ID, [5]), { code: "database_not_found" });
    await cluster.finish(cluster.write(1, "CREATE TABLE t (id INTEGER PRIMARY KEY, v)"));
    deepStrictEqual(await read(BY_ID, [5]), []);
  });
});

Deno.test("four databases have a place on the main thread, and give it up when they are not read for ten seconds", async () => {
  await withRows(async (cluster, read) => {
    const names = ["a", "b", "c", "d", "e"];
    const readOf = async (database: string): Promise<boolean> => {
      const before = shortReads(cluster);
      deepStrictEqual(await read(BY_ID, [1], { database }), [[database]]);
      return shortReads(cluster) > before;
    };
    for (const database of names) {
      for (
        const sql of ["CREATE TABLE t (id INTEGER PRIMARY KEY, v)", `INSERT INTO t VALUES (1, '${database}')`]
      ) {
        await cluster.finish(cluster.write(1, sql, { database }));
      }
      for (let run = 0; run < RUNS_BEFORE; run++) await readOf(database);
    }
    for (const database of names) strictEqual(await readOf(database), database !== "e", database);
    for (let run = 0; run < 10; run++) strictEqual(await readOf("e"), false);
    await cluster.advance(11_000);
    for (const database of ["b", "c", "d"]) strictEqual(await readOf(database), true);
    // It takes the place of the one that nobody read.
    strictEqual(await readOf("e"), false);
    strictEqual(await readOf("e"), true);
    strictEqual(await readOf("a"), false);
  });
});

/** Whether node 1 answers at once, and what. */
function rowsNow(cluster: NodeCluster, options: Partial<QueryRequest>): unknown[][] | undefined {
  const answer = cluster.node(1).queryNow({
    database: "main",
    sql: BY_ID,
    parameters: [1],
    level: "linearizable",
    timeoutMs: 10_000,
    format: "json",
    rowShape: "arrays",
    ...options,
  });
  return answer && JSON.parse(`{${new TextDecoder().decode(answer.fields.bytes)}}`).rows;
}

Deno.test("queryNow answers short queries only, and those that have nothing to wait for", async () => {
  await withRows(async (cluster, read) => {
    strictEqual(rowsNow(cluster, {}), undefined);
    await warm(cluster, read, BY_ID, [1]);
    const { index } = await cluster.finish(cluster.write(1, "UPDATE t SET v = 'new' WHERE id = 1"));
    const shown = [["new"]];
    // The only voter needs no round.
    deepStrictEqual(rowsNow(cluster, {}), shown);
    deepStrictEqual(rowsNow(cluster, { level: "index", index }), shown);
    deepStrictEqual(rowsNow(cluster, { level: "stale" }), shown);
    deepStrictEqual(rowsNow(cluster, { level: "stale", maxAgeMs: 0 }), shown);
    for (
      const wait of [
        { level: "index", index: index + 1 },
        { level: "as_of", asOf: { index } },
        { database: "other" },
        { sql: "SELECT v FROM t" },
        { parameters: [] },
      ] as const
    ) strictEqual(rowsNow(cluster, wait), undefined, JSON.stringify(wait));
  });
});

Deno.test("queryNow shows nothing linearizable that a majority has not confirmed (promise 2)", async () => {
  const cluster = await NodeCluster.start(3);
  await cluster.finish(cluster.write(1, "CREATE TABLE t (id INTEGER PRIMARY KEY, v)"));
  await cluster.finish(cluster.write(1, "INSERT INTO t VALUES (1, 'old')"));
  for (let run = 0; run <= RUNS_BEFORE; run++) await cluster.rows(1, BY_ID, { parameters: [1] });
  strictEqual(rowsNow(cluster, {}), undefined);
  const tip = metric(cluster.node(1), "log_tip_index");
  cluster.network.partition([1], [2, 3]);
  const write = cluster.write(1, "UPDATE t SET v = 'never'");
  await cluster.until(() => metric(cluster.node(1), "log_tip_index") > tip);
  deepStrictEqual([rowsNow(cluster, {}), rowsNow(cluster, { level: "stale" })], [undefined, [["old"]]]);
  cluster.network.partition([1], [2, 3], false);
  await cluster.finish(write.catch(() => undefined));
  await cluster.close();
});
