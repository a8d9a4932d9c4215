/** The server over loopback sockets, with raw bytes from the client and a clock that only tests move. */
import assert from "node:assert/strict";
import { ErrorAnswer } from "../api/answer_schemas.ts";
import {
  type RawClient,
  type RawResponse,
  serverFixture,
  until,
  within,
} from "../../tests/support/http_fixture.ts";
import type { HttpHandler, HttpRequest } from "./http_message.ts";

type Fixture = ReturnType<typeof serverFixture>;

const GET = "GET /livez HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n";

function post(body: string, headers = ""): string {
  return `POST /v1/databases/main/execute HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n` +
    `${headers}content-length: ${body.length}\r\n\r\n${body}`;
}

async function withServer(
  run: (fixture: Fixture) => Promise<void>,
  handler?: HttpHandler,
  limits: Parameters<typeof serverFixture>[1] = {},
): Promise<void> {
  const fixture = serverFixture(handler, limits);
  try {
    await run(fixture);
  } finally {
    await fixture.close();
  }
}

/** Answers with what it was asked. */
const echo: HttpHandler = async (request) => {
  const body = request.body instanceof Uint8Array ? request.body.slice() : await readWhole(request.body);
  const text = `${request.method} ${request.path} ${new TextDecoder().decode(body)}`;
  return { status: 200, headers: ["content-type: text/plain"], body: [text] };
};

async function readWhole(body: Exclude<HttpRequest["body"], Uint8Array>): Promise<Uint8Array> {
  const bytes: number[] = [];
  for (let piece = await body.read(); piece !== null; piece = await body.read()) bytes.push(...piece);
  return Uint8Array.from(bytes);
}

function errorOf(response: RawResponse) {
  return ErrorAnswer.parse(JSON.parse(response.body)).error;
}

async function expectClosed(client: RawClient): Promise<void> {
  assert.equal(await client.rest(), "", "nothing follows, and the server closes");
}

