import { deepEqual, equal, ok, throws } from "node:assert/strict";
import fc from "fast-check";
import { type EncodedFrame, encodeFrame, type Frame, frameBytes, FrameKind } from "./frame.ts";
import { readFrames } from "./frame_reader.ts";
import {
  DiallerHandshake,
  type DiallerOptions,
  type Handshake,
  HandshakeRefused,
  ListenerHandshake,
  type ListenerOptions,
  type Opening,
} from "./handshake.ts";
import { HELLO_FRAME_BYTES_MAX } from "./hello.ts";

const dialler: DiallerOptions = {
  identity: { clusterId: "blue", nodeId: 1 },
  targetId: 2,
  channel: "raft",
  secret: undefined,
  nonce: new Uint8Array(32).fill(1),
};
const listener: ListenerOptions = {
  identity: { clusterId: "blue", nodeId: 2 },
  secret: undefined,
  nonce: new Uint8Array(32).fill(2),
};

function receive(encoded: EncodedFrame): Frame {
  const [frame] = readFrames(frameBytes(encoded), HELLO_FRAME_BYTES_MAX);
  ok(frame !== undefined);
  return frame;
}

interface Outcome {
  dialler?: Opening | HandshakeRefused;
  listener?: Opening | HandshakeRefused;
}

/** Lets the two talk until both are done or one refuses, and tells the other one of the refusal. */
function talk(one: Handshake, two: Handshake): Outcome {
  const outcome: Outcome = {};
  let [speaker, hearer]: ("dialler" | "listener")[] = ["dialler", "listener"];
  const sides = { dialler: one, listener: two };
  let frame = one.start().send;
  two.start();
  while (frame !== undefined && speaker !== undefined && hearer !== undefined) {
    try {
      const step = sides[hearer].onFrame(receive(frame));
      frame = step.send;
      if (step.opening !== undefined) outcome[hearer] = step.opening;
    } catch (error) {
      ok(error instanceof HandshakeRefused, String(error));
      outcome[hearer] = error;
      frame = error.byPeer ? undefined : error.frame();
    }
    [speaker, hearer] = [hearer, speaker];
  }
  return outcome;
}

interface Case {
  readonly title: string;
  readonly dialler?: Partial<DiallerOptions>;
  readonly listener?: Partial<ListenerOptions>;
  /** Undefined: accepted. */
  readonly refusal?: string;
  /** Undefined: the newest one. */
  readonly version?: number;
}

const join = { channel: "join", identity: { clusterId: "", nodeId: 0 }, targetId: 0 } as const;

const MATRIX: readonly Case[] = [
  { title: "no secrets" },
  { title: "call channel", dialler: { channel: "call" } },
  { title: "same secret", dialler: { secret: "s" }, listener: { secret: "s" } },
  { title: "other secret", dialler: { secret: "s" }, listener: { secret: "t" }, refusal: "secret" },
  { title: "secret only at the dialler", dialler: { secret: "s" }, refusal: "secret" },
  { title: "secret only at the listener", listener: { secret: "s" }, refusal: "secret" },
  { title: "other cluster", dialler: { identity: { clusterId: "red", nodeId: 1 } }, refusal: "cluster" },
  {
    title: "member without a cluster",
    dialler: { identity: { clusterId: "", nodeId: 1 } },
    refusal: "cluster",
  },
  { title: "other target", dialler: { targetId: 3 }, refusal: "target" },
  { title: "itself", dialler: { identity: { clusterId: "blue", nodeId: 2 } }, refusal: "target" },
  { title: "no node id", dialler: { identity: { clusterId: "blue", nodeId: 0 } }, refusal: "target" },
  { title: "newer listener", listener: { versions: { min: 1, max: 4 } } },
  { title: "newer dialler", dialler: { versions: { min: 1, max: 4 } } },
  { title: "older listener", listener: { versions: { min: 1, max: 1 } }, version: 1 },
  { title: "older dialler", dialler: { versions: { min: 1, max: 1 } }, version: 1 },
  { title: "dialler too new", dialler: { versions: { min: 3, max: 4 } }, refusal: "version" },
  { title: "listener too new", listener: { versions: { min: 3, max: 4 } }, refusal: "version" },
  { title: "join", dialler: join },
  { title: "join with the secret", dialler: { ...join, secret: "s" }, listener: { secret: "s" } },
  {
    title: "join with another secret",
    dialler: { ...join, secret: "t" },
    listener: { secret: "s" },
    refusal: "secret",
  },
  { title: "join as a member", dialler: { channel: "join" }, refusal: "protocol" },
];

for (const { title, refusal, version = 2, ...options } of MATRIX) {
  Deno.test(`Handshake ${refusal === undefined ? "accepts" : `refuses (${refusal})`}: ${title}`, () => {
    const diallerOptions = { ...dialler, ...options.dialler };
    const listenerOptions = { ...listener, ...options.listener };
    const outcome = talk(new DiallerHandshake(diallerOptions), new ListenerHandshake(listenerOptions));
    if (refusal === undefined) {
      const { channel } = diallerOptions;
      deepEqual(outcome, {
        dialler: { version, channel, peer: listenerOptions.identity },
        listener: { version, channel, peer: diallerOptions.identity },
      });
      return;
    }
    ok(outcome.dialler instanceof HandshakeRefused && outcome.listener instanceof HandshakeRefused);
    deepEqual([outcome.dialler.code, outcome.listener.code], [refusal, refusal]);
    equal(outcome.dialler.message, outcome.listener.message, "both sides know the same reason");
    for (const secret of [diallerOptions.secret, listenerOptions.secret]) {
      if (secret !== undefined) ok(!outcome.dialler.message.includes(`"${secret}"`));
    }
  });
}

