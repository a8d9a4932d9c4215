import { deepEqual, equal, match, ok, throws } from "node:assert/strict";
import fc from "fast-check";
import { SeededRandom } from "../../tests/support/seeded_random.ts";
import { TupleError } from "../wire/tuple_error.ts";
import { TupleWriter } from "../wire/tuple_writer.ts";
import { CALL_BYTES_MAX, CallLevel } from "./call.ts";
import { FailureError } from "./failure.ts";
import { FrameReader } from "./frame_reader.ts";
import { tupleOf } from "./parameters.ts";
import { type Request, type RequestKind, RequestType } from "./request.ts";
import { decodeRequest, writeRequest } from "./request_codec.ts";

const id = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((each) => each < 2n ** 53n ? Number(each) : each);
const text = fc.string({ unit: "binary", maxLength: 80 }).map((each) => each.replaceAll("\0", ""));
const databaseId = fc.nat();
const statementId = fc.nat();
const schema = fc.constantFrom<0 | 1>(0, 1);
const nodeId = id;
const address = text;
const parameters = fc.array(
  fc.oneof(
    fc.maxSafeInteger(),
    fc.double(),
    text,
    fc.boolean(),
    fc.uint8Array({ maxLength: 20 }),
    fc.constant(null),
  ),
  { maxLength: 20 },
).map((values) => tupleOf(values));
const word = fc.nat({ max: 0xffff_ffff });
const statement = fc.oneof(
  fc.record({ sql: text, parameters }),
  fc.record({ sql: text, parameters }).chain((each) =>
    fc.tuple(...each.parameters.values.map(() => text)).map((names) => ({ ...each, names }))
  ),
);
const kind = <K extends RequestKind>(name: K) => fc.constant(name);

const REQUESTS: { readonly [K in RequestKind]: fc.Arbitrary<Extract<Request, { kind: K }>> } = {
  leader: fc.record({ kind: kind("leader") }),
  client: fc.record({ kind: kind("client"), clientId: id }),
  heartbeat: fc.record({ kind: kind("heartbeat"), timestamp: id }),
  open: fc.record({ kind: kind("open"), name: text, flags: id, vfs: text }),
  prepare: fc.record({ kind: kind("prepare"), schema, databaseId: id, sql: text }),
  exec: fc.record({ kind: kind("exec"), schema, databaseId, statementId, parameters }),
  query: fc.record({ kind: kind("query"), schema, databaseId, statementId, parameters }),
  finalize: fc.record({ kind: kind("finalize"), databaseId, statementId }),
  exec_sql: fc.record({ kind: kind("exec_sql"), schema, databaseId: id, sql: text, parameters }),
  query_sql: fc.record({ kind: kind("query_sql"), schema, databaseId: id, sql: text, parameters }),
  interrupt: fc.record({ kind: kind("interrupt"), databaseId: id }),
  connect: fc.record({ kind: kind("connect"), nodeId, address }),
  add: fc.record({ kind: kind("add"), nodeId, address }),
  assign: fc.record({ kind: kind("assign"), nodeId, role: fc.constantFrom(0, 1, 2) }),
  remove: fc.record({ kind: kind("remove"), nodeId }),
  dump: fc.record({ kind: kind("dump"), name: text }),
  cluster: fc.record({ kind: kind("cluster"), format: schema }),
  transfer: fc.record({ kind: kind("transfer"), nodeId }),
  describe: fc.record({ kind: kind("describe") }),
  weight: fc.record({ kind: kind("weight"), weight: id }),
  hello: fc.record({ kind: kind("hello"), version: id }),
  read: fc.record({
    kind: kind("read"),
    level: fc.constantFrom(...Object.keys(CallLevel) as (keyof typeof CallLevel)[]),
    timeoutMs: word,
    at: fc.maxSafeNat(),
    database: text,
    statement,
  }),
  write: fc.record({
    kind: kind("write"),
    isBatch: fc.boolean(),
    timeoutMs: word,
    database: text,
    idempotencyKey: text,
    statements: fc.array(statement, { maxLength: 5 }).chain((list) =>
      fc.boolean().map((isSame) => list.map((each) => isSame ? { ...each, sql: list[0]?.sql ?? "" } : each))
    ),
  }),
};

