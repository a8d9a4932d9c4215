import { type Piece, type RequestShape, type Slot, SLOT_WIDTH } from "./workloads.ts";

interface PlacedSlot {
  readonly offset: number;
  readonly slot: Slot;
}

const SPACE = 0x20;
const ZERO = 0x30;

/**
 * A whole HTTP request as bytes, into which the next values are written in place: making a request costs no more than its
 * digits. One for each connection, because the bytes are reused.
 */
export class RequestTemplate {
  readonly #bytes: Uint8Array;
  readonly #slots: readonly PlacedSlot[];
  #random: number;
  #sequence = 0;

  /** @param seed not 0; the same seed gives the same values */
  constructor(shape: RequestShape, seed: number) {
    const { bytes, slots } = encode(shape.path, shape.body);
    this.#bytes = bytes;
    this.#slots = slots;
    this.#random = seed;
  }

  /** The next request; valid until the next call. */
  next(): Uint8Array {
    this.#sequence++;
    for (const { offset, slot } of this.#slots) {
      const value = slot.slot === "sequence" ? this.#sequence : 1 + this.#nextRandom() % (slot.below - 1);
      writeDigits(this.#bytes, offset, value);
    }
    return this.#bytes;
  }

  /** Marsaglia's xorshift of 32 bits: even enough for keys, and a few instructions. */
  #nextRandom(): number {
    let x = this.#random;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#random = x;
    return x >>> 0;
  }
}

function encode(path: string, body: readonly Piece[]): { bytes: Uint8Array; slots: PlacedSlot[] } {
  const encoder = new TextEncoder();
  const parts: Uint8Array[] = [];
  const placed: PlacedSlot[] = [];
  let length = 0;
  for (const piece of body) {
    if (typeof piece !== "string") placed.push({ offset: length, slot: piece });
    const part = typeof piece === "string" ? encoder.encode(piece) : new Uint8Array(SLOT_WIDTH).fill(SPACE);
    parts.push(part);
    length += part.length;
  }
  const head = encoder.encode(
    `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n`,
  );
  const bytes = new Uint8Array(head.length + length);
  bytes.set(head);
  let offset = head.length;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  const slots = placed.map(({ offset, slot }) => ({ offset: offset + head.length, slot }));
  return { bytes, slots };
}

/** Right-aligned, spaces before it. */
function writeDigits(bytes: Uint8Array, offset: number, value: number): void {
  let rest = value;
  let at = offset + SLOT_WIDTH - 1;
  for (; rest > 0 || at === offset + SLOT_WIDTH - 1; at--) {
    const next = Math.floor(rest / 10);
    bytes[at] = ZERO + rest - next * 10;
    rest = next;
  }
  bytes.fill(SPACE, offset, at + 1);
}
