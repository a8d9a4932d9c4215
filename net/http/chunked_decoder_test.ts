import assert from "node:assert/strict";
import fc from "fast-check";
import { NodeError } from "../../core/base/errors.ts";
import { ChunkedDecoder } from "./chunked_decoder.ts";

const bytesOf = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));

/** Feeds the text in pieces of the given sizes, the last one repeating. */
function decode(text: string, sizes: readonly number[] = [text.length]) {
  const bytes = bytesOf(text);
  const decoder = new ChunkedDecoder();
  let data = "";
  let at = 0;
  let available = 0;
  for (let turn = 0; !decoder.isDone && available < bytes.length; turn++) {
    available = Math.min(bytes.length, available + (sizes[Math.min(turn, sizes.length - 1)] ?? 1));
    for (;;) {
      const { next, dataStart, dataEnd } = decoder.decode(bytes, at, available);
      data += String.fromCharCode(...bytes.subarray(dataStart, dataEnd));
      at = next;
      if (dataStart === dataEnd) break;
    }
  }
  return { data, consumed: at, isDone: decoder.isDone };
}

Deno.test("decodes chunks and stops behind the last one", () => {
  const result = decode("5\r\nhello\r\nA\r\n, world!!!\r\n0\r\n\r\nGET /");
  assert.deepEqual(result, { data: "hello, world!!!", consumed: 30, isDone: true });
});

Deno.test("any split of the bytes gives the same data", () => {
  const chunks = fc.array(fc.string({ minLength: 1, maxLength: 40, unit: "binary-ascii" }), { maxLength: 6 });
  const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 20 });
  fc.assert(fc.property(chunks, sizes, (parts, pieces) => {
    const text = parts.map((part) => `${part.length.toString(16)}\r\n${part}\r\n`).join("") + "0\r\n\r\n";
    assert.deepEqual(decode(text, pieces), { data: parts.join(""), consumed: text.length, isDone: true });
  }));
});

const BROKEN = [
  ["no size", "\r\n"],
  ["not a digit", "g\r\n"],
  ["sign", "+5\r\nhello\r\n"],
  ["0x", "0x5\r\nhello\r\n"],
  ["space before line end", "5 \r\nhello\r\n"],
  ["extension", "5;a=b\r\nhello\r\n"],
  ["bare LF after size", "5\nhello\r\n"],
  ["bare CR after size", "5\rhello\r\n"],
  ["data longer than its size", "5\r\nhellos\r\n"],
  ["bare LF after data", "5\r\nhello\n0\r\n\r\n"],
  ["trailer", "0\r\nx: y\r\n\r\n"],
  ["size too large", "1000000000000\r\n"],
  ["endless zeros", "0000000000000"],
] as const;

for (const [name, text] of BROKEN) {
  Deno.test(`refuses a chunked body: ${name}`, () => {
    assert.throws(() => decode(text), (error) => error instanceof NodeError && error.code === "bad_request");
  });
}

Deno.test("an incomplete body is not done", () => {
  assert.equal(decode("5\r\nhel").isDone, false);
  assert.equal(decode("5\r\nhello\r\n0\r\n\r").isDone, false);
});
