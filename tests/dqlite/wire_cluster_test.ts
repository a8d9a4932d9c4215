/** The TypeScript client of the dqlite protocol against three node processes. */
import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { isWalraftError } from "../../net/client/walraft_error.ts";
import { WireDatabase } from "../../net/client/wire.ts";
import type { NodeProcess } from "../cluster/process_cluster.ts";
import { WireCluster } from "./wire_cluster.ts";

const ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
const WRITERS = 8;
const WRITES_EACH = 25;

Deno.test("WireDatabase with three nodes", async (test) => {
  await using cluster = await WireCluster.three();
  const [follower] = await cluster.followers() as [NodeProcess];
  const db = new WireDatabase(cluster.addresses, { database: "main" });
  const { index } = await db.execute("CREATE TABLE t (writer, number, PRIMARY KEY (writer, number))");

  await test.step("a follower serves every level and passes writes on", async () => {
    const only = cluster.addressOf(follower);
    const alone = new WireDatabase(only, { database: "main", discover: false });
    const read = (level: "index" | "stale" | "linearizable") =>
      alone.query("SELECT count(*) AS n FROM t", [], { level, ...(level === "index" ? { index } : {}) });
    for (const level of ["index", "stale", "linearizable"] as const) {
      const result = await read(level);
      deepStrictEqual([result.rows, result.level], [[{ n: 0 }], level]);
      ok(result.ageMs !== undefined && result.index >= index);
    }
    const written = await alone.execute("INSERT INTO t VALUES ('follower', 1)");
    strictEqual((await alone.query("SELECT * FROM t", [], { level: "index" })).rows.length, 1);
    strictEqual(alone.lastIndex, written.index);
    strictEqual((await db.first("SELECT count(*) AS n FROM t"))?.n, 1, "linearizable at the leader");
    alone.close();
  });

  await test.step("a query that is given up is stopped, and its connection is used again", async () => {
    let dialled = 0;
    const one = new WireDatabase(cluster.addressOf(await cluster.leader()), {
      database: "main",
      connectionsMax: 1,
      discover: false,
      dial: (hostname, port) => {
        dialled++;
        return Deno.connect({ hostname, port });
      },
    });
    await one.first("SELECT 1");
    const controller = new AbortController();
    const given = one.query(ENDLESS, [], { signal: controller.signal, timeoutMs: 600_000 });
    // It waits for the connection, which is free once the node has stopped the query.
    const next = one.first("SELECT 2 AS n");
    setTimeout(() => controller.abort(), 50);
    await rejects(given, (error) => isWalraftError(error, "cancelled") && !error.mayHaveCommitted);
    deepStrictEqual(await next, { n: 2 });
    await rejects(one.query(ENDLESS, [], { timeoutMs: 100 }), (error) => {
      ok(isWalraftError(error), String(error));
      return /^(statement_)?timeout$/.test(error.code) && !error.mayHaveCommitted;
    });
    deepStrictEqual(await one.first("SELECT 3 AS n"), { n: 3 });
    strictEqual(dialled, 1);
    one.close();
  });

  await test.step("kill -9 of the leader among writers: each write happens once (promise 5)", async () => {
    let written = 0;
    const killing = Promise.withResolvers<void>();
    const write = async (writer: number) => {
      for (let number = 0; number < WRITES_EACH; number++) {
        await db.execute("INSERT INTO t VALUES (?, ?)", [writer, number]);
        if (++written === WRITERS * WRITES_EACH / 4) {
          killing.resolve(cluster.leader().then((node) => node.kill()));
        }
      }
    };
    await Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)));
    await killing.promise;
    const { n } = await db.first<{ n: number }>("SELECT count(*) AS n FROM t WHERE writer <> 'follower'") ??
      {};
    strictEqual(n, WRITERS * WRITES_EACH);
  });
  db.close();
});
