import { deepStrictEqual, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import { DatabaseSync } from "node:sqlite";
import { type StatementKind, statementsOf } from "./sql_text.ts";

const texts = (sql: string): string[] => [...statementsOf(sql)].map(({ text }) => text.trim());
const kind = (sql: string): StatementKind | undefined => statementsOf(sql).next().value?.kind;
const count = (sql: string): number | undefined => statementsOf(sql).next().value?.parameterCount;

Deno.test("statementsOf() cuts at semicolons, but not in strings, names, comments and triggers", () => {
  deepStrictEqual(texts("SELECT 1; SELECT 2"), ["SELECT 1", "SELECT 2"]);
  deepStrictEqual(texts(" ;; -- only; this\n /* and; that */ ; "), []);
  deepStrictEqual(texts(`SELECT ';''', ";", [;], \`;\`, x'00' -- ;\n, 2 /* ; */; SELECT 3`), [
    `SELECT ';''', ";", [;], \`;\`, x'00' -- ;\n, 2 /* ; */`,
    "SELECT 3",
  ]);
  const trigger =
    "CREATE TEMP TRIGGER r AFTER INSERT ON t BEGIN UPDATE t SET a = CASE WHEN 1 THEN 2 END; SELECT 1; END";
  deepStrictEqual(texts(`${trigger}; SELECT 2;`), [trigger, "SELECT 2"]);
  deepStrictEqual(texts("EXPLAIN " + trigger), ["EXPLAIN " + trigger]);
  deepStrictEqual(texts("CREATE TABLE trigger_begin (a); SELECT 1"), [
    "CREATE TABLE trigger_begin (a)",
    "SELECT 1",
  ]);
  deepStrictEqual([...statementsOf("SELECT 1 ; x")].map(({ end }) => end), [10, 12]);
});

Deno.test("statementsOf() takes text that does not end in any state", () => {
  for (
    const sql of [
      "SELECT 'a",
      'SELECT "',
      "SELECT `",
      "SELECT [",
      "SELECT 1 /* ",
      "SELECT 1 --",
      "SELECT ?",
      "SELECT :",
    ]
  ) {
    strictEqual(texts(sql).length, 1, sql);
  }
});

Deno.test("statementsOf() knows what belongs to reads, writes and the transaction", () => {
  const expected: [StatementKind, string[]][] = [
    ["read", ["SELECT 1", "/* c */ select 1", "VALUES (1)", "EXPLAIN DELETE FROM t", "PRAGMA user_version"]],
    ["read", ["WITH x AS (DELETE) SELECT 1", "WITH RECURSIVE n(i) AS (VALUES (1)) VALUES (2)"]],
    ["write", [
      "INSERT INTO t SELECT 1",
      "WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x",
      "CREATE TABLE t (a)",
    ]],
    ["write", [
      "WITH x AS (SELECT 1) DELETE FROM t RETURNING a",
      "VACUUM",
      "ANALYZE",
      "nonsense",
    ]],
    ["begin", ["BEGIN", "begin deferred transaction", "BEGIN TRANSACTION"]],
    ["begin_immediate", ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE TRANSACTION"]],
    ["commit", ["COMMIT", "END TRANSACTION"]],
    ["rollback", ["ROLLBACK", "ROLLBACK TRANSACTION"]],
    ["savepoint", ["SAVEPOINT s", "RELEASE s", "ROLLBACK TO s", "ROLLBACK TRANSACTION TO SAVEPOINT s"]],
  ];
  for (const [wanted, statements] of expected) {
    for (const sql of statements) strictEqual(kind(sql), wanted, sql);
  }
});

Deno.test("statementsOf() counts parameters as SQLite numbers them", () => {
  const expected: [string, number][] = [
    ["SELECT 1", 0],
    ["SELECT ?, ?", 2],
    ["SELECT ?3, ?", 4],
    ["SELECT :a, :b, :a, @a, $a", 4],
    ["SELECT ?2, :a, ?1", 3],
    ["SELECT '?', \"?\", 1 -- ?\n", 0],
    ["SELECT a$b FROM t WHERE x=?", 1],
  ];
  for (const [sql, wanted] of expected) strictEqual(count(sql), wanted, sql);
});

Deno.test("statementsOf() agrees with SQLite about where statements of random texts end", () => {
  const piece = fc.constantFrom(
    "SELECT",
    " ",
    "1",
    "'",
    '"',
    ";",
    "--",
    "/*",
    "*/",
    "\n",
    "[",
    "]",
    "a",
    ",",
    "x'00'",
  );
  const db = new DatabaseSync(":memory:");
  fc.assert(fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
    const sql = pieces.join("");
    for (const { text } of statementsOf(sql)) {
      try {
        // Native SQLite compiles the first statement only, and says nothing about a text without one.
        db.prepare(text);
      } catch (error) {
        if (!/incomplete input|unrecognized token|syntax error|no such column/.test(String(error))) {
          throw error;
        }
      }
    }
    strictEqual([...statementsOf(sql)].map(({ text }) => text).join("").length <= sql.length, true);
  }));
  db.close();
});
