import assert from "node:assert/strict";
import { decode } from "@msgpack/msgpack";
import { ERROR_CODES, type ErrorCode, NodeError } from "../../core/base/errors.ts";
import { LIMITS } from "../../core/base/limits.ts";
import {
  BatchAnswer,
  CheckpointAnswer,
  Cluster,
  Database,
  DatabaseList,
  ErrorAnswer,
  ExecuteAnswer,
  Pointer,
  QueryAnswer,
} from "../api/answer_schemas.ts";
import { HTTP_STATUS } from "../api/error_body.ts";
import { encodeMsgpack } from "../api/msgpack_encode.ts";
import { ROUTES } from "../api/routes.ts";
import {
  appFixture,
  bodyBytes,
  bodyText,
  headerOf,
  request,
  type RequestParts,
  until,
} from "../../tests/support/http_fixture.ts";
import type { BodyReader } from "./http_message.ts";

type Fixture = ReturnType<typeof appFixture>;

async function send(fixture: Fixture, parts: RequestParts) {
  const response = await fixture.app(request(parts));
  return { status: response.status, text: await bodyText(response), response };
}

async function errorOf(fixture: Fixture, parts: RequestParts) {
  const { status, text, response } = await send(fixture, parts);
  const { error } = ErrorAnswer.parse(JSON.parse(text));
  return { status, ...error, response };
}

/** A body that arrives in pieces. */
function reader(pieces: readonly (Uint8Array | Error)[], length?: number): BodyReader & { reads: number } {
  const left = [...pieces];
  return {
    length,
    reads: 0,
    read() {
      this.reads++;
      const piece = left.shift();
      if (piece instanceof Error) return Promise.reject(piece);
      return Promise.resolve(piece ?? null);
    },
  };
}

const utf8 = new TextEncoder();
const QUERY = "/v1/databases/main/query";
const EXECUTE = "/v1/databases/main/execute";

Deno.test("a query reaches the node with its options and comes back with the index", async () => {
  const fixture = appFixture();
  const body = JSON.stringify({
    sql: "SELECT ?",
    params: [1, { int64: "9223372036854775807" }, { base64: "AP8=" }, null, true],
    level: "index",
    index: 5,
    rows: "objects",
    timeout_ms: 100,
  });
  const { status, text, response } = await send(fixture, { target: QUERY, body });
  assert.equal(status, 200);
  assert.deepEqual(QueryAnswer.parse(JSON.parse(text)), {
    columns: ["a"],
    types: ["INTEGER"],
    rows: [[1]],
    index: 12,
    level: "index",
    age_ms: 0,
    time_ms: 0,
  });
  assert.equal(headerOf(response, "walraft-index"), "12");
  const { signal: _signal, ...seen } = fixture.node.queries[0] ?? assert.fail();
  assert.deepEqual(seen, {
    database: "main",
    sql: "SELECT ?",
    parameters: [1, 9223372036854775807n, Uint8Array.of(0, 255), null, true],
    level: "index",
    index: 5,
    maxAgeMs: undefined,
    asOf: undefined,
    timeoutMs: 100,
    format: "json",
    rowShape: "objects",
  });
});

Deno.test("defaults: linearizable, arrays, the default time limit; stale takes an age", async () => {
  const fixture = appFixture();
  await send(fixture, { target: QUERY, body: `{"sql":"x"}` });
  await send(fixture, { target: QUERY, body: `{"sql":"x","level":"stale","max_age_ms":0}` });
  const [plain, stale] = fixture.node.queries;
  assert.equal(plain?.level, "linearizable");
  assert.equal(plain?.rowShape, "arrays");
  assert.equal(plain?.timeoutMs, LIMITS.requestMsDefault);
  assert.equal(stale?.maxAgeMs, 0);
});

