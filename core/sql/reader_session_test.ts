import assert from "node:assert/strict";
import { decode } from "@msgpack/msgpack";
import { NodeError } from "../base/errors.ts";
import { MemoryPages } from "../../tests/support/memory_pages.ts";
import { errorOf, queryJson, SqlDatabase } from "../../tests/support/sql_database.ts";
import type { ReaderSession } from "./reader_session.ts";
import type { ResultColumn, RowSink } from "./row_sink.ts";

/** Index 1 makes the table; index n + 1 adds row n. */
async function openWithHistory(rows: number, pages = new MemoryPages()): Promise<SqlDatabase> {
  const database = await SqlDatabase.open({ pages });
  database.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)");
  for (let row = 1; row <= rows; row += 1) database.execute("INSERT INTO t(v) VALUES (?)", [`v${row}`]);
  return database;
}

const count = (reader: ReaderSession, index: number) =>
  queryJson(reader, "SELECT count(*) FROM t", [], index).rows![0]![0];

Deno.test("one reader hops between views, forward and back, and sees each as it was (promise 2)", async () => {
  const database = await openWithHistory(40);
  const reader = await database.openReader();
  for (const index of [41, 1, 20, 20, 20, 5, 41, 40, 2]) {
    assert.equal(count(reader, index), index - 1);
    assert.deepEqual(queryJson(reader, "PRAGMA integrity_check", [], index).rows, [["ok"]]);
  }
});

Deno.test("while the writer goes on, a view stays", async () => {
  const database = await openWithHistory(3);
  const reader = await database.openReader();
  assert.equal(count(reader, 4), 3);
  database.execute("DELETE FROM t");
  database.execute("DROP TABLE t");
  assert.equal(count(reader, 4), 3);
  assert.equal(errorOf(() => count(reader, 6)).code, "sql_error");
  assert.equal(count(reader, 5), 0);
});

Deno.test("the schema and the columns of a kept statement follow the view", async () => {
  const database = await openWithHistory(1);
  database.execute("ALTER TABLE t ADD COLUMN extra DEFAULT 7");
  database.execute("CREATE TABLE other(x)");
  const reader = await database.openReader();
  const columns = (index: number) => queryJson(reader, "SELECT * FROM t", [], index).columns;
  for (const index of [2, 3, 2, 4, 2]) {
    assert.deepEqual(columns(index), index === 2 ? ["id", "v"] : ["id", "v", "extra"]);
  }
  assert.equal(errorOf(() => queryJson(reader, "SELECT * FROM other", [], 3)).code, "sql_error");
  assert.deepEqual(queryJson(reader, "SELECT * FROM other", [], 4).rows, []);
});

Deno.test("a view of a database without pages is an empty database", async () => {
  const database = await SqlDatabase.open();
  const reader = await database.openReader();
  assert.deepEqual(queryJson(reader, "SELECT count(*) FROM sqlite_schema", [], 0).rows, [[0]]);
  database.execute("CREATE TABLE t(a)");
  assert.deepEqual(queryJson(reader, "SELECT count(*) FROM sqlite_schema", [], 1).rows, [[1]]);
  assert.deepEqual(queryJson(reader, "SELECT count(*) FROM sqlite_schema", [], 0).rows, [[0]]);
});

Deno.test("every page size works, and long values that lie in overflow pages", async () => {
  for (const pageSize of [512, 1024, 8192, 65_536]) {
    const database = await openWithHistory(2, new MemoryPages(pageSize));
    const long = "0123456789".repeat(30_000);
    database.execute("INSERT INTO t(v) VALUES (?)", [long]);
    const reader = await database.openReader();
    assert.deepEqual(queryJson(reader, "PRAGMA page_size", [], 4).rows, [[pageSize]]);
    assert.deepEqual(queryJson(reader, "SELECT v FROM t WHERE id = 3", [], 4).rows, [[long]]);
    assert.deepEqual(queryJson(reader, "PRAGMA integrity_check", [], 4).rows, [["ok"]]);
    assert.equal(count(reader, 3), 2);
  }
});

Deno.test("reads at a fixed view cost no page reads once the pages are cached, a moved view reads anew", async () => {
  const database = await openWithHistory(5);
  const reader = await database.openReader();
  for (let round = 0; round < 3; round += 1) count(reader, 6);
  const before = database.pages.reads;
  for (let round = 0; round < 50; round += 1) count(reader, 6);
  assert.equal(database.pages.reads, before);
  count(reader, 5);
  assert.ok(database.pages.reads > before);
});

