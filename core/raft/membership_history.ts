import { assert, mustHave } from "../base/assert.ts";
import type { LogIndex } from "../base/ids.ts";
import {
  decodeMembership,
  decodePreviousMembership,
  EMPTY_MEMBERSHIP,
  type Membership,
} from "./membership.ts";
import { EntryType } from "./message.ts";
import type { LogReader } from "./output.ts";

/** Data bytes read per step while the log is searched at a start. */
const SCAN_BYTES = 1 << 20;

interface Era {
  readonly index: LogIndex;
  readonly membership: Membership;
}

/**
 * Memberships are in force from the moment they are appended, so one that is truncated away must give way to the one
 * before. Kept: the newest one at or below the commit index, and all above it.
 *
 * After a start only the newest membership is known. The tail of the log is searched when it first matters, which most
 * starts never need: at a truncation, or for a snapshot before anything was committed.
 */
export class MembershipHistory {
  readonly #log: LogReader;
  /** Ascending, never empty. */
  #eras: Era[];
  /** The part of the log that may hold memberships older than `#eras[0]`. */
  #unsearched: { readonly from: LogIndex; readonly to: LogIndex } | undefined;

  constructor(log: LogReader, latest: Membership, commitIndex: LogIndex) {
    this.#log = log;
    const last = log.lastIndex();
    if (last > commitIndex) this.#unsearched = { from: commitIndex + 1, to: last };
    this.#eras = [{ index: last > commitIndex ? last : commitIndex, membership: latest }];
  }

  get latest(): Membership {
    return this.#eras[this.#eras.length - 1]!.membership;
  }

  /** Index of the latest membership; while the tail is not searched, the highest index it may have. */
  get latestIndex(): LogIndex {
    return this.#eras[this.#eras.length - 1]!.index;
  }

  appended(index: LogIndex, membership: Membership): void {
    assert(index > this.latestIndex, () => `Membership ${index} appended after ${this.latestIndex}`);
    this.#eras.push({ index, membership });
  }

  /** To be called while the entries are still there. Returns whether another membership is in force now. */
  truncated(from: LogIndex): boolean {
    if (this.#unsearched !== undefined && from <= this.#unsearched.to) this.#search();
    const before = this.#eras.length;
    while (this.#eras.length > 1 && this.latestIndex >= from) this.#eras.pop();
    assert(this.latestIndex < from, () => `Membership ${this.latestIndex} cannot be cut off at ${from}`);
    return this.#eras.length < before;
  }

  committed(commitIndex: LogIndex): void {
    if (this.#unsearched !== undefined) {
      const { to } = this.#unsearched;
      // What is committed may be compacted any time; each entry in the rest names the membership before it.
      this.#unsearched = commitIndex < to ? { from: commitIndex + 1, to } : undefined;
      if (this.#unsearched !== undefined) return;
    }
    let obsolete = 0;
    while (obsolete + 1 < this.#eras.length && this.#eras[obsolete + 1]!.index <= commitIndex) obsolete++;
    if (obsolete > 0) this.#eras.splice(0, obsolete);
  }

  /** The membership in force at an index at or above the commit index. */
  at(index: LogIndex): Membership {
    if (this.#unsearched !== undefined && index < this.#unsearched.to) this.#search();
    const era = this.#eras.findLast((each) => each.index <= index);
    return mustHave(era, () => `membership at ${index}`).membership;
  }

  installed(index: LogIndex, membership: Membership): void {
    this.#unsearched = undefined;
    this.#eras = [{ index, membership }];
  }

  #search(): void {
    const { from, to } = this.#unsearched!;
    this.#unsearched = undefined;
    const found: Era[] = [];
    let base: Membership | undefined;
    for (let next = from; next <= to;) {
      const entries = this.#log.entries(next, to, SCAN_BYTES);
      assert(entries.length > 0, () => `Log reader returned no entry ${next}`);
      for (const entry of entries) {
        if (entry.type !== EntryType.membership) continue;
        if (found.length === 0) base = decodePreviousMembership(entry.data) ?? EMPTY_MEMBERSHIP;
        found.push({ index: entry.index, membership: decodeMembership(entry.data) });
      }
      next += entries.length;
    }
    const newer = this.#eras.slice(1);
    this.#eras = [{ index: from - 1, membership: base ?? this.#eras[0]!.membership }, ...found, ...newer];
  }
}
