import assert from "node:assert/strict";
import {
  answer,
  clusterAnswer,
  failure,
  type Script,
  ScriptedNode,
  silence,
} from "../../tests/support/scripted_node.ts";
import { Client, type ClientOptions, connect } from "./client.ts";
import { sql } from "./sql_tag.ts";
import { isWalraftError } from "./walraft_error.ts";

const ROWS = { columns: ["id", "name"], types: ["INTEGER", "TEXT"], rows: [[1, "a"], [2, "b"]] };
const queryAnswer = (fields: object = {}) =>
  answer({ ...ROWS, index: 7, level: "linearizable", age_ms: 0, time_ms: 1, ...fields });
const writeAnswer = (fields: object = {}) =>
  answer({ changes: 1, last_insert_rowid: 5, index: 9, time_ms: 2, ...fields });

/** A node that answers every call of one client in the plainest way. */
const plainScript: Script = (request, node) => {
  if (request.path === "/v1/cluster") return clusterAnswer([node], node);
  if (request.path.endsWith("/query")) return queryAnswer();
  if (request.path.endsWith("/execute")) return writeAnswer();
  return failure("not_found", {}, 404);
};

async function withNode(
  script: Script,
  run: (node: ScriptedNode, client: Client) => Promise<void>,
  options: ClientOptions = {},
): Promise<void> {
  await using node = new ScriptedNode(script);
  await run(node, connect(node.url, options));
}

Deno.test("query() gives rows as objects or arrays, with columns, types and index", async () => {
  await withNode(plainScript, async (node, client) => {
    const db = client.database("main");
    const result = await db.query<{ id: number }>("SELECT ?", [1, "x"]);
    assert.deepEqual(result.rows, [{ id: 1, name: "a" }, { id: 2, name: "b" }]);
    assert.deepEqual([result.columns, result.types, result.index], [["id", "name"], ["INTEGER", "TEXT"], 7]);
    const arrays = await db.query("SELECT ?", [1], { rows: "arrays" });
    assert.deepEqual(arrays.rows, [[1, "a"], [2, "b"]]);
    assert.deepEqual(await db.first("SELECT 1"), { id: 1, name: "a" });
    const { json } = node.seen("/v1/databases/main/query")[0] ?? {};
    assert.deepEqual({ ...json, timeout_ms: 0 }, {
      sql: "SELECT ?",
      params: [1, "x"],
      rows: "arrays",
      timeout_ms: 0,
    });
    const timeoutMs = Number(json?.timeout_ms);
    assert.ok(
      Number.isInteger(timeoutMs) && timeoutMs > 0 && timeoutMs <= 30_000,
      `timeout_ms is ${timeoutMs}`,
    );
  });
});

Deno.test("connect() with a database gives the database, and names with odd characters are escaped", async () => {
  await withNode(plainScript, async (node) => {
    const db = connect(`${node.url}/, ${node.url}`, { database: "a b/ä", token: "secret" });
    await db.query("SELECT 1");
    const [request] = node.seen("/v1/databases/a%20b%2F%C3%A4/query");
    assert.equal(request?.headers.get("authorization"), "Bearer secret");
  });
});

Deno.test("values make the round trip: bigint, blobs, infinities, text with NUL", async () => {
  const echo: Script = (request, node) => {
    if (request.path === "/v1/cluster") return clusterAnswer([node], node);
    const params = request.json?.params as unknown[];
    return queryAnswer({ columns: params.map((_, i) => `c${i}`), types: [], rows: [params] });
  };
  await withNode(echo, async (_node, client) => {
    const values = [2n ** 62n, -(2n ** 63n), new Uint8Array([0, 255]), -Infinity, "a\0b", null, 1.5, -0];
    const { rows } = await client.database("main").query("SELECT …", values, { rows: "arrays" });
    assert.deepStrictEqual(rows, [values]);
  });
});

