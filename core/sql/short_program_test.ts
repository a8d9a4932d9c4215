import { notStrictEqual, strictEqual, throws } from "node:assert/strict";
import { errorOf, queryJson, SqlDatabase } from "../../tests/support/sql_database.ts";
import { ENGINE_NAMES } from "./engine.ts";
import { isShortProgram } from "./short_program.ts";
import { SchemaChangedError } from "./sql_errors.ts";

const SCHEMA = [
  "CREATE TABLE u (id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE, age INTEGER)",
  "CREATE INDEX u_age ON u (age)",
  "CREATE TABLE p (id INTEGER PRIMARY KEY, u INTEGER REFERENCES u, title TEXT, created REAL)",
  "CREATE INDEX p_u ON p (u, created)",
  "CREATE TABLE w (k TEXT PRIMARY KEY, v BLOB) WITHOUT ROWID",
  "CREATE VIEW plain AS SELECT id, name FROM u WHERE age > 3",
  "CREATE VIEW loud AS SELECT id, upper(name) AS name FROM u",
];

const SHORT = [
  "SELECT * FROM u WHERE id = ?",
  "SELECT id FROM u WHERE age = ? LIMIT 10",
  "SELECT * FROM u WHERE id IN (?, ?, ?)",
  "SELECT p.title, u.name FROM p JOIN u ON u.id = p.u WHERE p.u = ? ORDER BY created DESC LIMIT 20",
  "SELECT * FROM p WHERE u = ? ORDER BY title LIMIT 5",
  "SELECT * FROM u LEFT JOIN p ON p.u = u.id WHERE u.id = ?",
  "SELECT u.*, (SELECT COUNT(*) FROM p WHERE p.u = u.id) FROM u WHERE id = ?",
  "SELECT v FROM w WHERE k = ?",
  "SELECT MAX(id), MIN(id) FROM p WHERE u = ?",
  "SELECT EXISTS (SELECT 1 FROM u WHERE id = ?)",
  "SELECT name || 'x', age + 1, CASE WHEN age > 3 THEN 'a' END, COALESCE(name, '') FROM u WHERE id = ?",
  "SELECT DISTINCT age FROM u WHERE age > ? LIMIT 5",
  "SELECT * FROM plain WHERE id = ?",
  "SELECT datetime('now'), date(?), unixepoch(created), abs(u), round(created, 2), typeof(title), random() FROM p WHERE id = ?",
  "SELECT 1",
];

const LONG = [
  "SELECT hex(zeroblob(100000000))",
  "SELECT name FROM u WHERE name LIKE '%a%a%a%'",
  "SELECT * FROM loud WHERE id = ?",
  "SELECT COUNT(*) FROM p",
  "SELECT strftime(?, 'now')",
  "SELECT changes()",
  "SELECT group_concat(title) FROM p WHERE u = ?",
  "SELECT value FROM json_each('[1]')",
  "SELECT * FROM pragma_table_info('u')",
  "PRAGMA user_version",
];

for (const engine of ENGINE_NAMES) {
  Deno.test(`ReaderSession judges by its program whether a query is short (${engine})`, async () => {
    const database = await SqlDatabase.open();
    for (const sql of SCHEMA) database.execute(sql);
    const reader = await database.openReader({}, engine);
    queryJson(reader, "SELECT 1", [], database.pages.tip);
    for (const sql of SHORT) strictEqual(reader.judge(sql).isShort, true, sql);
    for (const sql of LONG) strictEqual(reader.judge(sql).isShort, false, sql);
    reader.close();
  });
}

const SHORT_WRITES = [
  "INSERT INTO u (name, age) VALUES (?, ?)",
  "INSERT INTO u (name, age) VALUES (?, ?), (?, ?) RETURNING id",
  "INSERT INTO w VALUES (?, ?) ON CONFLICT (k) DO UPDATE SET v = excluded.v",
  "INSERT INTO counted (v) VALUES (?)",
  "INSERT OR IGNORE INTO u VALUES (?, ?, ?)",
  "INSERT INTO p (u, title) SELECT id, name FROM u WHERE age = ?",
  "REPLACE INTO w VALUES (?, ?)",
  "UPDATE u SET age = age + 1 WHERE id = ?",
  "UPDATE u SET age = ? WHERE age BETWEEN ? AND ?",
  "DELETE FROM p WHERE u = ?",
  "DELETE FROM u WHERE id = ?",
  "INSERT INTO dated (v) VALUES (?)",
];

