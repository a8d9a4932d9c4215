import { RENAMINGS } from "./canonical_text.ts";

/** A 64-bit hash in two halves for each way to rename the nodes. */
const WIDTH = 2 * RENAMINGS.length;

/**
 * Hashes of numbered parts. The hash of a state is the sum of its parts' hashes: which order they come in does not
 * matter, and a node's own id is in its text, so neither does the place in which it stands.
 */
export class PartHashes {
  #values = new Int32Array(WIDTH * 64);
  #count = 0;

  /** @param textOf the part's text under one renaming */
  push(textOf: (renaming: readonly number[]) => string): void {
    const start = this.#count++ * WIDTH;
    if (start === this.#values.length) {
      const values = new Int32Array(this.#values.length * 2);
      values.set(this.#values);
      this.#values = values;
    }
    for (const [at, renaming] of RENAMINGS.entries()) {
      const text = textOf(renaming);
      this.#values[start + 2 * at] = hashOf(text, 0x9747_b28c);
      this.#values[start + 2 * at + 1] = hashOf(text, 0x3c6e_f372);
    }
  }

  addTo(sums: Int32Array, id: number): void {
    const values = this.#values;
    const start = id * WIDTH;
    for (let at = 0; at < WIDTH; at++) sums[at]! += values[start + at]!;
  }
}

export function newSums(): Int32Array {
  return new Int32Array(WIDTH);
}

/** Murmur3's mixing over UTF-16 units. */
function hashOf(text: string, seed: number): number {
  let hash = seed;
  for (let at = 0; at < text.length; at++) {
    let unit = Math.imul(text.charCodeAt(at), 0xcc9e_2d51);
    unit = (unit << 15) | (unit >>> 17);
    hash ^= Math.imul(unit, 0x1b87_3593);
    hash = (hash << 13) | (hash >>> 19);
    hash = Math.imul(hash, 5) + 0xe654_6b64 | 0;
  }
  hash ^= text.length;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
  return hash ^ (hash >>> 16);
}
