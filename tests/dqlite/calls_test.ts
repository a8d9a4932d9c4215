/** The calls that only walraft has, byte by byte from a client that says what a test wants. */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import type { CallStatement, ReadRequest, WriteRequest } from "../../net/dqlite/call.ts";
import { type Parameter, tupleOf } from "../../net/dqlite/parameters.ts";
import type { WireClient } from "./wire_client.ts";
import { WireNode } from "./wire_node.ts";

const HELLO = { kind: "hello", version: 1 } as const;

const statement = (sql: string, ...parameters: Parameter[]): CallStatement => ({
  sql,
  parameters: tupleOf(parameters),
});

const read = (sql: string, more: Partial<ReadRequest> = {}): ReadRequest => ({
  kind: "read",
  database: "main",
  level: "linearizable",
  at: 0,
  timeoutMs: 10_000,
  statement: statement(sql),
  ...more,
});

const write = (statements: CallStatement[], more: Partial<WriteRequest> = {}): WriteRequest => ({
  kind: "write",
  database: "main",
  isBatch: false,
  timeoutMs: 10_000,
  idempotencyKey: "",
  statements,
  ...more,
});

async function greeted(wire: WireNode): Promise<WireClient> {
  const client = await wire.connect();
  await client.expect("greeting", HELLO);
  return client;
}

/** Index of the answer, and values of its rows where it has columns. */
async function answered(client: WireClient, request: ReadRequest | WriteRequest) {
  const head = await client.expect("head", request);
  const outcomes: unknown[] = [];
  while (outcomes.length < head.outcomes) {
    const message = await client.receive();
    ok(message.kind === "outcome", JSON.stringify(message));
    for (const { changes, lastInsertRowid, types } of message.outcomes) {
      const rows = types.length === 0 ? [] : (await client.rows()).rows.map(({ values }) => [...values]);
      outcomes.push([changes, lastInsertRowid, types, rows]);
    }
  }
  return { ...head, outcomes };
}

async function refused(client: WireClient, request: ReadRequest | WriteRequest): Promise<string> {
  const { error, retry, mayHaveCommitted } = await client.expect("error", request);
  return `${error.code} ${error.details.field ?? ""} ${retry} ${mayHaveCommitted}`;
}

Deno.test("calls: without a Hello they are requests that nobody knows", async () => {
  await using wire = await WireNode.start();
  const client = await wire.open("main");
  for (const request of [read("SELECT 1"), write([statement("CREATE TABLE t (a)")])]) {
    const failure = await client.expect("failure", request);
    deepStrictEqual([failure.code, failure.message], [1_005, "unrecognized request type"]);
  }
  strictEqual((await client.expect("failure", { kind: "hello", version: 0 })).code, 1_005);
  strictEqual((await client.expect("failure", read("SELECT 1"))).code, 1_005);
  deepStrictEqual(await client.expect("greeting", { kind: "hello", version: 9 }), {
    kind: "greeting",
    version: 1,
  });
  strictEqual((await answered(client, read("SELECT 1"))).outcomes.length, 1);
  deepStrictEqual(await client.values("SELECT 2"), [[2]], "the requests of dqlite go on beside them");
});

Deno.test("calls: a write answers with index, changes and rows of RETURNING; a read with types and age", async () => {
  await using wire = await WireNode.start();
  const client = await greeted(wire);
  const created = await answered(
    client,
    write([statement("CREATE TABLE t (a INTEGER PRIMARY KEY, b, at DATETIME, f BOOLEAN)")]),
  );
  const inserted = await answered(
    client,
    write([
      statement(
        "INSERT INTO t (b, at, f) VALUES (?, ?, ?), (?, 7, 1) RETURNING a, b",
        1.5,
        "now",
        true,
        null,
      ),
    ]),
  );
  ok(inserted.index > created.index);
  deepStrictEqual(inserted.outcomes, [[2, 2, ["integer", "real"], [[1, 1.5], [2, null]]]]);
  const batch = await answered(
    client,
    write([
      statement("DELETE FROM t WHERE a = 2"),
      statement("SELECT count(*) FROM t"),
      statement("PRAGMA user_version = 3"),
    ], {
      isBatch: true,
    }),
  );
  deepStrictEqual(batch.outcomes, [[1, 0, [], []], [0, 0, ["integer"], [[1]]], [0, 0, [], []]]);
  strictEqual(batch.ageMs, undefined);
  // Values as SQLite stores them, not as declared types would have them.
  const shown = await answered(client, read("SELECT *, x'00ff' FROM t", { level: "index", at: batch.index }));
  deepStrictEqual(shown.outcomes, [[0, 0, ["integer", "real", "text", "integer", "blob"], [[
    1,
    1.5,
    "now",
    1,
    new Uint8Array([0, 255]),
  ]]]]);
  deepStrictEqual([shown.index, shown.ageMs], [batch.index, 0]);
  const named = { ...statement("SELECT :b - $a", 1, 5), names: ["a", ":b"] };
  deepStrictEqual((await answered(client, read("", { statement: named }))).outcomes, [[0, 0, ["integer"], [[
    4,
  ]]]]);
});

