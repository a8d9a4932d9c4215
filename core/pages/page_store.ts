import { assert } from "../base/assert.ts";
import type { DatabaseId, LogIndex, LogPosition } from "../base/ids.ts";
import type { Catalog } from "./catalog.ts";
import { type CheckpointState, Database, type RetainedHistory } from "./database.ts";
import { decodeEntryBody } from "./entry_body.ts";
import { HistoryTimes } from "./history_times.ts";
import type { PageDelta } from "./page_index.ts";

/** What is known of a `.db` file on disk when the node starts. */
export interface StoredCheckpoint extends CheckpointState {
  readonly databaseId: DatabaseId;
  /** Of its files. */
  readonly name: string;
  readonly pageSize: number;
}

/** The log entry as the store needs it; `body` is empty for entries that are not of the state machine. */
export interface StoredEntry {
  readonly index: LogIndex;
  readonly body: Uint8Array;
  readonly bodyPosition: LogPosition;
}

/** A transaction whose last entry is in the log, with the places of its pages. */
export interface AppendedTransaction {
  readonly database: Database;
  readonly delta: PageDelta;
}

/**
 * All databases of the node: follows the log entry by entry as it is appended, makes entries visible when they are
 * committed, and forgets them when another leader's log replaces them. Owned by the main thread; no disk access.
 */
export class PageStore {
  readonly #databases = new Map<DatabaseId, Database>();
  readonly #byName = new Map<string, Database[]>();
  #checkpoints: ReadonlyMap<DatabaseId, StoredCheckpoint> = new Map();
  /** Databases with entries that are not published. */
  readonly #dirty = new Set<Database>();
  /** Published as gone: their files may be removed when the last view is closed. */
  readonly #gone = new Set<Database>();
  /** Databases with page versions in the log that are not in their `.db` file. */
  readonly #uncheckpointed = new Set<Database>();
  readonly #history: RetainedHistory = { from: Infinity, viewed: new Set() };
  /** Up to here creations, drops and activations are known from a catalog. */
  #catalogIndex: LogIndex = 0;
  #published: LogIndex = 0;
  /** When what was published. */
  readonly times = new HistoryTimes();

  /** @param catalog the databases at its index; the entries up to there say nothing new about which there are */
  constructor(checkpoints: readonly StoredCheckpoint[] = [], catalog?: Catalog) {
    this.#load(checkpoints, catalog);
  }

  #load(checkpoints: readonly StoredCheckpoint[], catalog: Catalog | undefined): void {
    this.#checkpoints = new Map(checkpoints.map((checkpoint) => [checkpoint.databaseId, checkpoint]));
    this.#catalogIndex = catalog?.index ?? 0;
    for (const { id, name, pageSize, visibleFrom } of catalog?.databases ?? []) {
      const checkpoint = this.#checkpoints.get(id);
      const database = new Database(id, name, pageSize, false, checkpoint, this.#history);
      database.visibleFrom = visibleFrom;
      database.fileName = checkpoint?.name ?? name;
      this.#add(database);
    }
  }

