import { assert, mustHave } from "../base/assert.ts";
import type { LogIndex, Term } from "../base/ids.ts";
import type { Entry } from "./message.ts";
import type { LogReader } from "./output.ts";

const NO_ENTRIES: readonly Entry[] = [];

/**
 * The log as the core sees it: what the driver holds, and on top the entries appended since the last output. When
 * these replace a part of the driver's log, that part is hidden at once.
 */
export class LogTail {
  readonly #log: LogReader;
  /** The driver's log counts below this index, `#pending` from it on. */
  #start: LogIndex;
  #pending: Entry[] = [];
  #lastIndex: LogIndex = 0;
  #lastTerm: Term = 0;
  #lastHash = 0;
  /** Followers mostly need the same range: one array serves all of them. */
  #shared: { readonly from: LogIndex; readonly bytesMax: number; readonly entries: Entry[] } | undefined;

  constructor(log: LogReader) {
    this.#log = log;
    this.#start = log.lastIndex() + 1;
    this.#setLast(log.lastIndex());
  }

  get firstIndex(): LogIndex {
    return this.#log.firstIndex();
  }

  get lastIndex(): LogIndex {
    return this.#lastIndex;
  }

  get lastTerm(): Term {
    return this.#lastTerm;
  }

  get lastHash(): number {
    return this.#lastHash;
  }

  get hasPending(): boolean {
    return this.#pending.length > 0;
  }

  /** Undefined above the end, and below the entry before the first one. */
  termAt(index: LogIndex): Term | undefined {
    if (index >= this.#start) return this.#pending[index - this.#start]?.term;
    return this.#log.termAt(index);
  }

  hashAt(index: LogIndex): number | undefined {
    if (index >= this.#start) return this.#pending[index - this.#start]?.hash;
    return this.#log.hashAt(index);
  }

  append(entry: Entry): void {
    assert(
      entry.index === this.#lastIndex + 1,
      () => `Cannot append entry ${entry.index}: log ends at ${this.#lastIndex}`,
    );
    assert(
      entry.term >= this.#lastTerm,
      () =>
        `Cannot append entry ${entry.index} of term ${entry.term}: the last one has term ${this.#lastTerm}`,
    );
    this.#pending.push(entry);
    this.#lastIndex = entry.index;
    this.#lastTerm = entry.term;
    this.#lastHash = entry.hash;
    this.#shared = undefined;
  }

  /** Hides everything from `index` on. The caller appends another entry there before the next output. */
  truncateFrom(index: LogIndex): void {
    assert(index <= this.#lastIndex, () => `Cannot cut the log at ${index}: it ends at ${this.#lastIndex}`);
    if (index >= this.#start) {
      this.#pending.length = index - this.#start;
    } else {
      this.#pending = [];
      this.#start = index;
    }
    this.#shared = undefined;
    this.#setLast(index - 1);
  }

  /** Entries from `from` on, at least one, cut before `bytesMax` bytes of data are passed. */
  entries(from: LogIndex, bytesMax: number): readonly Entry[] {
    if (from > this.#lastIndex) return NO_ENTRIES;
    const shared = this.#shared;
    if (shared !== undefined && shared.from === from && shared.bytesMax === bytesMax) return shared.entries;
    const entries = from < this.#start
      ? this.#log.entries(from, this.#start - 1, bytesMax)
      : this.#pendingFrom(from, bytesMax);
    assert(entries[0]?.index === from, () => `Log reader returned entry ${entries[0]?.index} for ${from}`);
    this.#shared = { from, bytesMax, entries };
    return entries;
  }

  /** The largest index at or below `index` whose term is at or below `term`; terms only rise, so halving finds it. */
  lastIndexWithTermAtMost(index: LogIndex, term: Term): LogIndex {
    const floor = this.firstIndex - 1;
    if (index < floor) return index;
    let low = floor;
    let high = Math.min(index, this.#lastIndex);
    if (this.#term(low) > term) return Math.max(0, low - 1);
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.#term(middle) <= term) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Hands the new entries to the driver, which appends them before it calls the core again. */
  take(): readonly Entry[] {
    const driverLast = this.#log.lastIndex();
    if (this.#pending.length === 0) {
      assert(
        driverLast === this.#lastIndex,
        () =>
          `The driver's log ends at ${driverLast}, the core's at ${this.#lastIndex}: append each output at once`,
      );
      return NO_ENTRIES;
    }
    assert(
      driverLast >= this.#start - 1,
      () => `The driver's log ends at ${driverLast} before ${this.#start}`,
    );
    const taken = this.#pending;
    this.#pending = [];
    this.#start = this.#lastIndex + 1;
    this.#shared = undefined;
    return taken;
  }

  /** The driver replaced its log by a snapshot. */
  reset(): void {
    assert(this.#pending.length === 0, "Cannot replace the log while new entries wait for an output");
    this.#start = this.#log.lastIndex() + 1;
    this.#shared = undefined;
    this.#setLast(this.#log.lastIndex());
  }

  #pendingFrom(from: LogIndex, bytesMax: number): Entry[] {
    const begin = from - this.#start;
    let bytes = 0;
    let end = begin;
    while (end < this.#pending.length) {
      bytes += this.#pending[end]!.data.length;
      if (end > begin && bytes > bytesMax) break;
      end++;
    }
    return this.#pending.slice(begin, end);
  }

  #term(index: LogIndex): Term {
    return mustHave(this.termAt(index), () => `term of entry ${index}`);
  }

  #setLast(index: LogIndex): void {
    this.#lastIndex = index;
    this.#lastTerm = this.#term(index);
    this.#lastHash = mustHave(this.hashAt(index), () => `hash of entry ${index}`);
  }
}
