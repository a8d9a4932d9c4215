import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { setImmediate } from "node:timers";
import { LIMITS } from "../../core/base/limits.ts";
import { tupleOf } from "../../net/dqlite/parameters.ts";
import { type Request, RequestType } from "../../net/dqlite/request.ts";
import { ResponseType } from "../../net/dqlite/response.ts";
import { decodeResponse } from "../../net/dqlite/response_codec.ts";
import { writeRequest } from "../../net/dqlite/request_codec.ts";
import { TupleWriter } from "../../net/wire/tuple_writer.ts";
import { FixtureClock } from "../support/http_fixture.ts";
import { SeededRandom } from "../support/seeded_random.ts";
import type { WireClient } from "./wire_client.ts";
import { WireNode } from "./wire_node.ts";

const CONNECTIONS = 60;
const FRAMES_EACH = 12;

const TEMPLATES: readonly Request[] = [
  { kind: "leader" },
  { kind: "open", name: "test.db", flags: 0, vfs: "volatile" },
  { kind: "prepare", schema: 1, databaseId: 0, sql: "SELECT ?; SELECT 2" },
  { kind: "exec", schema: 0, databaseId: 0, statementId: 0, parameters: tupleOf([1, "x", null]) },
  { kind: "query", schema: 1, databaseId: 0, statementId: 0, parameters: tupleOf([1.5]) },
  { kind: "exec_sql", schema: 0, databaseId: 0, sql: "INSERT INTO t VALUES (?)", parameters: tupleOf(["x"]) },
  { kind: "query_sql", schema: 0, databaseId: 0, sql: "SELECT * FROM t; --", parameters: tupleOf([]) },
  {
    kind: "exec_sql",
    schema: 0,
    databaseId: 0,
    sql: "BEGIN; INSERT INTO t VALUES (0)",
    parameters: tupleOf([]),
  },
  { kind: "finalize", databaseId: 0, statementId: 0 },
  { kind: "interrupt", databaseId: 0 },
  { kind: "add", nodeId: 9, address: "a:1" },
  { kind: "assign", nodeId: 1, role: 2 },
  { kind: "remove", nodeId: 9 },
  { kind: "cluster", format: 1 },
  { kind: "dump", name: "test.db" },
  { kind: "describe" },
  { kind: "weight", weight: 3 },
];

/** Of walraft alone. Not mixed with the others: an open transaction would make each write wait for its time limit. */
const CALLS: readonly Request[] = [
  { kind: "hello", version: 1 },
  {
    kind: "read",
    level: "stale",
    at: 0,
    timeoutMs: 1_000,
    database: "test.db",
    statement: { sql: "SELECT :a, * FROM t", parameters: tupleOf([1]), names: ["a"] },
  },
  {
    kind: "write",
    isBatch: true,
    timeoutMs: 1_000,
    database: "test.db",
    idempotencyKey: "",
    statements: [{ sql: "INSERT INTO t VALUES (?)", parameters: tupleOf(["x"]) }, {
      sql: "SELECT * FROM t",
      parameters: tupleOf([]),
    }],
  },
];

/** A request of a client, with a few bytes changed; or a head over random bytes. */
function spoiledFrame(random: SeededRandom, templates: readonly Request[]): Uint8Array {
  const pick = (count: number): number => Math.floor(random.next() * count);
  if (random.next() < 0.3) {
    const words = 1 + pick(6);
    const frame = new Uint8Array(8 + words * 8);
    for (let at = 0; at < frame.length; at++) frame[at] = random.next() < 0.5 ? 0 : pick(256);
    new DataView(frame.buffer).setUint32(0, words, true);
    const types = templates.map(({ kind }) => RequestType[kind]);
    frame[4] = types[pick(types.length + 2)] ?? pick(256);
    frame[5] = pick(3);
    return frame;
  }
  const writer = new TupleWriter();
  writeRequest(writer, templates[pick(templates.length)] as Request);
  const frame = writer.take();
  // The length stays: a wrong one is only a longer wait.
  for (let changes = pick(4); changes > 0; changes--) frame[4 + pick(frame.length - 4)] = pick(256);
  return frame;
}

async function sendInPieces(client: WireClient, bytes: Uint8Array, random: SeededRandom): Promise<void> {
  for (let sent = 0; sent < bytes.length;) {
    const end = Math.min(bytes.length, sent + 1 + Math.floor(random.next() * 64));
    await client.sendBytes(bytes.subarray(sent, end));
    sent = end;
  }
}