  /**
   * Everything is replaced by what a snapshot at the catalog's index holds; its files are in place. Views of the state
   * before are expired.
   */
  install(checkpoints: readonly StoredCheckpoint[], catalog: Catalog): void {
    for (const database of this.#databases.values()) database.expireBefore(Infinity);
    for (const set of [this.#databases, this.#byName, this.#dirty, this.#gone, this.#uncheckpointed]) {
      set.clear();
    }
    this.times.clear();
    this.#load(checkpoints, catalog);
    this.publish(catalog.index);
  }

  /** The databases that exist at the published index, staged ones included. */
  catalog(): Catalog {
    const index = this.#published;
    const existing = [...this.#databases.values()].filter((database) =>
      database.id <= index && (database.droppedAt === undefined || database.droppedAt > index)
    );
    const databases = existing.map(({ id, name, pageSize, visibleFrom }) => ({
      id,
      name,
      pageSize,
      visibleFrom: visibleFrom !== undefined && visibleFrom <= index ? visibleFrom : undefined,
    }));
    return { index, databases };
  }

  /** From which index on the past stays readable although no view is open there; Infinity for none. */
  retainFrom(index: LogIndex): void {
    this.#history.from = index;
    this.times.forgetBefore(Math.min(index, this.#published));
  }

  /** Databases with page versions in the log that are not in their `.db` file, in no order. */
  get uncheckpointed(): ReadonlySet<Database> {
    return this.#uncheckpointed;
  }

  /** The log from here on has to stay for the databases and their open views (promise 3); Infinity: nothing has to. */
  get neededPosition(): LogPosition {
    let needed = Infinity;
    for (const databases of [this.#uncheckpointed, this.#history.viewed]) {
      for (const database of databases) needed = Math.min(needed, database.neededPosition);
    }
    return needed;
  }

  /** The first entry of a term: what an earlier leader left unfinished stays so. */
  beginTerm(index: LogIndex): void {
    for (const database of this.#uncheckpointed) {
      if (database.voidOpenTransaction(index)) this.#dirty.add(database);
    }
  }

  /** What is published ends inside a transaction of several entries: the log cannot be begun anew behind it. */
  get isInsideTransaction(): boolean {
    return [...this.#uncheckpointed].some((database) => database.isInsideTransaction(this.#published));
  }

  /** To be called when a checkpoint of the database is durable. */
  checkpointed(database: Database, state: CheckpointState): void {
    database.checkpointed(state);
    if (database.oldestPosition === undefined) this.#uncheckpointed.delete(database);
  }

  get publishedIndex(): LogIndex {
    return this.#published;
  }

  /** Follows one appended entry. Returns the transaction that it completes, if any. */
  append(entry: StoredEntry): AppendedTransaction | undefined {
    const body = decodeEntryBody(entry.body);
    this.times.appended(entry.index, body.wallMs);
    if (entry.index <= this.#catalogIndex && body.kind !== "pages") return undefined;
    switch (body.kind) {
      case "create": {
        const taken = !body.staged && this.findAtTip(body.name) !== undefined;
        if (taken) return undefined;
        const checkpoint = this.#checkpoints.get(entry.index);
        const { name, pageSize, staged } = body;
        const database = new Database(entry.index, name, pageSize, !staged, checkpoint, this.#history);
        database.fileName = checkpoint?.name ?? name;
        this.#add(database);
        return undefined;
      }
      case "drop": {
        const database = this.#databases.get(body.databaseId);
        if (database === undefined || database.droppedAt !== undefined) return undefined;
        database.droppedAt = entry.index;
        database.tip = entry.index;
        this.#dirty.add(database);
        return undefined;
      }
      case "activate": {
        const database = this.#databases.get(body.databaseId);
        if (database === undefined || database.visibleFrom !== undefined) return undefined;
        // Never made by a leader that holds the whole log; it must not cost the predecessor its name.
        if (database.droppedAt !== undefined) return undefined;
        const replaced = this.findAtTip(database.name);
        if (replaced !== undefined) {
          replaced.droppedAt = entry.index;
          replaced.tip = entry.index;
          this.#dirty.add(replaced);
        }
        database.visibleFrom = entry.index;
        database.tip = entry.index;
        return undefined;
      }
      case "pages": {
        const database = this.#databases.get(body.databaseId);
        if (database === undefined) return undefined;
        this.#dirty.add(database);
        const delta = database.append(entry.index, body, entry.bodyPosition);
        if (database.oldestPosition !== undefined) this.#uncheckpointed.add(database);
        return delta === undefined ? undefined : { database, delta };
      }
    }
  }

  /** The log was cut: entries from `index` on are void. */
  dropFrom(index: LogIndex): void {
    assert(index > this.#published, () => `Cannot drop entry ${index}: published up to ${this.#published}`);
    this.times.truncated(index);
    for (const database of [...this.#databases.values()]) {
      if (database.id >= index) this.#forget(database);
      else database.dropFrom(index);
    }
  }

  /** Everything at or below `commitIndex` becomes visible to new views (promise 2). */
  publish(commitIndex: LogIndex): void {
    assert(
      commitIndex >= this.#published,
      () => `Published index went back from ${this.#published} to ${commitIndex}`,
    );
    this.#published = commitIndex;
    this.times.published(commitIndex);
    for (const database of this.#dirty) {
      database.publish(commitIndex);
      if (database.droppedAt !== undefined && database.droppedAt <= commitIndex) this.#gone.add(database);
      if (!database.hasUnpublished && (database.droppedAt ?? 0) <= commitIndex) this.#dirty.delete(database);
    }
  }

  /** The visible database of that name. */
  find(name: string): Database | undefined {
    return this.#byName.get(name)?.find((database) => database.isVisibleAt(this.#published));
  }

  /** As the log says at its end, committed or not: where the next write goes. */
  findAtTip(name: string): Database | undefined {
    return this.#byName.get(name)?.find((database) => database.isVisibleAt(Infinity));
  }

  get(id: DatabaseId): Database | undefined {
    return this.#databases.get(id);
  }

  /** Visible ones, by name. */
  list(): Database[] {
    return [...this.visible()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** The same in any order: for what looks at all of them with every tick. */
  *visible(): IterableIterator<Database> {
    for (const database of this.#databases.values()) {
      if (database.isVisibleAt(this.#published)) yield database;
    }
  }

  /** Databases at the tip, staged ones included. */
  get databaseCount(): number {
    return this.#databases.size;
  }

  /** Staged databases: a leader that starts drops those an earlier leader left behind. */
  staged(): Database[] {
    return [...this.#databases.values()].filter((database) =>
      database.visibleFrom === undefined && database.droppedAt === undefined
    );
  }

  /** Dropped databases without open views; they are forgotten with this call and their files can go. */
  takeGone(): Database[] {
    const taken = [...this.#gone].filter((database) => database.viewCount === 0);
    for (const database of taken) {
      this.#gone.delete(database);
      this.#forget(database);
    }
    return taken;
  }

  /** Dropped databases whose files stay until the last view is closed. */
  get gone(): ReadonlySet<Database> {
    return this.#gone;
  }

  /**
   * Whether the files of the database may have its plain name: not while it is staged, nor while another database, dropped
   * or about to be replaced, has them.
   */
  mayHavePlainFile(database: Database): boolean {
    if (database.visibleFrom === undefined || database.visibleFrom > this.#published) return false;
    return !(this.#byName.get(database.name) ?? []).some((other) =>
      other !== database && other.fileName === database.name && other.checkpoint.index > 0
    );
  }

  #add(database: Database): void {
    this.#databases.set(database.id, database);
    this.#dirty.add(database);
    const named = this.#byName.get(database.name);
    if (named === undefined) this.#byName.set(database.name, [database]);
    else named.push(database);
  }

  #forget(database: Database): void {
    this.#databases.delete(database.id);
    this.#dirty.delete(database);
    this.#uncheckpointed.delete(database);
    const named = (this.#byName.get(database.name) ?? []).filter((other) => other !== database);
    if (named.length === 0) this.#byName.delete(database.name);
    else this.#byName.set(database.name, named);
  }
}
