import { NodeError } from "../base/errors.ts";
import type { LogIndex, Milliseconds } from "../base/ids.ts";
import type { Clock } from "../base/ports.ts";
import type { Database } from "../pages/database.ts";
import type { PageStore, View } from "../pages/page_store.ts";
import type { SqlPool } from "../sql/pool.ts";
import { CommitWaiters } from "./commit_waiters.ts";
import type { ReadGate } from "./read_gate.ts";
import type { DatabaseDescription, QueryAnswer, QueryRequest, ReadLevel } from "./service.ts";

export interface ReadPathOptions {
  readonly store: PageStore;
  readonly pool: SqlPool;
  readonly gate: ReadGate;
  readonly clock: Clock;
  /** How long ago a leader was last heard; 0 on the leader. */
  readonly leaderAgeMs: () => Milliseconds;
}

/** Serves queries at the level asked for, on any node. */
export class ReadPath {
  readonly #options: ReadPathOptions;
  readonly #waiters = new CommitWaiters();

  constructor(options: ReadPathOptions) {
    this.#options = options;
  }

  get waitingCount(): number {
    return this.#waiters.size;
  }

  async query(request: QueryRequest, deadlineMs: Milliseconds): Promise<QueryAnswer> {
    await this.reach(request.level, request.index, request.maxAgeMs, deadlineMs);
    const { pool, store } = this.#options;
    const view = this.openView(request.database);
    const index = store.publishedIndex;
    try {
      const { sql, parameters, format, rowShape, signal } = request;
      const query = { sql, parameters, format, rowShape, deadlineMs };
      const fields = await pool.read(view, signal === undefined ? query : { ...query, signal });
      return { fields, index, ageMs: this.#options.leaderAgeMs() };
    } finally {
      view.close();
    }
  }

  /** Waits until this node may serve a read of the level. */
  async reach(
    level: ReadLevel,
    index: LogIndex | undefined,
    maxAgeMs: Milliseconds | undefined,
    deadlineMs: Milliseconds,
  ): Promise<void> {
    switch (level) {
      case "linearizable":
        return await this.#published(await this.#options.gate.confirm(deadlineMs), deadlineMs);
      case "index":
        return await this.#published(index ?? 0, deadlineMs);
      case "stale":
        return this.#mustBeFresh(maxAgeMs);
    }
  }

  /** The visible database of that name at the published index; its pages stay readable until the view is closed. */
  openView(name: string): View {
    return this.#options.store.openView(this.find(name));
  }

  find(name: string): Database {
    const database = this.#options.store.find(name);
    if (database === undefined) throw new NodeError("database_not_found", `There is no database ${name}`);
    return database;
  }

  onPublished(commitIndex: LogIndex): void {
    this.#waiters.published(commitIndex, () => undefined);
  }

  sweep(): void {
    this.#waiters.expire(this.#options.clock.nowMs());
  }

  stop(): void {
    this.#waiters.rejectAll();
  }

  async #published(index: LogIndex, deadlineMs: Milliseconds): Promise<void> {
    const { store } = this.#options;
    if (index <= store.publishedIndex) return;
    await this.#waiters.wait(index, undefined, deadlineMs, () =>
      new NodeError(
        "index_not_reached",
        `Cannot read at index ${index}: this node has reached ${store.publishedIndex}; try again or ask another node`,
      ));
  }

  #mustBeFresh(maxAgeMs: Milliseconds | undefined): void {
    if (maxAgeMs === undefined) return;
    const ageMs = this.#options.leaderAgeMs();
    if (ageMs <= maxAgeMs) return;
    throw new NodeError(
      "too_stale",
      ageMs === Infinity
        ? "Cannot read: this node has not heard a leader since it started"
        : `Cannot read: this node last heard a leader ${
          Math.round(ageMs)
        } ms ago, more than the ${maxAgeMs} ms allowed`,
    );
  }
}

export function describeDatabase(database: Database): DatabaseDescription {
  const { name, id, pageSize, pageCount, published, visibleFrom, tip, checkpoint } = database;
  return {
    name,
    id,
    pageSize,
    pages: pageCount,
    bytes: pageCount * pageSize,
    index: Math.max(published, visibleFrom ?? id),
    tip,
    checkpointIndex: checkpoint.index,
  };
}
