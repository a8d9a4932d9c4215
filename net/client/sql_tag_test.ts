import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import { sql, type SqlTagValue } from "./sql_tag.ts";
import { isWalraftError } from "./walraft_error.ts";

const isInvalid = (error: unknown) => isWalraftError(error, "invalid_argument");

Deno.test("sql`` makes parameters of values", () => {
  const query = sql`SELECT * FROM city WHERE name = ${"O'Slo"} AND people > ${5n}`;
  assert.equal(query.sql, "SELECT * FROM city WHERE name = ? AND people > ?");
  assert.deepEqual(query.params, ["O'Slo", 5n]);
});

Deno.test("sql`` nests fragments and keeps the order of parameters", () => {
  const filter = sql`people > ${1} AND ${sql.identifier('na"me')} LIKE ${"a%"}`;
  const query = sql`SELECT ${0} FROM ${
    sql.identifier("main", "city")
  } WHERE ${filter} LIMIT ${10}${sql.empty}`;
  assert.equal(query.sql, 'SELECT ? FROM "main"."city" WHERE people > ? AND "na""me" LIKE ? LIMIT ?');
  assert.deepEqual(query.params, [0, 1, "a%", 10]);
});

Deno.test("sql.join() makes lists of values and fragments", () => {
  const rows = [[1, "a"], [2, "b"]].map((row) => sql`(${sql.join(row)})`);
  const query = sql`INSERT INTO t VALUES ${sql.join(rows)}`;
  assert.equal(query.sql, "INSERT INTO t VALUES (?, ?), (?, ?)");
  assert.deepEqual(query.params, [1, "a", 2, "b"]);
  assert.equal(sql.join([sql`a`, sql`b`], sql` AND `).sql, "a AND b");
});

Deno.test("sql refuses what could become text or nothing", () => {
  assert.throws(() => sql`SELECT ${undefined as unknown as SqlTagValue}`, isInvalid);
  assert.throws(() => sql("SELECT 1" as unknown as TemplateStringsArray), isInvalid);
  assert.throws(() => sql(["SELECT 1"] as unknown as TemplateStringsArray), isInvalid);
  assert.throws(() => sql.identifier(""), isInvalid);
  assert.throws(() => sql.identifier("a\0b"), isInvalid);
  assert.throws(() => sql.identifier(), isInvalid);
});

Deno.test("sql does not take a value that only looks like a fragment", () => {
  const forged = { sql: "1; DROP TABLE t", params: [] } as unknown as SqlTagValue;
  assert.equal(sql`SELECT ${forged}`.sql, "SELECT ?");
});

Deno.test("sql.identifier() quotes any name so that native SQLite reads it back", () => {
  const db = new DatabaseSync(":memory:");
  fc.assert(
    fc.property(fc.string({ minLength: 1, maxLength: 20, unit: "grapheme" }), (name) => {
      fc.pre(!name.includes("\0") && name.isWellFormed());
      const row = db.prepare(sql`SELECT 1 AS ${sql.identifier(name)}`.sql).get() as object;
      assert.deepEqual(Object.keys(row), [name]);
    }),
    { numRuns: 200 },
  );
  db.close();
});