Deno.test("a query of the past carries its moment", async () => {
  const fixture = appFixture();
  const { text } = await send(fixture, { target: QUERY, body: `{"sql":"x","as_of":9}` });
  assert.equal(QueryAnswer.parse(JSON.parse(text)).level, "as_of");
  await send(fixture, { target: QUERY, body: `{"sql":"x","level":"as_of","as_of":"2026-11-21T10:00:00Z"}` });
  assert.deepEqual(fixture.node.queries.map(({ level, asOf }) => [level, asOf]), [
    ["as_of", { index: 9 }],
    ["as_of", { wallMs: Date.UTC(2026, 10, 21, 10) }],
  ]);
  const refused = await errorOf(fixture, { target: QUERY, body: `{"sql":"x","level":"stale","as_of":9}` });
  assert.deepEqual([refused.status, refused.field], [400, "as_of"]);
  fixture.node.failure = new NodeError("view_expired", "The history begins later");
  const gone = await errorOf(fixture, { target: QUERY, body: `{"sql":"x","as_of":1}` });
  assert.deepEqual([gone.status, gone.code], [410, "view_expired"]);
});

Deno.test("execute and batch carry statements, key and format; a replay says so", async () => {
  const fixture = appFixture();
  const headers = { "idempotency-key": "order 42/a" };
  const first = await send(fixture, { target: EXECUTE, body: `{"sql":"x","params":{"a":3.0}}`, headers });
  assert.deepEqual(ExecuteAnswer.parse(JSON.parse(first.text)), {
    changes: 1,
    last_insert_rowid: 7,
    index: 13,
    time_ms: 0,
  });
  fixture.node.replayed = true;
  const body = `{"statements":[{"sql":"a"},{"sql":"b","params":[2]}],"timeout_ms":7}`;
  const second = await send(fixture, { target: "/v1/databases/main/batch", body });
  const answer = BatchAnswer.parse(JSON.parse(second.text));
  assert.equal(answer.replayed, true);
  assert.equal(answer.results.length, 2);
  assert.equal(headerOf(second.response, "walraft-index"), "13");
  assert.deepEqual(fixture.node.writes, [
    {
      database: "main",
      kind: "execute",
      statements: [{ sql: "x", parameters: { a: { real: 3 } } }],
      timeoutMs: LIMITS.requestMsDefault,
      format: "json",
      rowShape: "arrays",
      idempotencyKey: "order 42/a",
    },
    {
      database: "main",
      kind: "batch",
      statements: [{ sql: "a", parameters: [] }, { sql: "b", parameters: [2] }],
      timeoutMs: 7,
      format: "json",
      rowShape: "arrays",
    },
  ]);
});

Deno.test("time_ms is the time since the request arrived", async () => {
  const fixture = appFixture();
  fixture.node.onQuery = () => {
    fixture.clock.advance(12.3456);
    return Promise.resolve({
      fields: { format: "json", count: 0, bytes: new Uint8Array(0) },
      index: 1,
      ageMs: 2,
    });
  };
  const { text } = await send(fixture, { target: QUERY, body: `{"sql":"x"}` });
  assert.equal(text, `{"index":1,"level":"linearizable","age_ms":2,"time_ms":12.346}`);
});

Deno.test("msgpack in and out, errors too", async () => {
  const fixture = appFixture();
  const headers = { "content-type": "application/msgpack", accept: "application/msgpack" };
  const body = encodeMsgpack({ sql: "x", params: [2n ** 63n - 1n, 2.5, Uint8Array.of(1), { real: 3 }] });
  const response = await fixture.app(request({ method: "POST", target: QUERY, headers, body }));
  assert.equal(headerOf(response, "content-type"), "application/msgpack");
  const answer = QueryAnswer.parse(decode(await bodyBytes(response)));
  assert.equal(answer.index, 12);
  assert.deepEqual(fixture.node.queries[0]?.parameters, [2n ** 63n - 1n, 2.5, Uint8Array.of(1), { real: 3 }]);
  assert.equal(fixture.node.queries[0]?.format, "msgpack");
  const write = await fixture.app(request({ method: "POST", target: EXECUTE, headers, body }));
  assert.equal(ExecuteAnswer.parse(decode(await bodyBytes(write))).last_insert_rowid, 7);
  const refused = await fixture.app(request({ method: "GET", target: "/nowhere", headers }));
  assert.equal(headerOf(refused, "content-type"), "application/msgpack");
  assert.equal(ErrorAnswer.parse(decode(await bodyBytes(refused))).error.code, "not_found");
});

