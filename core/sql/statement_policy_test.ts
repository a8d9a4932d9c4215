import assert from "node:assert/strict";
import { codeOf, errorOf, SqlDatabase } from "../../tests/support/sql_database.ts";

/** Statement by statement, with a word its refusal must contain. */
const REFUSED: [string, RegExp][] = [
  ["ATTACH 'x.db' AS other", /one database/],
  ["ATTACH '' AS other", /one database/],
  ["DETACH main", /one database/],
  ["SELECT load_extension('x')", /extensions/],
  ["/* PRAGMA */ PrAgMa -- x\n journal_mode = DELETE", /PRAGMA journal_mode/],
  ["PRAGMA main.locking_mode = NORMAL", /locking_mode/],
  ["PRAGMA wal_checkpoint", /wal_checkpoint/],
  ["PRAGMA wal_autocheckpoint = 5", /wal_autocheckpoint/],
  ["PRAGMA synchronous = FULL", /synchronous/],
  ["PRAGMA page_size = 8192", /page size/],
  ["PRAGMA writable_schema = ON", /writable_schema/],
  ["PRAGMA auto_vacuum = FULL", /auto_vacuum/],
  ["PRAGMA encoding = 'UTF-16'", /UTF-8/],
  ["PRAGMA cache_spill = 0", /cache_spill/],
  ["PRAGMA temp_store_directory = '/tmp'", /temp_store_directory/],
  ["PRAGMA mmap_size = 1000", /mmap_size/],
  ["PRAGMA foreign_keys = OFF", /always on/],
  ["PRAGMA schema_version = 5", /schema_version/],
  ["PRAGMA some_future_pragma", /some_future_pragma/],
  ["BEGIN", /one batch instead of BEGIN/],
  ["BEGIN IMMEDIATE", /BEGIN/],
  ["COMMIT", /COMMIT/],
  ["END TRANSACTION", /COMMIT/],
  ["ROLLBACK", /ROLLBACK/],
  ["SAVEPOINT s", /SAVEPOINT/],
  ["RELEASE s", /SAVEPOINT/],
  ["VACUUM INTO 'copy.db'", /backup/],
  ["VACUUM INTO 'co' || 'py.db'", /backup/],
  ["SELECT 1; SELECT 2", /one batch/],
  ["INSERT INTO t VALUES (9); ", /^$/],
  ["", /no statement/],
  [" -- nothing\n ; /* at all */", /no statement/],
  ["SELECT 'a\0b'", /NUL/],
  ["CREATE TEMP TABLE x(a)", /vanish/],
  ["CREATE TABLE temp.x(a)", /vanish/],
  ["CREATE TEMPORARY VIEW x AS SELECT 1", /vanish/],
  ["CREATE TEMP TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END", /vanish/],
  ["CREATE VIRTUAL TABLE temp.x USING fts5(a)", /vanish/],
  ["CREATE TABLE walraft_x(a)", /walraft_x belongs/],
  ['CREATE TABLE "WALRAFT_x"(a)', /WALRAFT_x belongs/],
  ["CREATE VIEW [walraft_v] AS SELECT 1", /belongs/],
  ["CREATE INDEX walraft_i ON t(a)", /belongs/],
  ["CREATE VIRTUAL TABLE walraft USING fts5(a)", /belongs/],
  ["ALTER TABLE t RENAME TO walraft_t", /belongs/],
  ["SELECT * FROM walraft_idempotency", /belongs/],
  ["SELECT count(*) FROM walraft_idempotency", /belongs/],
  ["WITH x AS (SELECT key FROM main.walraft_idempotency) SELECT * FROM x", /belongs/],
  ["INSERT INTO walraft_idempotency VALUES ('a', x'', x'', 1)", /belongs/],
  ["UPDATE walraft_idempotency SET key = 1", /belongs/],
  ["DELETE FROM walraft_idempotency", /belongs/],
  ["DROP TABLE walraft_idempotency", /belongs/],
  ["DROP INDEX walraft_idempotency_created", /belongs/],
  ["ALTER TABLE walraft_idempotency RENAME TO mine", /belongs/],
  ["ALTER TABLE walraft_idempotency ADD COLUMN x", /belongs/],
  ["CREATE INDEX mine ON walraft_idempotency(key)", /belongs/],
  ["CREATE TRIGGER mine AFTER INSERT ON walraft_idempotency BEGIN SELECT 1; END", /belongs/],
];

async function openPrepared(): Promise<SqlDatabase> {
  const database = await SqlDatabase.open();
  database.execute("CREATE TABLE t(a INTEGER PRIMARY KEY)");
  database.execute("INSERT INTO t VALUES (1)", [], { idempotencyKey: "first" });
  return database;
}

Deno.test("statements that would break replication are refused with a reason, and nothing changes", async () => {
  const database = await openPrepared();
  const before = database.pages.toFile(database.pages.tip);
  for (const [sql, reason] of REFUSED.filter(([, reason]) => reason.source !== "^$")) {
    const alone = errorOf(() => database.execute(sql));
    assert.equal(alone.code, "statement_refused", `${sql}: ${alone.message}`);
    assert.match(alone.message, reason);
    const inBatch = errorOf(() => database.batch(["INSERT INTO t VALUES (50)", sql]));
    assert.equal(inBatch.code, "statement_refused", `in a batch, ${sql}: ${inBatch.message}`);
    assert.equal(inBatch.details.statement_index, 1);
  }
  assert.deepEqual(database.pages.toFile(database.pages.tip), before);
  assert.deepEqual(await database.rows("SELECT a FROM t"), [[1]]);
  assert.equal(database.writer.isDead, false);
});

