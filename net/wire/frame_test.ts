import { deepEqual, equal, throws } from "node:assert/strict";
import { AssertionError } from "../../core/base/assert.ts";
import { crc32 } from "../../core/codec/crc32.ts";
import { LIMITS } from "../../core/base/limits.ts";
import { encodeFrame, frameBytes, FrameKind } from "./frame.ts";

Deno.test("encodeFrame() puts length, checksum, kind and control part in front of the bodies", () => {
  const body = new Uint8Array([7, 8]);
  const frame = encodeFrame(FrameKind.request, new Uint8Array([0x91, 1]), [body, new Uint8Array([9])]);
  const bytes = frameBytes(frame);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  equal(view.getUint32(0, true), 10);
  equal(view.getUint32(4, true), crc32(bytes.subarray(8)));
  deepEqual([...bytes.subarray(8)], [0x20, 2, 0, 0, 0, 0x91, 1, 7, 8, 9]);
  equal(frame.byteLength, 18);
  equal(frame.bodies[0], body, "a body is not copied");
});

Deno.test("encodeFrame() refuses what no peer would receive", () => {
  const body = new Uint8Array(LIMITS.peerFrameBytesMax);
  throws(() => encodeFrame(FrameKind.request, new Uint8Array(0), [body]), AssertionError);
});

Deno.test("FrameKind gives each kind a number of its own", () => {
  const numbers = Object.values(FrameKind);
  equal(new Set(numbers).size, numbers.length);
});
