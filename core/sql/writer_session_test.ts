import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { MemoryPages } from "../../tests/support/memory_pages.ts";
import { batchJob, codeOf, decodeJson, errorOf, job, SqlDatabase } from "../../tests/support/sql_database.ts";

async function openTable(options: ConstructorParameters<typeof SqlDatabase>[0] = {}): Promise<SqlDatabase> {
  const database = await SqlDatabase.open(options);
  database.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, v UNIQUE)");
  return database;
}

Deno.test("the first batch of a new database carries page 1, and a native SQLite opens what was delivered", async () => {
  const database = await SqlDatabase.open();
  const batch = database.runBatch([job("PRAGMA user_version = 5")]);
  assert.deepEqual(batch.pages.map((page) => page.pageNumber), [1]);
  assert.equal(batch.pageCount, 1);
  assert.deepEqual([...batch.pages[0]!.bytes.subarray(18, 20)], [2, 2]);
  database.execute("CREATE TABLE t(a)");
  const folder = Deno.makeTempDirSync();
  try {
    Deno.writeFileSync(`${folder}/copy.db`, database.pages.toFile(2));
    const native = new DatabaseSync(`${folder}/copy.db`);
    assert.deepEqual({ ...native.prepare("PRAGMA integrity_check").get() }, { integrity_check: "ok" });
    assert.deepEqual({ ...native.prepare("PRAGMA user_version").get() }, { user_version: 5 });
    native.close();
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test("each request of a batch is its own transaction: one fails alone", async () => {
  const database = await openTable();
  const { results, pages } = database.runBatch([
    job("INSERT INTO t VALUES (1, 'a')"),
    job("INSERT INTO t VALUES (1, 'b')"),
    batchJob(["INSERT INTO t VALUES (2, 'b')", "INSERT INTO nowhere VALUES (1)"]),
    job("nonsense"),
    job("INSERT INTO t VALUES (3, 'c')"),
  ]);
  const codes = results.map((result) => result.ok ? "ok" : result.error.code);
  assert.deepEqual(codes, ["ok", "constraint_failed", "sql_error", "sql_error", "ok"]);
  assert.ok(pages.length > 0 && pages.length <= 3);
  assert.deepEqual(await database.rows("SELECT * FROM t"), [[1, "a"], [3, "c"]]);
});

Deno.test("a batch that changed nothing delivers nothing", async () => {
  const database = await openTable();
  const { results, pages } = database.runBatch([
    job("SELECT * FROM t"),
    job("UPDATE t SET v = 1"),
    batchJob(["DELETE FROM t WHERE id = 1", "SELECT 1"]),
    job("INSERT INTO t VALUES ('not a number', 1)"),
  ]);
  assert.deepEqual(pages, []);
  assert.deepEqual(results.map((result) => result.ok && result.wrote), [false, false, false, false]);
});

Deno.test("pages changed by many transactions of a batch are delivered once, in their last version", async () => {
  const database = await openTable();
  const { pages } = database.runBatch(
    Array.from({ length: 200 }, (_, row) => job("INSERT INTO t(v) VALUES (?)", [row])),
  );
  const numbers = pages.map((page) => page.pageNumber);
  assert.equal(new Set(numbers).size, numbers.length);
  assert.ok(numbers.length < 8, `${numbers.length} pages`);
  assert.deepEqual(await database.rows("SELECT count(*) FROM t"), [[200]]);
});

Deno.test("answers: changes, row ids that are exact, rows of RETURNING", async () => {
  const database = await openTable();
  assert.deepEqual(database.execute("INSERT INTO t VALUES (?, 'x'), (7, 'y')", [2n ** 62n]), {
    changes: 2,
    last_insert_rowid: 7,
  });
  assert.deepEqual(database.execute("INSERT INTO t(v) VALUES ('z') RETURNING id, v"), {
    changes: 1,
    last_insert_rowid: { int64: String(2n ** 62n + 1n) },
    columns: ["id", "v"],
    types: ["integer", "text"],
    rows: [[{ int64: String(2n ** 62n + 1n) }, "z"]],
  });
  // Nothing of the request before shows.
  assert.deepEqual(database.execute("UPDATE t SET v = v || '!' WHERE id > 7"), {
    changes: 2,
    last_insert_rowid: 0,
  });
  assert.deepEqual(database.execute("CREATE TABLE u(a)"), { changes: 0, last_insert_rowid: 0 });
  assert.deepEqual(
    database.batch([["INSERT INTO u VALUES (?)", [1]], "SELECT count(*) AS n FROM u", "DELETE FROM u"]),
    [
      { changes: 1, last_insert_rowid: 1 },
      { changes: 0, last_insert_rowid: 1, columns: ["n"], types: ["integer"], rows: [[1]] },
      { changes: 1, last_insert_rowid: 1 },
    ],
  );
});

Deno.test("foreign keys are on; deferred ones are checked at the end of a batch", async () => {
  const database = await SqlDatabase.open();
  database.batch([
    "CREATE TABLE p(id INTEGER PRIMARY KEY)",
    "CREATE TABLE c(p REFERENCES p(id) DEFERRABLE INITIALLY DEFERRED)",
  ]);
  assert.equal(codeOf(() => database.execute("INSERT INTO c VALUES (1)")), "constraint_failed");
  const late = errorOf(() => database.batch(["INSERT INTO c VALUES (1)", "SELECT 1"]));
  assert.deepEqual([late.code, late.details.sqlite_code, late.details.statement_index], [
    "constraint_failed",
    787,
    undefined,
  ]);
  database.batch(["INSERT INTO c VALUES (1)", "INSERT INTO p VALUES (1)"]);
  assert.deepEqual(await database.rows("SELECT * FROM c"), [[1]]);
});

Deno.test("a batch is all or nothing, and its error names the statement", async () => {
  const database = await openTable();
  const error = errorOf(() =>
    database.batch(["INSERT INTO t VALUES (1, 1)", "SELECT 1", "INSERT INTO t VALUES (1, 2)"])
  );
  assert.equal(error.code, "constraint_failed");
  assert.equal(error.details.statement_index, 2);
  assert.match(error.message, /^Statement 3 of 3: .*UNIQUE constraint failed: t\.id/);
  assert.deepEqual(await database.rows("SELECT * FROM t"), []);
});

Deno.test("what failed has changed nothing, also with OR FAIL and RAISE(FAIL) (promise 5)", async () => {
  const database = await openTable();
  database.execute("INSERT INTO t VALUES (5, 'five')");
  assert.equal(
    codeOf(() => database.execute("INSERT OR FAIL INTO t VALUES (4, 'a'), (5, 'b')")),
    "constraint_failed",
  );
  const insert = "INSERT INTO t VALUES (?, ?), (?, ?)";
  database.execute(insert, [1, "a", 2, "b"]);
  // The trigger is new to a statement that is kept compiled.
  database.execute(
    "CREATE TRIGGER few AFTER INSERT ON t WHEN new.id > 100 BEGIN SELECT RAISE(FAIL, 'too large'); END",
  );
  assert.match(errorOf(() => database.execute(insert, [3, "c", 101, "d"])).message, /too large/);
  assert.equal(
    codeOf(() => database.execute("INSERT OR ROLLBACK INTO t VALUES (3, 'c'), (5, 'e')")),
    "constraint_failed",
  );
  assert.equal(
    codeOf(() => database.batch([["INSERT OR ROLLBACK INTO t VALUES (5, 'e')", []]])),
    "constraint_failed",
  );
  assert.deepEqual(await database.rows("SELECT id FROM t"), [[1], [2], [5]]);
});

Deno.test("a result of RETURNING that is too large takes its changes back", async () => {
  const database = await openTable({ limits: { resultRowsMax: 10 } });
  const many =
    "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT 50) INSERT INTO t SELECT i, i FROM c RETURNING id";
  assert.equal(codeOf(() => database.execute(many)), "result_too_large");
  assert.deepEqual(await database.rows("SELECT count(*) FROM t"), [[0]]);
  assert.equal(codeOf(() => database.batch([many])), "result_too_large");
  assert.equal(database.execute("INSERT INTO t VALUES (1, 1)").changes, 1);
});

Deno.test("a transaction larger than the limit is rolled back and names it", async () => {
  const limits = { transactionBytesMax: 40 * 4096, cacheKib: 40 };
  const database = await openTable({ limits });
  const fill = (rows: number) =>
    `WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT ${rows}) INSERT INTO t(v) SELECT hex(randomblob(500)) FROM c`;
  for (const call of [() => database.execute(fill(500)), () => database.batch([fill(20), fill(500)])]) {
    const error = errorOf(call);
    assert.equal(error.code, "transaction_too_large", error.message);
    assert.deepEqual(error.details.limit, { name: "transaction_bytes", value: 40 * 4096 });
  }
  assert.deepEqual(await database.rows("SELECT count(*) FROM t"), [[0]]);
  assert.equal(database.execute(fill(20)).changes, 20);
  assert.deepEqual(await database.rows("PRAGMA integrity_check"), [["ok"]]);
});

Deno.test("a batch that holds too much tells the rest to come again", async () => {
  const database = await openTable({ limits: { transactionBytesMax: 20 * 4096 } });
  const fill = job(
    "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT 4) INSERT INTO t(v) SELECT hex(randomblob(2000)) FROM c",
  );
  const { results } = database.runBatch([fill, fill, fill]);
  assert.deepEqual(results.map((result) => result.ok ? "ok" : result.error.code), ["ok", "ok", "queue_full"]);
});

Deno.test("a statement is stopped at its time limit or when it is cancelled, and leaves nothing behind", async () => {
  const database = await openTable();
  const endless =
    "INSERT INTO t WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c) SELECT i, i FROM c";
  database.clock.stepMs = 1;
  assert.equal(codeOf(() => database.execute(endless, [], { runMsMax: 10 })), "statement_timeout");
  assert.equal(
    codeOf(() => database.batch(["INSERT INTO t VALUES (-1, -1)", endless], { runMsMax: 10 })),
    "statement_timeout",
  );
  database.isCancelled = true;
  assert.equal(codeOf(() => database.execute(endless)), "cancelled");
  database.isCancelled = false;
  assert.deepEqual(database.runBatch([]).pages, []);
  assert.deepEqual(database.execute("SELECT count(*) FROM t").rows, [[0]]);
});

Deno.test("VACUUM works, shrinks the database, and a view behind it is sound", async () => {
  const database = await openTable();
  const fill =
    "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT 3000) INSERT INTO t(v) SELECT hex(randomblob(100)) FROM c";
  database.execute(fill);
  database.execute("INSERT INTO t VALUES (9999, 'keyed')", [], { idempotencyKey: "k" });
  database.execute("DELETE FROM t WHERE id % 10 <> 0 AND id < 9999");
  const [before, tip] = [database.pages.pageCountAt(Infinity), database.pages.tip];
  const sum = await database.rows("SELECT count(*), sum(length(v)) FROM t");
  database.execute("VACUUM");
  assert.ok(database.pages.pageCountAt(Infinity) < before / 2);
  assert.deepEqual(await database.rows("SELECT count(*), sum(length(v)) FROM t"), sum);
  assert.deepEqual(await database.rows("PRAGMA integrity_check"), [["ok"]]);
  assert.deepEqual(await database.rows("PRAGMA integrity_check", [], tip), [["ok"]]);
  database.execute(fill);
  assert.deepEqual(await database.rows("PRAGMA integrity_check"), [["ok"]]);
  assert.equal(codeOf(() => database.batch(["VACUUM"])), "statement_refused");
  assert.equal(codeOf(() => database.execute("VACUUM", [], { idempotencyKey: "v" })), "statement_refused");
});

Deno.test("the WAL is emptied between batches; pages are served until the source has them", async () => {
  const database = await openTable({ limits: { walBytesMax: 64 * 1024, cacheKib: 40 } });
  database.locatesAtOnce = false;
  // A source that shows nothing new until it is told: what the writer reads then must come from its own memory.
  const hidden = new MemoryPages();
  const { WriterSession } = await import("./writer_session.ts");
  const { loadEngineModule } = await import("./wasm/load_engine.ts");
  const { clock, random } = database;
  const writer = await WriterSession.open({
    module: loadEngineModule(),
    clock,
    random,
    cancel: { isCancelled: () => false },
    pageSize: 4096,
    source: hidden.source(),
    limits: { walBytesMax: 64 * 1024, cacheKib: 40 },
  });
  const held: Parameters<MemoryPages["append"]>[] = [];
  const run = (number: number, sql: string, parameters: (number | string)[] = []) => {
    const { results, pages, pageCount } = writer.runBatch([job(sql, parameters)], number);
    const result = results[0]!;
    assert.ok(result.ok, JSON.stringify(result));
    held.push([number, pages.map((page) => ({ ...page, bytes: page.bytes.slice() })), pageCount]);
    return decodeJson(result.fields.bytes);
  };
  const locate = (number: number) => {
    while (held.length > 0 && held[0]![0] <= number) hidden.append(...held.shift()!);
    writer.pagesLocated(number);
  };
  run(1, "CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
  for (let number = 2; number <= 200; number += 1) {
    run(number, "INSERT INTO t(v) VALUES (hex(zeroblob(?)))", [500 + number]);
    if (number % 3 === 0) run(number + 0.5, "UPDATE t SET v = v || 'x' WHERE id = ?", [number >> 1]);
    if (number > 50 && number % 7 === 0) locate(number - 40);
  }
  assert.deepEqual(run(300, "SELECT count(*), sum(id) FROM t").rows, [[199, 199 * 200 / 2]]);
  assert.deepEqual(run(301, "PRAGMA integrity_check").rows, [["ok"]]);
  locate(301);
  for (let number = 302; number < 330; number += 1) {
    run(number, "UPDATE t SET v = hex(zeroblob(900)) WHERE id % 5 = ?", [number % 5]);
  }
  locate(330);
  const reopened = await SqlDatabase.open({ pages: hidden });
  assert.deepEqual(reopened.execute("PRAGMA integrity_check").rows, [["ok"]]);
  assert.deepEqual(reopened.execute("SELECT count(*), sum(length(v)) FROM t").rows, [[199, 199 * 1800]]);
});

Deno.test("a database made elsewhere, in another journal mode, is taken over", async () => {
  const native = new DatabaseSync(":memory:");
  const path = Deno.makeTempFileSync({ suffix: ".db" });
  native.exec(
    `PRAGMA page_size = 1024; CREATE TABLE t(a); INSERT INTO t VALUES (42); VACUUM INTO '${path}.copy'`,
  );
  native.close();
  const file = Deno.readFileSync(`${path}.copy`);
  Deno.removeSync(path);
  Deno.removeSync(`${path}.copy`);
  assert.deepEqual([...file.subarray(18, 20)], [1, 1]);
  const database = await SqlDatabase.open({ pages: MemoryPages.fromFile(file, 7) });
  assert.deepEqual(database.execute("INSERT INTO t VALUES (43) RETURNING a").rows, [[43]]);
  assert.deepEqual(await database.rows("SELECT a FROM t"), [[42], [43]]);
  assert.deepEqual(await database.rows("PRAGMA integrity_check"), [["ok"]]);
  assert.deepEqual(await database.rows("SELECT a FROM t", [], 7), [[42]]);
});

Deno.test("the clock and the random numbers of SQL come from the ports", async () => {
  const [first, second] = [await openTable({ seed: 5 }), await openTable({ seed: 5 })];
  const sql = "INSERT INTO t(v) VALUES (random() || datetime('now')) RETURNING v";
  assert.deepEqual(first.execute(sql), second.execute(sql));
  assert.match(String(first.execute(sql).rows![0]![0]), /2026-01-01 00:00:/);
});
