import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { KnownTexts } from "./known_texts.ts";

Deno.test("KnownTexts wants a verdict with the fourth run of each text, however many databases take turns", () => {
  const texts = new KnownTexts();
  const wanted: number[] = [];
  for (let run = 1; run <= 4; run++) {
    for (let databaseId = 1; databaseId <= 500; databaseId++) {
      if (texts.wantsVerdict(databaseId, "SELECT 1")) wanted.push(run);
    }
  }
  deepStrictEqual(wanted, Array(500).fill(4));
});

Deno.test("KnownTexts remembers what was judged, for one schema, and judges what proved long again much later", () => {
  const texts = new KnownTexts();
  const verdict = { databaseId: 1, sql: "SELECT 1", isShort: true, schemaCookie: 7 };
  texts.onVerdict(verdict);
  strictEqual(texts.get(1, "SELECT 1"), undefined);
  texts.wantsVerdict(1, "SELECT 1");
  texts.onVerdict(verdict);
  deepStrictEqual([texts.get(1, "SELECT 1")?.schemaCookie, texts.get(2, "SELECT 1")], [7, undefined]);
  texts.get(1, "SELECT 1")?.isOutdated();
  strictEqual(texts.get(1, "SELECT 1")?.schemaCookie, undefined);
  texts.get(1, "SELECT 1")?.isLong();
  const runs = Array.from({ length: 1_000 }, () => texts.wantsVerdict(1, "SELECT 1"));
  deepStrictEqual([runs.indexOf(true), runs.filter(Boolean).length], [999, 1]);
});

Deno.test("KnownTexts forgets texts that are not used, and takes none that are too long", () => {
  const texts = new KnownTexts();
  const isForgotten = (sql: string) => texts.get(1, sql) === undefined;
  texts.wantsVerdict(1, "used");
  for (let text = 0; text < 3_000; text++) {
    texts.wantsVerdict(1, `text ${text}`);
    strictEqual(isForgotten("used"), false);
  }
  deepStrictEqual([isForgotten("text 0"), isForgotten("text 2999")], [true, false]);
  const long = "x".repeat(1_001);
  texts.wantsVerdict(1, long);
  strictEqual(isForgotten(long), true);
});
