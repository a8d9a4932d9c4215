/** The frames that open a connection: hello, challenge, proof, accept, or a refusal. `handshake.ts` says who sends what when. */
import { ControlReader, encodeControl } from "./control.ts";
import { type EncodedFrame, encodeFrame, type Frame, FrameKind } from "./frame.ts";
import { PROTOCOL_MAGIC, type VersionRange } from "./version.ts";
import { WireError } from "./wire_error.ts";

/** `raft`: one-way messages. `call`: requests and answers. `join`: calls of a process that is no member yet. */
export const CHANNELS = ["raft", "call", "join"] as const;
export type Channel = (typeof CHANNELS)[number];

export const NONCE_BYTES = 32;
/** HMAC-SHA256. */
export const PROOF_BYTES = 32;
const CLUSTER_ID_LENGTH_MAX = 64;
const REFUSAL_TEXT_LENGTH_MAX = 512;
/** The longest frame of an opening: a refusal of 512 characters of up to four bytes. All a stranger can make us hold. */
export const HELLO_FRAME_BYTES_MAX = 4 * 1024;

export interface Hello {
  readonly versions: VersionRange;
  /** Empty on channel `join`. */
  readonly clusterId: string;
  /** 0 on channel `join`. */
  readonly nodeId: number;
  /** The member the caller means to reach; 0 on channel `join`. */
  readonly targetId: number;
  readonly channel: Channel;
  readonly hasSecret: boolean;
  readonly nonce: Uint8Array;
}

export interface Challenge {
  readonly version: number;
  readonly hasSecret: boolean;
  readonly nonce: Uint8Array;
}

/** Sent by the caller; empty when there is no secret. */
export interface Proof {
  readonly proof: Uint8Array;
}

export interface Accept {
  readonly clusterId: string;
  readonly nodeId: number;
  readonly proof: Uint8Array;
}

export const REFUSAL_CODES = {
  version: "No version of the protocol is spoken by both.",
  secret: "Only one side has a cluster secret, or they differ.",
  cluster: "The two belong to different clusters.",
  target: "The address is that of another member.",
  protocol: "The opening is malformed or out of order.",
} as const;
export type RefusalCode = keyof typeof REFUSAL_CODES;

export interface Refusal {
  readonly code: RefusalCode;
  readonly text: string;
}

export function encodeHello(hello: Hello): EncodedFrame {
  const { versions, clusterId, nodeId, targetId, channel, hasSecret, nonce } = hello;
  return encodeFrame(
    FrameKind.hello,
    encodeControl([
      PROTOCOL_MAGIC,
      versions.min,
      versions.max,
      clusterId,
      nodeId,
      targetId,
      channel,
      hasSecret,
      nonce,
    ]),
  );
}

/**
 * Fields after those of version 1 are ignored: a newer caller may add some and still be told the common version.
 *
 * @throws WireError
 */
export function decodeHello(frame: Frame): Hello {
  const reader = open(frame, FrameKind.hello, "hello");
  const magic = reader.text("magic", PROTOCOL_MAGIC.length);
  if (magic !== PROTOCOL_MAGIC) throw new WireError(`Cannot read hello: its magic is not ${PROTOCOL_MAGIC}`);
  return {
    versions: { min: reader.unsigned("oldest version"), max: reader.unsigned("newest version") },
    clusterId: reader.text("cluster id", CLUSTER_ID_LENGTH_MAX),
    nodeId: reader.unsigned("node id"),
    targetId: reader.unsigned("target id"),
    channel: toChannel(reader.text("channel", 16)),
    hasSecret: reader.boolean("has secret"),
    nonce: exactBytes(reader, "nonce", NONCE_BYTES),
  };
}

export function encodeChallenge(challenge: Challenge): EncodedFrame {
  const { version, hasSecret, nonce } = challenge;
  return encodeFrame(FrameKind.challenge, encodeControl([version, hasSecret, nonce]));
}

/** @throws WireError */
export function decodeChallenge(frame: Frame): Challenge {
  const reader = open(frame, FrameKind.challenge, "challenge");
  const challenge = {
    version: reader.unsigned("version"),
    hasSecret: reader.boolean("has secret"),
    nonce: exactBytes(reader, "nonce", NONCE_BYTES),
  };
  reader.end();
  return challenge;
}

export function encodeProof(proof: Proof): EncodedFrame {
  return encodeFrame(FrameKind.proof, encodeControl([proof.proof]));
}

/** @throws WireError */
export function decodeProof(frame: Frame): Proof {
  const reader = open(frame, FrameKind.proof, "proof");
  const proof = reader.bytes("proof", PROOF_BYTES);
  reader.end();
  return { proof };
}

export function encodeAccept(accept: Accept): EncodedFrame {
  return encodeFrame(FrameKind.accept, encodeControl([accept.clusterId, accept.nodeId, accept.proof]));
}

/** @throws WireError */
export function decodeAccept(frame: Frame): Accept {
  const reader = open(frame, FrameKind.accept, "accept");
  const accept = {
    clusterId: reader.text("cluster id", CLUSTER_ID_LENGTH_MAX),
    nodeId: reader.unsigned("node id"),
    proof: reader.bytes("proof", PROOF_BYTES),
  };
  reader.end();
  return accept;
}

export function encodeRefusal(refusal: Refusal): EncodedFrame {
  const text = refusal.text.slice(0, REFUSAL_TEXT_LENGTH_MAX);
  return encodeFrame(FrameKind.refuse, encodeControl([refusal.code, text]));
}

/** @throws WireError */
export function decodeRefusal(frame: Frame): Refusal {
  const reader = open(frame, FrameKind.refuse, "refusal");
  const code = reader.text("code", 32);
  const text = reader.text("text", REFUSAL_TEXT_LENGTH_MAX);
  return isRefusalCode(code) ? { code, text } : { code: "protocol", text: `${code}: ${text}` };
}

function open(frame: Frame, kind: FrameKind, what: string): ControlReader {
  if (frame.kind !== kind) throw new WireError(`Cannot read ${what}: the frame kind is ${frame.kind}`);
  if (frame.body.byteLength !== 0) throw new WireError(`Cannot read ${what}: it has a body`);
  return new ControlReader(frame.control, what);
}

function exactBytes(reader: ControlReader, field: string, length: number): Uint8Array {
  const bytes = reader.bytes(field, length);
  if (bytes.byteLength !== length) {
    throw new WireError(`Cannot read ${field}: it has ${bytes.byteLength} bytes, not ${length}`);
  }
  return bytes;
}

function toChannel(name: string): Channel {
  const channel = CHANNELS.find((known) => known === name);
  if (channel === undefined) throw new WireError(`Cannot read hello: unknown channel ${name}`);
  return channel;
}

function isRefusalCode(code: string): code is RefusalCode {
  return Object.hasOwn(REFUSAL_CODES, code);
}
