import { assert } from "../base/assert.ts";
import type { LogIndex, LogPosition, Term } from "../base/ids.ts";
import type { Entry } from "../raft/message.ts";
import type { LogBase } from "./segment_header.ts";

const CAPACITY_MIN = 1024;

/**
 * What is known in memory about every entry of the log: 24 bytes each, in typed arrays, because a log holds millions.
 */
export class EntryTable {
  #base: LogBase;
  /** Slot of the first entry: removing from the front moves it, growing brings it back to 0. */
  #head = 0;
  #count = 0;
  #terms = new Float64Array(CAPACITY_MIN);
  #positions = new Float64Array(CAPACITY_MIN);
  #lengths = new Uint32Array(CAPACITY_MIN);
  #hashes = new Uint32Array(CAPACITY_MIN);

  /** @param base the entry before the first one */
  constructor(base: LogBase) {
    this.#base = base;
  }

  get base(): LogBase {
    return this.#base;
  }

  get firstIndex(): LogIndex {
    return this.#base.index + 1;
  }

  get lastIndex(): LogIndex {
    return this.#base.index + this.#count;
  }

  termAt(index: LogIndex): Term | undefined {
    if (index === this.#base.index) return this.#base.term;
    return this.#has(index) ? this.#terms[this.#slot(index)] : undefined;
  }

  hashAt(index: LogIndex): number | undefined {
    if (index === this.#base.index) return this.#base.hash;
    return this.#has(index) ? this.#hashes[this.#slot(index)] : undefined;
  }

  /** Where the record header of the entry lies. */
  positionAt(index: LogIndex): LogPosition {
    assert(
      this.#has(index),
      () => `Entry ${index} is not in the log of ${this.firstIndex}..${this.lastIndex}`,
    );
    return this.#positions[this.#slot(index)] as number;
  }

  /** The entry whose record begins last at or before `position`; undefined before the first one. */
  indexAt(position: LogPosition): LogIndex | undefined {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#positions[this.#head + middle] as number) <= position) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? undefined : this.firstIndex + low - 1;
  }

  /** Bytes of the entry's body. */
  lengthAt(index: LogIndex): number {
    assert(
      this.#has(index),
      () => `Entry ${index} is not in the log of ${this.firstIndex}..${this.lastIndex}`,
    );
    return this.#lengths[this.#slot(index)] as number;
  }

  /** Adds the entry after the last one. */
  push(term: Term, hash: number, position: LogPosition, length: number): void {
    if (this.#head + this.#count === this.#terms.length) this.#makeRoom();
    const slot = this.#head + this.#count++;
    this.#terms[slot] = term;
    this.#hashes[slot] = hash;
    this.#positions[slot] = position;
    this.#lengths[slot] = length;
  }

  /** Forgets `index` and everything after it. */
  truncateFrom(index: LogIndex): void {
    assert(
      index > this.#base.index,
      () => `Cannot truncate from ${index}: the log begins at ${this.firstIndex}`,
    );
    this.#count = Math.min(this.#count, index - this.firstIndex);
  }

  /** Forgets everything before `index`, which must be in the log or the next one. */
  removeBefore(index: LogIndex): void {
    const count = index - this.firstIndex;
    assert(count >= 0 && count <= this.#count, () => `Cannot remove entries before ${index}`);
    if (count === 0) return;
    const last = index - 1;
    this.#base = { index: last, term: this.termAt(last) as number, hash: this.hashAt(last) as number };
    this.#head += count;
    this.#count -= count;
  }

  /** The entries are consecutive, begin inside the log or right after it, and no term goes back. */
  assertContinuedBy(entries: readonly Entry[]): void {
    const first = entries[0]?.index ?? this.lastIndex + 1;
    assert(
      first >= this.firstIndex && first <= this.lastIndex + 1,
      () => `Cannot append entry ${first}: the log holds ${this.firstIndex} to ${this.lastIndex}`,
    );
    let term = this.termAt(first - 1) as number;
    for (const [i, entry] of entries.entries()) {
      assert(
        entry.index === first + i && entry.term >= term,
        () =>
          `Cannot append entry ${entry.index} of term ${entry.term} after entry ${
            first + i - 1
          } of term ${term}`,
      );
      term = entry.term;
    }
  }

  #has(index: LogIndex): boolean {
    return index > this.#base.index && index <= this.lastIndex;
  }

  #slot(index: LogIndex): number {
    return this.#head + index - this.firstIndex;
  }

  /** Moves to the front when at least half is free there, else doubles: amortised constant per entry. */
  #makeRoom(): void {
    const capacity = this.#head * 2 >= this.#terms.length ? this.#terms.length : this.#terms.length * 2;
    const from = this.#head;
    const to = this.#head + this.#count;
    const move = <T extends Float64Array | Uint32Array>(old: T, fresh: T): T => {
      fresh.set(old.subarray(from, to));
      return fresh;
    };
    this.#terms = move(this.#terms, new Float64Array(capacity));
    this.#positions = move(this.#positions, new Float64Array(capacity));
    this.#lengths = move(this.#lengths, new Uint32Array(capacity));
    this.#hashes = move(this.#hashes, new Uint32Array(capacity));
    this.#head = 0;
  }
}