Deno.test("keep-alive: requests on one connection, and close when asked", () =>
  withServer(async ({ connect, metrics }) => {
    const client = await connect();
    for (let i = 0; i < 3; i++) {
      await client.send(GET);
      const response = await client.response();
      assert.equal(response.status, 200);
      assert.equal(response.body, "ok\n");
      assert.equal(response.headers.get("date"), "Fri, 02 Jan 2026 03:04:05 GMT");
      assert.equal(response.headers.has("connection"), false);
    }
    assert.equal(metrics.connections, 1);
    await client.send(GET.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
    assert.equal((await client.response()).headers.get("connection"), "close");
    await expectClosed(client);
    await until(() => metrics.connections === 0, "the connection to be forgotten");
  }));

Deno.test("pipelined requests are answered in order, bodies and empty lines between them included", () =>
  withServer(async ({ connect }) => {
    const client = await connect();
    const requests = Array.from({ length: 50 }, (_, i) => {
      const body = "x".repeat(i * 7);
      return `PUT /${i} HTTP/1.1\r\nhost: h\r\ncontent-length: ${body.length}\r\n\r\n${body}` +
        (i % 5 ? "" : "\r\n");
    });
    await client.send(requests.join(""));
    for (let i = 0; i < 50; i++) {
      assert.equal((await client.response()).body, `PUT /${i} ${"x".repeat(i * 7)}`);
    }
  }, echo));

Deno.test("a request may arrive byte by byte", () =>
  withServer(async ({ connect }) => {
    const client = await connect();
    for (const character of "PUT /a HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\nabc") {
      await client.send(character);
    }
    assert.equal((await client.response()).body, "PUT /a abc");
  }, echo));

Deno.test("HEAD has the headers of GET and no body", () =>
  withServer(async ({ connect, node }) => {
    const client = await connect();
    await client.send(GET.replace("GET", "HEAD") + GET);
    const head = await client.response(true);
    assert.equal(head.headers.get("content-length"), "3");
    assert.equal((await client.response()).body, "ok\n");
    await client.send("HEAD /v1/databases/main/backup HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n" + GET);
    assert.equal((await client.response(true)).headers.get("content-length"), "116");
    assert.equal((await client.response()).body, "ok\n");
    assert.equal(node.calls[0], "backup(main, 30000)");
  }));

Deno.test("bodies: with length, chunked, split anywhere, larger than the buffer", () =>
  withServer(async ({ connect }) => {
    const client = await connect();
    const large = "0123456789".repeat(20_000);
    await client.send(`PUT /large HTTP/1.1\r\nhost: h\r\ncontent-length: ${large.length}\r\n\r\n`);
    await client.send(large);
    assert.equal((await client.response()).body, `PUT /large ${large}`);
    const head = "PUT /chunked HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n";
    await client.send(head);
    for (
      const part of ["5\r\nhel", "lo\r", "\n", "c350\r\n", large.slice(0, 50_000), "\r\n0\r\n", "\r\n" + GET]
    ) {
      await client.send(part);
    }
    assert.equal((await client.response()).body, `PUT /chunked hello${large.slice(0, 50_000)}`);
    assert.equal((await client.response()).body, "GET /livez ");
  }, echo));

Deno.test("expect: 100-continue is answered when the body is wanted, and only then", () =>
  withServer(async ({ connect }) => {
    const client = await connect();
    const body = `{"sql":"x"}`;
    const head = post(body, "expect: 100-continue\r\n").slice(0, -body.length);
    await client.send(head);
    while (!client.pending.includes("\r\n\r\n")) await client.read();
    assert.equal(client.pending, "HTTP/1.1 100 Continue\r\n\r\n");
    await client.send(body);
    assert.equal((await client.response(true)).status, 100);
    assert.equal((await client.response()).status, 200);
    const refused = await connect();
    await refused.send(head.replace("application/json", "text/plain"));
    const answer = await refused.response();
    assert.equal(answer.status, 415);
    assert.equal(answer.headers.get("connection"), "close");
    await expectClosed(refused);
  }));

const SMUGGLING: readonly (readonly [string, number, string])[] = [
  ["length and chunked", 400, "content-length: 6\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nG"],
  ["chunked and length", 400, "transfer-encoding: chunked\r\ncontent-length: 6\r\n\r\n0\r\n\r\nG"],
  ["two lengths", 400, "content-length: 0\r\ncontent-length: 44\r\n\r\n"],
  ["length hidden by a space", 400, "content-length : 44\r\n\r\n"],
  ["length on a folded line", 400, "x: y\r\n content-length: 44\r\n\r\n"],
  ["chunked with a tail", 501, "transfer-encoding: xchunked\r\n\r\n"],
  ["chunked behind a vertical tab", 400, "transfer-encoding: \x0bchunked\r\n\r\n"],
  ["encoding hidden by a bare LF", 400, "x: y\ntransfer-encoding: chunked\r\n\r\n"],
  ["encoding hidden by a bare CR", 400, "x: y\rtransfer-encoding: chunked\r\n\r\n"],
  ["chunk extension", 400, "transfer-encoding: chunked\r\n\r\n0;x\r\n\r\n"],
  ["chunk size with bare LF", 400, "transfer-encoding: chunked\r\n\r\n0\n\r\n"],
  ["trailer", 400, "transfer-encoding: chunked\r\n\r\n0\r\nhost: x\r\n\r\n"],
];

for (const [name, status, rest] of SMUGGLING) {
  Deno.test(`smuggling: ${name} is refused, and what follows is not served`, () =>
    withServer(async ({ connect, node }) => {
      const client = await connect();
      await client.send(
        "POST /v1/databases/main/execute HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n" +
          rest +
          "DELETE /v1/databases/main HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n",
      );
      const response = await client.response();
      assert.equal(response.status, status);
      assert.equal(response.headers.get("connection"), "close");
      assert.equal(errorOf(response).code, "bad_request");
      await client.endWriting();
      await expectClosed(client);
      assert.deepEqual([node.calls, node.writes], [[], []]);
    }));
}

Deno.test("a head larger than the limit is refused with 431 before its end", () =>
  withServer(
    async ({ connect, metrics }) => {
      const client = await connect();
      await client.send(`GET / HTTP/1.1\r\nhost: h\r\nx: ${"y".repeat(1200)}`);
      const response = await client.response();
      assert.equal(response.status, 431);
      await client.endWriting();
      await expectClosed(client);
      assert.match(metrics.render([]), /walraft_http_refused_total\{status="431"\} 1\n/);
    },
    undefined,
    { headBytesMax: 1024 },
  ));

Deno.test("a body announced too large is refused with 413 before it is sent", () =>
  withServer(async ({ connect, node }) => {
    const client = await connect();
    await client.send(post("").replace("content-length: 0", "content-length: 99999999999"));
    const response = await client.response();
    assert.equal(response.status, 413);
    assert.equal(errorOf(response).code, "body_too_large");
    await client.endWriting();
    await expectClosed(client);
    assert.deepEqual(node.writes, []);
  }));

Deno.test("a head that does not arrive in time: 408, the connection closed", () =>
  withServer(
    async ({ connect, clock }) => {
      const client = await connect();
      await client.send(GET.slice(0, -1));
      let response: RawResponse | undefined;
      const answered = client.response().then((each) => response = each);
      await until(() => response !== undefined, "the refusal", () => clock.advance(1_000));
      assert.equal((await answered).status, 408);
      assert.equal(errorOf(await answered).code, "request_timeout");
      await client.endWriting();
      await expectClosed(client);
    },
    undefined,
    { headMsMax: 10_000, idleMsMax: 1e12 },
  ));

Deno.test("the head deadline runs from its first byte: dripping does not extend it", () =>
  withServer(
    async ({ connect, clock }) => {
      const client = await connect();
      await client.send("GET / HTTP/1.1\r\n");
      let isAnswered = false;
      const answered = client.response().then((each) => {
        isAnswered = true;
        return each;
      });
      let drips = 0;
      while (!isAnswered && drips < 1_000) {
        await client.send("x: y\r\n");
        drips++;
        clock.advance(500);
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
      assert.equal((await answered).status, 408);
      assert(drips < 100, `refused after ${drips} drips`);
    },
    undefined,
    { headMsMax: 10_000, idleMsMax: 1e12 },
  ));

Deno.test("a body that stalls: 408 naming the limit, the connection closed", () =>
  withServer(async ({ connect, clock, node }) => {
    const client = await connect();
    await client.send(post(`{"sql":"x"}`).slice(0, -1));
    let response: RawResponse | undefined;
    const answered = client.response().then((each) => response = each);
    await until(() => response !== undefined, "the refusal", () => clock.advance(5_000));
    assert.equal((await answered).status, 408);
    assert.deepEqual(errorOf(await answered).limit, { name: "request_body_ms", value: 60_000 });
    await client.endWriting();
    await expectClosed(client);
    assert.deepEqual(node.writes, []);
  }));

Deno.test("a connection without a request is closed after the idle time, without a word", () =>
  withServer(async ({ connect, clock, metrics }) => {
    const fresh = await connect();
    const used = await connect();
    await used.send(GET);
    await used.response();
    await until(() => metrics.connections === 2, "both connections");
    clock.advance(74_000);
    await used.send(GET);
    assert.equal((await used.response()).status, 200);
    await until(() => metrics.connections === 1, "the idle one to close", () => clock.advance(300));
    await expectClosed(fresh);
    await until(() => metrics.connections === 0, "the other one to close", () => clock.advance(10_000));
    await expectClosed(used);
  }));

Deno.test("connections over the limit get 503 and are closed; a place that becomes free is used", () =>
  withServer(
    async ({ connect, metrics }) => {
      const first = await connect();
      await first.send(GET);
      await first.response();
      const second = await connect();
      const refused = await second.response();
      assert.equal(refused.status, 503);
      assert.equal(errorOf(refused).code, "too_many_connections");
      assert.equal(refused.headers.get("retry-after"), "1");
      await second.endWriting();
      await expectClosed(second);
      assert.deepEqual([metrics.connections, metrics.connectionsRefused], [1, 1]);
      first.close();
      await until(() => metrics.connections === 0, "the first one to be forgotten");
      const third = await connect();
      await third.send(GET);
      assert.equal((await third.response()).status, 200);
    },
    undefined,
    { connectionCountMax: 1 },
  ));

/** More than the socket buffers of both sides hold. */
const LARGE = new Uint8Array(32 * 1024 * 1024).fill(0x61);

Deno.test("a client that does not read its answer is cut off after the write deadline", () =>
  withServer(async ({ connect, clock, metrics }) => {
    const client = await connect();
    await client.send(GET);
    await until(() => metrics.responseBytesPending === LARGE.length, "the answer to be under way");
    await until(() => metrics.connections === 0, "the connection to be cut", () => clock.advance(5_000));
    assert.equal(metrics.responseBytesPending, 0);
  }, () => Promise.resolve({ status: 200, headers: [], body: [LARGE] })));

Deno.test("while slow clients hold too many bytes of answers, new requests are refused", () =>
  withServer(
    async ({ connect, metrics }) => {
      const slow = await connect();
      await slow.send(GET);
      await until(() => metrics.responseBytesPending > 0, "the answer to be under way");
      const other = await connect();
      await other.send(GET);
      const refused = await other.response();
      assert.equal(refused.status, 503);
      assert.equal(errorOf(refused).code, "queue_full");
    },
    () => Promise.resolve({ status: 200, headers: [], body: [LARGE] }),
    { responsesBytesMax: 1 << 20 },
  ));

Deno.test("a stream waits for a slow reader, and is released when the reader leaves", async () => {
  let produced = 0;
  let isReleased = false;
  async function* source(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        produced++;
        yield LARGE.subarray(0, 1 << 20);
        await Promise.resolve();
      }
    } finally {
      isReleased = true;
    }
  }
  const handler: HttpHandler = () =>
    Promise.resolve({ status: 200, headers: [], body: { length: undefined, chunks: source() } });
  await withServer(async ({ connect }) => {
    const client = await connect();
    await client.send(GET);
    let before = -1;
    let stillTurns = 0;
    await until(() => stillTurns >= 10, "the source to pause", () => {
      stillTurns = produced > 0 && produced === before ? stillTurns + 1 : 0;
      before = produced;
    });
    assert(produced < 32, `${produced} chunks made for a client that has read none`);
    client.close();
    await until(() => isReleased, "the stream to be released");
  }, handler);
});