Deno.test("formats and row shapes", async () => {
  const database = await openWithHistory(1);
  const reader = await database.openReader();
  const sql = "SELECT id, v, id, NULL AS n, 2.0 AS r FROM t UNION ALL SELECT 2.5, x'01', 1, NULL, 1";
  assert.deepEqual(queryJson(reader, sql, [], 2), {
    columns: ["id", "v", "id", "n", "r"],
    types: ["mixed", "mixed", "integer", "null", "mixed"],
    rows: [[1, "v1", 1, null, 2], [2.5, { base64: "AQ==" }, 1, null, 1]],
  });
  const objects = queryJson(reader, sql, [], 2, "objects");
  assert.deepEqual(objects.columns, ["id", "v", "id_2", "n", "r"]);
  assert.deepEqual(objects.rows![0], { id: 1, v: "v1", id_2: 1, n: null, r: 2 } as unknown);
  for (const rowShape of ["arrays", "objects"] as const) {
    const { fields } = reader.query({
      sql,
      parameters: [],
      viewIndex: 2,
      deadlineMs: Infinity,
      format: "msgpack",
      rowShape,
    });
    const answer = decode(Uint8Array.of(0x80 | fields.count, ...fields.bytes)) as { rows: unknown[] };
    const expected = rowShape === "arrays"
      ? [2.5, Uint8Array.of(1), 1, null, 1]
      : { id: 2.5, v: Uint8Array.of(1), id_2: 1, n: null, r: 1 };
    assert.deepEqual(answer.rows[1], expected);
  }
});

Deno.test("parameters by position and by name; every mistake is a parameter_mismatch", async () => {
  const database = await openWithHistory(1);
  const one = async (sql: string, parameters: Parameters<typeof queryJson>[2]) =>
    (await database.rows(sql, parameters))[0];
  assert.deepEqual(await one("SELECT ?, ?2, ?", [1, true, 2.5]), [1, 1, 2.5]);
  assert.deepEqual(await one("SELECT :a, @b, $c, :a", { a: 1, "@b": "two", c: null }), [1, "two", null, 1]);
  assert.deepEqual(await one("SELECT typeof(?), typeof(?), typeof(?)", [3, { real: 3 }, -0]), [
    "integer",
    "real",
    "real",
  ]);
  assert.deepEqual(await one("SELECT ? = 9223372036854775807", [2n ** 63n - 1n]), [1]);
  const wrong: [string, Parameters<typeof queryJson>[2], RegExp][] = [
    ["SELECT ?", [], /1 parameters, 0 values/],
    ["SELECT ?", [1, 2], /1 parameters, 2 values/],
    ["SELECT :a", { b: 1 }, /no value was given for :a/],
    ["SELECT :a", { a: 1, b: 2 }, /no parameter b/],
    ["SELECT ?", { a: 1 }, /has no name/],
    ["SELECT ?", [NaN], /NaN/],
    ["SELECT ?", [2n ** 63n], /64 bits/],
  ];
  for (const [sql, parameters, message] of wrong) {
    await assert.rejects(
      database.query(sql, parameters),
      (error: NodeError) => error.code === "parameter_mismatch" && message.test(error.message),
    );
  }
});

Deno.test("time limits, cancelling, and limits of rows and bytes stop a query and name themselves", async () => {
  const database = await openWithHistory(5);
  const reader = await database.openReader({ resultRowsMax: 3, resultBytesMax: 2_000 });
  const endless = "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c) SELECT max(i) FROM c";
  const run = (sql: string, deadlineMs = Infinity) => () =>
    reader.query({ sql, parameters: [], viewIndex: 6, deadlineMs, format: "json", rowShape: "arrays" });
  database.clock.stepMs = 1;
  assert.equal(errorOf(run(endless, database.clock.nowMs() + 20)).code, "statement_timeout");
  database.clock.stepMs = 0;
  database.isCancelled = true;
  assert.equal(errorOf(run(endless, database.clock.nowMs() + 20)).code, "cancelled");
  database.isCancelled = false;
  assert.deepEqual(errorOf(run("SELECT * FROM t")).details.limit, { name: "result_rows", value: 3 });
  assert.deepEqual(errorOf(run("SELECT hex(zeroblob(5000))")).details.limit, {
    name: "result_bytes",
    value: 2_000,
  });
  assert.equal(count(reader, 6), 5);
});

Deno.test("a sort larger than the temporary space is refused, and the reader goes on", async () => {
  const database = await openWithHistory(1);
  const reader = await database.openReader({ temporaryBytesMax: 128 * 1024, cacheKib: 64 });
  const sort = "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT 20000) " +
    "SELECT count(*) FROM (SELECT hex(randomblob(200)) AS x FROM c ORDER BY x LIMIT 20000 OFFSET 1)";
  assert.deepEqual(errorOf(() => queryJson(reader, sort, [], 2)).details.limit, {
    name: "temporary_bytes",
    value: 128 * 1024,
  });
  assert.equal(count(reader, 2), 1);
});

