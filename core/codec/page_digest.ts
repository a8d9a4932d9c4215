import { createHash } from "node:crypto";

/**
 * Bytes of a digest. Two nodes compare pages by it instead of by their bytes, so it has to rule out chance and intent:
 * half of a SHA-256.
 */
export const PAGE_DIGEST_BYTES = 16;

/** Digests of consecutive pages, one after the other. @param bytes a whole number of pages */
export function pageDigests(bytes: Uint8Array, pageSize: number): Uint8Array {
  const count = bytes.length / pageSize;
  const digests = new Uint8Array(count * PAGE_DIGEST_BYTES);
  for (let i = 0; i < count; i++) {
    const page = bytes.subarray(i * pageSize, (i + 1) * pageSize);
    const digest = createHash("sha256").update(page).digest();
    digests.set(digest.subarray(0, PAGE_DIGEST_BYTES), i * PAGE_DIGEST_BYTES);
  }
  return digests;
}
