/** What short queries answer over the dqlite protocol: encoded where SQLite gives the rows, not by way of a worker. */
import { deepStrictEqual, fail, ok, strictEqual } from "node:assert/strict";
import { ENGINE_NAMES } from "../../core/sql/engine.ts";
import { tupleOf } from "../../net/dqlite/parameters.ts";
import type { Request } from "../../net/dqlite/request.ts";
import { ResponseType } from "../../net/dqlite/response.ts";
import type { WireClient } from "./wire_client.ts";
import { WireNode } from "./wire_node.ts";

/** A text is judged by how long it takes to compile, which a busy machine delays; it is judged again 1,000 runs later. */
const RUNS_MAX = 10_000;

const WIDE = Array.from({ length: 40 }, (_, column) => `${column % 3 === 0 ? "v" : column} AS c${column}`);

/** Rows of every storage class, types that are declared, no rows, many columns, texts that are none. */
const QUERIES = [
  "SELECT * FROM t WHERE id <= ?",
  "SELECT v, at, flag FROM t WHERE id = ?",
  "SELECT v FROM t WHERE id = ? AND id < 0",
  "SELECT id AS a, id AS a, v || '' AS \"\", -id FROM t WHERE id <= ?",
  `SELECT ${WIDE.join()} FROM t WHERE id <= ?`,
];

const querySql = (sql: string): Request => ({
  kind: "query_sql",
  schema: 0,
  databaseId: 0,
  sql,
  parameters: tupleOf([10]),
});

const readCall = (sql: string): Request => ({
  kind: "read",
  database: "test.db",
  level: "linearizable",
  at: 0,
  timeoutMs: 10_000,
  statement: { sql, parameters: tupleOf([10]) },
});

/** All messages of the answer; the last one has rows, and no more follow. */
async function bytesOf(client: WireClient, request: Request): Promise<string[]> {
  await client.send(request);
  const frames: string[] = [];
  for (;;) {
    const { type, schema, body } = await client.frame() ?? fail("The server has closed the connection");
    frames.push(`${type} ${schema} ${body.toHex()}`);
    if (type === ResponseType.rows && !body.toHex().endsWith("ee".repeat(8))) return frames;
  }
}

for (const engine of ENGINE_NAMES) {
  Deno.test(`a short query is answered with the bytes of one that a worker runs: ${engine}`, async () => {
    await using wire = await WireNode.start({}, engine);
    const client = await wire.open();
    await client.run("CREATE TABLE t (id INTEGER PRIMARY KEY, v, at DATETIME, flag BOOLEAN)");
    const values = [
      ["NULL", "NULL", "NULL"],
      ["1.5", "'2024-01-02 03:04:05'", "1"],
      ["9007199254740993", "1700000000", "0"],
      ["-9223372036854775808", "'soon'", "'no'"],
      ["'text'", "1.25", "2.5"],
      ["'ä\u{1f600}'", "x'00'", "x''"],
      ["CAST(x'61ff62' AS TEXT)", "CAST(x'ff' AS TEXT)", "CAST(x'c3' AS TEXT)"],
      ["'nul' || char(0) || 'inside'", "''", "'t'"],
      ["x'00ff'", "CAST('2024-02-30' AS TEXT)", "-1"],
      ["hex(zeroblob(300))", "1e300", "9223372036854775807"],
    ];
    for (const row of values) await client.run(`INSERT INTO t (v, at, flag) VALUES (${row.join()})`);
    const count = () => wire.node.metrics().find(({ name }) => name === "short_reads_total")?.value ?? 0;
    await client.expect("greeting", { kind: "hello", version: 1 });
    for (const sql of QUERIES) {
      const [query, call] = [querySql(sql), readCall(sql)];
      const byWorker = [await bytesOf(client, query), await bytesOf(client, call)];
      const before = count();
      for (let runs = 0; count() === before; runs++) {
        ok(runs < RUNS_MAX, `${sql} does not become short`);
        deepStrictEqual(await bytesOf(client, query), byWorker[0], sql);
      }
      // Several times: the first one may have made what the others use again.
      for (let round = 0; round < 3; round++) {
        deepStrictEqual([await bytesOf(client, query), await bytesOf(client, call)], byWorker, sql);
      }
      strictEqual(count(), before + 7, sql);
    }
  });
}