function bytesOf(request: Request): Uint8Array {
  const writer = new TupleWriter();
  writeRequest(writer, request);
  return writer.take();
}

function frameOf(bytes: Uint8Array) {
  const reader = new FrameReader();
  reader.push(bytes);
  const frame = reader.next();
  ok(frame !== undefined && !reader.isMidFrame, "one whole frame");
  return frame;
}

/** Views of different buffers compared by content; lists of types of either kind. */
const plain = (value: unknown) =>
  JSON.stringify(value, (_, each) => {
    if (each instanceof Uint8Array) return [...each];
    if (typeof each === "bigint") return `${each}n`;
    return typeof each === "number" && !Number.isSafeInteger(each) || Object.is(each, -0)
      ? `float ${each}`
      : each;
  });

Deno.test("writeRequest(), decodeRequest() give back any request", () => {
  fc.assert(
    fc.property(fc.oneof<fc.Arbitrary<Request>[]>(...Object.values(REQUESTS)), (request) => {
      equal(plain(decodeRequest(frameOf(bytesOf(request)))), plain(request));
    }),
    { numRuns: 500 },
  );
});

Deno.test("decodeRequest() reads each of the twenty types of dqlite and the three of walraft", () => {
  equal(Object.keys(RequestType).length, 23);
  for (const [name, arbitrary] of Object.entries(REQUESTS)) {
    const [request] = fc.sample(arbitrary as fc.Arbitrary<Request>, { numRuns: 1, seed: 5 });
    ok(request !== undefined);
    equal(frameOf(bytesOf(request)).type, RequestType[name as RequestKind]);
    equal(decodeRequest(frameOf(bytesOf(request))).kind, name);
  }
});

const frame = (type: number, hex: string, schemaByte = 0) => ({
  type,
  schema: schemaByte,
  body: Uint8Array.fromHex(hex.replaceAll(" ", "")),
});
const WORD = "0000000000000000";
const failsWith = (code: number, message: string) => (error: unknown) => {
  ok(error instanceof FailureError);
  deepEqual(error.failure, { code, message });
  return true;
};

Deno.test("decodeRequest() answers what it does not know with the Failure of dqlite", () => {
  throws(() => decodeRequest(frame(20, WORD)), failsWith(1005, "unrecognized request type"));
  throws(() => decodeRequest(frame(255, WORD)), failsWith(1005, "unrecognized request type"));
  throws(() => decodeRequest(frame(0, WORD, 1)), failsWith(1005, "unrecognized schema version"));
  for (const type of [4, 5, 6, 8, 9]) {
    throws(() => decodeRequest(frame(type, WORD, 2)), failsWith(1, "unrecognized schema version"));
  }
  throws(() => decodeRequest(frame(16, "0200000000000000")), failsWith(1005, "unrecognized cluster format"));
  throws(() => decodeRequest(frame(18, "0100000000000000")), failsWith(15, "bad format version"));
  throws(() => decodeRequest(frame(13, `${WORD} 0300000000000000`)), failsWith(1005, "unrecognized role"));
});

Deno.test("decodeRequest() refuses calls with anything that has no meaning", () => {
  const request = REQUESTS.read;
  const [read] = fc.sample(request, { numRuns: 1, seed: 3 });
  ok(read !== undefined);
  const bytes = bytesOf({
    ...read,
    level: "stale",
    database: "main",
    statement: { sql: "x", parameters: tupleOf([1]) },
  });
  const body = bytes.slice(8);
  const spoiled = (offset: number, value: number) => {
    const copy = body.slice();
    copy[offset] = value;
    return copy;
  };
  const refuses = (given: Uint8Array, reason: RegExp) =>
    throws(() => decodeRequest({ type: RequestType.read, schema: 0, body: given }), (error) => {
      ok(error instanceof TupleError, String(error));
      match(error.message, reason);
      return true;
    });
  equal(decodeRequest({ type: RequestType.read, schema: 0, body }).kind, "read");
  refuses(spoiled(0, 6), /no such level/);
  refuses(spoiled(15, 1), /beyond 2\^53/);
  // 16 database, 24 count and flags, 32 text, 40 header, 48 value.
  refuses(spoiled(26, 1), /more than the bytes left/);
  refuses(spoiled(28, 4), /4 has no meaning/);
  refuses(spoiled(28, 2), /there is none before it/);
  refuses(spoiled(40, 9), /for rows only/);
  refuses(spoiled(40, 0).fill(0xff, 40, 48), /end marker/);
  refuses(new Uint8Array([...body, ...new Uint8Array(8)]), /8 bytes are left/);
  throws(() => decodeRequest({ type: RequestType.read, schema: 1, body }), FailureError);
});