Deno.test("the accept header chooses msgpack only when it names it with weight", async () => {
  const fixture = appFixture();
  const formats = [];
  for (
    const accept of [
      "*/*",
      "application/json",
      "text/html",
      "application/msgpack;q=0",
      "application/json, application/x-msgpack;q=0.5",
    ]
  ) {
    const response = await fixture.app(request({ target: "/v1/cluster", headers: { accept } }));
    formats.push(headerOf(response, "content-type"));
  }
  assert.deepEqual(formats, [...Array(4).fill("application/json"), "application/msgpack"]);
});

Deno.test("databases: list, create, describe, drop", async () => {
  const fixture = appFixture();
  const target = "/v1/databases";
  assert.equal(DatabaseList.parse(JSON.parse((await send(fixture, { target })).text)).databases.length, 1);
  const created = await send(fixture, { target, body: `{"name":"new","timeout_ms":9}` });
  assert.deepEqual([created.status, created.text], [201, `{"name":"new","index":14}`]);
  const again = await errorOf(fixture, { target, body: `{"name":"new"}` });
  assert.deepEqual([again.status, again.code], [409, "database_exists"]);
  const described = await send(fixture, { target: "/v1/databases/new" });
  assert.equal(Database.parse(JSON.parse(described.text)).checkpoint_index, 8);
  assert.equal(headerOf(described.response, "walraft-index"), "11");
  const dropped = await send(fixture, { method: "DELETE", target: "/v1/databases/new?timeout_ms=77" });
  assert.deepEqual([dropped.status, dropped.text], [200, `{"index":15}`]);
  assert.equal((await errorOf(fixture, { target: "/v1/databases/new" })).code, "database_not_found");
  assert.deepEqual(fixture.node.calls, [
    "createDatabase(new, true, 9)",
    "createDatabase(new, true, 30000)",
    "dropDatabase(new, 77)",
  ]);
});

Deno.test("backup streams with its length and index", async () => {
  const fixture = appFixture();
  const response = await fixture.app(request({ target: "/v1/databases/main/backup?timeout_ms=5" }));
  assert.equal(response.status, 200);
  assert.equal(headerOf(response, "content-type"), "application/vnd.sqlite3");
  assert.equal(headerOf(response, "walraft-index"), "16");
  assert("length" in response.body && "chunks" in response.body);
  assert.equal(response.body.length, 116);
  assert.equal((await bodyBytes(response)).length, 116);
  assert.deepEqual(fixture.node.calls, ["backup(main, 5)"]);
});

Deno.test("a checkpoint is passive unless it is full, and says how far it came", async () => {
  const fixture = appFixture();
  const target = "/v1/databases/main/checkpoint";
  const post = (query: string) => send(fixture, { method: "POST", target: target + query });
  assert.equal((await post("")).text, `{"checkpoint_index":8,"complete":false}`);
  assert.equal((await post("?mode=passive")).text, `{"checkpoint_index":8,"complete":false}`);
  const full = await post("?timeout_ms=9&mode=full");
  assert.deepEqual(CheckpointAnswer.parse(JSON.parse(full.text)), { checkpoint_index: 11, complete: true });
  assert.deepEqual(fixture.node.calls, [
    "checkpoint(main, passive, 30000)",
    "checkpoint(main, passive, 30000)",
    "checkpoint(main, full, 9)",
  ]);
  const missing = await errorOf(fixture, { method: "POST", target: "/v1/databases/none/checkpoint" });
  assert.equal(missing.code, "database_not_found");
});

