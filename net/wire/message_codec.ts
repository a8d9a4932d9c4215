/** Raft messages (`core/raft/message.ts`) to frames and back. The byte tables are in README.md. */
import { assert } from "../../core/base/assert.ts";
import { LIMITS } from "../../core/base/limits.ts";
import type {
  AppendMessage,
  AppendReply,
  Entry,
  EntryType,
  HeartbeatMessage,
  HeartbeatReply,
  Message,
  ReadIndexMessage,
  ReadIndexReply,
  SnapshotMessage,
  TimeoutNowMessage,
  VoteMessage,
  VoteReply,
} from "../../core/raft/message.ts";
import { ControlReader, type ControlValue, encodeControl } from "./control.ts";
import { type EncodedFrame, encodeFrame, type Frame, FrameKind } from "./frame.ts";
import { SPOKEN_VERSIONS } from "./version.ts";
import { WireError } from "./wire_error.ts";

const U32_MAX = 0xffff_ffff;
/** From here on heartbeats and their replies say `leaseMs`. */
const LEASE_VERSION = 2;
const ENTRY_TYPE_MAX = 2;
/** Term, type, hash, length of the data. */
const FIELDS_PER_ENTRY = 4;

/** What a message costs in a queue, without encoding it: its data, and a guess for the rest. */
export function messageBytes(message: Message): number {
  const FRAME_GUESS = 96;
  const ENTRY_GUESS = 32;
  if (message.kind === "snapshot") return FRAME_GUESS + message.snapshot.membership.byteLength;
  if (message.kind !== "append") return FRAME_GUESS;
  let bytes = FRAME_GUESS;
  for (const entry of message.entries) bytes += ENTRY_GUESS + entry.data.byteLength;
  return bytes;
}

/** @param version spoken on the connection: what an older one has no field for is left out */
export function encodeMessage(message: Message, version = SPOKEN_VERSIONS.max): EncodedFrame {
  const { fields, bodies } = encodeFields(message, version);
  const control = encodeControl([message.from, message.to, message.term, ...fields]);
  return encodeFrame(FrameKind[message.kind], control, bodies);
}

interface EncodedFields {
  readonly fields: readonly ControlValue[];
  readonly bodies?: readonly Uint8Array[];
}

function encodeFields(message: Message, version: number): EncodedFields {
  switch (message.kind) {
    case "append":
      return encodeAppend(message);
    case "append_reply":
      return { fields: [message.index, message.rejected, message.hintIndex, message.hintTerm] };
    case "heartbeat":
      return { fields: [message.commitIndex, message.readRound, ...leaseFields(message, version)] };
    case "heartbeat_reply":
      return { fields: [message.readRound, ...leaseFields(message, version)] };
    case "vote":
      return { fields: [message.preVote, message.lastIndex, message.lastTerm, message.transfer] };
    case "vote_reply":
      return { fields: [message.preVote, message.granted] };
    case "timeout_now":
      return { fields: [] };
    case "read_index":
      return { fields: [message.context] };
    case "read_index_reply":
      return { fields: [message.context, message.index, message.rejected] };
    case "snapshot": {
      const { index, term, hash, membership } = message.snapshot;
      return { fields: [index, term, hash, membership.byteLength], bodies: [membership] };
    }
  }
}

/** Without the field nothing is asked, and nothing promised. */
function leaseFields({ leaseMs }: HeartbeatMessage | HeartbeatReply, version: number): number[] {
  return version < LEASE_VERSION ? [] : [leaseMs];
}

function encodeAppend(message: AppendMessage): EncodedFields {
  const fields: ControlValue[] = [
    message.previousIndex,
    message.previousTerm,
    message.previousHash,
    message.commitIndex,
    message.entries.length,
  ];
  const bodies: Uint8Array[] = [];
  let index = message.previousIndex;
  for (const entry of message.entries) {
    index += 1;
    assert(entry.index === index, () => `Cannot encode entry ${entry.index} at the place of entry ${index}`);
    fields.push(entry.term, entry.type, entry.hash, entry.data.byteLength);
    if (entry.data.byteLength > 0) bodies.push(entry.data);
  }
  return { fields, bodies };
}

/**
 * @param version spoken on the connection
 * @returns the message, its entry data as views of the frame
 * @throws WireError when the frame is of another kind or malformed
 */
export function decodeMessage(frame: Frame, version = SPOKEN_VERSIONS.max): Message {
  switch (frame.kind) {
    case FrameKind.append:
      return decodeAppend(frame);
    case FrameKind.append_reply:
      return decodePlain(frame, "append reply", decodeAppendReply);
    case FrameKind.heartbeat:
      return decodePlain(frame, "heartbeat", (reader, base) => decodeHeartbeat(reader, base, version));
    case FrameKind.heartbeat_reply:
      return decodePlain(
        frame,
        "heartbeat reply",
        (reader, base) => decodeHeartbeatReply(reader, base, version),
      );
    case FrameKind.vote:
      return decodePlain(frame, "vote", decodeVote);
    case FrameKind.vote_reply:
      return decodePlain(frame, "vote reply", decodeVoteReply);
    case FrameKind.timeout_now:
      return decodePlain(frame, "timeout now", (_, base) => ({ ...base, kind: "timeout_now" }));
    case FrameKind.read_index:
      return decodePlain(frame, "read index", decodeReadIndex);
    case FrameKind.read_index_reply:
      return decodePlain(frame, "read index reply", decodeReadIndexReply);
    case FrameKind.snapshot:
      return decodeSnapshot(frame);
    default:
      throw new WireError(`Cannot read a Raft message: unknown frame kind ${frame.kind}`);
  }
}

