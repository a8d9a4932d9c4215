import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { LIMITS } from "../../core/base/limits.ts";
import { eventually, type JsonAnswer, type NodeProcess, ProcessCluster } from "./process_cluster.ts";

const EXECUTE = "/v1/databases/main/execute";
const QUERY = "/v1/databases/main/query";
const ENDLESS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

/** A body as it is, with the type of JSON. */
async function post(node: NodeProcess, path: string, body: string): Promise<JsonAnswer> {
  const response = await fetch(node.url + path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
  });
  return { status: response.status, body: await response.json() };
}

async function stillServes(node: NodeProcess): Promise<void> {
  strictEqual((await node.execute("INSERT INTO alive DEFAULT VALUES")).status, 200);
  strictEqual((await node.query("SELECT count(*) FROM alive")).status, 200);
}

Deno.test("bad input gets a clear error and costs nothing else", async (test) => {
  await using cluster = await ProcessCluster.start(1, ["--readers", "1"]);
  const node = cluster.nodes[0]!;
  await node.execute("CREATE TABLE alive (id INTEGER PRIMARY KEY)");

  await test.step("a malformed body: 400 that names the field", async () => {
    const table: [body: string, field: string | undefined][] = [
      ["{", undefined],
      ["[]", undefined],
      ["{}", "sql"],
      ['{"sql":7}', "sql"],
      ['{"sql":"SELECT 1","speed":9}', "speed"],
      ['{"sql":"SELECT 1","params":{"a":{"b":1}}}', "params.a"],
      ['{"sql":"SELECT 1","level":"maybe"}', "level"],
      ['{"sql":"SELECT 1","timeout_ms":-1}', "timeout_ms"],
    ];
    for (const [body, field] of table) {
      const { status, body: answer } = await post(node, QUERY, body);
      deepStrictEqual([status, answer.error.code], [400, "bad_request"], body);
      if (field !== undefined) {
        ok(String(answer.error.field).startsWith(field), `${body}: ${answer.error.field}`);
      }
    }
    await stillServes(node);
  });

  await test.step("a body that is too large or too deep is refused without being read", async () => {
    const large = await post(node, EXECUTE, `{"sql":"${"x".repeat(LIMITS.requestBodyBytesMax)}"}`);
    deepStrictEqual([large.status, large.body.error.code], [413, "body_too_large"]);
    const deep = await post(node, EXECUTE, "[".repeat(1_000_000));
    deepStrictEqual([deep.status, deep.body.error.code], [400, "bad_request"]);
    await stillServes(node);
  });

  await test.step("statements that run too long, return too much, change too much or nest too deep name the limit", async () => {
    const slow = await node.query(ENDLESS, { timeout_ms: 300 });
    strictEqual(slow.body.error.code, "statement_timeout", JSON.stringify(slow.body));
    const rows = `SELECT i FROM (${ENDLESS.replace("count(*)", "i")}) LIMIT ${LIMITS.resultRowsMax + 1}`;
    const many = await node.query(rows);
    deepStrictEqual([many.body.error.code, many.body.error.limit.name], ["result_too_large", "result_rows"]);
    const wide = await node.query(`SELECT zeroblob(${LIMITS.resultBytesMax})`);
    deepStrictEqual([wide.body.error.code, wide.body.error.limit.name], ["result_too_large", "result_bytes"]);
    await node.execute("CREATE TABLE big (b)");
    const blobs = `INSERT INTO big SELECT zeroblob(4000000) FROM (${
      ENDLESS.replace("count(*)", "i")
    } LIMIT 70)`;
    const big = await node.execute(blobs);
    deepStrictEqual([big.body.error.code, big.body.error.limit.name], [
      "transaction_too_large",
      "transaction_bytes",
    ]);
    deepStrictEqual((await node.query("SELECT count(*) FROM big")).body.rows, [[0]]);
    const deep = await node.query(`SELECT ${Array(4_000).fill("1").join("+")}`);
    strictEqual(deep.body.error.code, "sql_error");
    match(deep.body.error.message, /1,?000/);
    await stillServes(node);
  });

  await test.step("a client that goes away stops its query", async () => {
    const leaving = new AbortController();
    const query = fetch(node.url + QUERY, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ sql: ENDLESS, timeout_ms: LIMITS.requestMsMax }),
      signal: leaving.signal,
    });
    // The only reader is taken until the query is stopped; ten minutes would fail this test.
    setTimeout(() => leaving.abort(), 200);
    await query.catch(() => {});
    await eventually(
      "the reader is free again",
      async () => (await node.query("SELECT 1", { timeout_ms: 1_000 })).status === 200,
    );
    await stillServes(node);
  });
});

Deno.test("with a token, nothing but the health checks answers without it, and it is never printed", async () => {
  const token = "s3cret-token-of-this-test";
  await using cluster = new ProcessCluster(await Deno.makeTempDir({ prefix: "walraft-test-" }), [
    "--token",
    token,
    "--log-level",
    "debug",
  ]);
  const node = cluster.addNode();
  node.start();
  await eventually("the node is ready", async () => (await node.request("GET", "/readyz")).status === 200);
  strictEqual((await node.request("GET", "/livez")).status, 200);
  for (const headers of [{}, { authorization: "Bearer wrong" }, { authorization: token }]) {
    const refused = await node.execute("SELECT 1", [], headers as Record<string, string>);
    deepStrictEqual([refused.status, refused.body.error.code], [401, "unauthorized"]);
  }
  strictEqual((await node.request("GET", "/metrics")).status, 401);
  strictEqual((await node.execute("SELECT 1", [], { authorization: `Bearer ${token}` })).status, 200);
  const ended = node.ended();
  Deno.kill(node.processId, "SIGTERM");
  const { code, output } = await ended;
  deepStrictEqual([code, output.includes(token)], [0, false]);
});

Deno.test("an idempotency key outlives the leader that saw it first (promise 5)", async () => {
  await using cluster = await ProcessCluster.start(3);
  const leader = await cluster.leader();
  await leader.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)");
  const headers = { "idempotency-key": "only-once" };
  const sql = "INSERT INTO t DEFAULT VALUES RETURNING id";
  const first = await leader.execute(sql, [], headers);
  strictEqual(first.status, 200, JSON.stringify(first.body));
  await leader.kill();
  await cluster.ready();
  for (const node of cluster.running) {
    const again = await node.execute(sql, [], headers);
    deepStrictEqual(
      [again.body.rows, again.body.replayed],
      [first.body.rows, true],
      JSON.stringify(again.body),
    );
  }
  deepStrictEqual((await cluster.running[0]!.query("SELECT count(*) FROM t")).body.rows, [[1]]);
});