Deno.test("a page of another origin cannot set off a call that has no body", async () => {
  const parts = { method: "POST", target: "/v1/databases/main/checkpoint?mode=full" };
  const fixture = appFixture({ corsOrigins: ["https://app.example"] });
  for (const origin of ["https://evil.example", "null", "http://evil127.0.0.1:4001", "http://127.0.0.1:80"]) {
    const error = await errorOf(fixture, { ...parts, headers: { origin } });
    assert.deepEqual([error.status, error.field], [400, "origin"], origin);
  }
  assert.deepEqual(fixture.node.calls, []);
  for (const origin of ["https://app.example", "http://127.0.0.1:4001"]) {
    assert.equal((await send(fixture, { ...parts, headers: { origin } })).status, 200, origin);
  }
});

Deno.test("restore streams the body into the node", async () => {
  const fixture = appFixture();
  const body = reader([Uint8Array.of(1, 2), Uint8Array.of(3)]);
  const headers = { "content-type": "application/octet-stream" };
  const { status, text } = await send(fixture, { method: "PUT", target: "/v1/databases/up", headers, body });
  assert.deepEqual([status, text], [200, `{"index":17,"pages":1,"page_size":4096}`]);
  assert.deepEqual(fixture.node.databases.get("up"), Uint8Array.of(1, 2, 3));
  const json = await errorOf(fixture, { method: "PUT", target: "/v1/databases/up", body: "{}" });
  assert.equal(json.code, "unsupported_media_type");
});

Deno.test("restore stops at the upload limit, and when the client stops sending", async () => {
  const fixture = appFixture({ uploadBytesMax: 2 });
  const target = "/v1/databases/up";
  const announced = reader([], 3);
  assert.equal((await errorOf(fixture, { method: "PUT", target, body: announced })).status, 413);
  assert.equal(announced.reads, 0);
  const endless = reader([Uint8Array.of(1, 2), Uint8Array.of(3), Uint8Array.of(4)]);
  assert.equal((await errorOf(fixture, { method: "PUT", target, body: endless })).status, 413);
  assert.equal(endless.reads, 2);
  const stalled = reader([Uint8Array.of(1), new NodeError("request_timeout", "stalled")]);
  assert.equal((await errorOf(fixture, { method: "PUT", target, body: stalled })).status, 408);
  assert.equal(fixture.node.databases.has("up"), false);
});

Deno.test("cluster: status, add, remove, transfer", async () => {
  const fixture = appFixture();
  const status = Cluster.parse(JSON.parse((await send(fixture, { target: "/v1/cluster" })).text));
  assert.equal(status.members[0]?.match_index, 20);
  assert.equal(status.members[1]?.match_index, null);
  const member = { raft_address: "127.0.0.1:5004", http_address: "[::1]:4004" };
  const added = await send(fixture, { target: "/v1/cluster/members", body: JSON.stringify(member) });
  assert.deepEqual([added.status, added.text], [201, `{"id":4}`]);
  assert.deepEqual(fixture.node.members, [{ raftAddress: "127.0.0.1:5004", httpAddress: "[::1]:4004" }]);
  const traits = { weight: "18446744073709551615", failure_domain: "7" };
  const joining = JSON.stringify({ ...member, role: "spare", ...traits });
  await send(fixture, { target: "/v1/cluster/members", body: joining });
  assert.deepEqual(fixture.node.members[1], {
    raftAddress: "127.0.0.1:5004",
    httpAddress: "[::1]:4004",
    role: "spare",
    weight: 2n ** 64n - 1n,
    failureDomain: 7,
  });
  const changed = await send(fixture, { target: "/v1/cluster/members/3", body: `{"role":"stand_by"}` });
  assert.deepEqual([changed.status, changed.text], [200, `{"id":3}`]);
  assert.equal(
    (await errorOf(fixture, { target: "/v1/cluster/members/3", body: `{"role":"king"}` })).status,
    400,
  );
  const removed = await send(fixture, { method: "DELETE", target: "/v1/cluster/members/3" });
  assert.deepEqual([removed.status, removed.text], [200, `{"id":3}`]);
  const bad = await errorOf(fixture, { method: "DELETE", target: "/v1/cluster/members/x" });
  assert.deepEqual([bad.code, bad.field], ["bad_request", "member"]);
  const transferred = await send(fixture, { target: "/v1/cluster/transfer", body: `{"to":3}` });
  assert.equal(transferred.text, `{"leader_id":3}`);
  await send(fixture, { target: "/v1/cluster/transfer", body: `{}` });
  assert.deepEqual(fixture.node.calls.slice(2), [
    "changeMember(3, role stand_by, 30000)",
    "removeMember(3, 30000)",
    "transferLeadership(3, 30000)",
    "transferLeadership(undefined, 30000)",
  ]);
});

