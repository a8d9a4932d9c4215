import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { ValueType } from "../../net/wire/tuple.ts";
import { tupleOf } from "../../net/dqlite/parameters.ts";
import type { Request } from "../../net/dqlite/request.ts";
import { writeRequest } from "../../net/dqlite/request_codec.ts";
import { TupleWriter } from "../../net/wire/tuple_writer.ts";
import { WireClient } from "./wire_client.ts";
import { WireNode } from "./wire_node.ts";

const NONE = tupleOf([]);

Deno.test("a client finds the leader, opens a database, writes and reads", async () => {
  await using wire = await WireNode.start();
  const client = await wire.connect();
  deepStrictEqual(await client.ask({ kind: "leader" }), {
    kind: "node",
    nodeId: 1,
    address: wire.address,
  });
  deepStrictEqual(await client.ask({ kind: "client", clientId: 0 }), {
    kind: "welcome",
    heartbeatTimeoutMs: 15_000,
  });
  deepStrictEqual(await client.ask({ kind: "cluster", format: 1 }), {
    kind: "nodes",
    format: 1,
    nodes: [{ nodeId: 1, address: wire.address, role: 0 }],
  });
  deepStrictEqual(await client.ask({ kind: "open", name: "test.db", flags: 0, vfs: "volatile" }), {
    kind: "database",
    databaseId: 0,
  });
  await client.run("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)");
  deepStrictEqual(await client.run("INSERT INTO t (b) VALUES (?), (?)", "x", "y"), {
    kind: "result",
    lastInsertRowid: 2,
    changes: 2,
  });
  deepStrictEqual(await client.values("SELECT a, b FROM t ORDER BY a"), [[1, "x"], [2, "y"]]);
  deepStrictEqual(wire.failures, []);
});

Deno.test("a client of the protocol before 1.0 hears an address without an id", async () => {
  await using wire = await WireNode.start();
  const client = await WireClient.connect(wire.server.port, "legacy");
  deepStrictEqual(await client.ask({ kind: "leader" }), { kind: "node_legacy", address: wire.address });
  client.close();
});

Deno.test("values keep their types; declared types decide times and booleans", async () => {
  await using wire = await WireNode.start();
  const client = await wire.open();
  await client.run("CREATE TABLE t (i INTEGER, f FLOAT, b BLOB, dt DATETIME, bo BOOLEAN, x TEXT)");
  const time = "2024-01-02 03:04:05+00:00";
  const big = -(2n ** 62n);
  await client.run(
    "INSERT INTO t VALUES (?, ?, ?, ?, ?, ?)",
    big,
    1.5,
    new Uint8Array([1, 0]),
    time,
    true,
    "é",
  );
  await client.run(
    "INSERT INTO t VALUES (?, ?, ?, ?, ?, ?)",
    3,
    { real: 2 },
    new Uint8Array(0),
    1_700_000_000,
    0,
    "",
  );
  await client.run("INSERT INTO t VALUES (NULL, NULL, NULL, NULL, NULL, NULL)");
  await client.run("INSERT INTO t VALUES ('a' || char(0), 1e300, 'text', 1.5, 'no', x'00')");
  await client.run("INSERT INTO t (dt) VALUES ('yesterday')");
  const { columns, rows } = await client.query("SELECT * FROM t");
  deepStrictEqual(columns, ["i", "f", "b", "dt", "bo", "x"]);
  const { integer, float, text, blob, null: nothing, unixTime, iso8601, boolean } = ValueType;
  deepStrictEqual(rows.map(({ types }) => [...types as Uint8Array]), [
    [integer, float, blob, iso8601, boolean, text],
    [integer, float, blob, unixTime, boolean, text],
    [nothing, nothing, nothing, nothing, nothing, nothing],
    // What does not fit the declared type goes by storage class; a text with a NUL as a blob.
    [blob, float, text, float, text, blob],
    [nothing, nothing, nothing, text, nothing, nothing],
  ]);
  deepStrictEqual(rows[0]?.values, [big, 1.5, new Uint8Array([1, 0]), time, true, "é"]);
  deepStrictEqual(rows[1]?.values, [3, 2, new Uint8Array(0), 1_700_000_000, false, ""]);
  deepStrictEqual(rows[3]?.values.slice(1, 5), [1e300, "text", 1.5, "no"]);
});

Deno.test("a result comes in parts, and an Interrupt ends it", async () => {
  await using wire = await WireNode.start();
  const client = await wire.open();
  const sql =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000) SELECT i FROM n";
  const { rows, parts } = await client.query(sql);
  strictEqual(rows.length, 50_000);
  ok(parts > 5, `${parts} parts`);
  strictEqual(rows.at(-1)?.values[0], 50_000);
  await client.send(
    { kind: "query_sql", schema: 0, databaseId: 0, sql: sql.replace("50000", "5000000"), parameters: NONE },
    { kind: "interrupt", databaseId: 0 },
  );
  // The query is stopped before it has an answer.
  const stopped = await client.receive();
  strictEqual(stopped.kind === "failure" && stopped.code, 9, JSON.stringify(stopped));
  strictEqual((await client.receive()).kind, "empty");
  deepStrictEqual(await client.values("SELECT 1"), [[1]]);
});

