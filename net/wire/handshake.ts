/**
 * How a connection opens, as two state machines without a socket: frames in, frames out.
 *
 *     dialler                         listener
 *     hello (nonce, who, to whom) ──►
 *                                ◄── challenge (version, nonce)
 *     proof (dialler)            ──►
 *                                ◄── accept (who, proof of the listener)
 *
 * The dialler proves first, so that a stranger gets nothing from a member that it could test guesses of the secret
 * against, and learns no ids.
 */
import { assert } from "../../core/base/assert.ts";
import type { NodeId } from "../../core/base/ids.ts";
import {
  type Channel,
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
  type Hello,
  type Refusal,
  type RefusalCode,
} from "./hello.ts";
import { type EncodedFrame, type Frame, FRAME_HEAD_BYTES, FRAME_REST_BYTES_MIN, FrameKind } from "./frame.ts";
import { makeProof, proofsEqual } from "./proof.ts";
import { commonVersion, SPOKEN_VERSIONS, type VersionRange } from "./version.ts";
import { WireError } from "./wire_error.ts";

export interface Identity {
  readonly clusterId: string;
  readonly nodeId: NodeId;
}

/** What both sides agreed on. */
export interface Opening {
  readonly version: number;
  readonly channel: Channel;
  /** The other side; its node id is 0 when it is no member yet. */
  readonly peer: Identity;
}

/** The opening failed for a reason worth telling. */
export class HandshakeRefused extends Error {
  override name = "HandshakeRefused";

  constructor(
    readonly code: RefusalCode,
    message: string,
    /** The other side refused and has said why; otherwise it must be told. */
    readonly byPeer: boolean,
  ) {
    super(message);
  }

  /** What to send before closing. */
  frame(): EncodedFrame {
    return encodeRefusal({ code: this.code, text: this.message });
  }
}

export interface HandshakeStep {
  readonly send?: EncodedFrame;
  /** Present when this side is done, after `send` is on its way. */
  readonly opening?: Opening;
}

/** One side of an opening. `onFrame` throws HandshakeRefused; after that the connection is closed. */
export interface Handshake {
  start(): HandshakeStep;
  onFrame(frame: Frame): HandshakeStep;
}

export interface DiallerOptions {
  /** Both empty (`""`, 0) on channel `join`. */
  readonly identity: Identity;
  /** 0 on channel `join`. */
  readonly targetId: NodeId;
  readonly channel: Channel;
  readonly secret: string | undefined;
  /** 32 fresh random bytes. */
  readonly nonce: Uint8Array;
  readonly versions?: VersionRange;
}

export class DiallerHandshake implements Handshake {
  readonly #options: DiallerOptions;
  readonly #said: Uint8Array[] = [];
  #version: number | undefined;

  constructor(options: DiallerOptions) {
    this.#options = options;
  }

  start(): HandshakeStep {
    const { identity, targetId, channel, secret, nonce } = this.#options;
    const versions = this.#options.versions ?? SPOKEN_VERSIONS;
    const send = encodeHello({
      versions,
      ...identity,
      targetId,
      channel,
      hasSecret: secret !== undefined,
      nonce,
    });
    this.#said.push(controlOf(send));
    return { send };
  }

  onFrame(frame: Frame): HandshakeStep {
    return guarded(() => {
      if (frame.kind === FrameKind.refuse) throw refusedByPeer(decodeRefusal(frame));
      return this.#version === undefined ? this.#onChallenge(frame) : this.#onAccept(frame, this.#version);
    });
  }

