/** Proof that both ends of a connection know the cluster secret, which itself never travels. */
import { createHmac, timingSafeEqual } from "node:crypto";
import { ByteWriter } from "../../core/codec/byte_writer.ts";
import { PROOF_BYTES } from "./hello.ts";

/** Separates these proofs from any other use of the same secret. */
const PURPOSE = "walraft peer proof 1";

const NO_PROOF = new Uint8Array(0);

/**
 * HMAC-SHA256 (RFC 2104) with the secret as its key over purpose, role and everything said so far. `said` holds the
 * control parts of the frames in order: they contain the fresh nonces of both sides, the ids, the channel and the
 * versions, so a proof fits one opening, one direction and one pair. Empty without a secret.
 */
export function makeProof(
  secret: string | undefined,
  role: "dialler" | "listener",
  said: readonly Uint8Array[],
): Uint8Array {
  if (secret === undefined) return NO_PROOF;
  const writer = new ByteWriter(512).text(PURPOSE).text(role);
  for (const part of said) writer.bytesWithLength(part);
  return new Uint8Array(createHmac("sha256", secret).update(writer.finish()).digest());
}

/** Compares in constant time: how long it takes says nothing about where they differ. */
export function proofsEqual(left: Uint8Array, right: Uint8Array): boolean {
  if (left.byteLength !== right.byteLength) return false;
  if (left.byteLength === 0) return true;
  return left.byteLength === PROOF_BYTES && timingSafeEqual(left, right);
}
