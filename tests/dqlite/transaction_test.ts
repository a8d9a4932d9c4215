import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { tupleOf } from "../../net/dqlite/parameters.ts";
import { within } from "../support/http_fixture.ts";
import type { WireClient } from "./wire_client.ts";
import { WireNode } from "./wire_node.ts";

/** Two connections to a database with one empty table. */
async function twoClients(wire: WireNode): Promise<[WireClient, WireClient]> {
  const first = await wire.open();
  await first.run("CREATE TABLE t (a INTEGER PRIMARY KEY, b)");
  return [first, await wire.open()];
}

Deno.test("a transaction over several requests is one whole; a write of another client waits for it", async () => {
  await using wire = await WireNode.start();
  const [first, second] = await twoClients(wire);
  await first.run("BEGIN");
  strictEqual((await first.run("INSERT INTO t VALUES (1, 'one')")).lastInsertRowid, 1);
  const waiting = second.run("INSERT INTO t VALUES (2, (SELECT count(*) FROM t))");
  deepStrictEqual(await first.values("SELECT b FROM t"), [["one"]], "it sees its own writes");
  await first.run("INSERT INTO t VALUES (3, 'three')");
  const third = await wire.open();
  deepStrictEqual(await third.values("SELECT count(*) FROM t"), [[0]], "nobody else sees them");
  await first.run("COMMIT");
  await waiting;
  deepStrictEqual(await third.values("SELECT a, b FROM t"), [[1, "one"], [2, 2], [3, "three"]]);
});

Deno.test("ROLLBACK undoes, and a statement that fails leaves the transaction open", async () => {
  await using wire = await WireNode.start();
  const [first] = await twoClients(wire);
  await first.run("BEGIN IMMEDIATE; INSERT INTO t VALUES (1, 1)");
  deepStrictEqual(await first.failure("INSERT INTO t VALUES (1, 2)"), [
    1555,
    "UNIQUE constraint failed: t.a",
  ]);
  deepStrictEqual(await first.failure("BEGIN"), [1, "cannot start a transaction within a transaction"]);
  await first.run("SAVEPOINT s; INSERT INTO t VALUES (2, 2); ROLLBACK TO s; RELEASE s");
  deepStrictEqual(await first.values("SELECT a FROM t"), [[1]]);
  await first.run("ROLLBACK");
  deepStrictEqual(await first.values("SELECT a FROM t"), []);
  deepStrictEqual(await first.failure("ROLLBACK"), [1, "cannot rollback - no transaction is active"]);
  match((await first.failure("SAVEPOINT s"))[1], /say BEGIN first/);
});

Deno.test("a connection that drops rolls back, and whoever waits goes on", async () => {
  await using wire = await WireNode.start();
  const [first, second] = await twoClients(wire);
  await first.run("BEGIN; INSERT INTO t VALUES (1, 1)");
  const waiting = second.run("INSERT INTO t VALUES (2, 2)");
  first.close();
  // Sooner than the limit on idle transactions would do it.
  await within(waiting, "the write of the second client");
  deepStrictEqual(await second.values("SELECT a FROM t"), [[2]]);
});

Deno.test("an Interrupt stops a statement inside of a transaction, and the writer is free after ROLLBACK", async () => {
  await using wire = await WireNode.start();
  const [first, second] = await twoClients(wire);
  await first.run("BEGIN; INSERT INTO t VALUES (1, 1)");
  const sql =
    "INSERT INTO t (b) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
  await first.send(
    { kind: "exec_sql", schema: 0, databaseId: 0, sql, parameters: tupleOf([]) },
    { kind: "interrupt", databaseId: 0 },
  );
  const stopped = await within(first.receive(), "the end of the statement");
  strictEqual(stopped.kind === "failure" && stopped.code, 9, JSON.stringify(stopped));
  strictEqual((await first.receive()).kind, "empty");
  await first.exec("ROLLBACK");
  await within(second.run("INSERT INTO t VALUES (2, 2)"), "the write of the second client");
  deepStrictEqual(await first.values("SELECT a FROM t"), [[2]]);
});

Deno.test("prepared statements run inside of a transaction, and are checked against its tables", async () => {
  await using wire = await WireNode.start();
  const [first] = await twoClients(wire);
  await first.run("BEGIN; CREATE TABLE inside (a)");
  const { statementId } = await first.expect("statement", {
    kind: "prepare",
    schema: 0,
    databaseId: 0,
    sql: "INSERT INTO inside VALUES (?)",
  });
  const exec = { kind: "exec", schema: 0, databaseId: 0, statementId } as const;
  for (const value of [1, 2]) await first.expect("result", { ...exec, parameters: tupleOf([value]) });
  await first.run("END");
  deepStrictEqual(await first.values("SELECT a FROM inside"), [[1], [2]]);
});

Deno.test("a transaction that the server rolled back takes no statement until the client has noticed", async () => {
  await using wire = await WireNode.start();
  const [first] = await twoClients(wire);
  await first.run("BEGIN; INSERT INTO t VALUES (1, 1)");
  strictEqual((await first.failure("INSERT OR ROLLBACK INTO t VALUES (1, 1)"))[0], 1555);
  strictEqual((await first.failure("INSERT INTO t VALUES (5, 5)"))[0], 516);
  strictEqual((await first.failure("COMMIT"))[0], 516);
  await first.run("INSERT INTO t VALUES (6, 6)");
  deepStrictEqual(await first.values("SELECT a FROM t"), [[6]]);
});

Deno.test("a foreign key that still fails at COMMIT leaves the transaction open, as in SQLite", async () => {
  await using wire = await WireNode.start();
  const [first] = await twoClients(wire);
  await first.run("CREATE TABLE c (t REFERENCES t DEFERRABLE INITIALLY DEFERRED)");
  await first.run("BEGIN; INSERT INTO c VALUES (7)");
  strictEqual((await first.failure("COMMIT"))[0], 787);
  await first.run("INSERT INTO t VALUES (7, 7); COMMIT");
  deepStrictEqual(await first.values("SELECT t FROM c"), [[7]]);
});