Deno.test("execute() sends a key of its own and reads the result", async () => {
  await withNode(plainScript, async (node, client) => {
    const db = client.database("main");
    const result = await db.execute(sql`INSERT INTO t VALUES (${1n})`);
    assert.deepEqual(
      { ...result },
      {
        changes: 1,
        lastInsertRowid: 5,
        rows: [],
        columns: [],
        types: [],
        index: 9,
        replayed: false,
        timeMs: 2,
      },
    );
    await db.execute("INSERT INTO t VALUES (:a)", { a: true });
    await db.execute("DELETE FROM t", [], { idempotencyKey: "mine" });
    await db.execute("DELETE FROM t", [], { idempotencyKey: false });
    const keys = node.seen("/v1/databases/main/execute").map((request) =>
      request.headers.get("idempotency-key")
    );
    assert.match(keys[0] ?? "", /^[0-9a-f-]{36}$/);
    assert.notEqual(keys[0], keys[1]);
    assert.deepEqual(keys.slice(2), ["mine", null]);
  });
});

Deno.test("execute() with RETURNING and a large rowid", async () => {
  const script: Script = (request, node) =>
    request.path === "/v1/cluster"
      ? clusterAnswer([node], node)
      : writeAnswer({ ...ROWS, last_insert_rowid: { int64: "9223372036854775807" }, replayed: true });
  await withNode(script, async (_node, client) => {
    const result = await client.database("main").execute("INSERT … RETURNING id, name");
    assert.equal(result.lastInsertRowid, 2n ** 63n - 1n);
    assert.equal(result.replayed, true);
    assert.deepEqual(result.rows[1], { id: 2, name: "b" });
  });
});

Deno.test("batch() sends all statements and gives one result each", async () => {
  const script: Script = (request, node) =>
    request.path === "/v1/cluster" ? clusterAnswer([node], node) : answer({
      results: [{ changes: 1, last_insert_rowid: 1 }, { changes: 0, last_insert_rowid: 1, ...ROWS }],
      index: 12,
      time_ms: 1,
    });
  await withNode(script, async (node, client) => {
    const db = client.database("main");
    const batch = await db.batch([
      { sql: "INSERT INTO t VALUES (?)", params: [new Uint8Array([1])] },
      sql`SELECT ${2}`,
      "SELECT 3",
    ]);
    assert.deepEqual(batch.results.map((result) => result.rows.length), [0, 2]);
    assert.equal(db.lastIndex, 12);
    assert.deepEqual(node.seen("/v1/databases/main/batch")[0]?.json?.statements, [
      { sql: "INSERT INTO t VALUES (?)", params: [{ base64: "AQ==" }] },
      { sql: "SELECT ?", params: [2] },
      { sql: "SELECT 3" },
    ]);
    await assert.rejects(
      db.batch(["SELECT 1", { sql: "SELECT ?", params: [Number.NaN] }]),
      (error) =>
        isWalraftError(error, "invalid_argument") && error.message.includes("statements[1].params[0]"),
    );
  });
});

Deno.test("asOf asks for a moment of the past: an index, a time, or a Date", async () => {
  await withNode(plainScript, async (node, client) => {
    const db = client.database("main");
    const date = new Date(Date.UTC(2026, 10, 21, 10));
    for (const asOf of [0, 1234, date, "2026-11-21T10:00:00+01:00"]) await db.query("SELECT 1", [], { asOf });
    await db.first("SELECT 1", [], { level: "as_of", asOf: 5 });
    await db.query("SELECT 1");
    const sent = node.seen("/v1/databases/main/query").map(({ json }) => [json?.level, json?.as_of]);
    assert.deepEqual(sent, [
      ["as_of", 0],
      ["as_of", 1234],
      ["as_of", "2026-11-21T10:00:00.000Z"],
      ["as_of", "2026-11-21T10:00:00+01:00"],
      ["as_of", 5],
      ["stale", undefined],
    ]);
    const wrong = [-1, 1.5, NaN, 2 ** 53, new Date(NaN), null as unknown as string];
    for (const asOf of wrong) {
      await assert.rejects(db.query("SELECT 1", [], { asOf }), (error) => {
        assert.ok(isWalraftError(error, "invalid_argument"), String(error));
        assert.match(error.message, /^Cannot read as of /);
        return true;
      });
    }
    assert.equal(node.seen("/v1/databases/main/query").length, sent.length);
    assert.equal(node.seen("/v1/cluster").length, 0, "any node has the past");
  }, { level: "stale" });
});

