import assert from "node:assert/strict";
import { decode, encode } from "@msgpack/msgpack";
import fc from "fast-check";
import { NodeError } from "../../core/base/errors.ts";
import { LIMITS } from "../../core/base/limits.ts";
import { RealLiteral } from "./json_body.ts";
import { decodeMsgpackBody } from "./msgpack_decode.ts";
import { countFields, encodeMsgpack, msgpackFields, msgpackMapHeader } from "./msgpack_encode.ts";

const read = (bytes: Uint8Array) => decodeMsgpackBody(bytes, LIMITS.requestDepthMax);

function refusal(bytes: readonly number[] | Uint8Array): NodeError {
  try {
    read(Uint8Array.from(bytes));
  } catch (error) {
    assert(error instanceof NodeError && error.code === "bad_request", String(error));
    return error;
  }
  throw new Error(`Accepted ${bytes}`);
}

/** Integral floats come as RealLiteral; the reference implementation has only numbers. */
function plain(value: unknown): unknown {
  if (value instanceof RealLiteral) return value.value;
  if (value instanceof Uint8Array || typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(plain);
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plain(each)]));
}

const scalar = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  fc.integer(),
  fc.maxSafeInteger(),
  // The reference writes -0 as the integer 0.
  fc.double({ noNaN: true }).map((value) => value + 0),
  fc.string({ unit: "binary" }),
  fc.uint8Array({ maxLength: 300 }),
);
const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { maxDepth: 3 },
    scalar,
    fc.array(tie("tree"), { maxLength: 18 }),
    fc.dictionary(fc.string().filter((key) => key !== "__proto__"), tie("tree"), {
      maxKeys: 18,
      noNullPrototype: true,
    }),
  ),
}));

Deno.test("reads what the reference implementation writes, and the other way round", () => {
  fc.assert(fc.property(tree, (value) => {
    assert.deepEqual(plain(read(encode(value, { useBigInt64: false }))), value);
    assert.deepEqual(plain(read(encodeMsgpack(value))), value);
    assert.deepEqual(decode(encodeMsgpack(value)), value);
  }));
});

Deno.test("64-bit integers are exact", () => {
  const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
  fc.assert(fc.property(int64, (value) => {
    const expected = Number.isSafeInteger(Number(value)) ? Number(value) : value;
    assert.equal(read(encode(value, { useBigInt64: true })), expected);
    assert.equal(read(encodeMsgpack(value)), expected);
  }));
  assert.equal(read(encodeMsgpack(2n ** 64n - 1n)), 2n ** 64n - 1n);
});

Deno.test("floats are told from integers", () => {
  assert.equal(read(Uint8Array.of(3)), 3);
  assert.deepEqual(read(Uint8Array.of(0xcb, 0x40, 8, 0, 0, 0, 0, 0, 0)), new RealLiteral(3));
  assert.deepEqual(read(Uint8Array.of(0xca, 0x40, 0x40, 0, 0)), new RealLiteral(3));
  assert.equal(read(encodeMsgpack(Infinity)), Infinity);
  assert.deepEqual(read(encodeMsgpack(-0)), new RealLiteral(-0));
});

Deno.test("bytes are copied out of the body", () => {
  const body = encodeMsgpack(Uint8Array.of(1, 2));
  const bytes = read(body);
  body.fill(0);
  assert.deepEqual(bytes, Uint8Array.of(1, 2));
});

Deno.test("a key that names the prototype is a key like any other", () => {
  const value = read(encodeMsgpack({ ["__proto__"]: 1, a: 2 }));
  assert.deepEqual(Object.keys(value as object), ["__proto__", "a"]);
  assert.equal(Object.getPrototypeOf(value), Object.prototype);
});

Deno.test("what is not one complete value is refused", () => {
  const cases: readonly (readonly number[])[] = [
    [],
    [0xc1],
    [0x01, 0x02],
    [0x92, 0x01],
    [0xa5, 0x61],
    [0xa1, 0xff],
    [0xcf, 0, 0],
    [0xd4, 1, 0],
    [0xd6, 0xff, 0, 0, 0, 0],
    [0x81, 0x01, 0x02],
    [0x82, 0xa1, 0x61, 1, 0xa1, 0x61, 2],
    [0xdd, 0xff, 0xff, 0xff, 0xff],
    [0xdf, 0xff, 0xff, 0xff, 0xff],
    [0xc6, 0xff, 0xff, 0xff, 0xff],
  ];
  for (const bytes of cases) refusal(bytes);
});

Deno.test("nesting is refused beyond the limit, whatever follows", () => {
  const { requestDepthMax } = LIMITS;
  const nested = (depth: number) => [...Array(depth).fill(0x91), 0xc0];
  read(Uint8Array.from(nested(requestDepthMax)));
  assert.equal(refusal(nested(requestDepthMax + 1)).details.limit?.name, "request_depth");
  assert.equal(refusal(new Uint8Array(1_000_000).fill(0x91)).details.limit?.name, "request_depth");
  assert.equal(refusal(new Uint8Array(1_000_000).fill(0x81)).code, "bad_request");
});

Deno.test("random bytes are read or refused, never anything else", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
    try {
      read(bytes);
    } catch (error) {
      assert(error instanceof NodeError, String(error));
    }
  }));
});

Deno.test("fields without a header, undefined ones left out, match the count", () => {
  const fields = { a: 1, b: undefined, c: "x" };
  assert.equal(countFields(fields), 2);
  const header = msgpackMapHeader(2);
  assert.deepEqual(decode(Uint8Array.of(...header, ...msgpackFields(fields))), { a: 1, c: "x" });
  assert.deepEqual([...msgpackMapHeader(16)], [0xde, 0, 16]);
  assert.throws(() => encodeMsgpack(() => 1), TypeError);
});
