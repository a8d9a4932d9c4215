import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { caretHint } from "./error_hint.ts";

/** The hint for the error native SQLite gives, and the text from the caret on. */
function pointed(sql: string): string | undefined {
  const db = new DatabaseSync(":memory:");
  db.exec("CREATE TABLE t (a, b)");
  try {
    db.prepare(sql);
    assert.fail(`${sql} is valid`);
  } catch (error) {
    const hint = caretHint(sql, (error as Error).message);
    if (hint === undefined) return undefined;
    const [line = "", caret = ""] = hint.split("\n");
    return line.slice(caret.indexOf("^"));
  } finally {
    db.close();
  }
}

Deno.test("caretHint() points at what native SQLite complains about", () => {
  assert.equal(pointed("SELECT a FORM t"), "t");
  assert.equal(pointed("SELEC a"), "SELEC a");
  assert.equal(pointed("SELECT a,\n  cc\nFROM t"), "cc");
  assert.equal(pointed("SELECT * FROM tt WHERE a = 'tt' || t"), undefined, "tt stands in two places");
  assert.equal(pointed("SELECT upperr(a) FROM t"), "upperr(a) FROM t");
  assert.equal(pointed("CREATE TABLE t (x)"), "t (x)");
  assert.equal(pointed("SELECT a FROM"), "");
  assert.equal(pointed("SELECT #"), "#");
});

Deno.test("caretHint() shows a part of a long line and no control characters", () => {
  const sql = `SELECT ${"1, ".repeat(100)}\tnope FROM t`;
  const hint = caretHint(sql, "no such column: nope") ?? "";
  const [line = "", caret = ""] = hint.split("\n");
  assert.ok(line.length < 120, line);
  assert.ok(line.slice(caret.indexOf("^")).startsWith("nope"));
  assert.match(line, /␉/);
});

Deno.test("caretHint() trusts the place the node names, counted in bytes", () => {
  const sql = "SELECT 'ää', x, x";
  assert.equal(caretHint(sql, "no such column: x", 15), `  ${sql}\n${" ".repeat(2 + 13)}^`);
});