type Base = Pick<TimeoutNowMessage, "from" | "to" | "term">;

function decodeBase(reader: ControlReader): Base {
  return { from: reader.unsigned("from"), to: reader.unsigned("to"), term: reader.unsigned("term") };
}

/** A message without a body. */
function decodePlain(
  frame: Frame,
  what: string,
  decode: (reader: ControlReader, base: Base) => Message,
): Message {
  const reader = new ControlReader(frame.control, what);
  const message = decode(reader, decodeBase(reader));
  reader.end();
  checkBody(frame, 0, what);
  return message;
}

/** Body lengths in the control part must add up to what followed it. */
function checkBody(frame: Frame, bytes: number, what: string): void {
  if (frame.body.byteLength !== bytes) {
    throw new WireError(`Cannot read ${what}: its body has ${frame.body.byteLength} bytes, not ${bytes}`);
  }
}

function decodeAppend(frame: Frame): AppendMessage {
  const reader = new ControlReader(frame.control, "append");
  const base = decodeBase(reader);
  const previousIndex = reader.unsigned("previousIndex");
  const previousTerm = reader.unsigned("previousTerm");
  const previousHash = reader.unsigned("previousHash", U32_MAX);
  const commitIndex = reader.unsigned("commitIndex");
  const entryCount = reader.unsigned("entryCount", reader.remaining / FIELDS_PER_ENTRY);
  const entries: Entry[] = [];
  let offset = 0;
  for (let number = 1; number <= entryCount; number++) {
    const term = reader.unsigned("entry term");
    const type = reader.unsigned("entry type", ENTRY_TYPE_MAX) as EntryType;
    const hash = reader.unsigned("entry hash", U32_MAX);
    const end = offset + reader.unsigned("entry length", LIMITS.peerFrameBytesMax);
    const index = previousIndex + number;
    if (!Number.isSafeInteger(index)) throw new WireError(`Cannot read append: index ${index} is above 2^53`);
    entries.push({ index, term, type, hash, data: frame.body.subarray(offset, end) });
    offset = end;
  }
  reader.end();
  checkBody(frame, offset, "append");
  return { ...base, kind: "append", previousIndex, previousTerm, previousHash, commitIndex, entries };
}

function decodeSnapshot(frame: Frame): SnapshotMessage {
  const reader = new ControlReader(frame.control, "snapshot");
  const base = decodeBase(reader);
  const index = reader.unsigned("index");
  const term = reader.unsigned("snapshot term");
  const hash = reader.unsigned("hash", U32_MAX);
  const membershipBytes = reader.unsigned("membership length", LIMITS.peerFrameBytesMax);
  reader.end();
  checkBody(frame, membershipBytes, "snapshot");
  return { ...base, kind: "snapshot", snapshot: { index, term, hash, membership: frame.body } };
}

function decodeAppendReply(reader: ControlReader, base: Base): AppendReply {
  return {
    ...base,
    kind: "append_reply",
    index: reader.unsigned("index"),
    rejected: reader.boolean("rejected"),
    hintIndex: reader.unsigned("hintIndex"),
    hintTerm: reader.unsigned("hintTerm"),
  };
}

function decodeHeartbeat(reader: ControlReader, base: Base, version: number): HeartbeatMessage {
  return {
    ...base,
    kind: "heartbeat",
    commitIndex: reader.unsigned("commitIndex"),
    readRound: reader.unsigned("readRound"),
    leaseMs: decodeLease(reader, version),
  };
}

function decodeHeartbeatReply(reader: ControlReader, base: Base, version: number): HeartbeatReply {
  const readRound = reader.unsigned("readRound");
  return { ...base, kind: "heartbeat_reply", readRound, leaseMs: decodeLease(reader, version) };
}

function decodeLease(reader: ControlReader, version: number): number {
  return version < LEASE_VERSION ? 0 : reader.unsigned("leaseMs");
}

function decodeVote(reader: ControlReader, base: Base): VoteMessage {
  return {
    ...base,
    kind: "vote",
    preVote: reader.boolean("preVote"),
    lastIndex: reader.unsigned("lastIndex"),
    lastTerm: reader.unsigned("lastTerm"),
    transfer: reader.boolean("transfer"),
  };
}

function decodeVoteReply(reader: ControlReader, base: Base): VoteReply {
  return {
    ...base,
    kind: "vote_reply",
    preVote: reader.boolean("preVote"),
    granted: reader.boolean("granted"),
  };
}

function decodeReadIndex(reader: ControlReader, base: Base): ReadIndexMessage {
  return { ...base, kind: "read_index", context: reader.unsigned("context") };
}

function decodeReadIndexReply(reader: ControlReader, base: Base): ReadIndexReply {
  return {
    ...base,
    kind: "read_index_reply",
    context: reader.unsigned("context"),
    index: reader.unsigned("index"),
    rejected: reader.boolean("rejected"),
  };
}