Deno.test("Handshake speaks the newest common version", () => {
  const versions = { min: 2, max: 7 };
  const outcome = talk(
    new DiallerHandshake({ ...dialler, versions }),
    new ListenerHandshake({ ...listener, versions: { min: 1, max: 5 } }),
  );
  ok(outcome.dialler !== undefined && "version" in outcome.dialler);
  equal(outcome.dialler.version, 5);
});

const withSecret = { ...listener, secret: "s" };

Deno.test("DiallerHandshake does not take a listener that skips the proof", () => {
  const one = new DiallerHandshake({ ...dialler, secret: "s" });
  one.start();
  const honest = new ListenerHandshake(listener);
  const talker = new DiallerHandshake(dialler);
  honest.onFrame(receive(mustSend(talker.start().send)));
  // An accept, right after the hello.
  const accept = mustSend(
    honest.onFrame(receive(encodeFrame(FrameKind.proof, new Uint8Array([0x91, 0xc4, 0])))).send,
  );
  throws(() => one.onFrame(receive(accept)), /Cannot read challenge/);
});

Deno.test("DiallerHandshake does not take a proof of its own thrown back at it", () => {
  const one = new DiallerHandshake({ ...dialler, secret: "s" });
  const two = new ListenerHandshake(withSecret);
  const challenge = mustSend(two.onFrame(receive(mustSend(one.start().send))).send);
  const proof = receive(mustSend(one.onFrame(receive(challenge)).send));
  // An accept with the right ids and the proof the dialler has just made itself: bytes 3 on are the proof.
  const head = [0x93, 0xa4, ...new TextEncoder().encode("blue"), 2];
  const forged = encodeFrame(FrameKind.accept, new Uint8Array([...head, ...proof.control.subarray(1)]));
  throws(() => one.onFrame(receive(forged)), /Cannot verify the proof/);
});

Deno.test("ListenerHandshake does not take the recorded proof of an earlier opening", () => {
  const recorded: EncodedFrame[] = [];
  const one = new DiallerHandshake({ ...dialler, secret: "s" });
  const two = new ListenerHandshake(withSecret);
  recorded.push(mustSend(one.start().send));
  const challenge = mustSend(two.onFrame(receive(mustSend(recorded[0]))).send);
  recorded.push(mustSend(one.onFrame(receive(challenge)).send));
  const again = new ListenerHandshake({ ...withSecret, nonce: new Uint8Array(32).fill(9) });
  again.onFrame(receive(mustSend(recorded[0])));
  throws(() => again.onFrame(receive(mustSend(recorded[1]))), /Cannot verify the proof/);
});

Deno.test("Handshake makes no secret visible in any frame", () => {
  const secret = "a-very-visible-secret";
  const frames: EncodedFrame[] = [];
  const spy = (side: Handshake): Handshake => ({
    start: () => side.start(),
    onFrame: (frame) => {
      const step = side.onFrame(frame);
      if (step.send !== undefined) frames.push(step.send);
      return step;
    },
  });
  talk(
    spy(new DiallerHandshake({ ...dialler, secret })),
    spy(new ListenerHandshake({ ...listener, secret })),
  );
  equal(frames.length, 3);
  for (const frame of frames) ok(!new TextDecoder().decode(frameBytes(frame)).includes(secret));
});

Deno.test("Handshake tells a stranger neither cluster id nor node id before it has proved the secret", () => {
  const two = new ListenerHandshake({ ...withSecret, identity: { clusterId: "hidden-name", nodeId: 2 } });
  const stranger = new DiallerHandshake({ ...dialler, secret: "guess" });
  const challenge = mustSend(two.onFrame(receive(mustSend(stranger.start().send))).send);
  const proof = mustSend(stranger.onFrame(receive(challenge)).send);
  let refusal: unknown;
  try {
    two.onFrame(receive(proof));
  } catch (error) {
    refusal = error;
  }
  ok(refusal instanceof HandshakeRefused);
  for (const frame of [challenge, refusal.frame()]) {
    ok(!new TextDecoder().decode(frameBytes(frame)).includes("hidden-name"));
  }
});

Deno.test("Handshake answers any frame with a step or a refusal", () => {
  const frame = fc.record({
    kind: fc.integer({ min: 0, max: 8 }),
    control: fc.uint8Array({ maxLength: 60 }),
    body: fc.uint8Array({ maxLength: 3 }),
  });
  fc.assert(
    fc.property(fc.boolean(), fc.array(frame, { minLength: 1, maxLength: 3 }), (isDialler, frames) => {
      const side = isDialler ? new DiallerHandshake(dialler) : new ListenerHandshake(listener);
      side.start();
      try {
        for (const value of frames) ok(side.onFrame(value).opening === undefined);
      } catch (error) {
        ok(error instanceof HandshakeRefused, String(error));
      }
    }),
  );
});

function mustSend(frame: EncodedFrame | undefined): EncodedFrame {
  ok(frame !== undefined);
  return frame;
}
