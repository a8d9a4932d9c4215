import { deepStrictEqual, strictEqual } from "node:assert/strict";
import type { Outcome } from "./messages.ts";
import { packAnswers, unpackAnswers } from "./packed_answers.ts";
import type { EncodedFields } from "./values.ts";

const answer = (text: string, format: "json" | "msgpack", count: number): Outcome<EncodedFields> => ({
  ok: true,
  value: { format, count, bytes: new TextEncoder().encode(text) },
});
const failed: Outcome<EncodedFields> = {
  ok: false,
  error: { code: "timeout", message: "too late", details: {} },
};

Deno.test("unpackAnswers(packAnswers(…)) gives every answer back, failed and empty ones too", () => {
  const outcomes = [
    answer("one", "json", 3),
    failed,
    answer("", "msgpack", 0),
    answer("two", "msgpack", 5),
    failed,
  ];
  for (let count = 0; count <= outcomes.length; count++) {
    const some = outcomes.slice(0, count);
    deepStrictEqual(unpackAnswers(packAnswers(some)), some);
  }
});

Deno.test("packAnswers() copies a single answer not at all", () => {
  const only = answer("large", "json", 1);
  strictEqual(packAnswers([only]).bytes, only.ok && only.value.bytes);
});