Deno.test("streams: with length, without, and broken ones are cut visibly", async () => {
  const bytes = (text: string) => new TextEncoder().encode(text);
  const sources: Record<string, () => AsyncGenerator<Uint8Array>> = {
    async *"/ok"() {
      yield await Promise.resolve(bytes("hello "));
      yield bytes("");
      yield bytes("world");
    },
    async *"/short"() {
      yield await Promise.resolve(bytes("hello"));
    },
    async *"/long"() {
      yield await Promise.resolve(bytes("hello world, and more"));
    },
    async *"/failing"() {
      yield await Promise.resolve(bytes("hello"));
      throw new Error("disk");
    },
  };
  const handler: HttpHandler = (request) => {
    const length = request.query === "" ? undefined : Number(request.query);
    const chunks = (sources[request.path] ?? assert.fail())();
    return Promise.resolve({ status: 200, headers: [], body: { length, chunks } });
  };
  await withServer(async ({ connect, metrics }) => {
    const client = await connect();
    const ask = (target: string) => `GET ${target} HTTP/1.1\r\nhost: h\r\n\r\n`;
    await client.send(ask("/ok") + ask("/ok?11"));
    const chunked = await client.response();
    assert.deepEqual([chunked.body, chunked.headers.get("transfer-encoding")], ["hello world", "chunked"]);
    const exact = await client.response();
    assert.deepEqual([exact.body, exact.headers.get("content-length")], ["hello world", "11"]);
    for (const target of ["/short?11", "/failing?11", "/failing"]) {
      const victim = await connect();
      await victim.send(ask(target));
      await assert.rejects(victim.response(), /Closed during/, target);
    }
    const long = await connect();
    await long.send(ask("/long?11"));
    await assert.rejects(long.response(), /Closed during/);
    client.close();
    await until(() => metrics.connections === 0, "all connections to end");
  }, handler);
});

