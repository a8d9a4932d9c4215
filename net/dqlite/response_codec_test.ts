import { deepEqual, equal, ok, throws } from "node:assert/strict";
import fc from "fast-check";
import { SeededRandom } from "../../tests/support/seeded_random.ts";
import { TupleError } from "../wire/tuple_error.ts";
import { TupleWriter } from "../wire/tuple_writer.ts";
import type { Frame } from "./frame.ts";
import { FrameReader } from "./frame_reader.ts";
import { tupleOf } from "./parameters.ts";
import type { Response } from "./response.ts";
import { decodeResponse, writeResponse } from "./response_codec.ts";

const SAMPLES: readonly Response[] = [
  { kind: "failure", code: 2067, message: "UNIQUE constraint failed: t.i" },
  { kind: "node", nodeId: 2n ** 63n, address: "127.0.0.1:9001" },
  { kind: "node", nodeId: 0, address: "" },
  { kind: "welcome", heartbeatTimeoutMs: 15_000 },
  { kind: "nodes", format: 1, nodes: [] },
  {
    kind: "nodes",
    format: 1,
    nodes: [{ nodeId: 1, address: "a:1", role: 0 }, { nodeId: 2, address: "bcdefgh:2", role: 2 }],
  },
  { kind: "database", databaseId: 0 },
  { kind: "statement", databaseId: 0, statementId: 7, parameterCount: 3 },
  { kind: "statement", databaseId: 0, statementId: 7, parameterCount: 3, tailOffset: 9 },
  { kind: "result", lastInsertRowid: -5, changes: 3 },
  { kind: "result", lastInsertRowid: -(2n ** 63n), changes: 0 },
  { kind: "rows", columns: [], rows: [], isLast: true },
  { kind: "rows", columns: ["i", "a long name of a column"], rows: [], isLast: false },
  {
    kind: "rows",
    columns: ["a", "b"],
    rows: [tupleOf([1, "text"]), tupleOf([null, new Uint8Array([1, 2])])],
    isLast: true,
  },
  { kind: "empty" },
  {
    kind: "files",
    files: [{ name: "a", content: new Uint8Array(16).fill(7) }, {
      name: "a-wal",
      content: new Uint8Array(0),
    }],
  },
  { kind: "metadata", failureDomain: 3, weight: 2n ** 60n },
  { kind: "greeting", version: 1 },
  { kind: "head", index: 2 ** 40, ageMs: 17, isReplayed: false, outcomes: 1 },
  { kind: "head", index: 9, ageMs: undefined, isReplayed: true, outcomes: 3 },
  { kind: "outcome", outcomes: [{ changes: 2, lastInsertRowid: -(2n ** 63n), types: [] }] },
  {
    kind: "outcome",
    outcomes: [
      { changes: 1, lastInsertRowid: 7, types: [] },
      { changes: 0, lastInsertRowid: 0, types: ["integer", "mixed"] },
    ],
  },
  {
    kind: "error",
    error: { code: "sql_error", message: "near: syntax error", details: { sqlite_code: 1, field: "a\0" } },
    retry: "never",
    mayHaveCommitted: false,
  },
  {
    kind: "error",
    error: { code: "commit_unknown", message: "", details: {} },
    retry: "with_key",
    mayHaveCommitted: true,
  },
];

function frameOf(response: Response): Frame {
  const writer = new TupleWriter();
  writeResponse(writer, response);
  const reader = new FrameReader();
  reader.push(writer.take());
  const frame = reader.next();
  ok(frame !== undefined && !reader.isMidFrame, "one whole frame");
  return frame;
}

const plain = (value: unknown) =>
  JSON.stringify(value, (_, each) => {
    if (each instanceof Uint8Array) return [...each];
    return typeof each === "bigint" ? `${each}n` : each;
  });

Deno.test("writeResponse(), decodeResponse() give back every kind of answer", () => {
  for (const response of SAMPLES) equal(plain(decodeResponse(frameOf(response))), plain(response));
});

Deno.test("writeResponse() answers schema 1 only where a tail is told", () => {
  for (const response of SAMPLES) {
    equal(frameOf(response).schema, response.kind === "statement" && "tailOffset" in response ? 1 : 0);
  }
});

