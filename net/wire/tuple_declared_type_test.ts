import { equal } from "node:assert/strict";
import { ValueType } from "./tuple.ts";
import { declaredTypeOf, isIso8601, StorageClass, wireTypeOf } from "./tuple_declared_type.ts";

Deno.test("declaredTypeOf() compares whole names without regard to case", () => {
  for (const text of ["DATETIME", "date", "TimeStamp"]) equal(declaredTypeOf(text), "time");
  equal(declaredTypeOf("boolean"), "boolean");
  for (const text of ["DATETIME(6)", "BOOL", " DATE", "INTEGER", "", undefined, null]) {
    equal(declaredTypeOf(text), "plain", String(text));
  }
});

Deno.test("wireTypeOf() sends what does not fit its declared type by storage class, and NULL as NULL", () => {
  const { integer, float, text, blob } = StorageClass;
  const expected = {
    plain: [1, 2, 3, 4, 5],
    time: [ValueType.unixTime, 2, ValueType.iso8601, 4, 5],
    boolean: [ValueType.boolean, 2, 3, 4, 5],
  } as const;
  for (const declaredType of ["plain", "time", "boolean"] as const) {
    [integer, float, text, blob, StorageClass.null].forEach((storageClass, index) =>
      equal(wireTypeOf(storageClass, declaredType), expected[declaredType][index], declaredType)
    );
  }
});

Deno.test("isIso8601() knows the nine layouts of go-dqlite, and what is no time", () => {
  const times = [
    "2024-01-02 03:04:05.999999999+00:00",
    "2024-01-02T03:04:05.5-07:30",
    "2024-01-02 03:04:05+01:00",
    "2024-01-02 03:04:05.123",
    "2024-01-02T03:04:05",
    "2024-01-02 03:04:05",
    "2024-01-02T03:04Z",
    "2024-01-02 03:04",
    "2024-02-29",
    "2000-02-29Z",
  ];
  for (const text of times) equal(isIso8601(text), true, text);
  const others = [
    "",
    "hello",
    "now",
    "2024-1-2",
    "2023-02-29",
    "1900-02-29",
    "2024-04-31",
    "2024-13-01",
    "2024-00-01",
    "2024-01-00",
    "2024-01-02 24:00",
    "2024-01-02 03:60",
    "2024-01-02 03:04:60",
    "2024-01-02 03:04+01:00",
    "2024-01-02 03",
    "2024-01-02\n",
    "20240102",
    "2460000.5",
  ];
  for (const text of others) equal(isIso8601(text), false, JSON.stringify(text));
});