Deno.test("statements are prepared, run with other parameters, and their ids used again", async () => {
  await using wire = await WireNode.start();
  const client = await wire.open();
  await client.run("CREATE TABLE t (a, b)");
  const prepare = (sql: string, schema: 0 | 1 = 0) =>
    client.ask({ kind: "prepare", schema, databaseId: 0, sql });
  deepStrictEqual(await prepare("INSERT INTO t VALUES (?, ?2)"), {
    kind: "statement",
    databaseId: 0,
    statementId: 0,
    parameterCount: 2,
  });
  deepStrictEqual(await prepare("/* é */ SELECT a FROM t WHERE b = :b AND :b > 1; SELECT 2", 1), {
    kind: "statement",
    databaseId: 0,
    statementId: 1,
    parameterCount: 1,
    tailOffset: 49,
  });
  for (const [a, b] of [[1, 2], [3, 4]] as const) {
    const parameters = tupleOf([a, b]);
    await client.expect("result", { kind: "exec", schema: 1, databaseId: 0, statementId: 0, parameters });
  }
  await client.send({ kind: "query", schema: 0, databaseId: 0, statementId: 1, parameters: tupleOf([4]) });
  deepStrictEqual((await client.rows()).rows.map(({ values }) => values), [[3]]);
  await client.expect("empty", { kind: "finalize", databaseId: 0, statementId: 0 });
  deepStrictEqual(
    await client.ask({ kind: "exec", schema: 0, databaseId: 0, statementId: 0, parameters: NONE }),
    {
      kind: "failure",
      code: 12,
      message: "no statement with the given id",
    },
  );
  strictEqual(
    (await client.expect("statement", { kind: "prepare", schema: 0, databaseId: 0, sql: "SELECT 1 -- c" }))
      .statementId,
    0,
  );
  const failures: [string, number, RegExp][] = [
    ["SELECT 1; SELECT 2", 1, /^nonempty statement tail$/],
    ["-- nothing", 1, /^empty statement$/],
    ["SELEC 1", 1, /^near "SELEC": syntax error$/],
    ["INSERT INTO missing VALUES (1)", 1, /^no such table: missing$/],
  ];
  for (const [sql, code, message] of failures) {
    const answer = await client.expect("failure", { kind: "prepare", schema: 0, databaseId: 0, sql });
    strictEqual(answer.code, code);
    match(answer.message, message);
  }
});

Deno.test("what dqlite refuses is refused in its words, and the connection goes on", async () => {
  await using wire = await WireNode.start();
  const client = await wire.connect();
  deepStrictEqual(await client.failure("SELECT 1"), [12, "no database opened"]);
  await client.expect("database", { kind: "open", name: "test.db", flags: 0, vfs: "" });
  const again = await client.expect("failure", { kind: "open", name: "x.db", flags: 0, vfs: "" });
  strictEqual(again.code, 5);
  await client.run("CREATE TABLE t (a INTEGER PRIMARY KEY, b UNIQUE); INSERT INTO t VALUES (1, 2)");
  deepStrictEqual(await client.failure("INSERT INTO t VALUES (1, 3)"), [
    1555,
    "UNIQUE constraint failed: t.a",
  ]);
  deepStrictEqual(await client.failure("INSERT INTO t VALUES (2, 2)"), [
    2067,
    "UNIQUE constraint failed: t.b",
  ]);
  deepStrictEqual(await client.failure("SELECT 1"), [1, "rows yielded when none expected for EXEC request"]);
  deepStrictEqual(await client.failure("COMMIT"), [1, "cannot commit - no transaction is active"]);
  strictEqual((await client.failure("ATTACH 'x' AS y"))[0], 23);
  const metadata = () => client.ask({ kind: "describe" });
  await client.expect("empty", { kind: "weight", weight: 7 });
  deepStrictEqual(await metadata(), { kind: "metadata", failureDomain: 0, weight: 7 });
  strictEqual(
    (await client.expect("failure", { kind: "add", nodeId: 1, address: "a:1" })).message,
    "server ID already in use",
  );
  match(
    (await client.expect("failure", { kind: "add", nodeId: 5, address: "a:1" })).message,
    /start it with --join/,
  );
  match((await client.expect("failure", { kind: "remove", nodeId: 5 })).message, /server ID is not valid/);
  match(
    (await client.expect("failure", { kind: "assign", nodeId: 5, role: 0 })).message,
    /Resource not found/,
  );
  strictEqual((await client.expect("failure", { kind: "heartbeat", timestamp: 0 })).code, 1005);
  deepStrictEqual(await client.values("SELECT a FROM t"), [[1]]);
});

