import { deepStrictEqual, notStrictEqual, ok, strictEqual } from "node:assert/strict";
import { eventually, ProcessCluster } from "./process_cluster.ts";

Deno.test("three nodes: write on every node, read at every level everywhere", async (test) => {
  await using cluster = await ProcessCluster.start(3);
  const [first] = cluster.nodes;
  const created = await first!.execute("CREATE TABLE log (id INTEGER PRIMARY KEY, node TEXT, note TEXT)");
  strictEqual(created.status, 200, JSON.stringify(created.body));

  await test.step("any node takes a write, and any node serves it at level `index` (promise 5)", async () => {
    for (const node of cluster.nodes) {
      const wrote = await node.execute("INSERT INTO log (node) VALUES (?1) RETURNING id", [node.name]);
      strictEqual(wrote.status, 200, JSON.stringify(wrote.body));
      strictEqual(wrote.body.changes, 1);
      for (const reader of cluster.nodes) {
        const read = await reader.query("SELECT count(*) FROM log WHERE node = ?1", {
          params: [node.name],
          level: "index",
          index: wrote.body.index,
        });
        deepStrictEqual(read.body.rows, [[1]]);
        ok(read.body.index >= wrote.body.index);
      }
    }
  });

  await test.step("linearizable is the default, stale is what a node has", async () => {
    for (const node of cluster.nodes) {
      const linearizable = await node.query("SELECT count(*) AS n FROM log", { rows: "objects" });
      deepStrictEqual([linearizable.body.level, linearizable.body.rows], ["linearizable", [{ n: 3 }]]);
      await eventually("the node has published all rows", async () => {
        const stale = await node.query("SELECT count(*) FROM log", { level: "stale", max_age_ms: 60_000 });
        return stale.body.level === "stale" && stale.body.rows[0][0] === 3;
      });
    }
  });

  await test.step("values come back exactly", async () => {
    await first!.execute("CREATE TABLE exact (v)");
    const values = [
      { int64: "9223372036854775807" },
      { int64: "-9223372036854775808" },
      { real: "Infinity" },
      { real: "-Infinity" },
      { base64: "AAH/" },
      "a\u0000b",
      "zürich 🏔",
      0.1,
      -1,
      null,
    ];
    const statements = values.map((value) => ({ sql: "INSERT INTO exact VALUES (?1)", params: [value] }));
    const batch = await cluster.nodes[1]!.request("POST", "/v1/databases/main/batch", { statements });
    strictEqual(batch.status, 200, JSON.stringify(batch.body));
    const read = await cluster.nodes[2]!.query("SELECT v FROM exact ORDER BY rowid");
    deepStrictEqual(read.body.rows.map((row: unknown[]) => row[0]), values);
  });

  await test.step("a batch is one transaction and names the statement that failed", async () => {
    const statements = [
      { sql: "INSERT INTO log (node) VALUES ('x')" },
      { sql: "INSERT INTO log (id) VALUES (1)" },
    ];
    const failed = await cluster.nodes[2]!.request("POST", "/v1/databases/main/batch", { statements });
    strictEqual(failed.status, 409, JSON.stringify(failed.body));
    deepStrictEqual(
      [failed.body.error.code, failed.body.error.statement_index, failed.body.error.may_have_committed],
      ["constraint_failed", 1, false],
    );
    const read = await first!.query("SELECT count(*) FROM log WHERE node = 'x'");
    deepStrictEqual(read.body.rows, [[0]]);
  });

  await test.step("an idempotency key is good on any node and after a leader change (promise 5)", async () => {
    const headers = { "idempotency-key": "order-17" };
    const sql = "INSERT INTO log (node) VALUES ('once') RETURNING id";
    const original = await cluster.nodes[0]!.execute(sql, [], headers);
    strictEqual(original.status, 200, JSON.stringify(original.body));
    const leader = await cluster.leader();
    await leader.request("POST", "/v1/cluster/transfer", {});
    await eventually("another node leads", async () => (await cluster.leader()) !== leader);
    for (const node of cluster.nodes) {
      const again = await node.execute(sql, [], headers);
      deepStrictEqual([again.body.rows, again.body.replayed], [original.body.rows, true]);
    }
    const read = await first!.query("SELECT count(*) FROM log WHERE node = 'once'");
    deepStrictEqual(read.body.rows, [[1]]);
    const other = await first!.execute("DELETE FROM log", [], headers);
    strictEqual(other.body.error.code, "idempotency_mismatch");
  });

  await test.step("what would break replication is refused and changes nothing", async () => {
    for (
      const sql of [
        "ATTACH 'x.db' AS x",
        "PRAGMA journal_mode=DELETE",
        "BEGIN",
        "SELECT load_extension('x')",
        "VACUUM INTO 'copy.db'",
      ]
    ) {
      const refused = await first!.execute(sql);
      strictEqual(refused.status, 400, `${sql}: ${JSON.stringify(refused.body)}`);
    }
    const write = await first!.query("DELETE FROM log");
    strictEqual(write.body.error.code, "read_only");
  });

  await test.step("databases are created, listed, replaced by upload, backed up and dropped", async () => {
    const upload = await first!.backup();
    const put = await cluster.nodes[1]!.request("PUT", "/v1/databases/copy", upload);
    strictEqual(put.status, 200, JSON.stringify(put.body));
    const list = await cluster.nodes[2]!.request("GET", "/v1/databases");
    deepStrictEqual(list.body.databases.map((each: { name: string }) => each.name), ["copy", "main"]);
    const read = await cluster.nodes[2]!.request("POST", "/v1/databases/copy/query", {
      sql: "SELECT count(*) FROM log",
    });
    deepStrictEqual(read.body.rows, [[4]]);
    const invalid = await first!.request(
      "PUT",
      "/v1/databases/copy",
      new TextEncoder().encode("not a database"),
    );
    strictEqual(invalid.body.error.code, "database_file_invalid");
    const dropped = await cluster.nodes[2]!.request("DELETE", "/v1/databases/copy");
    strictEqual(dropped.status, 200, JSON.stringify(dropped.body));
    const gone = await first!.request("GET", "/v1/databases/copy");
    notStrictEqual(gone.status, 200);
  });

  await test.step("one bad query costs nothing else (promise 7)", async () => {
    const terms = Array.from({ length: 4_000 }, () => "1").join("+");
    for (const node of cluster.nodes) {
      const bad = await node.query(`SELECT ${terms}`);
      strictEqual(bad.status >= 400, true, JSON.stringify(bad.body));
      const good = await node.query("SELECT 1");
      deepStrictEqual(good.body.rows, [[1]]);
    }
    await first!.execute(`INSERT INTO log (id) VALUES (${terms})`);
    strictEqual((await first!.execute("INSERT INTO log (node) VALUES ('after')")).status, 200);
  });
});
