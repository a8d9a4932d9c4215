/** How calls survive dead nodes, elections and answers of unknown fate: real requests, manual time. */
import assert from "node:assert/strict";
import { ManualRuntime } from "../../tests/support/manual_runtime.ts";
import {
  answer,
  clusterAnswer,
  deadUrl,
  failure,
  type Script,
  ScriptedNode,
  type SeenRequest,
  silence,
} from "../../tests/support/scripted_node.ts";
import { Client, type ClientOptions } from "./client.ts";
import { isWalraftError } from "./walraft_error.ts";

const EXECUTE = "/v1/databases/main/execute";
const QUERY = "/v1/databases/main/query";
const WRITTEN = { changes: 1, last_insert_rowid: 1, index: 3, time_ms: 1 };
const READ = { columns: ["a"], types: [null], rows: [[1]], index: 3, level: "stale", time_ms: 1 };

interface Scene extends AsyncDisposable {
  readonly nodes: readonly [ScriptedNode, ScriptedNode, ScriptedNode];
  readonly runtime: ManualRuntime;
  client(options?: ClientOptions, urls?: readonly string[]): Client;
}

/** Three nodes that all refuse until a test says otherwise. */
function scene(): Scene {
  const nodes = [new ScriptedNode(), new ScriptedNode(), new ScriptedNode()] as const;
  const runtime = new ManualRuntime();
  return {
    nodes,
    runtime,
    client: (options = {}, urls = nodes.map((node) => node.url)) => new Client(urls, options, runtime),
    async [Symbol.asyncDispose]() {
      for (const node of nodes) await node[Symbol.asyncDispose]();
      assert.equal(runtime.timerCount, 0, "every timer of a finished call is stopped");
    },
  };
}

const keys = (requests: readonly SeenRequest[]) =>
  requests.map((request) => request.headers.get("idempotency-key"));
const bodies = (requests: readonly SeenRequest[]) =>
  requests.map((request) => new TextDecoder().decode(request.bytes));

Deno.test("the first write asks who leads and goes there, also to a node it was not told about", async () => {
  await using s = scene();
  const [a, b, c] = s.nodes;
  a.script = () => clusterAnswer(s.nodes, c);
  c.script = () => answer(WRITTEN);
  const client = s.client({}, [a.url]);
  await client.database("main").execute("DELETE FROM t");
  await client.database("main").execute("DELETE FROM t");
  assert.deepEqual([a.requests.length, b.requests.length, c.seen(EXECUTE).length], [1, 0, 2]);
  assert.deepEqual(client.nodes, { urls: s.nodes.map((node) => node.url), leader: c.url });
});

Deno.test("a leader that moved is followed by the hint of the error, without a pause and with the same key", async () => {
  await using s = scene();
  const [a, b] = s.nodes;
  a.script = () => failure("not_leader", { leader: b.address });
  b.script = () => answer(WRITTEN);
  const client = s.client({ discover: false });
  await client.database("main").execute("DELETE FROM t");
  assert.deepEqual(keys([...a.seen(EXECUTE), ...b.seen(EXECUTE)]), ["key-1", "key-1"]);
  assert.deepEqual(s.runtime.pauses, []);
  await client.database("main").execute("DELETE FROM t");
  assert.equal(a.seen(EXECUTE).length, 1, "the next write goes to the leader at once");
});

Deno.test("a leader that handed over without an error is asked for from time to time", async () => {
  await using s = scene();
  const [a, b] = s.nodes;
  let leader = a;
  for (const node of s.nodes) {
    node.script = (request) =>
      request.path === "/v1/cluster" ? clusterAnswer(s.nodes, leader) : answer(WRITTEN);
  }
  const db = s.client().database("main");
  await db.execute("DELETE FROM t");
  leader = b;
  await db.execute("DELETE FROM t");
  s.runtime.advance(30_000);
  await db.execute("DELETE FROM t");
  assert.deepEqual([a.seen(EXECUTE).length, b.seen(EXECUTE).length], [2, 1]);
});

Deno.test("no leader: the call waits for the election with growing pauses", async () => {
  await using s = scene();
  let refusals = 5;
  for (const node of s.nodes) node.script = () => refusals-- > 0 ? failure("no_leader") : answer(WRITTEN);
  await s.client({ discover: false }).database("main").execute("DELETE FROM t", [], {
    idempotencyKey: false,
  });
  assert.deepEqual(s.runtime.pauses, [38, 75, 150, 300, 600]);
});