Deno.test("checkpoint() is passive unless told otherwise and goes to the leader", async () => {
  const script: Script = (request, node) =>
    request.path === "/v1/cluster"
      ? clusterAnswer([node], node)
      : answer({ checkpoint_index: 12, complete: request.path.includes("mode=full") });
  await withNode(script, async (node, client) => {
    const db = client.database("main");
    assert.deepEqual(await db.checkpoint(), { checkpointIndex: 12, complete: false });
    assert.deepEqual(await db.checkpoint({ mode: "full", timeoutMs: 700 }), {
      checkpointIndex: 12,
      complete: true,
    });
    const sent = node.seen("/v1/databases/main/checkpoint");
    assert.deepEqual(sent.map(({ method, path, bytes }) => [method, path.split("?")[1], bytes.length]), [
      ["POST", "mode=passive&timeout_ms=30000", 0],
      ["POST", "mode=full&timeout_ms=700", 0],
    ]);
    assert.equal(node.seen("/v1/cluster").length, 1);
    assert.equal(db.lastIndex, 0, "a checkpoint says nothing about what the client has seen");
  });
});

Deno.test("level index reads at the highest index the client has seen", async () => {
  await withNode(plainScript, async (node, client) => {
    const db = client.database("main");
    await db.query("SELECT 1", [], { level: "index" });
    await db.execute("DELETE FROM t");
    await client.database("other").query("SELECT 1", [], { level: "index" });
    client.sawIndex(50);
    client.sawIndex(3);
    await db.query("SELECT 1", [], { level: "index" });
    await db.query("SELECT 1", [], { level: "index", index: 4 });
    await db.query("SELECT 1", [], { level: "stale", maxAgeMs: 100 });
    const sent = node.requests.filter((request) => request.path.endsWith("/query")).map((request) =>
      request.json
    );
    assert.deepEqual(sent.map((json) => json?.index), [0, 9, 50, 4, undefined]);
    assert.equal(sent[4]?.max_age_ms, 100);
    assert.equal(client.lastIndex, 50);
  });
});

Deno.test("errors keep code, status, details and retry of the node", async () => {
  const script: Script = (request, node) =>
    request.path === "/v1/cluster"
      ? clusterAnswer([node], node)
      : failure("constraint_failed", { sqlite_code: 2067, statement_index: 1 }, 409);
  await withNode(script, async (node, client) => {
    await assert.rejects(client.database("main").batch(["SELECT 1"]), (error) => {
      assert.ok(isWalraftError(error, "constraint_failed"));
      assert.equal(isWalraftError(error, "sql_error"), false);
      assert.deepEqual([error.status, error.retry, error.mayHaveCommitted], [409, "never", false]);
      assert.deepEqual(error.details, { sqlite_code: 2067, statement_index: 1 });
      assert.match(error.idempotencyKey ?? "", /^[0-9a-f-]{36}$/);
      return true;
    });
    assert.equal(node.seen("/v1/databases/main/batch").length, 1, "not repeated");
  });
});

