/** One unit of the peer protocol: what is in it and how it becomes bytes. `frame_reader.ts` is the way back. */
import { crc32 } from "../../core/codec/crc32.ts";
import { ByteWriter } from "../../core/codec/byte_writer.ts";
import { assert } from "../../core/base/assert.ts";
import { LIMITS } from "../../core/base/limits.ts";

/** Numbers are part of the format: never reuse one. */
export const FrameKind = {
  hello: 0x01,
  challenge: 0x02,
  proof: 0x03,
  accept: 0x04,
  refuse: 0x05,
  ping: 0x06,
  pong: 0x07,
  append: 0x10,
  append_reply: 0x11,
  heartbeat: 0x12,
  heartbeat_reply: 0x13,
  vote: 0x14,
  vote_reply: 0x15,
  timeout_now: 0x16,
  read_index: 0x17,
  read_index_reply: 0x18,
  snapshot: 0x19,
  request: 0x20,
  response: 0x21,
  failure: 0x22,
} as const;
export type FrameKind = (typeof FrameKind)[keyof typeof FrameKind];

/** Length and checksum. */
export const FRAME_HEAD_BYTES = 8;
/** Kind and length of the control part: the shortest rest. */
export const FRAME_REST_BYTES_MIN = 5;

/** A received frame. `control` and `body` are views of the one buffer it was received into. */
export interface Frame {
  /** Not checked against the known kinds. */
  readonly kind: number;
  readonly control: Uint8Array;
  readonly body: Uint8Array;
}

/**
 * A frame to be sent. The bodies are not copied: they must not change until the frame is written.
 */
export interface EncodedFrame {
  /** Head and control part. */
  readonly head: Uint8Array;
  readonly bodies: readonly Uint8Array[];
  readonly byteLength: number;
}

/**
 * `u32 length of the rest | u32 crc32 of the rest | u8 kind | u32 control length | control | bodies`; the rest is
 * what follows the checksum.
 */
export function encodeFrame(
  kind: FrameKind,
  control: Uint8Array,
  bodies: readonly Uint8Array[] = [],
): EncodedFrame {
  let bodyBytes = 0;
  for (const body of bodies) bodyBytes += body.byteLength;
  const restBytes = FRAME_REST_BYTES_MIN + control.byteLength + bodyBytes;
  assert(
    restBytes <= LIMITS.peerFrameBytesMax,
    () => `Cannot encode a frame of ${restBytes} bytes: the limit is ${LIMITS.peerFrameBytesMax}`,
  );
  const writer = new ByteWriter(FRAME_HEAD_BYTES + FRAME_REST_BYTES_MIN + control.byteLength);
  const head = writer.u32(restBytes).u32(0).u8(kind).bytesWithLength(control).finish();
  let checksum = crc32(head.subarray(FRAME_HEAD_BYTES));
  for (const body of bodies) checksum = crc32(body, checksum);
  writer.patchU32(4, checksum);
  return { head, bodies, byteLength: FRAME_HEAD_BYTES + restBytes };
}

/** The frame as one piece, for tests and for small frames outside of a queue. */
export function frameBytes(frame: EncodedFrame): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter(frame.byteLength).bytes(frame.head);
  for (const body of frame.bodies) writer.bytes(body);
  return writer.finish();
}
