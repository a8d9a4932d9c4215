import type { LogIndex } from "../base/ids.ts";

/** Appends under way to one follower: a ring of fixed size, bounded by count and by bytes. */
export class InFlight {
  readonly #bytesMax: number;
  readonly #indexes: number[];
  readonly #sizes: number[];
  #start = 0;
  #count = 0;
  #bytes = 0;

  constructor(countMax: number, bytesMax: number) {
    this.#bytesMax = bytesMax;
    this.#indexes = new Array<number>(countMax).fill(0);
    this.#sizes = new Array<number>(countMax).fill(0);
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The byte bound may be passed by one message, or a large entry could never be sent. */
  get full(): boolean {
    return this.#count === this.#indexes.length || this.#bytes >= this.#bytesMax;
  }

  /** @param lastIndex of the message; rises from call to call */
  add(lastIndex: LogIndex, bytes: number): void {
    const at = (this.#start + this.#count) % this.#indexes.length;
    this.#indexes[at] = lastIndex;
    this.#sizes[at] = bytes;
    this.#count++;
    this.#bytes += bytes;
  }

  /** An acknowledgement covers every message up to its index, also those whose own answer was lost. */
  freeTo(index: LogIndex): void {
    while (this.#count > 0 && this.#indexes[this.#start]! <= index) {
      this.#bytes -= this.#sizes[this.#start]!;
      this.#start = (this.#start + 1) % this.#indexes.length;
      this.#count--;
    }
  }

  clear(): void {
    this.#start = 0;
    this.#count = 0;
    this.#bytes = 0;
  }
}