Deno.test("databases and members are listed and changed", async () => {
  const description = {
    name: "main",
    id: 3,
    page_size: 4096,
    pages: 2,
    bytes: 8192,
    index: 5,
    tip: 6,
    checkpoint_index: 4,
  };
  const script: Script = (request, node) => {
    switch (`${request.method} ${request.path.replace(/\?timeout_ms=30000$/, "")}`) {
      case "GET /v1/cluster":
        return clusterAnswer([node], node);
      case "GET /v1/databases":
        return answer({ databases: [description] });
      case "GET /v1/databases/main":
        return answer(description);
      case "POST /v1/databases":
        return request.json?.name === "main"
          ? failure("database_exists", {}, 409)
          : answer({ name: "b", index: 8 }, { status: 201 });
      case "DELETE /v1/databases/main":
        return answer({ index: 11 });
      case "POST /v1/cluster/members":
        return answer({ id: 4 }, { status: 201 });
      case "DELETE /v1/cluster/members/4":
        return new Response(null, { status: 204 });
      case "POST /v1/cluster/transfer":
        return answer({ leader_id: request.json?.to ?? 1 });
      default:
        return failure("not_found", {}, 404);
    }
  };
  await withNode(script, async (node, client) => {
    assert.deepEqual(await client.databases(), [
      { name: "main", id: 3, pageSize: 4096, pages: 2, bytes: 8192, index: 5, tip: 6, checkpointIndex: 4 },
    ]);
    assert.equal((await client.describeDatabase("main")).pageSize, 4096);
    assert.deepEqual(await client.createDatabase("b"), { created: true, index: 8 });
    assert.equal((await client.createDatabase("main", { ifNotExists: true })).created, false);
    await assert.rejects(client.createDatabase("main"), (error) => isWalraftError(error, "database_exists"));
    assert.deepEqual(await client.dropDatabase("main"), { index: 11 });
    assert.deepEqual(
      await client.addMember({ raftAddress: "127.0.0.1:7002", httpAddress: "127.0.0.1:4002" }),
      { id: 4 },
    );
    await client.removeMember(4);
    assert.deepEqual(await client.transfer(2), { leaderId: 2 });
    assert.deepEqual(await client.transfer(), { leaderId: 1 });
    const cluster = await client.cluster();
    assert.equal(cluster.leaderHttpAddress, node.address);
    assert.equal(cluster.members[0]?.lastContactMs, 5);
    assert.equal(client.lastIndex, 11);
  });
});

Deno.test("backup() streams the file, and asks for it with the first read only", async () => {
  const bytes = crypto.getRandomValues(new Uint8Array(40_000));
  const script: Script = () => new Response(bytes);
  await withNode(script, async (node, client) => {
    const stream = client.database("main").backup();
    assert.equal(node.requests.length, 0);
    assert.deepEqual(new Uint8Array(await new Response(stream).arrayBuffer()), bytes);
  });
});

Deno.test("backup() gives errors to the reader and ends when cancelled or aborted", async () => {
  const endless: Script = (request) =>
    new Response(
      new ReadableStream({
        pull: (controller) =>
          request.signal.aborted ? controller.close() : controller.enqueue(new Uint8Array(1_000)),
      }),
    );
  await withNode(() => failure("database_not_found", {}, 404), async (_node, client) => {
    await assert.rejects(
      new Response(client.database("none").backup()).arrayBuffer(),
      (error) => isWalraftError(error, "database_not_found"),
    );
  });
  await withNode(endless, async (_node, client) => {
    const cancelled = client.database("main").backup().getReader();
    assert.ok((await cancelled.read()).value);
    await cancelled.cancel();
    const controller = new AbortController();
    const aborted = client.database("main").backup({ signal: controller.signal }).getReader();
    assert.ok((await aborted.read()).value);
    controller.abort();
    await assert.rejects(aborted.read(), (error) => isWalraftError(error, "cancelled"));
  });
});