Deno.test("a query is stopped when its client disconnects", async () => {
  await withServer(async ({ connect, node }) => {
    let isAborted = false;
    node.onQuery = (query) =>
      new Promise((_, reject) => {
        query.signal?.addEventListener("abort", () => {
          isAborted = true;
          reject(new Error("stopped"));
        });
      });
    const client = await connect();
    await client.send(post(`{"sql":"x"}`).replace("execute", "query"));
    await until(() => node.queries.length === 1, "the query to start");
    client.close();
    await until(() => isAborted, "the query to stop");
  });
});

Deno.test("a handler that fails answers 500 and is reported", () =>
  withServer(
    async ({ connect, failures }) => {
      const client = await connect();
      await client.send(GET);
      const response = await client.response();
      assert.equal(response.status, 500);
      assert.equal(errorOf(response).code, "internal");
      assert.match(failures.join(), /http_request_failed .*broken handler/);
    },
    () => Promise.reject(new Error("broken handler")),
  ));

Deno.test("stop: idle connections close, a request under way is finished and told to close", async () => {
  let finish: (() => void) | undefined;
  const handler: HttpHandler = async (request) => {
    if (request.path === "/slow") await new Promise<void>((resolve) => finish = resolve);
    return { status: 200, headers: [], body: ["done"] };
  };
  const { server, connect, close } = serverFixture(handler);
  const idle = await connect();
  await idle.send(GET);
  await idle.response();
  const busy = await connect();
  await busy.send("GET /slow HTTP/1.1\r\nhost: h\r\n\r\n");
  await until(() => finish !== undefined, "the slow request to reach its handler");
  let isStopped = false;
  const stopped = server.stop(60_000).then(() => isStopped = true);
  await expectClosed(idle);
  assert.equal(isStopped, false);
  finish?.();
  const response = await busy.response();
  assert.deepEqual([response.body, response.headers.get("connection")], ["done", "close"]);
  await expectClosed(busy);
  await within(stopped, "the server to stop");
  await assert.rejects(connect(), Deno.errors.ConnectionRefused);
  await close();
});