Deno.test("a batch of one SQL sends it once, and counts it as often as it runs", () => {
  const batchOf = (sql: string, count: number): Request => ({
    kind: "write",
    isBatch: true,
    timeoutMs: 1,
    database: "main",
    idempotencyKey: "",
    statements: Array.from({ length: count }, (_, index) => ({ sql, parameters: tupleOf([index]) })),
  });
  const sql = "INSERT INTO a_table_with_a_long_name VALUES (?)";
  equal(bytesOf(batchOf(sql, 11)).byteLength - bytesOf(batchOf(sql, 1)).byteLength, 10 * 3 * 8);
  equal(plain(decodeRequest(frameOf(bytesOf(batchOf(sql, 3))))), plain(batchOf(sql, 3)));
  const long = "x".repeat(64 * 1024);
  equal(decodeRequest(frameOf(bytesOf(batchOf(long, 255)))).kind, "write");
  throws(() => decodeRequest(frameOf(bytesOf(batchOf(long, 257)))), /send smaller batches/);
});

Deno.test("decodeRequest() refuses a call that no node could pass on", () => {
  for (const type of [RequestType.read, RequestType.write]) {
    const body = new Uint8Array(CALL_BYTES_MAX + 8);
    throws(() => decodeRequest({ type, schema: 0, body }), /send smaller batches/);
  }
});

Deno.test("decodeRequest() takes an assign without a role as a promotion to voter", () => {
  deepEqual(decodeRequest(frame(13, "0700000000000000")), { kind: "assign", nodeId: 7, role: 0 });
});

Deno.test("decodeRequest() ignores what follows the last field, but not behind parameters", () => {
  deepEqual(decodeRequest(frame(7, `0000000002000000 ${WORD}`)), {
    kind: "finalize",
    databaseId: 0,
    statementId: 2,
  });
  throws(() => decodeRequest(frame(5, `${WORD} 0105000000000000 ${WORD} ${WORD}`)), TupleError);
});

Deno.test("writeRequest() leaves nothing of a request that it cannot write", () => {
  const writer = new TupleWriter();
  writeRequest(writer, { kind: "leader" });
  const before = writer.peek().toHex();
  throws(() => writeRequest(writer, { kind: "dump", name: "a\0b" }), TupleError);
  throws(() =>
    writeRequest(writer, {
      kind: "exec_sql",
      schema: 0,
      databaseId: 0,
      sql: "SELECT 1",
      parameters: tupleOf(Array(256).fill(1)),
    }), TupleError);
  equal(writer.take().toHex(), before);
});

Deno.test("decodeRequest() turns any frame into a request, a TupleError or a FailureError", () => {
  const random = new SeededRandom(0xd91e);
  const good = Object.values(REQUESTS).flatMap((each) =>
    fc.sample(each as fc.Arbitrary<Request>, { numRuns: 5, seed: 11 }).map(bytesOf)
  );
  const outcomes = new Map<string, number>();
  for (let round = 0; round < 20_000; round++) {
    const template = frameOf(good[round % good.length] ?? new Uint8Array(0));
    const body = round % 3 === 0 ? random.bytes(random.integer(1, 20) * 8) : template.body.slice();
    for (let flips = random.integer(0, 3); flips > 0; flips--) {
      body[random.integer(0, body.byteLength - 1)] = random.chance(0.5) ? 0xff : random.word();
    }
    const cut = random.chance(0.3) ? random.integer(1, body.byteLength / 8) * 8 : body.byteLength;
    let outcome: string;
    try {
      outcome = typeof decodeRequest({ ...template, body: body.subarray(0, cut) }).kind;
    } catch (error) {
      ok(error instanceof TupleError || error instanceof FailureError, String(error));
      outcome = error.name;
    }
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }
  for (const name of ["string", "TupleError", "FailureError"]) {
    ok((outcomes.get(name) ?? 0) > 100, `${name}: ${outcomes.get(name)}`);
  }
});