Deno.test("history that one node has lost is looked for on the others, each once and at once", async () => {
  await using s = scene();
  const [a, b, c] = s.nodes;
  for (const node of s.nodes) node.script = () => failure("view_expired", {}, 410);
  const db = s.client({ discover: false }).database("main");
  await assert.rejects(db.query("SELECT 1", [], { asOf: 2 }), (error) => {
    assert.ok(isWalraftError(error, "view_expired"));
    return true;
  });
  assert.deepEqual(s.nodes.map((node) => node.seen(QUERY).length), [1, 1, 1]);
  c.script = () => answer({ ...READ, level: "as_of" });
  for (let i = 0; i < 3; i++) assert.equal((await db.query("SELECT 1", [], { asOf: 2 })).level, "as_of");
  assert.deepEqual(s.runtime.pauses, []);
  const asked = a.seen(QUERY).length + b.seen(QUERY).length;
  assert.ok(asked > 4, "nodes without the history are not taken for broken");
});

Deno.test("commit_unknown is repeated with the same key and the same bytes", async () => {
  await using s = scene();
  const [a] = s.nodes;
  let seen = 0;
  a.script = () => ++seen === 1 ? failure("commit_unknown", {}, 504) : answer({ ...WRITTEN, replayed: true });
  const result = await s.client({ discover: false }, [a.url]).database("main").execute(
    "INSERT INTO t VALUES (?)",
    [1n],
  );
  assert.equal(result.replayed, true);
  assert.deepEqual(keys(a.seen(EXECUTE)), ["key-1", "key-1"]);
  assert.equal(new Set(bodies(a.seen(EXECUTE))).size, 1);
});

Deno.test("commit_unknown without a key goes to the caller", async () => {
  await using s = scene();
  const [a] = s.nodes;
  a.script = () => failure("commit_unknown", {}, 504);
  const client = s.client({ discover: false, idempotencyKeys: false }, [a.url]);
  await assert.rejects(client.database("main").execute("DELETE FROM t"), (error) => {
    assert.ok(isWalraftError(error, "commit_unknown"));
    assert.deepEqual([error.mayHaveCommitted, error.retry, error.idempotencyKey], [
      true,
      "with_key",
      undefined,
    ]);
    return true;
  });
  assert.equal(a.requests.length, 1);
});

Deno.test("a dead first URL costs reads and writes one attempt", async () => {
  await using s = scene();
  const [a] = s.nodes;
  a.script = (request, node) =>
    request.path === "/v1/cluster"
      ? clusterAnswer([node], node)
      : answer(request.path === QUERY ? READ : WRITTEN);
  const urls = [await deadUrl(), a.url];
  await s.client({ discover: false }, urls).database("main").query("SELECT 1");
  await s.client({ discover: false }, urls).database("main").execute("DELETE FROM t");
  await s.client({}, urls).database("main").execute("DELETE FROM t");
  assert.deepEqual(s.runtime.pauses, []);
});

Deno.test("a write without a key is not repeated after a broken connection, and the error says why", async () => {
  await using s = scene();
  const [a] = s.nodes;
  a.script = () => answer(WRITTEN);
  const client = s.client({ discover: false, idempotencyKeys: false }, [await deadUrl(), a.url]);
  await assert.rejects(
    client.database("main").execute("DELETE FROM t"),
    (error) => isWalraftError(error, "network_error") && error.mayHaveCommitted && error.status === 0,
  );
  assert.equal(a.requests.length, 0);
});

Deno.test("a write that may have happened at the first attempt says so although the last one was refused", async () => {
  await using s = scene();
  const [a] = s.nodes;
  let seen = 0;
  a.script = () => ++seen === 1 ? failure("commit_unknown", {}, 504) : failure("no_leader");
  const client = s.client({ discover: false, attemptsMax: 3 }, [a.url]);
  await assert.rejects(client.database("main").execute("DELETE FROM t"), (error) => {
    assert.ok(isWalraftError(error, "no_leader"));
    assert.deepEqual([error.mayHaveCommitted, error.retry, error.idempotencyKey], [
      true,
      "with_key",
      "key-1",
    ]);
    assert.match(error.message, /after 3 attempts/);
    return true;
  });
});

Deno.test("reads go to another node when one is stopping, too old or behind", async () => {
  for (const code of ["stopping", "too_stale", "index_not_reached", "too_many_connections"] as const) {
    await using s = scene();
    const [a, b] = s.nodes;
    a.script = () => failure(code);
    b.script = () => answer(READ);
    await s.client({ discover: false }).database("main").query("SELECT 1", [], { level: "index", index: 3 });
    assert.deepEqual([a.requests.length, b.requests.length, s.runtime.pauses.length], [1, 1, 0], code);
  }
});

Deno.test("stale reads spread over the nodes, linearizable ones go to the leader", async () => {
  await using s = scene();
  for (const node of s.nodes) {
    node.script = (request) => request.path === QUERY ? answer(READ) : clusterAnswer(s.nodes, s.nodes[1]);
  }
  const db = s.client().database("main");
  for (let i = 0; i < 6; i++) await db.query("SELECT 1", [], { level: "stale" });
  assert.deepEqual(s.nodes.map((node) => node.seen(QUERY).length), [2, 2, 2]);
  for (let i = 0; i < 3; i++) await db.query("SELECT 1");
  assert.deepEqual(s.nodes.map((node) => node.seen(QUERY).length), [2, 5, 2]);
});

