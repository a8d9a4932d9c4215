import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert/strict";
import { sql } from "../../net/client/sql_tag.ts";
import { isWalraftError } from "../../net/client/walraft_error.ts";
import { WireDatabase } from "../../net/client/wire.ts";
import { WireNode } from "./wire_node.ts";

Deno.test("WireDatabase executes, queries and batches as the HTTP client does", async () => {
  await using wire = await WireNode.start();
  const db = new WireDatabase(wire.address, { database: "main", connectionsMax: 2 });
  await db.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b, at DATETIME)");
  deepStrictEqual(await db.execute("INSERT INTO t (b) VALUES (?), (?)", ["x", 2n ** 60n]), {
    changes: 2,
    lastInsertRowid: 2,
  });
  deepStrictEqual(await db.query(sql`SELECT a, b FROM t WHERE a <= ${2}`), {
    columns: ["a", "b"],
    rows: [{ a: 1, b: "x" }, { a: 2, b: 2n ** 60n }],
  });
  strictEqual(await db.first("SELECT a FROM t WHERE a = 9"), undefined);
  deepStrictEqual(await db.first("INSERT INTO t (b) VALUES (NULL) RETURNING a"), { a: 3 });
  const { results } = await db.batch(["INSERT INTO t (b) VALUES (4)", {
    sql: "DELETE FROM t WHERE a < ?",
    params: [3],
  }]);
  deepStrictEqual(results.map(({ changes }) => changes), [1, 2]);
  await rejects(
    db.batch(["INSERT INTO t VALUES (9, 9, 9)", "INSERT INTO t VALUES (9, 9, 9)"]),
    (error) => isWalraftError(error, "constraint_failed"),
  );
  strictEqual((await db.first<{ n: number }>("SELECT count(*) AS n FROM t"))?.n, 2, "nothing of it is left");
  await rejects(
    db.query("SELEC 1"),
    (error) => isWalraftError(error, "sql_error") && /syntax error/.test(error.message),
  );
  await db.execute("CREATE TABLE c (a REFERENCES t DEFERRABLE INITIALLY DEFERRED)");
  await rejects(
    db.batch(["INSERT INTO c VALUES (77)"]),
    (error) => isWalraftError(error, "constraint_failed"),
  );
  strictEqual(
    (await db.batch(["INSERT INTO c VALUES (4)"])).results.length,
    1,
    "no transaction is left open",
  );
  // More calls than connections.
  const many = await Promise.all(Array.from({ length: 20 }, (_, index) => db.first(`SELECT ${index} AS n`)));
  deepStrictEqual(many.map((row) => row?.n), Array.from({ length: 20 }, (_, index) => index));
  ok(wire.server.connectionCount <= 2);
  db.close();
  await rejects(db.query("SELECT 1"), /closed/);
});

Deno.test("WireDatabase says when the fate of a call is not known, and when nobody leads", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = (async () => {
    for await (const socket of listener) {
      await socket.read(new Uint8Array(64)).catch(() => null);
      socket.close();
    }
  })();
  const { port } = listener.addr;
  const db = new WireDatabase([`127.0.0.1:${port}`], { database: "main", attemptsMax: 2 });
  await rejects(db.execute("INSERT INTO t VALUES (1)"), (error) => {
    ok(isWalraftError(error, "no_leader"));
    match(error.message, /leads to a leader/);
    return !error.mayHaveCommitted;
  });
  db.close();
  listener.close();
  await serving;

  await using wire = await WireNode.start();
  const sound = new WireDatabase(wire.address, { database: "main" });
  await sound.execute("CREATE TABLE t (a)");
  const stopping = wire.server.stop(0);
  await stopping;
  await rejects(
    sound.execute("INSERT INTO t VALUES (1)"),
    (error) => isWalraftError(error, "network_error") && error.mayHaveCommitted,
  );
  sound.close();
});
