import assert from "node:assert/strict";
import fc from "fast-check";
import { compileInt64Adapter } from "./int64_adapter.ts";

type Adapted = Record<string, (...values: (number | bigint)[]) => number | bigint | undefined>;

const signatures = {
  calls: { mixed: "iIiI:I", plain: "ii:i", nothing: "I:" },
  callbacks: { read: "iIi:i", tell: "i:i" },
};

function adapt(parts: { calls: Adapted; callbacks: Adapted }): Adapted {
  const instance = new WebAssembly.Instance(
    compileInt64Adapter(signatures),
    parts as unknown as WebAssembly.Imports,
  );
  return instance.exports as unknown as Adapted;
}

const low = (value: bigint): number => Number(BigInt.asIntN(32, value));
const high = (value: bigint): number => Number(value >> 32n);
const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });

Deno.test("compileInt64Adapter(): halves arrive in C as the integer, the result leaves as halves", () => {
  let seen: (number | bigint)[] = [];
  let result = 0n;
  const calls: Adapted = {
    mixed: (...values) => {
      seen = values;
      return result;
    },
    plain: (a, b) => Number(a) - Number(b),
    nothing: (value) => void (seen = [value!]),
  };
  const adapted = adapt({ calls, callbacks: { read: () => 0, tell: () => 0 } });
  fc.assert(fc.property(int32, int64, int32, int64, int64, (a, b, c, d, answer) => {
    result = answer;
    const answerLow = adapted.mixed!(a, low(b), high(b), c, low(d), high(d));
    assert.deepEqual(seen, [a, b, c, d]);
    assert.deepEqual([answerLow, adapted.high!()], [low(answer), high(answer)]);
    adapted.nothing!(low(d), high(d));
    assert.deepEqual(seen, [d]);
  }));
  assert.equal(adapted.plain!(7, 9), -2);
});

Deno.test("compileInt64Adapter(): integers of C arrive in JavaScript as halves", () => {
  let seen: (number | bigint)[] = [];
  const callbacks: Adapted = {
    read: (...values) => {
      seen = values;
      return 41;
    },
    tell: (value) => value,
  };
  const adapted = adapt({ calls: { mixed: () => 0n, plain: () => 0, nothing: () => 0 }, callbacks });
  fc.assert(fc.property(int32, int64, int32, (a, b, c) => {
    assert.equal(adapted.read!(a, b, c), 41);
    assert.deepEqual(seen, [a, low(b), high(b), c]);
    assert.equal(adapted.tell!(a), a);
  }));
});
