import type { LogIndex } from "../base/ids.ts";

/** Data bytes proposed in this term and not committed yet, so that a leader without a quorum does not grow its log. */
export class Uncommitted {
  readonly #bytesMax: number;
  #indexes: number[] = [];
  #sizes: number[] = [];
  /** Items before it are released; the arrays are cut when half of them is. */
  #head = 0;
  bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** One proposal of any size is allowed when nothing else waits, or it could never be made. */
  accepts(size: number): boolean {
    return this.bytes === 0 || this.bytes + size <= this.#bytesMax;
  }

  add(index: LogIndex, size: number): void {
    if (size === 0) return;
    this.#indexes.push(index);
    this.#sizes.push(size);
    this.bytes += size;
  }

  committed(index: LogIndex): void {
    while (this.#head < this.#indexes.length && this.#indexes[this.#head]! <= index) {
      this.bytes -= this.#sizes[this.#head]!;
      this.#head++;
    }
    if (this.#head > 0 && this.#head * 2 >= this.#indexes.length) {
      this.#indexes.splice(0, this.#head);
      this.#sizes.splice(0, this.#head);
      this.#head = 0;
    }
  }
}