Deno.test("several statements of one text run in order and share the parameters", async () => {
  await using wire = await WireNode.start();
  const client = await wire.open();
  const { changes } = await client.run(
    "CREATE TABLE t (a, b); INSERT INTO t VALUES (?, ?);; INSERT INTO t VALUES (?1, 5), (7, 8); -- end",
    1,
    2,
    3,
  );
  strictEqual(changes, 2);
  deepStrictEqual(await client.values("SELECT * FROM t"), [[1, 2], [3, 5], [7, 8]]);
  deepStrictEqual(await client.failure("INSERT INTO t VALUES (9, 9); INSERT INTO missing VALUES (1)"), [
    1,
    "no such table: missing",
  ]);
  deepStrictEqual(
    await client.values("SELECT count(*) FROM t WHERE a = 9"),
    [[1]],
    "each is a transaction of its own",
  );
  deepStrictEqual(
    await client.ask({
      kind: "query_sql",
      schema: 0,
      databaseId: 0,
      sql: "SELECT 1; SELECT 2",
      parameters: NONE,
    }),
    { kind: "failure", code: 1, message: "nonempty statement tail" },
  );
  deepStrictEqual((await client.query("INSERT INTO t VALUES (10, 10)")).columns, []);
  deepStrictEqual(await client.values("INSERT INTO t VALUES (11, NULL) RETURNING a, b"), [[11, null]]);
  await client.run("PRAGMA user_version = 4");
  deepStrictEqual(await client.values("PRAGMA user_version"), [[4]]);
  strictEqual((await client.values("EXPLAIN INSERT INTO t VALUES (1, 1)")).length > 3, true);
});

Deno.test("Dump gives a database file that SQLite takes", async () => {
  await using wire = await WireNode.start();
  const client = await wire.open();
  await client.run("CREATE TABLE t (a)");
  const { files } = await client.expect("files", { kind: "dump", name: "test.db" });
  deepStrictEqual(files.map(({ name }) => name), ["test.db", "test.db-wal"]);
  strictEqual(new TextDecoder().decode(files[0]?.content.subarray(0, 15)), "SQLite format 3");
  strictEqual(files[1]?.content.byteLength, 0);
  const missing = await client.expect("failure", { kind: "dump", name: "none.db" });
  strictEqual(missing.code, 1002);
});

Deno.test("with wa-sqlite, which knows no declared types, values go by storage class", async () => {
  await using wire = await WireNode.start({}, "wa-sqlite");
  const client = await wire.open();
  await client.run("CREATE TABLE t (d DATETIME, b BOOLEAN); INSERT INTO t VALUES (5, 1), ('2024-01-02', 0)");
  const { rows } = await client.query("SELECT d, b FROM t");
  const { integer, text } = ValueType;
  deepStrictEqual(rows.map(({ types }) => [...types as Uint8Array]), [[integer, integer], [text, integer]]);
});

Deno.test("Open creates no database where only the operator may", async () => {
  await using wire = await WireNode.start({ createDatabases: false });
  const client = await wire.connect();
  const open = (name: string) => client.ask({ kind: "open", name, flags: 0, vfs: "" });
  const refused = await open("test.db");
  strictEqual(refused.kind === "failure" && refused.code, 1002);
  await wire.node.createDatabase("test.db", true, 10_000);
  strictEqual((await open("test.db")).kind, "database");
});

Deno.test("what is no frame ends its connection only once the request before it is answered", async () => {
  await using wire = await WireNode.start();
  const setup = await wire.open();
  await setup.run("CREATE TABLE t (a)");
  const insert: Request = {
    kind: "exec_sql",
    schema: 0,
    databaseId: 0,
    sql: "INSERT INTO t VALUES (1)",
    parameters: tupleOf([]),
  };
  // Those that are answered at once, in a later turn, and by closing; the frame is read meanwhile, and nobody waits for it.
  for (
    const first of [insert, { kind: "client", clientId: 1 }, {
      kind: "connect",
      nodeId: 1,
      address: "a",
    }] as const
  ) {
    const client = await wire.open();
    const writer = new TupleWriter();
    writeRequest(writer, first);
    writer.u64(0);
    await client.sendBytes(writer.take());
    if (first.kind !== "connect") {
      strictEqual((await client.receive()).kind, first.kind === "client" ? "welcome" : "result");
      strictEqual((await client.receive()).kind, "failure");
    }
    strictEqual(await client.frame(), undefined);
  }
  deepStrictEqual(await setup.values("SELECT count(*) FROM t"), [[1]]);
});
