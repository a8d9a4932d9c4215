/**
 * The peer protocol, byte by byte: what `tests/formats/v<version>/wire_*.hex` holds must be what is sent, and must be
 * understood, for as long as that version is spoken. A difference means a new version. A version has the files of the
 * layouts it changed; calls and the opening are those of version 1.
 * `deno test -A tests/formats/wire_formats_test.ts -- --update` writes missing lines for frames that are new.
 */
import { deepEqual, equal, ok } from "node:assert/strict";
import { mustHave } from "../../core/base/assert.ts";
import { encodeFailure, encodeRequest, encodeResponse } from "../../net/wire/call_codec.ts";
import { decodeAnswer, decodeRequest } from "../../net/wire/call_codec.ts";
import { encodeControl } from "../../net/wire/control.ts";
import { type EncodedFrame, encodeFrame, type Frame, frameBytes, FrameKind } from "../../net/wire/frame.ts";
import { readFrames } from "../../net/wire/frame_reader.ts";
import {
  decodeAccept,
  decodeChallenge,
  decodeHello,
  decodeProof,
  decodeRefusal,
  encodeAccept,
  encodeChallenge,
  encodeHello,
  encodeProof,
  encodeRefusal,
} from "../../net/wire/hello.ts";
import { decodeMessage, encodeMessage } from "../../net/wire/message_codec.ts";
import { makeProof } from "../../net/wire/proof.ts";
import { SPOKEN_VERSIONS } from "../../net/wire/version.ts";
import type { Message } from "../../core/raft/message.ts";

interface Golden {
  readonly name: string;
  readonly frame: EncodedFrame;
  /** What the frame says, read back; undefined for frames that say nothing. */
  readonly decode: (frame: Frame) => unknown;
  readonly value: unknown;
}

function golden<T>(
  name: string,
  value: T,
  encode: (value: T) => EncodedFrame,
  decode: (frame: Frame) => unknown,
): Golden {
  return { name, frame: encode(value), decode, value };
}

const nonce = Uint8Array.from({ length: 32 }, (_, index) => index);
const proof = makeProof("golden secret", "dialler", [nonce, new Uint8Array([1, 2, 3])]);
const nothing = () => undefined;

const OPENING: readonly Golden[] = [
  golden(
    "hello",
    {
      versions: { min: 1, max: 3 },
      clusterId: "blue",
      nodeId: 1,
      targetId: 2,
      channel: "raft",
      hasSecret: true,
      nonce,
    } as const,
    encodeHello,
    decodeHello,
  ),
  golden(
    "hello_join",
    {
      versions: { min: 1, max: 1 },
      clusterId: "",
      nodeId: 0,
      targetId: 0,
      channel: "join",
      hasSecret: false,
      nonce,
    } as const,
    encodeHello,
    decodeHello,
  ),
  golden("challenge", { version: 1, hasSecret: true, nonce }, encodeChallenge, decodeChallenge),
  golden("proof", { proof }, encodeProof, decodeProof),
  golden("proof_without_secret", { proof: new Uint8Array(0) }, encodeProof, decodeProof),
  golden("accept", { clusterId: "blue", nodeId: 2, proof }, encodeAccept, decodeAccept),
  golden(
    "refuse",
    { code: "cluster", text: "Cannot connect" } as const,
    encodeRefusal,
    decodeRefusal,
  ),
  golden("ping", undefined, () => encodeFrame(FrameKind.ping, encodeControl([])), nothing),
  golden("pong", undefined, () => encodeFrame(FrameKind.pong, encodeControl([])), nothing),
];

const to = { from: 1, to: 2, term: 7 };
const data = new Uint8Array([0xde, 0xad, 0xbe, 0xef]);
const messagesWith = (leaseMs: number): readonly Message[] => [
  {
    ...to,
    kind: "append",
    previousIndex: 41,
    previousTerm: 6,
    previousHash: 0xffff_ffff,
    commitIndex: 40,
    entries: [
      { index: 42, term: 7, type: 0, hash: 1, data: new Uint8Array(0) },
      { index: 43, term: 7, type: 2, hash: 0x8000_0000, data },
      { index: 44, term: 7, type: 1, hash: 3, data: new Uint8Array([5]) },
    ],
  },
  { ...to, kind: "append_reply", index: 44, rejected: true, hintIndex: 30, hintTerm: 5 },
  { ...to, kind: "heartbeat", commitIndex: 2 ** 32, readRound: 3, leaseMs },
  { ...to, kind: "heartbeat_reply", readRound: 3, leaseMs },
  { ...to, kind: "vote", preVote: true, lastIndex: 44, lastTerm: 7, transfer: false },
  { ...to, kind: "vote_reply", preVote: false, granted: true },
  { ...to, kind: "timeout_now" },
  { ...to, kind: "read_index", context: Number.MAX_SAFE_INTEGER },
  { ...to, kind: "read_index_reply", context: 5, index: 300, rejected: false },
  { ...to, kind: "snapshot", snapshot: { index: 44, term: 7, hash: 17, membership: data } },
];