Deno.test("decodeResponse() reads the old layouts when it is told of them", () => {
  const old = { version: "legacy", clusterFormat: 0 } as const;
  const legacy = { kind: "node_legacy", address: "127.0.0.1:9001" } as const;
  deepEqual(decodeResponse(frameOf(legacy), old), legacy);
  const nodes = { kind: "nodes", format: 0, nodes: [{ nodeId: 1, address: "a:1", role: 0 }] } as const;
  deepEqual(decodeResponse(frameOf(nodes), old), nodes);
  equal(frameOf(nodes).body.byteLength, 8 + 8 + 8);
});

Deno.test("writeResponse() sends a Failure whatever its text holds", () => {
  const failure = { kind: "failure", code: 1, message: 'near "\0": syntax error' } as const;
  deepEqual(decodeResponse(frameOf(failure)), { ...failure, message: 'near "\ufffd": syntax error' });
});

Deno.test("writeResponse() leaves nothing of an answer that it cannot write", () => {
  const writer = new TupleWriter();
  writeResponse(writer, { kind: "empty" });
  const before = writer.peek().toHex();
  const wrong = { types: [1], values: ["text"] };
  throws(
    () => writeResponse(writer, { kind: "rows", columns: ["a"], rows: [wrong], isLast: true }),
    TupleError,
  );
  equal(writer.take().toHex(), before);
});

Deno.test("decodeResponse() refuses rows that end early, late or never", () => {
  const { body } = frameOf({ kind: "rows", columns: ["a"], rows: [tupleOf([1])], isLast: true });
  const decode = (bytes: Uint8Array) => () => decodeResponse({ type: 7, schema: 0, body: bytes });
  throws(decode(body.subarray(0, body.byteLength - 8)), TupleError);
  throws(decode(new Uint8Array([...body, ...new Uint8Array(8)])), /8 bytes are left after the end marker/);
  throws(decode(new Uint8Array(8 * 1_000)), /the result has no columns/);
  throws(decode(new Uint8Array(16).fill(0xff)), /it announces 18446744073709551615/);
  throws(() => decodeResponse({ type: 11, schema: 0, body: new Uint8Array(8) }), /there is no type 11/);
});

Deno.test("decodeResponse() takes no outcome behind one whose rows are to follow", () => {
  const withRows = { changes: 0, lastInsertRowid: 0, types: ["integer"] };
  throws(
    () => decodeResponse(frameOf({ kind: "outcome", outcomes: [withRows, withRows] })),
    /bytes are left/,
  );
});

Deno.test("decodeResponse() turns any frame into an answer or a TupleError", () => {
  const random = new SeededRandom(0x0a9e);
  let refused = 0;
  for (let round = 0; round < 20_000; round++) {
    const sample = SAMPLES[round % SAMPLES.length];
    ok(sample !== undefined);
    const { type, schema, body } = frameOf(sample);
    for (let flips = random.integer(0, 3); flips > 0; flips--) {
      body[random.integer(0, body.byteLength - 1)] = random.chance(0.5) ? 0xff : random.word();
    }
    const cut = random.chance(0.3) ? random.integer(1, body.byteLength / 8) * 8 : body.byteLength;
    try {
      decodeResponse({
        type: random.chance(0.1) ? random.integer(0, 12) + (random.chance(0.5) ? 236 : 0) : type,
        schema,
        body: body.subarray(0, cut),
      });
    } catch (error) {
      ok(error instanceof TupleError, String(error));
      refused += 1;
    }
  }
  ok(refused > 1_000 && refused < 19_000, `${refused} were refused`);
});

Deno.test("decodeResponse() refuses any random body with a TupleError", () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.integer({ min: 0, max: 12 }), fc.integer({ min: 238, max: 245 })),
      fc.uint8Array({ minLength: 8, maxLength: 200 }),
      (type, body) => {
        try {
          decodeResponse({ type, schema: 0, body });
        } catch (error) {
          ok(error instanceof TupleError, String(error));
        }
      },
    ),
    { numRuns: 1_000 },
  );
});
