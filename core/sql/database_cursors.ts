import type { DatabaseId } from "../base/ids.ts";
import type { Database } from "../pages/database.ts";
import type { DatabaseBase, DatabaseUpdate } from "./messages.ts";

/** How far one thread has followed which databases: what it has to be told before it reads. */
export class DatabaseCursors {
  readonly #baseOf: (database: Database) => DatabaseBase;
  /** Sequence number of the next delta each needs, least recently used first. */
  readonly #next = new Map<DatabaseId, number>();

  constructor(baseOf: (database: Database) => DatabaseBase) {
    this.#baseOf = baseOf;
  }

  get size(): number {
    return this.#next.size;
  }

  /** What changed since the last call; everything when it was not followed. The thread hears of it before it reads. */
  advance(database: Database): DatabaseUpdate {
    const cursor = this.#next.get(database.id);
    const deltas = cursor === undefined ? undefined : database.deltasSince(cursor);
    this.#next.delete(database.id);
    this.#next.set(database.id, database.deltaEnd);
    const oldestView = database.releaseHistory();
    if (deltas !== undefined) return { databaseId: database.id, deltas, oldestView };
    return { databaseId: database.id, base: this.#baseOf(database), deltas: [], oldestView };
  }

  /** Nothing has changed since the last call of `advance`. */
  isCurrent(database: Database): boolean {
    return this.#next.get(database.id) === database.deltaEnd;
  }

  /** Gives up the least recently used one. */
  forgetOldest(): DatabaseId | undefined {
    const [oldest] = this.#next.keys();
    if (oldest !== undefined) this.#next.delete(oldest);
    return oldest;
  }

  /** Returns whether it was followed. */
  forget(databaseId: DatabaseId): boolean {
    return this.#next.delete(databaseId);
  }

  followed(): DatabaseId[] {
    return [...this.#next.keys()];
  }
}
