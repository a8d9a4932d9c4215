import assert from "node:assert/strict";
import { decode } from "@msgpack/msgpack";
import { transcodeAnswer } from "./answer_transcoder.ts";
import type { AnswerWriter } from "./answer_writer.ts";
import { JsonAnswerWriter } from "./json_answer_writer.ts";
import { MsgpackAnswerWriter } from "./msgpack_answer_writer.ts";
import { distinctNames } from "./result_encoder.ts";

const INTEGERS = [
  0,
  1,
  9,
  10,
  99,
  100,
  127,
  128,
  255,
  256,
  65_535,
  65_536,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 32,
]
  .flatMap((value) => [value, -value - 1])
  .concat([-32, -33, -128, -129, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]);

function json(write: (writer: AnswerWriter) => void): string {
  const writer = new JsonAnswerWriter();
  write(writer);
  return new TextDecoder().decode(writer.take());
}

function msgpack(write: (writer: AnswerWriter) => void): unknown {
  const writer = new MsgpackAnswerWriter();
  write(writer);
  return decode(writer.take(), { useBigInt64: true });
}

Deno.test("integers are exact in both formats, also beyond 2^53", () => {
  for (const value of INTEGERS) {
    assert.equal(json((writer) => writer.integer(value)), String(value));
    assert.equal(Number(msgpack((writer) => writer.integer(value))), value, String(value));
  }
  for (const value of [2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n]) {
    assert.equal(json((writer) => writer.integer(value)), `{"int64":"${value}"}`);
    assert.equal(msgpack((writer) => writer.integer(value)), value);
  }
});

Deno.test("a REAL is never taken for an INTEGER", () => {
  const cases: [number, string][] = [[3, "3.0"], [-0, "-0.0"], [0.1, "0.1"], [1e21, "1e+21"], [
    5e-324,
    "5e-324",
  ]];
  cases.push([1e20, "100000000000000000000.0"], [Infinity, '{"real":"Infinity"}'], [
    -Infinity,
    '{"real":"-Infinity"}',
  ]);
  for (const [value, text] of cases) {
    assert.equal(json((writer) => writer.real(value)), text);
    assert.ok(Object.is(msgpack((writer) => writer.real(value)), value), String(value));
  }
});

Deno.test("text survives: NUL, quotes, control characters, a byte order mark, every plane", () => {
  for (
    const text of ["", "plain", 'a"b\\c', "\0\u0001\n\t\u001f", "\uFEFFbom", "äöü€𝄞", "x".repeat(5_000) + "€"]
  ) {
    const utf8 = new TextEncoder().encode(text);
    assert.equal(JSON.parse(json((writer) => writer.text(utf8))), text);
    assert.equal(JSON.parse(json((writer) => writer.string(text))), text);
    assert.equal(msgpack((writer) => writer.text(utf8)), text);
  }
  assert.ok(json((writer) => writer.text(Uint8Array.of(0))).includes("\\u0000"));
});

Deno.test("bytes that are not UTF-8 become U+FFFD", () => {
  const broken = Uint8Array.of(0x61, 0xff, 0x62, 0xc3);
  assert.equal(JSON.parse(json((writer) => writer.text(broken))), "a\uFFFDb\uFFFD");
  assert.equal(msgpack((writer) => writer.text(broken)), "a\uFFFDb\uFFFD");
});

Deno.test("blobs of every length modulo 3, and long ones", () => {
  for (const length of [0, 1, 2, 3, 4, 255, 256, 70_000]) {
    const blob = Uint8Array.from({ length }, (_, index) => (index * 7) % 256);
    const { base64 } = JSON.parse(json((writer) => writer.blob(blob))) as { base64: string };
    assert.deepEqual(Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)), blob);
    assert.deepEqual(msgpack((writer) => writer.blob(blob)), blob);
  }
});

Deno.test("repeated column names get a number, past names that are taken", () => {
  assert.deepEqual(distinctNames(["a", "b"]), ["a", "b"]);
  assert.deepEqual(distinctNames(["id", "id", "id"]), ["id", "id_2", "id_3"]);
  assert.deepEqual(distinctNames(["id", "id", "id_2"]), ["id", "id_3", "id_2"]);
});

/** One result with every kind of value, in the given writer and as arrays or objects. */
function sample(writer: AnswerWriter, asObjects: boolean): void {
  const names = asObjects ? ["a", "a_2"] : ["a", "a"];
  const rows: ((writer: AnswerWriter) => void)[][] = [
    [(to) => to.integer(5), (to) => to.real(5)],
    [(to) => to.integer(2n ** 63n - 1n), (to) => to.text(Uint8Array.of(0, 0x22))],
    [(to) => to.null(), (to) => to.blob(Uint8Array.of(1, 2, 3, 4))],
    [(to) => to.integer(-70_000), (to) => to.real(-0)],
  ];
  writer.key("changes");
  writer.integer(300);
  writer.separator();
  writer.key("columns");
  writer.beginArray(names.length);
  names.forEach((name, index) => {
    if (index > 0) writer.separator();
    writer.string(name);
  });
  writer.endArray();
  writer.separator();
  writer.key("rows");
  const mark = writer.beginOpenArray();
  rows.forEach((row, index) => {
    if (index > 0) writer.separator();
    if (asObjects) writer.beginMap(2);
    else writer.beginArray(2);
    row.forEach((value, column) => {
      if (column > 0) writer.separator();
      if (asObjects) writer.raw(writer.encodeKey(names[column]!));
      value(writer);
    });
    if (asObjects) writer.endMap();
    else writer.endArray();
  });
  writer.endOpenArray(mark, rows.length);
}

Deno.test("a stored answer is written again in any format and shape as if it were the first time (promise 5)", () => {
  const stored = new MsgpackAnswerWriter();
  sample(stored, false);
  const bytes = stored.take();
  for (const make of [() => new JsonAnswerWriter(), () => new MsgpackAnswerWriter()]) {
    for (const shape of ["arrays", "objects"] as const) {
      const [again, direct] = [make(), make()];
      transcodeAnswer(bytes, 3, again, shape);
      sample(direct, shape === "objects");
      const [got, expected] = [again.take(), direct.take()];
      if (again.format === "json") {
        assert.deepEqual(new TextDecoder().decode(got), new TextDecoder().decode(expected));
      } else assert.deepEqual(mapOf(got), mapOf(expected));
    }
  }
});

/** Three fields with the map header that the API puts in front. */
function mapOf(fields: Uint8Array): unknown {
  return decode(Uint8Array.of(0x83, ...fields), { useBigInt64: true });
}

Deno.test("what was written last can be moved to an earlier place", () => {
  const writer = new JsonAnswerWriter();
  writer.raw(new TextEncoder().encode("begin|rows rows rows"));
  const middle = writer.length;
  writer.raw(new TextEncoder().encode("types|"));
  writer.moveTailTo("begin|".length, middle);
  assert.equal(new TextDecoder().decode(writer.take()), "begin|types|rows rows rows");
});