Deno.test("health, metrics, pointer and OpenAPI", async () => {
  const fixture = appFixture();
  assert.equal((await send(fixture, { target: "/livez?probe=1" })).text, "ok\n");
  assert.equal((await send(fixture, { target: "/readyz" })).status, 200);
  fixture.node.ready = false;
  assert.equal((await send(fixture, { target: "/readyz" })).status, 503);
  assert.equal((await send(fixture, { target: "/livez" })).status, 200);
  const { text } = await send(fixture, { target: "/metrics" });
  assert.match(
    text,
    /^# HELP walraft_is_leader 1 on the leader\n# TYPE walraft_is_leader gauge\nwalraft_is_leader 1\n/,
  );
  assert.match(text, /\nwalraft_http_requests_total\{route="ready",status="5xx"\} 1\n/);
  assert.match(text, /\nwalraft_http_requests_in_flight 1\n/);
  assert.equal(Pointer.parse(JSON.parse((await send(fixture, {})).text)).version, "1.2.3");
  const document = JSON.parse((await send(fixture, { target: "/v1/openapi.json" })).text);
  assert.equal(document.info.version, "1.2.3");
});

Deno.test("every error code keeps its status, retry advice and details", async () => {
  const fixture = appFixture();
  for (const code of Object.keys(ERROR_CODES) as ErrorCode[]) {
    fixture.node.failure = new NodeError(code, "What failed", {
      statement_index: 2,
      leader: "127.0.0.1:4002",
    });
    const error = await errorOf(fixture, { target: EXECUTE, body: `{"sql":"x"}` });
    assert.equal(error.status, HTTP_STATUS[code], code);
    assert.equal(error.code, code);
    assert.equal(error.retry, ERROR_CODES[code].retry);
    assert.equal(error.may_have_committed, ERROR_CODES[code].mayHaveCommitted);
    assert.equal(error.statement_index, 2);
    assert.equal(error.leader, "127.0.0.1:4002");
    assert.equal(headerOf(error.response, "retry-after"), error.status === 503 ? "1" : undefined);
  }
});

Deno.test("a defect is reported to the operator, not to the client", async () => {
  const events: string[] = [];
  const fixture = appFixture({
    events: { event: (name, facts) => events.push(`${name} ${JSON.stringify(facts)}`) },
  });
  fixture.node.failure = new TypeError("secret detail");
  const error = await errorOf(fixture, { target: EXECUTE, body: `{"sql":"x"}` });
  assert.deepEqual([error.status, error.code], [500, "internal"]);
  assert.doesNotMatch(error.message, /secret/);
  assert.match(events.join(), /http_request_failed .*"route":"execute".*secret detail/);
});

Deno.test("with a token, everything but livez and readyz needs it, unknown paths included", async () => {
  const fixture = appFixture({ token: "s3cret" });
  for (const route of ROUTES) {
    const target = route.path.replace(/\{[a-z]+\}/, "1");
    const { status, response } = await send(fixture, { method: route.method, target });
    if (route.isPublic) assert.equal(status, 200, route.id);
    else {
      assert.equal(status, 401, route.id);
      assert.equal(headerOf(response, "www-authenticate"), "Bearer");
    }
  }
  assert.equal((await send(fixture, { target: "/nowhere" })).status, 401);
  const headers = { authorization: "Bearer s3cret" };
  assert.equal((await send(fixture, { target: "/nowhere", headers })).status, 404);
  assert.equal(
    (await send(fixture, { target: "/v1/cluster", headers: { ...headers, host: "db.example" } })).status,
    200,
  );
  assert.deepEqual(fixture.node.calls, []);
});