/** Lets the server's side of the sockets catch up. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise<void>((resolve) => void setImmediate(resolve));
}

Deno.test("whatever clients send, the server answers or closes, and goes on for others", async () => {
  const random = new SeededRandom(7);
  await using wire = await WireNode.start();
  const sound = await wire.open();
  await sound.run("CREATE TABLE t (a)");
  let answers = 0;
  const kinds = new Set<number>();
  for (let connection = 0; connection < CONNECTIONS; connection++) {
    const client = await wire.open();
    const templates = connection % 2 === 0 ? TEMPLATES : CALLS;
    if (templates === CALLS) await client.expect("greeting", { kind: "hello", version: 1 });
    for (let frame = 0; frame < FRAMES_EACH; frame++) {
      try {
        await sendInPieces(client, spoiledFrame(random, templates), random);
        const answer = await client.frame();
        if (answer === undefined) break;
        kinds.add(answer.type);
      } catch {
        break;
      }
      answers++;
    }
    client.close();
  }
  ok(answers > CONNECTIONS * 2, `only ${answers} answers`);
  const { failure, result, rows, head, error } = ResponseType;
  for (const type of [failure, result, rows, head, error]) ok(kinds.has(type), `no answer of type ${type}`);
  deepStrictEqual(await sound.values("SELECT 1"), [[1]]);
  deepStrictEqual(wire.failures, []);
});

Deno.test("random bytes instead of the protocol close the connection", async () => {
  const random = new SeededRandom(8);
  await using wire = await WireNode.start();
  for (let connection = 0; connection < 20; connection++) {
    const client = await wire.connect();
    const junk = Uint8Array.from({ length: 64 }, () => Math.floor(random.next() * 256));
    // A length that no frame may have.
    junk[3] = 0xff;
    await client.sendBytes(junk).catch(() => {});
    const answer = await client.frame();
    ok(answer === undefined || answer.type === 0);
    if (answer !== undefined) strictEqual(await client.frame(), undefined);
  }
  deepStrictEqual(wire.failures, []);
});

Deno.test("frames too large, empty or unfinished cost nothing but their connection", async () => {
  const clock = new FixtureClock();
  await using wire = await WireNode.start({ clock });
  const head = (words: number): Uint8Array => {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setUint32(0, words, true);
    return bytes;
  };
  for (const words of [0, LIMITS.dqliteFrameBytesMax / 8 + 1, 0xffff_ffff]) {
    const client = await wire.connect();
    await client.sendBytes(head(words));
    strictEqual((await client.receive()).kind, "failure");
    strictEqual(await client.frame(), undefined);
  }
  const slow = await wire.connect();
  await slow.expect("metadata", { kind: "describe" });
  await slow.sendBytes(head(1_000));
  const silent = await Deno.connect({ hostname: "127.0.0.1", port: wire.server.port });
  const idle = await wire.connect();
  await idle.expect("metadata", { kind: "describe" });
  await until(() => wire.server.connectionCount === 3 && wire.server.frameBytes === 8);
  clock.advance(LIMITS.requestBodyMsMax + 500);
  strictEqual(await slow.frame(), undefined, "the middle of a frame has a deadline");
  strictEqual(await silent.read(new Uint8Array(1)), null, "so has the opening word");
  silent.close();
  await idle.expect("metadata", { kind: "describe" });
  await until(() => wire.server.frameBytes === 0);
  clock.advance(LIMITS.dqliteIdleMsMax + 500);
  strictEqual(await idle.frame(), undefined, "and the pause between two requests");
  const oneTooMany = new WireNode(wire.node, { clock, limits: { connectionCountMax: 0 } });
  const refused = await oneTooMany.connect();
  strictEqual(await refused.frame(), undefined);
  refused.close();
  await oneTooMany.server.stop(0);
});

Deno.test("a broken frame behind a query that runs stops it, closes its connection, and nothing else", async () => {
  await using wire = await WireNode.start();
  const client = await wire.open();
  const endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";
  const parameters = tupleOf([]);
  await client.send({ kind: "query_sql", schema: 0, databaseId: 0, sql: endless, parameters });
  // Announces no body: where the next frame begins is not known.
  await client.sendBytes(new Uint8Array(8));
  const kinds: string[] = [];
  for (let frame = await client.frame(); frame !== undefined; frame = await client.frame()) {
    kinds.push(decodeResponse(frame, { version: "one", clusterFormat: 1 }).kind);
  }
  deepStrictEqual(kinds, ["failure", "failure"]);
  const other = await wire.open();
  deepStrictEqual(await other.values("SELECT 1"), [[1]]);
  other.close();
});

Deno.test("whatever is sent behind requests that are not answered yet, the server goes on for others", async () => {
  const random = new SeededRandom(9);
  const pick = (count: number): number => Math.floor(random.next() * count);
  await using wire = await WireNode.start();
  const sound = await wire.open();
  await sound.run("CREATE TABLE t (a)");
  const ends: readonly (() => Uint8Array)[] = [
    () => new Uint8Array(0),
    // A head without a body, one that announces too much, one whose body never comes.
    () => new Uint8Array(8),
    () => new Uint8Array(8).fill(0xff),
    () => Uint8Array.of(9, 0, 0, 0, RequestType.query, 0, 0, 0),
    () => spoiledFrame(random, TEMPLATES),
  ];
  for (let round = 0; round < 40; round++) {
    const client = await wire.open();
    const writer = new TupleWriter();
    const requests = 1 + pick(6);
    for (let request = 0; request < requests; request++) {
      writeRequest(writer, TEMPLATES[pick(TEMPLATES.length)] as Request);
    }
    writer.bytes((ends[pick(ends.length)] as typeof ends[0])());
    await client.sendBytes(writer.take()).catch(() => {});
    // Some take answers before they leave, some do not.
    for (let answers = pick(requests + 1); answers > 0; answers--) {
      if (await client.frame() === undefined) break;
    }
    client.close();
  }
  await until(() => wire.server.connectionCount === 1);
  deepStrictEqual(await sound.values("SELECT 1"), [[1]]);
  deepStrictEqual([wire.failures, wire.server.answers.bytes, wire.server.frameBytes], [[], 0, 0]);
});
