/**
 * The reference model of the crash test: what every call asked for and what its client was told, kept outside of the
 * cluster, and what the databases may therefore hold.
 */

/** What a client was told about a write: it happened, it did not and never will, or neither is known. */
export type Outcome = "done" | "refused" | "unknown";

/** Rows that one transaction inserts together. A single insert is a group of one row. */
export interface Group {
  readonly id: number;
  readonly database: string;
  readonly size: number;
  insert: Outcome;
  /** Of the transaction that deletes all its rows; undefined: nobody asked for it. */
  removal: Outcome | undefined;
}

/** A number that calls add one to, each returning the sum it made. */
interface Counter {
  done: number;
  unknown: number;
  highestReturned: number;
  readonly returned: Set<number>;
}

/** What one database holds, as read from it. */
export interface DatabaseContent {
  readonly rows: readonly { readonly group: number; readonly place: number; readonly value: string }[];
  readonly counters: ReadonlyMap<string, number>;
  readonly accountsTotal: number;
}

/** Calls with a key add to the first alone, so that it has to be exact. */
export const COUNTERS = ["keyed", "plain", "batches"] as const;
export type CounterName = typeof COUNTERS[number];
export const ACCOUNT_COUNT = 8;
export const ACCOUNT_START = 1_000;
const PROBLEMS_LISTED_MAX = 20;
/** Every so many groups one has rows that need overflow pages. */
const LARGE_EVERY = 40;
const LARGE_LENGTH = 9_000;

/** Text of a row: follows from its name, so that a wrong one is seen. */
export function rowValue(group: number, place: number): string {
  const name = `${group}.${place} `;
  const length = group % LARGE_EVERY === 0 ? LARGE_LENGTH : 40 + (group * 7_919 + place * 104_729) % 900;
  return name.repeat(Math.ceil(length / name.length)).slice(0, length);
}

export class CrashModel {
  readonly #groups = new Map<number, Group>();
  readonly #counters = new Map<string, Counter>();
  readonly tally: Record<Outcome, number> = { done: 0, refused: 0, unknown: 0 };

  get groupCount(): number {
    return this.#groups.size;
  }

  /** A group about to be inserted. Until its outcome is noted, both are possible. */
  newGroup(database: string, size: number): Group {
    const id = this.#groups.size + 1;
    const group: Group = { id, database, size, insert: "unknown", removal: undefined };
    this.#groups.set(id, group);
    return group;
  }

  highestReturned(database: string, counter: CounterName): number {
    return this.#counter(database, counter).highestReturned;
  }

  /**
   * Notes what came of adding one.
   *
   * @param before highest sum that had been returned when the call was made
   * @returns what is wrong with the returned sum, or undefined
   */
  noteIncrement(
    database: string,
    name: CounterName,
    outcome: Outcome,
    returned: number | undefined,
    before: number,
  ): string | undefined {
    const counter = this.#counter(database, name);
    if (outcome === "unknown") counter.unknown++;
    if (outcome !== "done" || returned === undefined) return undefined;
    counter.done++;
    if (returned <= before) {
      return `${database}/${name}: ${before} was acknowledged, a later call returned ${returned}`;
    }
    if (counter.returned.has(returned)) return `${database}/${name}: two calls returned ${returned}`;
    counter.returned.add(returned);
    counter.highestReturned = Math.max(counter.highestReturned, returned);
    return undefined;
  }

  /** Compares with what a database holds while no call is under way; the result is what must not be. */
  compare(database: string, content: DatabaseContent): string[] {
    const problems = [...this.#compareRows(database, content), ...this.#compareCounters(database, content)];
    const expected = ACCOUNT_COUNT * ACCOUNT_START;
    if (content.accountsTotal !== expected) {
      problems.push(`${database}: accounts hold ${content.accountsTotal} together instead of ${expected}`);
    }
    const more = problems.length - PROBLEMS_LISTED_MAX;
    return more > 0 ? [...problems.slice(0, PROBLEMS_LISTED_MAX), `and ${more} more`] : problems;
  }

  #compareRows(database: string, content: DatabaseContent): string[] {
    const problems: string[] = [];
    const found = new Map<number, number[]>();
    for (const { group, place, value } of content.rows) {
      if (value !== rowValue(group, place)) {
        problems.push(`${database}: row ${group}.${place} has another value`);
      }
      const places = found.get(group);
      if (places === undefined) found.set(group, [place]);
      else places.push(place);
    }
    for (const group of this.#groups.values()) {
      if (group.database !== database) continue;
      const places = found.get(group.id) ?? [];
      found.delete(group.id);
      const problem = groupProblem(group, places);
      if (problem !== undefined) problems.push(`${database}: ${problem}`);
      else settle(group, places.length > 0);
    }
    for (const group of found.keys()) problems.push(`${database}: group ${group} comes from nowhere`);
    return problems;
  }

  #compareCounters(database: string, content: DatabaseContent): string[] {
    const problems: string[] = [];
    for (const name of COUNTERS) {
      const sum = content.counters.get(name) ?? Number.NaN;
      const counter = this.#counter(database, name);
      const { done, unknown, highestReturned } = counter;
      if (!(sum >= done && sum <= done + unknown && sum >= highestReturned)) {
        problems.push(
          `${database}/${name} is ${sum}; ${done} additions were acknowledged, ${unknown} are unknown, ` +
            `the highest sum returned is ${highestReturned}`,
        );
        continue;
      }
      // What was unknown and is seen cannot vanish any more.
      counter.done = sum;
      counter.unknown -= sum - done;
    }
    return problems;
  }

  #counter(database: string, name: CounterName): Counter {
    const key = `${database}/${name}`;
    let counter = this.#counters.get(key);
    if (counter === undefined) {
      counter = { done: 0, unknown: 0, highestReturned: 0, returned: new Set() };
      this.#counters.set(key, counter);
    }
    return counter;
  }
}

function groupProblem(group: Group, places: readonly number[]): string | undefined {
  const said = `group ${group.id} of ${group.size} (insert ${group.insert}, removal ${
    group.removal ?? "never asked"
  })`;
  const distinct = new Set(places);
  if (distinct.size !== places.length) return `${said} has rows twice: ${places}`;
  if (places.length !== 0 && places.length !== group.size) return `${said} is torn: ${places}`;
  if (places.some((place) => place < 0 || place >= group.size)) {
    return `${said} has foreign places: ${places}`;
  }
  const isPresent = places.length > 0;
  const mustBePresent = group.insert === "done" &&
    (group.removal === undefined || group.removal === "refused");
  const mustBeAbsent = group.insert === "refused" || group.removal === "done";
  if (mustBePresent && !isPresent) return `${said} is lost`;
  if (mustBeAbsent && isPresent) return `${said} is there`;
  return undefined;
}

/** What was unknown and is seen cannot change back. What is not seen stays unknown: it may wait in a slow node. */
function settle(group: Group, isPresent: boolean): void {
  if (isPresent) group.insert = "done";
  else if (group.insert === "done" && group.removal === "unknown") group.removal = "done";
}