Deno.test("without a token a host name that is not of this machine is refused", async () => {
  const fixture = appFixture();
  for (const host of ["localhost:4001", "127.0.0.1", "[::1]:4001", "192.168.0.7:4001"]) {
    assert.equal((await send(fixture, { target: "/v1/cluster", headers: { host } })).status, 200, host);
  }
  for (const host of ["evil.example", "127.0.0.1.evil.example:4001", "localhost.evil.example", ""]) {
    const error = await errorOf(fixture, { target: "/v1/cluster", headers: { host } });
    assert.deepEqual([error.status, error.field], [400, "host"], host);
  }
});

Deno.test("a body is refused unread without a token, too large, or of another type", async () => {
  const locked = appFixture({ token: "t" });
  const body = reader([utf8.encode(`{"sql":"x"}`)]);
  assert.equal((await errorOf(locked, { target: EXECUTE, body })).status, 401);
  const fixture = appFixture({ requestBodyBytesMax: 20 });
  const headers = { "content-type": "application/json; charset=utf-8" };
  const announced = reader([], 21);
  assert.equal((await errorOf(fixture, { target: EXECUTE, headers, body: announced })).status, 413);
  assert.equal(body.reads + announced.reads, 0);
  const growing = reader([utf8.encode(`{"sql":"123`), utf8.encode(`4567890123456"}`), new Error("read on")]);
  const tooLarge = await errorOf(fixture, { target: EXECUTE, headers, body: growing });
  assert.deepEqual(tooLarge.limit, { name: "request_body_bytes", value: 20 });
  const buffered = `{"sql":"${"x".repeat(20)}"}`;
  assert.equal((await errorOf(fixture, { target: EXECUTE, body: buffered })).status, 413);
  for (const type of ["", "text/plain", "application/x-www-form-urlencoded"]) {
    const parts = { target: EXECUTE, headers: { "content-type": type }, body: `{"sql":"x"}` };
    assert.equal((await errorOf(fixture, parts)).status, 415, type);
  }
  const zipped = { target: EXECUTE, headers: { "content-encoding": "gzip" }, body: "{}" };
  assert.equal((await errorOf(fixture, zipped)).status, 415);
  assert.equal(fixture.node.writes.length, 0);
});

Deno.test("a body in pieces is read whole", async () => {
  const fixture = appFixture();
  const whole = utf8.encode(JSON.stringify({ sql: "é".repeat(3000) }));
  const pieces = Array.from({ length: Math.ceil(whole.length / 7) }, (_, i) => whole.slice(i * 7, i * 7 + 7));
  const headers = { "content-type": "application/json" };
  assert.equal((await send(fixture, { target: EXECUTE, headers, body: reader(pieces) })).status, 200);
  assert.equal(fixture.node.writes[0]?.statements[0]?.sql, "é".repeat(3000));
});

