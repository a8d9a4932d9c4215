import assert from "node:assert/strict";
import fc from "fast-check";
import {
  decodeRowArrays,
  decodeValue,
  encodeParameter,
  encodeParameters,
  fromBase64,
  toBase64,
  toRowObjects,
} from "./json_values.ts";
import type { SqlParameter, SqlValue } from "./row_types.ts";
import { isWalraftError } from "./walraft_error.ts";

const overTheWire = (value: SqlParameter): SqlValue =>
  decodeValue(JSON.parse(JSON.stringify(encodeParameter(value, "params[0]"))));

Deno.test("encodeParameter() and decodeValue() keep every value through JSON", () => {
  const value = fc.oneof(
    fc.constant(null),
    fc.string({ unit: "binary" }),
    fc.double({ noNaN: true }),
    fc.integer(),
    fc.uint8Array({ maxLength: 100 }),
  );
  fc.assert(fc.property(value, (one) => assert.deepStrictEqual(overTheWire(one), one)));
  fc.assert(fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (one) => {
    const back = overTheWire(one);
    assert.equal(BigInt(back as number | bigint), one);
    assert.equal(typeof back, Number.isSafeInteger(Number(one)) ? "number" : "bigint");
  }));
});

Deno.test("encodeParameter() writes the documented forms", () => {
  const forms: [SqlParameter, unknown][] = [
    [3, 3],
    [3n, 3],
    [9_007_199_254_740_991n, 9_007_199_254_740_991],
    [9_007_199_254_740_992n, { int64: "9007199254740992" }],
    [-(2n ** 63n), { int64: "-9223372036854775808" }],
    [1e300, { real: 1e300 }],
    [2 ** 53, { real: 9_007_199_254_740_992 }],
    [{ real: 3 }, { real: 3 }],
    [-0, { real: "-0.0" }],
    [Infinity, { real: "Infinity" }],
    [-Infinity, { real: "-Infinity" }],
    [true, true],
    [new Uint8Array([0, 1, 255]), { base64: "AAH/" }],
    ["\0", "\0"],
  ];
  for (const [value, form] of forms) assert.deepEqual(encodeParameter(value, "p"), form);
});

Deno.test("encodeParameters() names the parameter it refuses", () => {
  const refused: [unknown, RegExp][] = [
    [[1, undefined], /params\[1\]: undefined/],
    // deno-lint-ignore no-sparse-arrays
    [[1, , 3], /params\[1\]/],
    [{ a: Number.NaN }, /params\.a: NaN/],
    [[2n ** 63n], /params\[0\]: 9223372036854775808/],
    [[new Date(0)], /params\[0\]: object/],
    [[[1]], /params\[0\]/],
    [[() => 1], /params\[0\]: function/],
  ];
  for (const [params, message] of refused) {
    assert.throws(() => encodeParameters(params as SqlParameter[]), (error) => {
      assert.ok(isWalraftError(error, "invalid_argument"));
      assert.match(error.message, message);
      return true;
    });
  }
  assert.equal(JSON.stringify(encodeParameters(JSON.parse('{"__proto__":1}'))), '{"__proto__":1}');
});

Deno.test("decodeValue() refuses a tag it does not know", () => {
  assert.throws(() => decodeValue({ date: "x" }), (error) => isWalraftError(error, "invalid_answer"));
});

Deno.test("toRowObjects() keeps a column called __proto__ and the last of equal names", () => {
  const rows = toRowObjects(decodeRowArrays([[1, { int64: "9223372036854775807" }, 3]]), [
    "__proto__",
    "a",
    "a",
  ]);
  assert.deepEqual(Object.entries(rows[0] ?? {}), [["__proto__", 1], ["a", 3]]);
  assert.equal(Object.getPrototypeOf(rows[0]), Object.prototype);
});

Deno.test("toBase64() and fromBase64() work without the engine's own functions", () => {
  const prototype = Uint8Array.prototype as { toBase64?: unknown };
  const constructor = Uint8Array as { fromBase64?: unknown };
  const native = { to: prototype.toBase64, from: constructor.fromBase64 };
  const bytes = Uint8Array.from({ length: 20_000 }, (_, i) => (i * 7) & 255);
  const expected = toBase64(bytes);
  try {
    delete prototype.toBase64;
    delete constructor.fromBase64;
    assert.equal(toBase64(bytes), expected);
    assert.deepEqual(fromBase64(expected), bytes);
  } finally {
    if (native.to !== undefined) prototype.toBase64 = native.to;
    if (native.from !== undefined) constructor.fromBase64 = native.from;
  }
});
