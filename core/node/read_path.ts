import { NodeError } from "../base/errors.ts";
import type { LogIndex, Milliseconds } from "../base/ids.ts";
import type { Clock } from "../base/ports.ts";
import type { Log } from "../log/log.ts";
import type { Database, View } from "../pages/database.ts";
import type { PageStore } from "../pages/page_store.ts";
import type { KnownText } from "../sql/known_texts.ts";
import type { SqlPool } from "../sql/pool.ts";
import { indexAt } from "./index_at.ts";
import { mustBeKept } from "./view_pages.ts";
import { CommitWaiters } from "./commit_waiters.ts";
import type { ReadGate } from "./read_gate.ts";
import type { AsOf, DatabaseDescription, QueryAnswer, QueryRequest, ReadLevel } from "./service.ts";

export interface ReadPathOptions {
  readonly store: PageStore;
  readonly pool: SqlPool;
  readonly gate: ReadGate;
  readonly clock: Clock;
  readonly log: Log;
  /** A snapshot is being put in place: there is nothing to read. */
  readonly isChangingOver: () => boolean;
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

  /** See `NodeService`. */
  queryNow(request: QueryRequest): QueryAnswer | undefined {
    const { isChangingOver, store, pool } = this.#options;
    const database = isChangingOver() ? undefined : store.find(request.database);
    const text = database === undefined ? undefined : pool.findShort(database, request);
    if (database === undefined || text === undefined || !this.#isReached(request)) return undefined;
    return this.#queryShort(database, text, request);
  }

  async query(request: QueryRequest, deadlineMs: Milliseconds): Promise<QueryAnswer> {
    const { database, level } = request;
    let at: LogIndex | undefined;
    if (level === "as_of") {
      at = await this.#moment(request.asOf ?? { index: 0 }, deadlineMs);
    } else {
      await this.reach(level, request.index, request.maxAgeMs, deadlineMs);
      const found = this.find(database);
      const text = request.signal?.aborted ? undefined : this.#options.pool.findShort(found, request);
      const answer = text === undefined ? undefined : this.#queryShort(found, text, request);
      if (answer !== undefined) return answer;
    }
    return await this.#queryWorker(request, at, deadlineMs);
  }

  #queryShort(database: Database, text: KnownText, request: QueryRequest): QueryAnswer | undefined {
    const { pool, store, leaderAgeMs } = this.#options;
    const fields = pool.readShort(database, text, request);
    return fields === undefined ? undefined : { fields, index: store.publishedIndex, ageMs: leaderAgeMs() };
  }

  async #queryWorker(
    { database, sql, parameters, format, rowShape, signal }: QueryRequest,
    at: LogIndex | undefined,
    deadlineMs: Milliseconds,
  ): Promise<QueryAnswer> {
    const { pool, store } = this.#options;
    const view = this.openView(database, at);
    const index = at ?? store.publishedIndex;
    const query = { sql, parameters, format, rowShape, deadlineMs };
    try {
      const fields = await pool.read(view, signal === undefined ? query : { ...query, signal });
      mustBeKept(view);
      return { fields, index, ageMs: this.#options.leaderAgeMs() };
    } catch (error) {
      // What a view that was given up shows, errors included, is void.
      mustBeKept(view);
      throw error;
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
  ): Promise<unknown> {
    switch (level) {
      case "linearizable":
        return this.#published(await this.#options.gate.confirm(deadlineMs), deadlineMs);
      case "index":
        return this.#published(index ?? 0, deadlineMs);
      case "stale":
        return this.#mustBeFresh(maxAgeMs);
      case "as_of":
        return;
    }
  }

  #isReached({ level, index = 0, maxAgeMs = Infinity }: QueryRequest): boolean {
    const { gate, store, leaderAgeMs } = this.#options;
    switch (level) {
      case "linearizable":
        return (gate.confirmed ?? Infinity) <= store.publishedIndex;
      case "index":
        return index <= store.publishedIndex;
      case "stale":
        return maxAgeMs === Infinity || leaderAgeMs() <= maxAgeMs;
      case "as_of":
        return false;
    }
  }

  /**
   * The visible database of that name at the published index, or at an earlier one; its pages stay readable until the
   * view is closed.
   */
  openView(name: string, at?: LogIndex): View {
    const database = this.find(name);
    if (at === undefined) return database.openView();
    if (!database.isVisibleAt(at)) {
      throw new NodeError(
        "database_not_found",
        `There was no database ${name} at index ${at}, or it was another one`,
      );
    }
    return database.openView(at);
  }

  find(name: string): Database {
    if (this.#options.isChangingOver()) {
      throw new NodeError(
        "index_not_reached",
        "Cannot read: this node is putting a snapshot in place; try again",
      );
    }
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

  /** The index a moment of the past stands for. */
  async #moment(asOf: AsOf, deadlineMs: Milliseconds): Promise<LogIndex> {
    if ("index" in asOf) {
      await this.#published(asOf.index, deadlineMs);
      return asOf.index;
    }
    return indexAt(asOf.wallMs, this.#options.store, this.#options.log);
  }

  /** Undefined when there is nothing to wait for. */
  #published(index: LogIndex, deadlineMs: Milliseconds): Promise<unknown> | undefined {
    const { store } = this.#options;
    if (index <= store.publishedIndex) return undefined;
    return this.#waiters.wait(index, undefined, deadlineMs, () =>
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