Deno.test("calls: a key is answered once, and the whole answer comes back (promise 5)", async () => {
  await using wire = await WireNode.start();
  const client = await greeted(wire);
  await answered(client, write([statement("CREATE TABLE t (a INTEGER PRIMARY KEY)")]));
  const request = write([statement("INSERT INTO t DEFAULT VALUES RETURNING a")], { idempotencyKey: "k" });
  const first = await answered(client, request);
  const other = await greeted(wire);
  const second = await answered(other, request);
  deepStrictEqual([first.isReplayed, second.isReplayed], [false, true]);
  deepStrictEqual(second.outcomes, first.outcomes);
  const batch = write([statement("INSERT INTO t DEFAULT VALUES"), statement("SELECT max(a) FROM t")], {
    idempotencyKey: "b",
    isBatch: true,
  });
  deepStrictEqual((await answered(client, batch)).outcomes, (await answered(other, batch)).outcomes);
  deepStrictEqual((await answered(client, read("SELECT count(*) FROM t"))).outcomes, [[0, 0, ["integer"], [[
    2,
  ]]]]);
  match(
    await refused(client, { ...request, statements: [statement("DELETE FROM t")] }),
    /^idempotency_mismatch/,
  );
});

Deno.test("calls: what is wrong is refused with the whole error, and the connection goes on", async () => {
  await using wire = await WireNode.start();
  const client = await greeted(wire);
  await answered(client, write([statement("CREATE TABLE t (a UNIQUE)")]));
  strictEqual(await refused(client, read("SELEC 1")), "sql_error  never false");
  strictEqual(await refused(client, read("DELETE FROM t")), "read_only  never false");
  strictEqual(await refused(client, read("")), "bad_request statements[0].sql never false");
  strictEqual(
    await refused(client, read("SELECT 1", { database: "../x" })),
    "bad_request database never false",
  );
  strictEqual(
    await refused(client, read("SELECT 1", { timeoutMs: 0 })),
    "bad_request timeout_ms never false",
  );
  strictEqual(
    await refused(client, read("SELECT 1", { timeoutMs: 600_001 })),
    "bad_request timeout_ms never false",
  );
  strictEqual(await refused(client, write([])), "bad_request statements never false");
  const two = [statement("SELECT 1"), statement("SELECT 2")];
  strictEqual(await refused(client, write(two)), "bad_request statements never false");
  strictEqual(
    await refused(client, write(two, { isBatch: true, idempotencyKey: "k".repeat(257) })),
    "bad_request idempotency_key never false",
  );
  strictEqual(
    await refused(
      client,
      read("", { statement: statement("SELECT ?", ...new Array<null>(32_767).fill(null)) }),
    ),
    "bad_request statements[0].params never false",
  );
  strictEqual(
    await refused(client, read("SELECT 1", { level: "index", at: 1e9, timeoutMs: 20 })),
    "index_not_reached  safe false",
  );
  const failed = await client.expect(
    "error",
    write([two[0]!, statement("INSERT INTO t VALUES (1), (1)")], { isBatch: true }),
  );
  deepStrictEqual([failed.error.code, failed.error.details.statement_index], ["constraint_failed", 1]);
  deepStrictEqual((await answered(client, read("SELECT * FROM t"))).outcomes, [[0, 0, ["null"], []]]);
});

Deno.test("calls: a time limit and an Interrupt stop a query; answers of many parts arrive whole", async () => {
  await using wire = await WireNode.start();
  const client = await greeted(wire);
  await answered(client, write([statement("CREATE TABLE t (a)")]));
  const endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
  match(await refused(client, read(endless, { timeoutMs: 50 })), /^statement_timeout/);
  await client.send(read(endless, { timeoutMs: 600_000 }), { kind: "interrupt", databaseId: 0 });
  const stopped = await client.receive();
  deepStrictEqual(stopped.kind === "error" && stopped.error.code, "cancelled");
  deepStrictEqual(await client.receive(), { kind: "empty" });
  const many =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 30000) SELECT i, 'row' FROM n";
  const [outcome] = (await answered(client, read(many))).outcomes as [[number, number, string[], unknown[]]];
  deepStrictEqual([outcome[3].length, outcome[3].at(-1)], [30_000, [30_000, "row"]]);
});
