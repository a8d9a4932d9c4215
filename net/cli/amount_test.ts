import assert from "node:assert/strict";
import fc from "fast-check";
import { formatDuration, formatSize, parseDuration, parseSize } from "./amount.ts";

Deno.test("parseDuration() wants a unit, but for 0", () => {
  const cases: readonly (readonly [string, number | undefined])[] = [
    ["0", 0],
    ["0s", 0],
    ["250ms", 250],
    ["30s", 30_000],
    ["90m", 5_400_000],
    ["24h", 86_400_000],
    ["7D", 604_800_000],
    ["24", undefined],
    ["-1h", undefined],
    ["1.5h", undefined],
    ["1h30m", undefined],
    ["1 h", undefined],
    ["h", undefined],
    ["", undefined],
    ["1week", undefined],
    ["99999999999999d", undefined],
  ];
  for (const [text, milliseconds] of cases) assert.equal(parseDuration(text), milliseconds, text);
});

Deno.test("parseSize() takes bytes and powers of 1024", () => {
  const cases: readonly (readonly [string, number | undefined])[] = [
    ["0", 0],
    ["1048576", 1_048_576],
    ["64KiB", 65_536],
    ["256MiB", 268_435_456],
    ["1gib", 1_073_741_824],
    ["2TiB", 2 ** 41],
    ["256MB", undefined],
    ["256M", undefined],
    ["1.5GiB", undefined],
    ["-1", undefined],
    ["", undefined],
    ["99999999999999999999", undefined],
  ];
  for (const [text, bytes] of cases) assert.equal(parseSize(text), bytes, text);
});

Deno.test("what is formatted is parsed back", () => {
  fc.assert(fc.property(fc.maxSafeNat(), fc.constantFrom(1, 1_000, 3_600_000, 1024, 2 ** 30), (n, factor) => {
    const value = Number.isSafeInteger(n * factor) ? n * factor : n;
    assert.equal(parseDuration(formatDuration(value)), value);
    assert.equal(parseSize(formatSize(value)), value);
  }));
  assert.deepEqual([formatDuration(5_400_000), formatDuration(0), formatDuration(61_000)], [
    "90m",
    "0",
    "61s",
  ]);
  assert.deepEqual([formatSize(2 ** 30), formatSize(1_025)], ["1GiB", "1025"]);
});
