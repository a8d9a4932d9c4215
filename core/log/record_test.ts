import assert from "node:assert/strict";
import { crc32 } from "../codec/crc32.ts";
import { EntryType } from "../raft/message.ts";
import {
  chainHash,
  chainHashOfBody,
  readRecordHeader,
  RECORD_HEADER_BYTES,
  type RecordHeader,
  recordSize,
  writeRecordHeader,
} from "./record.ts";

const HEADER: RecordHeader = {
  type: EntryType.membership,
  bodyLength: 12345,
  bodyCrc: 0xdead_beef,
  index: Number.MAX_SAFE_INTEGER,
  term: 2 ** 40 + 1,
  syncedIndex: 2 ** 33,
  commitIndex: 0,
  hash: 0xffff_ffff,
  position: 2 ** 45 + 8,
};

Deno.test("readRecordHeader() returns what writeRecordHeader() wrote", () => {
  const bytes = new Uint8Array(200);
  const view = new DataView(bytes.buffer);
  writeRecordHeader(bytes, view, 40, HEADER);
  assert.deepEqual(readRecordHeader(bytes, view, 40, HEADER.position), HEADER);
  assert.equal(
    readRecordHeader(bytes, view, 40, HEADER.position + 8),
    "the record belongs to another place of the log",
  );
  assert.equal(readRecordHeader(bytes, view, 32, 0), "no record begins here");
  assert.equal(readRecordHeader(bytes, view, 150, 0), "the file ends inside a record header");
  assert.equal(RECORD_HEADER_BYTES, 64);
});

Deno.test("readRecordHeader() notices every flipped bit", () => {
  const bytes = new Uint8Array(RECORD_HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  writeRecordHeader(bytes, view, 0, HEADER);
  for (let bit = 0; bit < RECORD_HEADER_BYTES * 8; bit++) {
    const flipped = bytes.slice();
    flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
    const read = readRecordHeader(flipped, new DataView(flipped.buffer), 0, HEADER.position);
    assert.equal(typeof read, "string", `bit ${bit}`);
  }
});

Deno.test("recordSize() pads to eight bytes", () => {
  assert.deepEqual([0, 1, 7, 8, 9].map(recordSize), [64, 72, 72, 72, 80]);
});

Deno.test("chainHash() depends on everything", () => {
  const data = new Uint8Array([1, 2, 3]);
  const hash = chainHash(1, 2, 3, EntryType.data, data);
  assert.equal(hash, chainHashOfBody(1, 2, 3, EntryType.data, 3, crc32(data)));
  const others = [
    chainHash(0, 2, 3, EntryType.data, data),
    chainHash(1, 3, 3, EntryType.data, data),
    chainHash(1, 2, 4, EntryType.data, data),
    chainHash(1, 2, 3, EntryType.empty, data),
    chainHash(1, 2, 3, EntryType.data, new Uint8Array([1, 2, 4])),
    chainHash(1, 2, 3, EntryType.data, new Uint8Array([1, 2, 3, 0])),
  ];
  assert.equal(new Set([hash, ...others]).size, 7);
});
