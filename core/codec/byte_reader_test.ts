import { deepEqual, equal, throws } from "node:assert/strict";
import { ByteReader, ByteReadError } from "./byte_reader.ts";

function refuses(read: (reader: ByteReader) => unknown, bytes: number[], message: RegExp): void {
  throws(() => read(new ByteReader(new Uint8Array(bytes))), (error) => {
    equal(error instanceof ByteReadError, true);
    return message.test((error as Error).message);
  });
}

Deno.test("ByteReader names the field that is cut off", () => {
  refuses(
    (reader) => reader.u32("term"),
    [1, 2, 3],
    /^Cannot read term at offset 0: it takes 4 bytes, 3 are left$/,
  );
  refuses((reader) => (reader.u8("kind"), reader.u64("index")), [1, 2], /index at offset 1/);
  refuses((reader) => reader.bytes(1, "body"), [], /body/);
});

Deno.test("ByteReader checks lengths before it takes bytes", () => {
  refuses((reader) => reader.bytesWithLength(10, "body"), [0xff, 0xff, 0xff, 0xff], /limit 10/);
  refuses((reader) => reader.bytesWithLength(10, "body"), [3, 0, 0, 0, 1], /takes 3 bytes, 1 are left/);
});

Deno.test("ByteReader refuses numbers above 2^53, bad UTF-8 and bytes at the end", () => {
  refuses((reader) => reader.u64("index"), [0, 0, 0, 0, 0, 0, 0x20, 0], /above 2\^53/);
  refuses((reader) => reader.text(10, "name"), [1, 0, 0, 0, 0xff], /name: it is not UTF-8/);
  refuses((reader) => reader.end("record"), [1], /record: 1 bytes are left/);
});

Deno.test("ByteReader gives views, and works inside a larger buffer", () => {
  const buffer = new Uint8Array([9, 9, 2, 0, 0, 0, 5, 6, 9]);
  const reader = new ByteReader(buffer.subarray(2, 8));
  const bytes = reader.bytesWithLength(2, "body");
  deepEqual([...bytes], [5, 6]);
  equal(bytes.buffer, buffer.buffer);
  deepEqual([reader.offset, reader.remaining], [6, 0]);
  reader.end("record");
});
