import { deepEqual, equal, ok, throws } from "node:assert/strict";
import fc from "fast-check";
import { LIMITS } from "../../core/base/limits.ts";
import type { Entry, EntryType, Message } from "../../core/raft/message.ts";
import { encodeControl } from "./control.ts";
import { type Frame, frameBytes, FrameKind } from "./frame.ts";
import { readFrames } from "./frame_reader.ts";
import { decodeMessage, encodeMessage, messageBytes } from "./message_codec.ts";
import { WireError } from "./wire_error.ts";

const unsigned = fc.oneof(fc.nat(300), fc.maxSafeNat());
const hash = fc.nat(0xffff_ffff);
const base = { from: unsigned, to: unsigned, term: unsigned };
const bytes = fc.uint8Array({ maxLength: 100 });
const kind = <K extends Message["kind"]>(name: K) => ({ ...base, kind: fc.constant(name) });

const append = fc.record({
  ...kind("append"),
  previousIndex: fc.nat(2 ** 48),
  previousTerm: unsigned,
  previousHash: hash,
  commitIndex: unsigned,
  entries: fc.array(fc.record({ term: unsigned, type: fc.nat(2), hash, data: bytes }), { maxLength: 20 }),
}).map((message) => ({
  ...message,
  entries: message.entries.map((entry, position): Entry => ({
    ...entry,
    type: entry.type as EntryType,
    index: message.previousIndex + 1 + position,
  })),
}));

const anyMessage: fc.Arbitrary<Message> = fc.oneof(
  append,
  fc.record({
    ...kind("append_reply"),
    index: unsigned,
    rejected: fc.boolean(),
    hintIndex: unsigned,
    hintTerm: unsigned,
  }),
  fc.record({ ...kind("heartbeat"), commitIndex: unsigned, readRound: unsigned, leaseMs: unsigned }),
  fc.record({ ...kind("heartbeat_reply"), readRound: unsigned, leaseMs: unsigned }),
  fc.record({
    ...kind("vote"),
    preVote: fc.boolean(),
    lastIndex: unsigned,
    lastTerm: unsigned,
    transfer: fc.boolean(),
  }),
  fc.record({ ...kind("vote_reply"), preVote: fc.boolean(), granted: fc.boolean() }),
  fc.record(kind("timeout_now")),
  fc.record({ ...kind("read_index"), context: unsigned }),
  fc.record({ ...kind("read_index_reply"), context: unsigned, index: unsigned, rejected: fc.boolean() }),
  fc.record({
    ...kind("snapshot"),
    snapshot: fc.record({ index: unsigned, term: unsigned, hash, membership: bytes }),
  }),
);

function receive(message: Message): Frame {
  const [frame] = readFrames(frameBytes(encodeMessage(message)), LIMITS.peerFrameBytesMax);
  ok(frame !== undefined);
  return frame;
}

Deno.test("decodeMessage() gives back any message", () => {
  fc.assert(fc.property(anyMessage, (message) => {
    const decoded = decodeMessage(receive(message));
    // Views of a frame compare equal to arrays of their own only as copies.
    deepEqual(structuredClone(decoded), structuredClone(message));
  }));
});

Deno.test("Version 1 has no leases: heartbeats and their replies say 0 there", () => {
  const base = { from: 1, to: 2, term: 3, readRound: 5, leaseMs: 200 };
  const messages: Message[] = [
    { ...base, kind: "heartbeat", commitIndex: 4 },
    { ...base, kind: "heartbeat_reply" },
  ];
  for (const message of messages) {
    const [frame] = readFrames(frameBytes(encodeMessage(message, 1)), LIMITS.peerFrameBytesMax);
    ok(frame !== undefined);
    deepEqual(decodeMessage(frame, 1), { ...message, leaseMs: 0 });
    throws(() => decodeMessage(frame, 2), /leaseMs is missing/);
    throws(() => decodeMessage(receive(message), 1), /1 fields after its last one/);
  }
});

Deno.test("messageBytes() is close to what the frame takes, and never far below", () => {
  fc.assert(fc.property(anyMessage, (message) => {
    const { byteLength } = encodeMessage(message);
    ok(messageBytes(message) >= byteLength, `${messageBytes(message)} for ${byteLength}`);
  }));
});

Deno.test("decodeMessage() gives entry data as views of the frame", () => {
  const data = new Uint8Array(5_000).fill(3);
  const entries = [1, 2].map((index) => ({ index, term: 1, type: 2 as const, hash: 0, data }));
  const previous = { previousIndex: 0, previousTerm: 0, previousHash: 0 };
  const frame = receive({ kind: "append", from: 1, to: 2, term: 1, ...previous, commitIndex: 0, entries });
  const message = decodeMessage(frame);
  ok(message.kind === "append");
  for (const entry of message.entries) equal(entry.data.buffer, frame.body.buffer);
});

Deno.test("decodeMessage() refuses frames whose parts contradict each other", () => {
  const body = new Uint8Array(3);
  const appendFrame = (fields: number[]): Frame => ({
    kind: FrameKind.append,
    control: encodeControl(fields),
    body,
  });
  decodeMessage(appendFrame([1, 2, 3, 0, 0, 0, 0, 1, 3, 2, 0, 3]));
  throws(
    () => decodeMessage(appendFrame([1, 2, 3, 0, 0, 0, 0, 1, 3, 2, 0, 2])),
    /its body has 3 bytes, not 2/,
  );
  throws(() => decodeMessage(appendFrame([1, 2, 3, 0, 0, 0, 0, 1, 3, 3, 0, 3])), /entry type must be/);
  throws(() => decodeMessage(appendFrame([1, 2, 3, 0, 0, 0, 0, 2, 3, 2, 0, 3])), /entryCount must be/);
  throws(() => decodeMessage(appendFrame([1, 2, 3, 0, 0, 0, 0, 0, 9])), /1 fields after its last one/);
  const last = Number.MAX_SAFE_INTEGER;
  throws(() => decodeMessage(appendFrame([1, 2, 3, last, 0, 0, 0, 1, 3, 2, 0, 3])), /is above 2\^53/);
  const heartbeat = encodeControl([1, 2, 3, 4, 5, 6]);
  throws(
    () => decodeMessage({ kind: FrameKind.heartbeat, control: heartbeat, body }),
    /its body has 3 bytes, not 0/,
  );
  throws(() => decodeMessage({ kind: 0x77, control: heartbeat, body }), /unknown frame kind 119/);
});

Deno.test("decodeMessage() turns any fields into a message or a WireError", () => {
  const field = fc.oneof(fc.nat(5), fc.maxSafeNat(), fc.boolean(), fc.string({ maxLength: 3 }), bytes);
  const frame = fc.record({
    kind: fc.integer({ min: 0x0f, max: 0x1b }),
    control: fc.array(field, { maxLength: 16 }).map(encodeControl),
    body: fc.uint8Array({ maxLength: 6 }),
  });
  fc.assert(
    fc.property(frame, (value) => {
      try {
        decodeMessage(value);
      } catch (error) {
        ok(error instanceof WireError, String(error));
      }
    }),
    { numRuns: 500 },
  );
});