const CALLS: readonly Golden[] = [
  golden("request", { id: 300, method: "write", body: data }, encodeRequest, decodeRequest),
  golden(
    "response",
    { id: 300, kind: "response", body: data } as const,
    ({ id, body }) => encodeResponse(id, body),
    decodeAnswer,
  ),
  golden(
    "failure",
    {
      id: 300,
      kind: "failure",
      error: { code: "no_quorum", message: "Cannot commit", details: {} },
    } as const,
    ({ id, error }) => encodeFailure(id, error),
    decodeAnswer,
  ),
  golden(
    "failure_with_details",
    {
      id: 300,
      kind: "failure",
      error: {
        code: "constraint_failed",
        message: "Cannot insert",
        details: {
          field: "statements[2]",
          limit: { name: "rows", value: 9 },
          sqlite_code: 1555,
          statement_index: 2,
          leader: "host:1",
        },
      },
    } as const,
    ({ id, error }) => encodeFailure(id, error),
    decodeAnswer,
  ),
];

/** Version 1 knows nothing of leases. */
const messagesOf = (version: number): readonly Golden[] =>
  messagesWith(version === 1 ? 0 : 200).map((message) =>
    golden(
      message.kind,
      message,
      (value) => encodeMessage(value, version),
      (frame) => decodeMessage(frame, version),
    )
  );

const FILES: Readonly<Record<string, readonly Golden[]>> = {
  "v1/wire_opening.hex": OPENING,
  "v1/wire_messages.hex": messagesOf(1),
  "v1/wire_calls.hex": CALLS,
  "v2/wire_messages.hex": messagesOf(2),
};

const urlOf = (file: string) => new URL(file, import.meta.url);
const hexOf = (frame: EncodedFrame) => frameBytes(frame).toHex();

/** Lines of `name hex`. */
function readGolden(file: string): Map<string, string> {
  const lines = Deno.readTextFileSync(urlOf(file)).trim().split("\n");
  return new Map(lines.map((line) => {
    const [name, hex] = line.split(" ");
    return [mustHave(name, "name"), mustHave(hex, "hex")];
  }));
}

/** Adds what is missing; a line that is there is never changed. */
function addMissing(file: string, frames: readonly Golden[]): void {
  let lines = new Map<string, string>();
  try {
    lines = readGolden(file);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  for (const { name, frame } of frames) if (!lines.has(name)) lines.set(name, hexOf(frame));
  Deno.writeTextFileSync(urlOf(file), [...lines].map(([name, hex]) => `${name} ${hex}\n`).join(""));
}

for (const [file, frames] of Object.entries(FILES)) {
  if (Deno.args.includes("--update")) addMissing(file, frames);

  Deno.test(`wire: ${file} is what is sent`, () => {
    const lines = readGolden(file);
    deepEqual(frames.map(({ name }) => name), [...lines.keys()]);
    for (const { name, frame } of frames) equal(hexOf(frame), lines.get(name), name);
  });

  Deno.test(`wire: ${file} is understood`, () => {
    for (const [name, hex] of readGolden(file)) {
      const [frame] = readFrames(Uint8Array.fromHex(hex), 10_000);
      const known = mustHave(frames.find((each) => each.name === name), name);
      deepEqual(structuredClone(known.decode(mustHave(frame, name))), structuredClone(known.value), name);
    }
  });
}

Deno.test("wire: every kind of frame has a golden one", () => {
  ok(SPOKEN_VERSIONS.min <= 1, "version 1 is no longer spoken; its golden files may go");
  const kinds = new Set<number>();
  for (const file of Object.keys(FILES)) {
    for (const hex of readGolden(file).values()) {
      for (const { kind } of readFrames(Uint8Array.fromHex(hex), 10_000)) kinds.add(kind);
    }
  }
  deepEqual(
    [...kinds].sort((left, right) => left - right),
    Object.values(FrameKind).sort((left, right) => left - right),
  );
});