Deno.test("misplaced options are refused by name", async () => {
  const fixture = appFixture();
  const cases: readonly (readonly [RequestParts, string])[] = [
    [{ target: "/v1/databases?timeout_ms=5" }, "query.timeout_ms"],
    [{ target: `${EXECUTE}?sql=x`, body: `{"sql":"x"}` }, "query.sql"],
    [{ method: "DELETE", target: "/v1/databases/main?force=1" }, "query.force"],
    [{ method: "DELETE", target: "/v1/databases/main?timeout_ms=1&timeout_ms=2" }, "query.timeout_ms"],
    [{ method: "DELETE", target: "/v1/databases/main?timeout_ms=-1" }, "timeout_ms"],
    [{ method: "DELETE", target: "/v1/databases/main?timeout_ms=0" }, "timeout_ms"],
    [{ method: "DELETE", target: "/v1/databases/main?mode=full" }, "query.mode"],
    [{ method: "DELETE", target: "/v1/databases/main", body: "{}" }, "body"],
    [{ method: "POST", target: "/v1/databases/main/checkpoint?mode=" }, "mode"],
    [{ method: "POST", target: "/v1/databases/main/checkpoint?mode=FULL" }, "mode"],
    [{ method: "POST", target: "/v1/databases/main/checkpoint?mode=1" }, "mode"],
    [{ method: "POST", target: "/v1/databases/main/checkpoint?mode=full&mode=full" }, "query.mode"],
    [{ method: "POST", target: "/v1/databases/main/checkpoint?timeout_ms=0" }, "timeout_ms"],
    [{ method: "POST", target: "/v1/databases/main/checkpoint?force=1" }, "query.force"],
    [{ method: "POST", target: "/v1/databases/main/checkpoint", body: `{"mode":"full"}` }, "body"],
    [{ method: "GET", target: "/v1/cluster", body: "{}" }, "body"],
    [{ target: "/v1/databases/..%2Fx" }, "database"],
    [{ target: `/v1/databases/${"x".repeat(65)}` }, "database"],
    [{ target: EXECUTE, body: `{"sql":"x"}`, headers: { "idempotency-key": "" } }, "idempotency-key"],
    [{ target: EXECUTE, body: `{"sql":"x"}`, headers: { "idempotency-key": "\xe9" } }, "idempotency-key"],
    [
      { target: EXECUTE, body: `{"sql":"x"}`, headers: { "idempotency-key": "k".repeat(256) } },
      "idempotency-key",
    ],
  ];
  for (const [parts, field] of cases) {
    const error = await errorOf(fixture, parts);
    assert.deepEqual([error.status, error.code, error.field], [400, "bad_request", field]);
  }
  assert.deepEqual([fixture.node.calls, fixture.node.writes], [[], []]);
});

Deno.test("405 names the methods there are", async () => {
  const error = await errorOf(appFixture(), { method: "PATCH", target: "/v1/databases/main" });
  assert.equal(error.status, 405);
  assert.deepEqual(headerOf(error.response, "allow")?.split(", ").sort(), ["DELETE", "GET", "HEAD", "PUT"]);
});

Deno.test("the signal of the request stops the query", async () => {
  const fixture = appFixture();
  const controller = new AbortController();
  fixture.node.onQuery = (query) =>
    new Promise((_, reject) => {
      query.signal?.addEventListener("abort", () => reject(new NodeError("cancelled", "The caller gave up")));
    });
  const pending = fixture.app(request({ target: QUERY, body: `{"sql":"x"}`, signal: controller.signal }));
  await until(() => fixture.node.queries.length === 1, "the query to start");
  controller.abort();
  assert.equal((await pending).status, 499);
  assert.equal(fixture.metrics.inFlight, 0);
});

Deno.test("pages of allowed origins may use the API, others may not", async () => {
  const fixture = appFixture({ token: "t", corsOrigins: ["https://app.example"] });
  const asked = { "access-control-request-method": "POST" };
  const origin = "https://app.example";
  const preflight = await send(fixture, { method: "OPTIONS", target: QUERY, headers: { origin, ...asked } });
  assert.equal(preflight.status, 204);
  assert.match(headerOf(preflight.response, "access-control-allow-headers") ?? "", /idempotency-key/);
  const answered = await send(fixture, {
    target: "/v1/cluster",
    headers: { origin, authorization: "Bearer t" },
  });
  assert.equal(headerOf(answered.response, "access-control-allow-origin"), origin);
  const refused = await send(fixture, { target: "/v1/cluster", headers: { origin } });
  assert.equal(refused.status, 401);
  assert.equal(headerOf(refused.response, "access-control-allow-origin"), origin);
  const other = { origin: "https://evil.example" };
  assert.equal(
    (await send(fixture, { method: "OPTIONS", target: QUERY, headers: { ...other, ...asked } })).status,
    401,
  );
  const stranger = await send(fixture, { target: "/livez", headers: other });
  assert.equal(headerOf(stranger.response, "access-control-allow-origin"), undefined);
});
