import { assert } from "../../core/base/assert.ts";

/** At this many the tables below take some 3 GB. */
export const STATES_MAX = 1 << 27;

/** Fill at which the table doubles. */
const FILL_MAX = 0.6;

/**
 * The states seen, as 64-bit hashes, each with the state it was first reached from and by which event. Two states may
 * share a hash: among ten million the chance is below one in a hundred thousand.
 */
export class StateSet {
  #capacity = 1 << 16;
  /** Number of the state plus one; 0 where free. */
  #slots = new Int32Array(this.#capacity);
  #high = new Uint32Array(1 << 16);
  #low = new Uint32Array(1 << 16);
  #parents = new Int32Array(1 << 16);
  #events = new Uint32Array(1 << 16);
  size = 0;

  /** Returns the number of the state, or -1 when it was seen before. */
  add(high: number, low: number, parent: number, event: number): number {
    let slot = (low ^ Math.imul(high, 0x9e37_79b1)) & (this.#capacity - 1);
    for (let held = this.#slots[slot]!; held !== 0; held = this.#slots[slot]!) {
      if (this.#high[held - 1] === high && this.#low[held - 1] === low) return -1;
      slot = (slot + 1) & (this.#capacity - 1);
    }
    const id = this.size++;
    assert(id < STATES_MAX, () => `Cannot explore on: over ${STATES_MAX} states`);
    if (id === this.#high.length) this.#growList();
    this.#high[id] = high;
    this.#low[id] = low;
    this.#parents[id] = parent;
    this.#events[id] = event;
    this.#slots[slot] = id + 1;
    if (this.size > this.#capacity * FILL_MAX) this.#growTable();
    return id;
  }

  parent(id: number): number {
    return this.#parents[id]!;
  }

  event(id: number): number {
    return this.#events[id]!;
  }

  #growList(): void {
    const length = this.#high.length * 2;
    this.#high = copyInto(new Uint32Array(length), this.#high);
    this.#low = copyInto(new Uint32Array(length), this.#low);
    this.#parents = copyInto(new Int32Array(length), this.#parents);
    this.#events = copyInto(new Uint32Array(length), this.#events);
  }

  #growTable(): void {
    this.#capacity *= 2;
    this.#slots = new Int32Array(this.#capacity);
    for (let id = 0; id < this.size; id++) {
      let slot = (this.#low[id]! ^ Math.imul(this.#high[id]!, 0x9e37_79b1)) & (this.#capacity - 1);
      while (this.#slots[slot] !== 0) slot = (slot + 1) & (this.#capacity - 1);
      this.#slots[slot] = id + 1;
    }
  }
}

function copyInto<T extends Int32Array | Uint32Array>(target: T, source: T): T {
  target.set(source as ArrayLike<number>);
  return target;
}