Deno.test("a reader refuses the same, and everything that writes, naming the call to use", async () => {
  const database = await openPrepared();
  const reader = await database.openReader();
  const query = (sql: string) =>
    reader.query({
      sql,
      parameters: [],
      viewIndex: database.pages.tip,
      deadlineMs: Infinity,
      format: "json",
      rowShape: "arrays",
    });
  for (const [sql] of REFUSED.filter(([, reason]) => reason.source !== "^$")) {
    const { code } = errorOf(() => query(sql));
    assert.ok(code === "statement_refused" || code === "read_only", `${sql}: ${code}`);
  }
  const writes = [
    "INSERT INTO t VALUES (2)",
    "CREATE TABLE x(a)",
    "DELETE FROM t",
    "VACUUM",
    "REINDEX",
    "ANALYZE",
  ];
  writes.push("PRAGMA user_version = 3", "WITH x AS (SELECT 1) UPDATE t SET a = 2", "DROP TABLE t");
  for (const sql of writes) {
    const error = errorOf(() => query(sql));
    assert.equal(error.code, "read_only", `${sql}: ${error.message}`);
    assert.match(error.message, /use execute or batch/);
  }
  assert.equal(reader.isDead, false);
});

Deno.test("harmless PRAGMAs and EXPLAIN are allowed everywhere", async () => {
  const database = await openPrepared();
  const allowed = ["table_info(t)", "table_list", "index_list(t)", "foreign_key_check", "integrity_check"];
  allowed.push(
    "quick_check(5)",
    "compile_options",
    "page_count",
    "page_size",
    "encoding",
    "foreign_keys",
    "user_version",
  );
  for (const pragma of allowed) {
    database.execute(`PRAGMA ${pragma}`);
    await database.query(`PRAGMA ${pragma}`);
  }
  for (
    const sql of [
      "EXPLAIN DELETE FROM t",
      "EXPLAIN QUERY PLAN SELECT * FROM t",
      "SELECT * FROM pragma_table_info('t')",
    ]
  ) {
    database.execute(sql);
    assert.ok((await database.rows(sql)).length > 0, sql);
  }
  assert.deepEqual(await database.rows("PRAGMA foreign_keys"), [[1]]);
  database.execute("PRAGMA user_version = 12");
  assert.deepEqual(await database.rows("PRAGMA user_version"), [[12]]);
});

Deno.test("the policy also holds for what SQLite compiles at run time", async () => {
  const database = await openPrepared();
  // An FTS5 table may name any table as its content, and reads it with statements of its own.
  database.execute(
    "CREATE VIRTUAL TABLE spy USING fts5(key, answer, content='walraft_idempotency', content_rowid='created_at_ms')",
  );
  assert.equal(codeOf(() => database.execute("SELECT * FROM spy")), "statement_refused");
  assert.equal(
    codeOf(() => database.execute("INSERT INTO spy(spy) VALUES ('rebuild')")),
    "statement_refused",
  );
  assert.equal(codeOf(() => database.execute("SELECT * FROM pragma_journal_mode('delete')")), "sql_error");
  database.execute("CREATE TRIGGER thief AFTER INSERT ON t BEGIN DELETE FROM walraft_idempotency; END");
  assert.equal(codeOf(() => database.execute("INSERT INTO t VALUES (70)")), "statement_refused");
  database.execute("DROP TRIGGER thief");
  database.execute("INSERT INTO t VALUES (70)");
  assert.equal(database.writer.isDead, false);
});

Deno.test("defer_foreign_keys lasts until the end of its transaction and no longer", async () => {
  const database = await SqlDatabase.open();
  database.batch(["CREATE TABLE p(id INTEGER PRIMARY KEY)", "CREATE TABLE c(p REFERENCES p(id))"]);
  database.execute("PRAGMA defer_foreign_keys = ON");
  assert.equal(
    codeOf(() => database.batch(["INSERT INTO c VALUES (1)", "INSERT INTO p VALUES (1)"])),
    "constraint_failed",
  );
  for (let round = 1; round <= 2; round += 1) {
    const statements = [
      "PRAGMA defer_foreign_keys = ON",
      `INSERT INTO c VALUES (${round})`,
      `INSERT INTO p VALUES (${round})`,
    ];
    database.batch(statements);
  }
  assert.equal(codeOf(() => database.execute("INSERT INTO c VALUES (9)")), "constraint_failed");
  assert.deepEqual(await database.rows("PRAGMA foreign_key_check"), []);
});

Deno.test("triggers and views over FTS5 work", async () => {
  const database = await SqlDatabase.open();
  database.batch([
    "CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT)",
    "CREATE VIRTUAL TABLE search USING fts5(body, content='note', content_rowid='id')",
    "CREATE TRIGGER note_added AFTER INSERT ON note BEGIN INSERT INTO search(rowid, body) VALUES (new.id, new.body); END",
    "CREATE VIEW found AS SELECT rowid, highlight(search, 0, '[', ']') AS text FROM search WHERE search MATCH 'fox'",
  ]);
  database.execute("INSERT INTO note(body) VALUES ('a quick fox'), ('a slow snail')");
  assert.deepEqual(await database.rows("SELECT * FROM found"), [[1, "a quick [fox]"]]);
  assert.deepEqual(await database.rows("PRAGMA integrity_check"), [["ok"]]);
});
