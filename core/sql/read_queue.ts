import type { Milliseconds } from "../base/ids.ts";
import { RecentMap } from "../base/recent_map.ts";

/**
 * How a query is expected to run: `short` ones share messages, `long` ones go alone and never have all readers; of the
 * `unknown` ones nothing was seen yet.
 */
export type ReadLane = "short" | "unknown" | "long";
const LANES: readonly ReadLane[] = ["short", "unknown", "long"];

/** What takes longer would hold up those that share its message. */
const SHORT_MS_MAX = 1;
/** Texts remembered, and how long they may be: about 1 MB at most. */
const TEXTS_MAX = 1_000;
const TEXT_LENGTH_MAX = 1_000;
/** What one fast run takes off an estimate: parameters decide, too, and the slow ones count. */
const FORGETTING = 0.05;

/** What queries took, by their text. */
export class QueryCosts {
  readonly #milliseconds = new RecentMap<string, Milliseconds>(TEXTS_MAX);

  laneOf(sql: string): ReadLane {
    const milliseconds = this.#milliseconds.get(sql);
    if (milliseconds === undefined) return "unknown";
    return milliseconds <= SHORT_MS_MAX ? "short" : "long";
  }

  record(sql: string, milliseconds: Milliseconds): void {
    if (sql.length > TEXT_LENGTH_MAX) return;
    const before = this.#milliseconds.get(sql) ?? 0;
    this.#milliseconds.set(sql, Math.max(milliseconds, before + (milliseconds - before) * FORGETTING));
  }
}

/** Queries that wait for a reader, by lane. */
export class ReadQueue<T extends { readonly lane: ReadLane; readonly job: { readonly jobId: number } }> {
  readonly #lanes: Readonly<Record<ReadLane, T[]>> = { short: [], unknown: [], long: [] };

  get length(): number {
    return LANES.reduce((sum, lane) => sum + this.#lanes[lane].length, 0);
  }

  lengthOf(lane: ReadLane): number {
    return this.#lanes[lane].length;
  }

  push(read: T): void {
    this.#lanes[read.lane].push(read);
  }

  /** Before all others: they have waited already. */
  putBack(reads: readonly T[]): void {
    for (const read of reads.toReversed()) this.#lanes[read.lane].unshift(read);
  }

  /** The oldest ones of a lane. */
  take(lane: ReadLane, countMax: number): T[] {
    return this.#lanes[lane].splice(0, countMax);
  }

  /** Takes out those that fit. */
  takeWhere(fits: (read: T) => boolean): T[] {
    const taken: T[] = [];
    for (const lane of LANES) {
      const reads = this.#lanes[lane];
      if (!reads.some(fits)) continue;
      for (const read of reads.splice(0)) (fits(read) ? taken : reads).push(read);
    }
    return taken;
  }
}