Deno.test("what the page source throws ends the session and reaches the caller with its own code", async () => {
  const database = await openWithHistory(1);
  const source = database.pages.source();
  let broken = false;
  const { ReaderSession } = await import("./reader_session.ts");
  const { loadEngineModule } = await import("./wasm/load_engine.ts");
  const reader = await ReaderSession.open({
    module: loadEngineModule(),
    clock: database.clock,
    random: database.random,
    cancel: { isCancelled: () => false },
    source: {
      pageSize: source.pageSize,
      get at() {
        return source.at;
      },
      set at(index) {
        source.at = index;
      },
      pageCount: () => source.pageCount(),
      readPage: (pageNumber, into) => {
        if (broken) throw new NodeError("view_expired", "Cannot read page: gone");
        return source.readPage(pageNumber, into);
      },
    },
  });
  assert.equal(count(reader, 2), 1);
  broken = true;
  assert.equal(errorOf(() => count(reader, 1)).code, "view_expired");
  assert.equal(reader.isDead, true);
});

Deno.test("EXPLAIN shows the program of today's schema", async () => {
  const database = await openWithHistory(1);
  const reader = await database.openReader();
  const plan = (index: number) =>
    JSON.stringify(queryJson(reader, "EXPLAIN QUERY PLAN SELECT id FROM t WHERE v = 'v1'", [], index).rows);
  assert.match(plan(2), /SCAN t/);
  database.execute("CREATE INDEX t_v ON t (v)");
  assert.equal(count(reader, 3), 1);
  assert.match(plan(3), /USING COVERING INDEX t_v/);
});

/** Takes rows and counts their bytes. */
class CountingSink implements RowSink {
  readonly seen: string[] = [];
  length = 0;

  begin(columns: readonly ResultColumn[]): void {
    this.seen.push(columns.map(({ name, declaredType }) => `${name} ${declaredType}`).join());
  }

  startRow(): void {
    this.seen.push("row");
  }

  null(): void {
    this.seen.push("null");
  }

  integer(value: number | bigint): void {
    this.seen.push(`integer ${value}`);
  }

  real(value: number): void {
    this.seen.push(`real ${value}`);
  }

  text(utf8: Uint8Array): void {
    this.seen.push(`text ${new TextDecoder().decode(utf8).slice(0, 5)}`);
    this.length += utf8.length;
  }

  blob(bytes: Uint8Array): void {
    this.seen.push(`blob ${bytes.length}`);
    this.length += bytes.length;
  }

  end(): void {
    this.seen.push("end");
  }
}

Deno.test("a sink takes columns and values one by one, and nothing is left for the answer", async () => {
  const database = await SqlDatabase.open();
  database.execute("CREATE TABLE t(a INTEGER, b BLOB)");
  database.execute("INSERT INTO t VALUES (1, x'0102'), (9007199254740993, 'text'), (NULL, 1.5)");
  const reader = await database.openReader();
  const into = new CountingSink();
  const job = { parameters: [], deadlineMs: 1e9, format: "json", rowShape: "arrays" } as const;
  const { fields } = reader.query({ ...job, sql: "SELECT a, b AS c FROM t", viewIndex: 2, into });
  assert.equal(fields.count, 0);
  const { seen } = into;
  assert.match(seen.shift() ?? "", /^a (INTEGER|undefined),c (BLOB|undefined)$/);
  assert.deepEqual(seen, [
    ..."row,integer 1,blob 2".split(","),
    ..."row,integer 9007199254740993,text text".split(","),
    ..."row,null,real 1.5,end".split(","),
  ]);
});

Deno.test("a sink is stopped at the value that goes beyond the limit, not at the end of its row", async () => {
  const database = await SqlDatabase.open();
  database.execute("CREATE TABLE t(v)");
  database.execute("INSERT INTO t VALUES (printf('%1000d', 1))");
  const reader = await database.openReader({ resultBytesMax: 10_000 });
  const into = new CountingSink();
  const sql = `SELECT ${Array(500).fill("v").join()} FROM t`;
  const job = { parameters: [], deadlineMs: 1e9, format: "json", rowShape: "arrays" } as const;
  const error = errorOf(() => reader.query({ ...job, sql, viewIndex: 2, into }));
  assert.equal(error.code, "result_too_large");
  assert.equal(into.length, 11_000);
});
