import assert from "node:assert/strict";
import fc from "fast-check";
import { NodeError } from "../../core/base/errors.ts";
import { LIMITS } from "../../core/base/limits.ts";
import { decodeJsonBody, RealLiteral } from "./json_body.ts";

const utf8 = new TextEncoder();
const decode = (text: string) => decodeJsonBody(utf8.encode(text), LIMITS.requestDepthMax);

function refusal(bytes: Uint8Array): NodeError {
  try {
    decodeJsonBody(bytes, LIMITS.requestDepthMax);
  } catch (error) {
    assert(error instanceof NodeError && error.code === "bad_request", String(error));
    return error;
  }
  throw new Error("Accepted");
}

Deno.test("plain JSON is what JSON.parse makes of it", () => {
  fc.assert(fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
    const text = JSON.stringify(value);
    const decoded = JSON.stringify(
      decode(text),
      (_key, each) =>
        each instanceof RealLiteral ? each.value : typeof each === "bigint" ? Number(each) : each,
    );
    assert.equal(decoded, JSON.stringify(JSON.parse(text)));
  }));
});

Deno.test("integers beyond 2^53 are exact, REAL literals are told from integers", () => {
  assert.deepEqual(
    decode(
      '[9007199254740991, 9007199254740993, -9223372036854775808, 3, 3.0, 1e2, 2.5, -0.0, 0.1e1, "1.0 1e5"]',
    ),
    [
      9007199254740991,
      9007199254740993n,
      -9223372036854775808n,
      3,
      new RealLiteral(3),
      new RealLiteral(100),
      2.5,
      new RealLiteral(-0),
      new RealLiteral(1),
      "1.0 1e5",
    ],
  );
});

Deno.test("an integer of a million digits costs nothing and stays out of range", () => {
  const [positive, negative] = decode(`[${"9".repeat(1_000_000)},-${"9".repeat(1_000_000)}]`) as bigint[];
  assert.equal(Number(positive), Infinity);
  assert.equal(Number(negative), -Infinity);
});

Deno.test("nesting is refused beyond the limit, before anything is parsed", () => {
  const { requestDepthMax } = LIMITS;
  const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth);
  decode(nested(requestDepthMax));
  assert.deepEqual(refusal(utf8.encode(nested(requestDepthMax + 1))).details.limit, {
    name: "request_depth",
    value: requestDepthMax,
  });
  // The text is not JSON at all: only a check that runs before parsing can complain about depth.
  for (const text of ["[".repeat(1_000_000), '{"a":'.repeat(200_000)]) {
    assert.equal(refusal(utf8.encode(text)).details.limit?.name, "request_depth");
  }
});

Deno.test("brackets inside strings are not nesting", () => {
  const text = JSON.stringify({
    sql: "[{".repeat(50) + '\\"' + "[".repeat(50),
    "[[[": '\\\\"[[[[[[[[[[[[[[[[[[[[',
  });
  assert.deepEqual(decode(text), JSON.parse(text));
});

Deno.test("what is not JSON is refused", () => {
  for (
    const text of ["", "{", '{"a":1,}', "nope", '{"a":1}x', '"open', "\ufeff{}", "'a'", "[1,2", "01", "NaN"]
  ) {
    refusal(utf8.encode(text));
  }
  refusal(Uint8Array.of(0x22, 0xff, 0x22));
  refusal(Uint8Array.of(0x22, 0xc0, 0x80, 0x22));
});