Deno.test("restore() sends bytes, streams and repeatable streams", async () => {
  const file = crypto.getRandomValues(new Uint8Array(20_000));
  let refusals = 0;
  const script: Script = (request, node) => {
    if (request.path === "/v1/cluster") return clusterAnswer([node], node);
    return refusals-- > 0 ? failure("no_leader") : answer({ index: 20, pages: 5, page_size: 4096 });
  };
  await withNode(script, async (node, client) => {
    const db = client.database("main");
    const stream = () => new Blob([file]).stream();
    assert.deepEqual(await db.restore(file), { index: 20, pages: 5 });
    assert.deepEqual(await db.restore(stream()), { index: 20, pages: 5 });
    refusals = 1;
    assert.deepEqual(await db.restore(stream), { index: 20, pages: 5 });
    const sent = node.seen("/v1/databases/main");
    assert.equal(sent.length, 4);
    for (const request of sent) assert.deepEqual(request.bytes, file);
    refusals = 1;
    await assert.rejects(
      db.restore(stream()),
      (error) => isWalraftError(error, "no_leader"),
      "a stream is sent once",
    );
  });
});

Deno.test("an abort signal ends a waiting call at once and reaches the node", async () => {
  await withNode(silence, async (node, client) => {
    const controller = new AbortController();
    const arrived = node.next("/v1/databases/main/query");
    const call = client.database("main").query("SELECT 1", [], { level: "stale", signal: controller.signal });
    const request = await arrived;
    controller.abort(new Error("enough"));
    await assert.rejects(call, (error) => {
      assert.ok(isWalraftError(error, "cancelled"));
      assert.deepEqual([error.mayHaveCommitted, error.retry], [false, "safe"]);
      assert.equal((error.cause as Error).message, "enough");
      return true;
    });
    if (!request.signal.aborted) {
      await new Promise((resolve) => request.signal.addEventListener("abort", resolve));
    }
  });
});

Deno.test("an aborted write says that it may have happened, one never sent that it did not", async () => {
  await withNode(silence, async (node, client) => {
    const db = client.database("main");
    const arrived = node.next("/v1/databases/main/execute");
    const controller = new AbortController();
    const call = db.execute("DELETE FROM t", [], { signal: controller.signal });
    await arrived;
    controller.abort();
    await assert.rejects(call, (error) => isWalraftError(error, "cancelled") && error.mayHaveCommitted);
    await assert.rejects(
      db.execute("DELETE FROM t", [], { signal: AbortSignal.abort() }),
      (error) => isWalraftError(error, "cancelled") && !error.mayHaveCommitted,
    );
    assert.equal(node.seen("/v1/databases/main/execute").length, 1);
  }, { discover: false });
});

Deno.test("an answer larger than allowed, or from another program, is an error and not a crash", async () => {
  await withNode(() => answer({ rows: [["x".repeat(10_000)]] }), async (_node, client) => {
    await assert.rejects(
      client.database("main").query("SELECT 1"),
      (error) => isWalraftError(error, "invalid_answer") && error.message.includes("1000 bytes"),
    );
  }, { answerBytesMax: 1_000, discover: false });
  await withNode(() => new Response("<html>", { status: 404 }), async (_node, client) => {
    await assert.rejects(
      client.databases(),
      (error) => isWalraftError(error, "invalid_answer") && error.status === 404,
    );
  });
});

Deno.test("isWalraftError() knows errors of another copy of the package", async () => {
  const copy = await import(`./walraft_error.ts?copy`) as typeof import("./walraft_error.ts");
  const error = copy.invalidArgument("x");
  assert.equal(isWalraftError(error, "invalid_argument"), true);
  assert.equal(isWalraftError(new Error("x")), false);
  assert.equal(isWalraftError(undefined), false);
});

Deno.test("connect() refuses options and URLs that cannot work", () => {
  const refused = (run: () => unknown) =>
    assert.throws(run, (error) => isWalraftError(error, "invalid_argument"));
  refused(() => connect([]));
  refused(() => connect("ftp://a"));
  refused(() => connect("a", { timeoutMs: 0 }));
  refused(() => connect("a", { attemptsMax: Number.NaN }));
  refused(() => connect("a").database(""));
});
