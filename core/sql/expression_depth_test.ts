import assert from "node:assert/strict";
import { canBeDeeperThan, expressionDepth } from "./expression_depth.ts";

Deno.test("a chain of one operator is as deep as it is long", () => {
  assert.equal(expressionDepth("SELECT 1"), 1);
  assert.equal(expressionDepth(`SELECT 1${"+1".repeat(4_000)}`), 4_001);
  assert.equal(expressionDepth(`SELECT 'a'${" || 'a'".repeat(50)}`), 51);
  assert.equal(expressionDepth(`SELECT a IS DISTINCT FROM b${" IS DISTINCT FROM c".repeat(99)}`), 101);
});

Deno.test("runs of different operators are counted apart, and lists do not add up", () => {
  const terms = Array.from({ length: 500 }, (_, index) => `a = ${index}`);
  assert.equal(expressionDepth(`SELECT * FROM t WHERE ${terms.join(" OR ")}`), 501);
  assert.equal(
    expressionDepth(`SELECT * FROM t WHERE a IN (${terms.map((_, index) => `-${index}`).join(", ")})`),
    4,
  );
  assert.equal(expressionDepth(`INSERT INTO t VALUES ${terms.map(() => "(1 + 2, 'x')").join(", ")}`), 3);
});

Deno.test("nesting adds to the chain around it", () => {
  // A parenthesis is a level of its own: it may be the call of a function.
  assert.equal(expressionDepth("SELECT 1 + (2 + (3 + 4 + 5))"), 7);
  assert.equal(expressionDepth("SELECT CASE WHEN a THEN 1 + 2 ELSE 3 END + 4"), 4);
  const nested = Array.from({ length: 10 }).reduce((inner: string) => `(${inner}${"+1".repeat(400)})`, "1");
  assert.ok(expressionDepth(`SELECT ${nested}`) > 4_000);
});

Deno.test("operators inside of literals, names and comments do not count", () => {
  const noise = `'1+1+1' "a+b" [c+d] \`e+f\` /* 1+1 */ x'00' 1.5 -- 2+2\n`;
  assert.equal(expressionDepth(`SELECT ${noise}`), 1);
  assert.equal(expressionDepth("SELECT 'it''s + it' + 1"), 2);
  assert.equal(expressionDepth("SELECT 'never closed + 1"), 1);
});

Deno.test("unbalanced texts end well: SQLite will refuse them", () => {
  for (const text of [")))", "(((", "CASE CASE", "END END", "", "/*", "'"]) {
    assert.ok(expressionDepth(text) >= 1);
  }
});

Deno.test("a text that is short enough needs no look", () => {
  const deepest = `SELECT 1${"+1".repeat(1_000)}`;
  assert.ok(expressionDepth(deepest) > 1_000 && canBeDeeperThan(1_000, deepest.length));
  assert.equal(canBeDeeperThan(1_000, 1_999), false);
});
