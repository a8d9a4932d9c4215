import type { LogIndex, Milliseconds } from "../base/ids.ts";
import { LIMITS } from "../base/limits.ts";

/** Finest distance of two remembered moments. */
const STEP_MS_MIN = 10;

/**
 * Which log index belonged to which time. The time of an entry is the latest wall clock of any leader up to it, so it
 * never goes back when leaders' clocks differ, and every node that holds the same log answers alike. Thinned out to a
 * bounded number of moments.
 */
export class HistoryTimes {
  readonly #indexes: LogIndex[] = [];
  readonly #times: Milliseconds[] = [];
  readonly #countMax: number;
  #stepMs = STEP_MS_MIN;
  #latestMs = 0;
  /** Appended, not yet published. */
  #pending: { readonly index: LogIndex; readonly wallMs: Milliseconds }[] = [];

  constructor(countMax: number = LIMITS.historyTimesMax) {
    this.#countMax = countMax;
  }

  appended(index: LogIndex, wallMs: Milliseconds): void {
    this.#pending.push({ index, wallMs });
  }

  truncated(from: LogIndex): void {
    this.#pending = this.#pending.filter(({ index }) => index < from);
  }

  published(commitIndex: LogIndex): void {
    let count = 0;
    for (const { index, wallMs } of this.#pending) {
      if (index > commitIndex) break;
      this.#note(index, wallMs);
      count++;
    }
    this.#pending.splice(0, count);
  }

  clear(): void {
    this.#pending = [];
    this.#indexes.length = 0;
    this.#times.length = 0;
  }

  #note(index: LogIndex, wallMs: Milliseconds): void {
    if (wallMs <= this.#latestMs) return;
    const last = this.#times.at(-1);
    this.#latestMs = wallMs;
    if (last !== undefined && wallMs - last < this.#stepMs) return;
    this.#indexes.push(index);
    this.#times.push(wallMs);
    if (this.#indexes.length > this.#countMax) this.#thinOut();
  }

  /** Moments before `index` are not asked for any more. */
  forgetBefore(index: LogIndex): void {
    let count = 0;
    // One moment before stays: it tells that the ones after it are later.
    while (count + 1 < this.#indexes.length && (this.#indexes[count + 1] as LogIndex) <= index) count++;
    this.#indexes.splice(0, count);
    this.#times.splice(0, count);
  }

  /**
   * Where to look for the last entry whose time is at most `wallMs`: `from` has such a time, what follows `to` has not.
   * Undefined when even the first remembered moment is later. Without `to`, all that is published may qualify.
   */
  around(wallMs: Milliseconds): { readonly from: LogIndex; readonly to: LogIndex | undefined } | undefined {
    let low = 0;
    let high = this.#times.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#times[middle] as Milliseconds) <= wallMs) low = middle + 1;
      else high = middle;
    }
    const from = this.#indexes[low - 1];
    return from === undefined ? undefined : { from, to: this.#indexes[low] };
  }

  #thinOut(): void {
    this.#stepMs *= 2;
    for (const list of [this.#indexes, this.#times]) {
      const kept = list.filter((_, i) => i % 2 === 0);
      list.length = 0;
      for (const value of kept) list.push(value);
    }
  }
}