Deno.test("retries end: by count, and before the time of the call is over", async () => {
  await using s = scene();
  for (const node of s.nodes) node.script = () => failure("no_leader");
  const refused = (error: unknown) => isWalraftError(error, "no_leader") && !error.mayHaveCommitted;
  await assert.rejects(
    s.client({ discover: false, attemptsMax: 4 }).database("main").query("SELECT 1"),
    refused,
  );
  assert.equal(s.nodes.reduce((sum, node) => sum + node.requests.length, 0), 4);
  await assert.rejects(
    s.client({ discover: false, timeoutMs: 1_000 }).database("main").query("SELECT 1"),
    refused,
  );
  assert.ok(s.runtime.pauses.slice(3).reduce((sum, ms) => sum + ms, 0) < 1_000);
});

Deno.test("a node that went silent is left for another one, with the same key", async () => {
  await using s = scene();
  const [a, b] = s.nodes;
  a.script = silence;
  b.script = () => answer(WRITTEN);
  const arrived = a.next(EXECUTE);
  const probed = a.next("/livez");
  const call = s.client({ discover: false }, [a.url, b.url]).database("main").execute("DELETE FROM t");
  await arrived;
  s.runtime.advance(2_000);
  await probed;
  s.runtime.advance(3_000);
  await call;
  assert.deepEqual(keys(b.seen(EXECUTE)), ["key-1"]);
});

Deno.test("a slow statement on a living node is waited for", async () => {
  await using s = scene();
  const [a, b] = s.nodes;
  const done = Promise.withResolvers<Response>();
  a.script = (request) => request.path === "/livez" ? answer({}) : done.promise;
  const arrived = a.next(QUERY);
  const call = s.client({ discover: false }, [a.url, b.url]).database("main").query("SELECT 1");
  await arrived;
  for (let i = 0; i < 3; i++) {
    const probed = a.next("/livez");
    s.runtime.advance(2_000);
    await probed;
    // The probe waits another 2,000 ms when its answer has arrived; until then its own limit of 3,000 ms runs.
    while (!s.runtime.dueInMs.includes(2_000)) await new Promise((resolve) => setTimeout(resolve));
  }
  done.resolve(answer(READ));
  assert.deepEqual((await call).rows, [{ a: 1 }]);
  assert.equal(b.requests.length, 0);
});

Deno.test("a call without any answer ends with its time", async () => {
  await using s = scene();
  const [a] = s.nodes;
  a.script = silence;
  const arrived = a.next(EXECUTE);
  const call = s.client({ discover: false, timeoutMs: 1_500 }, [a.url]).database("main").execute(
    "DELETE FROM t",
  );
  await arrived;
  s.runtime.advance(1_500);
  await assert.rejects(
    call,
    (error) => isWalraftError(error, "timeout") && error.mayHaveCommitted && error.idempotencyKey === "key-1",
  );
});

Deno.test("an abort during a pause ends the retries", async () => {
  await using node = new ScriptedNode(() => failure("no_leader"));
  const controller = new AbortController();
  // Real time here: the pause of a second must not be waited for.
  const client = new Client(node.url, { discover: false });
  let asked = 0;
  node.script = () => {
    if (++asked === 2) queueMicrotask(() => controller.abort());
    return failure("no_leader");
  };
  await assert.rejects(
    client.database("main").query("SELECT 1", [], { signal: controller.signal }),
    (error) => isWalraftError(error, "cancelled"),
  );
  assert.equal(asked, 2);
});

Deno.test("a gateway's error is of unknown fate for writes and repeated only with a key", async () => {
  await using s = scene();
  const [a] = s.nodes;
  let seen = 0;
  const script: Script = () => ++seen === 1 ? new Response("Bad Gateway", { status: 502 }) : answer(WRITTEN);
  a.script = script;
  await s.client({ discover: false }, [a.url]).database("main").execute("DELETE FROM t");
  seen = 0;
  await assert.rejects(
    s.client({ discover: false, idempotencyKeys: false }, [a.url]).database("main").execute("DELETE FROM t"),
    (error) => isWalraftError(error, "invalid_answer") && error.mayHaveCommitted && error.status === 502,
  );
});

Deno.test("a wrong token is reported once, by the call and not by the search for the leader", async () => {
  await using s = scene();
  const [a] = s.nodes;
  a.script = () => failure("unauthorized", {}, 401);
  await assert.rejects(
    s.client({}, [a.url]).database("main").execute("DELETE FROM t"),
    (error) => isWalraftError(error, "unauthorized"),
  );
  assert.deepEqual(a.requests.map((request) => request.path), ["/v1/cluster", EXECUTE]);
});
