import assert from "node:assert/strict";
import { batchJob, errorOf, job, queryJson, SqlDatabase } from "../../tests/support/sql_database.ts";

/**
 * About 4,000 terms exhaust the stack in SQLite's compiler, on a fresh instance; these do so whatever the state of the JIT. The check
 * that prevents it is switched off, to see what then happens.
 */
const POISON = `SELECT 1${"+1".repeat(20_000)}`;
const UNCHECKED = { expressionDepthMax: Infinity };

Deno.test("an expression that is too deep is refused before SQLite sees it, naming the limit", async () => {
  const database = await SqlDatabase.open();
  database.execute("CREATE TABLE t(a)");
  const expression = `SELECT 1${"+1".repeat(4_000)}`;
  const reader = await database.openReader();
  for (const call of [() => database.execute(expression), () => queryJson(reader, expression, [], 1)]) {
    const error = errorOf(call);
    assert.equal(error.code, "sql_error");
    assert.deepEqual(error.details.limit, { name: "expression_depth", value: 1_000 });
  }
  assert.deepEqual([database.writer.isDead, reader.isDead], [false, false]);
  assert.deepEqual(queryJson(reader, `SELECT 1${"+1".repeat(999)}`, [], 1).rows, [[1_000]]);
});

Deno.test("a writer that loses its stack in mid-batch delivers nothing, and a new one goes on (promise 7)", async () => {
  const database = await SqlDatabase.open({ limits: UNCHECKED });
  database.execute("CREATE TABLE t(a INTEGER PRIMARY KEY)");
  database.execute("INSERT INTO t VALUES (1)");
  const before = database.pages.toFile(database.pages.tip);

  const batch = database.runBatch([
    job("INSERT INTO t VALUES (2)"),
    job(POISON),
    job("INSERT INTO t VALUES (3)"),
  ]);
  assert.equal(database.writer.isDead, true);
  assert.equal(batch.diedAt, 1);
  assert.deepEqual(batch.pages, []);
  assert.deepEqual(
    batch.results.map((result) => result.ok ? "ok" : result.error.code),
    Array(3).fill("engine_failed"),
  );

  await database.reopenWriter();
  assert.deepEqual(database.pages.toFile(database.pages.tip), before);
  assert.deepEqual(database.execute("SELECT count(*) FROM t").rows, [[1]]);
  database.runBatch([job("INSERT INTO t VALUES (2)"), job("INSERT INTO t VALUES (3)")]);
  assert.deepEqual(await database.rows("SELECT a FROM t"), [[1], [2], [3]]);
  assert.deepEqual(await database.rows("PRAGMA integrity_check"), [["ok"]]);
});

Deno.test("it dies as well in the middle of a transaction, and stays dead", async () => {
  const database = await SqlDatabase.open({ limits: UNCHECKED });
  database.execute("CREATE TABLE t(a INTEGER PRIMARY KEY)");
  const batch = database.runBatch([batchJob(["INSERT INTO t VALUES (2)", POISON])]);
  assert.equal(batch.diedAt, 0);
  const later = database.runBatch([job("INSERT INTO t VALUES (4)")]);
  assert.deepEqual([later.diedAt, later.pages.length, later.results[0]!.ok], [0, 0, false]);
  database.writer.close();
});

Deno.test("a reader that loses its stack is dead, another one over the same source works (promise 7)", async () => {
  const database = await SqlDatabase.open({ limits: UNCHECKED });
  database.execute("CREATE TABLE t(a)");
  const [reader, other] = [await database.openReader(), await database.openReader()];
  assert.equal(errorOf(() => queryJson(reader, POISON, [], 1)).code, "engine_failed");
  assert.equal(reader.isDead, true);
  assert.throws(() => queryJson(reader, "SELECT 1", [], 1), /dead/);
  assert.deepEqual(queryJson(other, "SELECT count(*) FROM t", [], 1).rows, [[0]]);
  reader.close();
});

Deno.test("what only grows deep through views costs the instance and no more (promise 7)", async () => {
  const database = await SqlDatabase.open();
  database.execute("CREATE TABLE t(a)");
  const levels = Array.from({ length: 6 }, (_, level) => {
    const from = level === 0 ? "t" : `v${level - 1}`;
    return `CREATE VIEW v${level} AS SELECT a${"+1".repeat(990)} AS a FROM ${from}`;
  });
  database.batch(levels);
  const reader = await database.openReader();
  const error = errorOf(() => queryJson(reader, "SELECT * FROM v5", [], database.pages.tip));
  assert.equal(error.code, "engine_failed");
  assert.equal(database.execute("INSERT INTO t VALUES (1)").changes, 1);
});

Deno.test("deep nesting of every kind is an error, not a loss", async () => {
  const database = await SqlDatabase.open();
  const reader = await database.openReader();
  const repeat = (before: string, middle: string, after: string, times = 3_000) =>
    `SELECT ${before.repeat(times)}${middle}${after.repeat(times)}`;
  const texts = [
    repeat("(", "1", ")"),
    repeat("NOT ", "1", ""),
    repeat("- ", "1", ""),
    repeat("abs(", "1", ")"),
  ];
  texts.push(
    repeat("(SELECT ", "1", ")"),
    repeat("CASE WHEN 1 THEN ", "1", " END"),
    `SELECT 1${" UNION SELECT 1".repeat(900)}`,
  );
  texts.push(
    `SELECT '${"a".repeat(30_000)}' LIKE '${"%a".repeat(20_000)}'`,
    `SELECT json('${"[".repeat(5_000)}')`,
  );
  for (const text of texts) {
    assert.equal(errorOf(() => queryJson(reader, text)).code, "sql_error", text.slice(0, 60));
  }
  assert.equal(reader.isDead, false);
});