  #onChallenge(frame: Frame): HandshakeStep {
    const challenge = decodeChallenge(frame);
    const { secret } = this.#options;
    const { min, max } = this.#options.versions ?? SPOKEN_VERSIONS;
    if (challenge.version < min || challenge.version > max) {
      throw refusal(
        "version",
        `Cannot speak version ${challenge.version}: this member speaks ${min} to ${max}`,
      );
    }
    checkSecretPresence(secret, challenge.hasSecret);
    this.#version = challenge.version;
    this.#said.push(frame.control);
    return { send: encodeProof({ proof: makeProof(secret, "dialler", this.#said) }) };
  }

  #onAccept(frame: Frame, version: number): HandshakeStep {
    const { clusterId, nodeId, proof } = decodeAccept(frame);
    const { identity, targetId, channel, secret } = this.#options;
    checkProof(proof, makeProof(secret, "listener", [...this.#said, identityBytes({ clusterId, nodeId })]));
    if (channel !== "join") {
      checkIdentity({ clusterId, nodeId }, { clusterId: identity.clusterId, nodeId: targetId });
    }
    return { opening: { version, channel, peer: { clusterId, nodeId } } };
  }
}

export interface ListenerOptions {
  readonly identity: Identity;
  readonly secret: string | undefined;
  /** 32 fresh random bytes. */
  readonly nonce: Uint8Array;
  readonly versions?: VersionRange;
}

export class ListenerHandshake implements Handshake {
  readonly #options: ListenerOptions;
  readonly #said: Uint8Array[] = [];
  #hello: Hello | undefined;
  #version = 0;

  constructor(options: ListenerOptions) {
    this.#options = options;
  }

  start(): HandshakeStep {
    return {};
  }

  onFrame(frame: Frame): HandshakeStep {
    return guarded(() => {
      if (frame.kind === FrameKind.refuse) throw refusedByPeer(decodeRefusal(frame));
      return this.#hello === undefined ? this.#onHello(frame) : this.#onProof(frame, this.#hello);
    });
  }

  #onHello(frame: Frame): HandshakeStep {
    const hello = decodeHello(frame);
    const { secret, nonce } = this.#options;
    const spoken = this.#options.versions ?? SPOKEN_VERSIONS;
    const version = commonVersion(spoken, hello.versions);
    if (version === undefined) {
      const { min, max } = hello.versions;
      throw refusal(
        "version",
        `Cannot speak versions ${min} to ${max}: this member speaks ${spoken.min} to ${spoken.max}; upgrade the older one`,
      );
    }
    checkSecretPresence(secret, hello.hasSecret);
    this.#hello = hello;
    this.#version = version;
    const send = encodeChallenge({ version, hasSecret: secret !== undefined, nonce });
    this.#said.push(frame.control, controlOf(send));
    return { send };
  }

  #onProof(frame: Frame, hello: Hello): HandshakeStep {
    const { identity, secret } = this.#options;
    checkProof(decodeProof(frame).proof, makeProof(secret, "dialler", this.#said));
    const { clusterId, nodeId, targetId, channel } = hello;
    if (channel === "join") {
      if (clusterId !== "" || nodeId !== 0) {
        throw refusal(
          "protocol",
          "Cannot join with a cluster id or node id: a member uses the other channels",
        );
      }
    } else {
      checkIdentity(identity, { clusterId, nodeId: targetId });
      if (nodeId === 0 || nodeId === identity.nodeId) {
        throw refusal("target", `Cannot accept node id ${nodeId}: it is not that of another member`);
      }
    }
    const proof = makeProof(secret, "listener", [...this.#said, identityBytes(identity)]);
    return {
      send: encodeAccept({ ...identity, proof }),
      opening: { version: this.#version, channel, peer: { clusterId, nodeId } },
    };
  }
}

/** Bytes that are not of the protocol refuse the opening, too. */
function guarded(step: () => HandshakeStep): HandshakeStep {
  try {
    return step();
  } catch (error) {
    if (error instanceof WireError) throw refusal("protocol", error.message);
    throw error;
  }
}

function refusal(code: RefusalCode, message: string): HandshakeRefused {
  return new HandshakeRefused(code, message, false);
}

function refusedByPeer({ code, text }: Refusal): HandshakeRefused {
  return new HandshakeRefused(code, text, true);
}

function checkSecretPresence(secret: string | undefined, peerHasSecret: boolean): void {
  if (secret !== undefined && !peerHasSecret) {
    throw refusal(
      "secret",
      "Cannot open without a cluster secret: this member has one; give the other the same",
    );
  }
  if (secret === undefined && peerHasSecret) {
    throw refusal("secret", "Cannot open with a cluster secret: this member has none; give it the same");
  }
}

function checkProof(found: Uint8Array, expected: Uint8Array): void {
  if (!proofsEqual(found, expected)) {
    throw refusal("secret", "Cannot verify the proof of the other side: the cluster secrets differ");
  }
}

/** @param meant whom the dialler wanted to reach */
function checkIdentity(listener: Identity, meant: Identity): void {
  if (listener.clusterId !== meant.clusterId) {
    throw refusal(
      "cluster",
      `Cannot connect cluster ${meant.clusterId} to a member of cluster ${listener.clusterId}; check the addresses`,
    );
  }
  if (listener.nodeId !== meant.nodeId) {
    throw refusal("target", `Cannot reach member ${meant.nodeId} here: this is member ${listener.nodeId}`);
  }
}

/** The identity of the listener as it enters its proof: the control part of an accept without a proof. */
function identityBytes(identity: Identity): Uint8Array {
  return controlOf(encodeAccept({ ...identity, proof: new Uint8Array(0) }));
}

function controlOf(frame: EncodedFrame): Uint8Array {
  assert(frame.bodies.length === 0, "A frame of the opening has no body");
  return frame.head.subarray(FRAME_HEAD_BYTES + FRAME_REST_BYTES_MIN);
}