Deno.test("stop closes what is left after its deadline and aborts its request", async () => {
  let seen: HttpRequest | undefined;
  const { server, connect, clock, close } = serverFixture((request) => {
    seen = request;
    return new Promise(() => {});
  });
  const client = await connect();
  await client.send(GET);
  await until(() => seen !== undefined, "the request");
  const stopped = server.stop(1_000);
  assert.equal(seen?.signal.aborted, false);
  clock.advance(1_000);
  await within(stopped, "the server to stop");
  assert.equal(seen?.signal.aborted, true);
  await expectClosed(client);
  await close();
});

Deno.test("a write is timed from its head to the write path, and from the commit to the socket", () =>
  withServer(async ({ connect, clock, metrics, node }) => {
    const body = `{"sql":"INSERT INTO t VALUES (1)"}`;
    const request = post(body);
    const client = await connect();
    clock.advance(50);
    await client.send(request.slice(0, -body.length));
    await until(() => metrics.inFlight === 1, "the head to be read");
    clock.advance(5);
    node.commit = () => {
      clock.advance(100);
      const committedMs = clock.nowMs();
      clock.advance(7);
      return committedMs;
    };
    await client.send(body);
    assert.equal((await client.response()).status, 200);
    assert.deepEqual([metrics.writeParseMs, metrics.writeAnswerMs], [5, 7]);
    node.commit = () => undefined;
    await client.send(request);
    assert.equal((await client.response()).status, 200);
    assert.deepEqual([metrics.writeParseMs, metrics.writeAnswerMs], [5, 7], "another member led");
    const text = metrics.render([]);
    assert.match(text, /\nwalraft_write_parse_seconds_total 0.005\n/);
    assert.match(text, /\nwalraft_write_answer_seconds_total 0.007\n/);
  }));