const LONG_WRITES = [
  "INSERT INTO heard VALUES (?)",
  "INSERT INTO u (name) VALUES (upper(?))",
  "DELETE FROM w",
  "CREATE TABLE x (a)",
  "INSERT INTO f VALUES (?)",
];

for (const engine of ENGINE_NAMES) {
  Deno.test(`WriterSession judges by its program whether a write is short (${engine})`, async () => {
    const database = await SqlDatabase.open();
    await database.reopenWriter(engine);
    const schema = [
      ...SCHEMA,
      "CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT, v)",
      "CREATE TABLE heard (v)",
      "CREATE TABLE dated (id INTEGER PRIMARY KEY, v, at TEXT DEFAULT CURRENT_TIMESTAMP)",
      "CREATE TRIGGER hears AFTER INSERT ON heard BEGIN UPDATE u SET age = 0; END",
      "CREATE VIRTUAL TABLE f USING fts5 (v)",
    ];
    for (const sql of schema) database.execute(sql);
    for (const sql of SHORT_WRITES) strictEqual(database.writer.judge(sql).isShort, true, sql);
    for (const sql of LONG_WRITES) strictEqual(database.writer.judge(sql).isShort, false, sql);
    const { schemaCookie } = database.writer.judge(SHORT_WRITES[0]!);
    strictEqual(database.writer.schemaCookie(), schemaCookie);
    database.execute("CREATE TABLE later (a)");
    notStrictEqual(database.writer.schemaCookie(), schemaCookie);
  });
}

Deno.test("ReaderSession judges what takes long to compile as long", async () => {
  const database = await SqlDatabase.open();
  database.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)");
  const reader = await database.openReader();
  queryJson(reader, "SELECT 1", [], database.pages.tip);
  database.clock.stepMs = 5;
  strictEqual(reader.judge("SELECT id FROM t WHERE id = 1").isShort, false);
  database.clock.stepMs = 0;
  strictEqual(reader.judge("SELECT id FROM t WHERE id = 2").isShort, true);
});

Deno.test("ReaderSession runs a query only with the schema it was judged with, and reads no more pages than allowed", async () => {
  const database = await SqlDatabase.open();
  database.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)");
  for (let row = 0; row < 40; row++) database.execute("INSERT INTO t (v) VALUES (hex(zeroblob(1500)))");
  const reader = await database.openReader();
  const job = {
    sql: "SELECT v FROM t",
    parameters: [],
    viewIndex: database.pages.tip,
    deadlineMs: Infinity,
    format: "json",
    rowShape: "arrays",
  } as const;
  strictEqual(errorOf(() => reader.query({ ...job, pageReadsMax: 10 })).code, "sql_error");
  strictEqual(reader.isDead, false);
  reader.query({ ...job, pageReadsMax: 100 });
  const { schemaCookie } = reader.judge(job.sql);
  reader.query({ ...job, schemaCookie });
  database.execute("CREATE TABLE other (a)");
  const moved = { ...job, viewIndex: database.pages.tip, schemaCookie };
  throws(() => reader.query(moved), SchemaChangedError);
  reader.query({ ...moved, schemaCookie: reader.judge(job.sql).schemaCookie });
});

Deno.test("isShortProgram() knows no operation it was not told of", () => {
  strictEqual(isShortProgram([{ opcode: "Init", p4: "" }, { opcode: "AggStep", p4: "count(0)" }]), true);
  strictEqual(isShortProgram([{ opcode: "Init", p4: "" }, { opcode: "Mystery", p4: "" }]), false);
  strictEqual(isShortProgram([{ opcode: "AggStep", p4: "json_group_array(1)" }]), false);
});
