import { deepEqual, equal, ok, throws } from "node:assert/strict";
import fc from "fast-check";
import { LIMITS } from "../../core/base/limits.ts";
import { crc32 } from "../../core/codec/crc32.ts";
import { type EncodedFrame, encodeFrame, type Frame, frameBytes, FrameKind } from "./frame.ts";
import { FrameReader, readFrames } from "./frame_reader.ts";
import { WireError } from "./wire_error.ts";

const MAX = LIMITS.peerFrameBytesMax;

function sample(bodyBytes: number, fill: number): EncodedFrame {
  const control = new Uint8Array(fill % 7).fill(fill);
  return encodeFrame(FrameKind.append, control, [new Uint8Array(bodyBytes).fill(fill), new Uint8Array(1)]);
}

function join(frames: readonly EncodedFrame[]): Uint8Array {
  return new Uint8Array(frames.flatMap((frame) => [...frameBytes(frame)]));
}

/** Frames as plain data: views have different buffers. */
const plain = (frames: readonly Frame[]) =>
  frames.map(({ kind, control, body }) => ({ kind, control: [...control], body: [...body] }));

Deno.test("FrameReader gives the same frames at every chunk size", () => {
  const bytes = join([sample(0, 1), sample(100, 2), sample(0, 0), sample(37, 4)]);
  const expected = plain(readFrames(bytes, MAX));
  equal(expected.length, 4);
  for (let size = 1; size <= bytes.byteLength; size++) {
    deepEqual(plain(readFrames(bytes, MAX, size)), expected);
  }
});

Deno.test("FrameReader gives the same frames when large ones are cut anywhere", () => {
  const bytes = join([sample(10, 1), sample(200_000, 2), sample(10, 3), sample(70_000, 4)]);
  const expected = plain(readFrames(bytes, MAX));
  equal(expected.length, 4);
  for (const size of [1_000, 16_383, 16_384, 65_535, 65_536, 65_537, 200_000]) {
    deepEqual(plain(readFrames(bytes, MAX, size)), expected);
  }
});

Deno.test("FrameReader receives the bulk of a large frame where it stays", () => {
  const bytes = frameBytes(sample(1_000_000, 5));
  const reader = new FrameReader(MAX);
  const first = reader.space();
  first.set(bytes.subarray(0, first.byteLength));
  deepEqual(reader.received(first.byteLength), []);
  const direct = reader.space();
  equal(direct.byteLength, bytes.byteLength - first.byteLength);
  direct.set(bytes.subarray(first.byteLength));
  const [frame] = reader.received(direct.byteLength);
  equal(frame?.body.buffer, direct.buffer);
  equal(frame?.control.buffer, direct.buffer);
});

Deno.test("FrameReader keeps no reference to its chunk in small frames", () => {
  const bytes = join([sample(10, 1), sample(10, 2)]);
  const [one, two] = readFrames(bytes, MAX);
  ok(one !== undefined && two !== undefined);
  ok(one.body.buffer.byteLength < 50 && one.body.buffer !== two.body.buffer);
});

Deno.test("FrameReader refuses a length above the limit before it allocates", () => {
  const head = new Uint8Array(8);
  new DataView(head.buffer).setUint32(0, MAX + 1, true);
  throws(() => readFrames(head, MAX), /Cannot receive a frame of \d+ bytes: the limit is \d+/);
  new DataView(head.buffer).setUint32(0, 101, true);
  throws(() => readFrames(head, 100), WireError);
  new DataView(head.buffer).setUint32(0, 4, true);
  throws(() => readFrames(head, 100), /the shortest has 5/);
});

Deno.test("FrameReader refuses a control part longer than its frame", () => {
  const bytes = frameBytes(encodeFrame(FrameKind.ping, new Uint8Array(3)));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  view.setUint32(9, 4, true);
  view.setUint32(4, crc32(bytes.subarray(8)), true);
  throws(() => readFrames(bytes, MAX), /its control part of 4 bytes is longer than the frame/);
});

Deno.test("FrameReader catches any flipped bit before a wrong frame comes out", () => {
  const good = frameBytes(sample(20, 3));
  const filler = frameBytes(sample(300, 6));
  const expected = plain(readFrames(good, MAX))[0];
  for (let bit = 0; bit < good.byteLength * 8; bit++) {
    const bytes = new Uint8Array(good.byteLength + filler.byteLength * 3);
    bytes.set(good);
    for (let copy = 0; copy < 3; copy++) bytes.set(filler, good.byteLength + copy * filler.byteLength);
    const view = new DataView(bytes.buffer);
    view.setUint8(bit >> 3, view.getUint8(bit >> 3) ^ (1 << (bit & 7)));
    // A length that grew waits for more; with a small limit it is refused or filled with what follows.
    throws(() => readFrames(bytes, 600), WireError, `bit ${bit} of ${JSON.stringify(expected)}`);
  }
});

Deno.test("FrameReader turns any bytes into frames or a WireError, holding no more than its limit", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 500 }), fc.integer({ min: 1, max: 100 }), (bytes, size) => {
      try {
        for (const frame of readFrames(bytes, 4_096, size)) ok(frame.body.byteLength <= 4_096);
      } catch (error) {
        ok(error instanceof WireError, String(error));
      }
    }),
  );
});

Deno.test("FrameReader gives back any frames in any chunking", () => {
  const frame = fc.record({
    kind: fc.constantFrom(...Object.values(FrameKind)),
    control: fc.uint8Array({ maxLength: 40 }),
    body: fc.uint8Array({ maxLength: 200 }),
  });
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 6 }), fc.integer({ min: 1, max: 64 }), (frames, size) => {
      const bytes = join(frames.map(({ kind, control, body }) => encodeFrame(kind, control, [body])));
      const expected = frames.map(({ kind, control, body }) => ({
        kind,
        control: [...control],
        body: [...body],
      }));
      deepEqual(plain(readFrames(bytes, MAX, size)), expected);
    }),
  );
});
