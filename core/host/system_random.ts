import type { Random } from "../base/ports.ts";

/** `crypto.getRandomValues` fills at most this many bytes at once. */
const DRAW_BYTES_MAX = 65_536;
const TWO_TO_MINUS_53 = 2 ** -53;

/** The random numbers of the operating system: also good for ids and tokens that nobody may guess. */
export class SystemRandom implements Random {
  readonly #words = new Uint32Array(2);

  next(): number {
    crypto.getRandomValues(this.#words);
    const [low = 0, high = 0] = this.#words;
    return ((high >>> 11) * 0x1_0000_0000 + low) * TWO_TO_MINUS_53;
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let offset = 0; offset < length; offset += DRAW_BYTES_MAX) {
      crypto.getRandomValues(bytes.subarray(offset, offset + DRAW_BYTES_MAX));
    }
    return bytes;
  }
}
