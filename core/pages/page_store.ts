import { assert } from "../base/assert.ts";
import type { DatabaseId, LogIndex, LogPosition } from "../base/ids.ts";
import { type CheckpointState, Database } from "./database.ts";
import { decodeEntryBody } from "./entry_body.ts";
import type { PageDelta } from "./page_index.ts";

/** A view: one database at one index, its page versions kept until `close`. */
export interface View {
  readonly database: Database;
  readonly index: LogIndex;
  close(): void;
}

/** What is known of a `.db` file on disk when the node starts. */
export interface StoredCheckpoint extends CheckpointState {
  readonly databaseId: DatabaseId;
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
  readonly #checkpoints: ReadonlyMap<DatabaseId, CheckpointState>;
  /** Databases with entries that are not published. */
  readonly #dirty = new Set<Database>();
  /** Published as gone: their files may be removed when the last view is closed. */
  readonly #gone = new Set<Database>();
  #published: LogIndex = 0;

  constructor(checkpoints: readonly StoredCheckpoint[] = []) {
    this.#checkpoints = new Map(checkpoints.map((checkpoint) => [checkpoint.databaseId, checkpoint]));
  }

  get publishedIndex(): LogIndex {
    return this.#published;
  }

  /** Follows one appended entry. Returns the transaction that it completes, if any. */
  append(entry: StoredEntry): AppendedTransaction | undefined {
    const body = decodeEntryBody(entry.body);
    switch (body.kind) {
      case "create": {
        const taken = !body.staged && this.findAtTip(body.name) !== undefined;
        if (taken) return undefined;
        const checkpoint = this.#checkpoints.get(entry.index);
        this.#add(new Database(entry.index, body.name, body.pageSize, !body.staged, checkpoint));
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
        return delta === undefined ? undefined : { database, delta };
      }
    }
  }

  /** The log was cut: entries from `index` on are void. */
  dropFrom(index: LogIndex): void {
    assert(index > this.#published, () => `Cannot drop entry ${index}: published up to ${this.#published}`);
    for (const database of [...this.#databases.values()]) {
      if (database.id >= index) this.#forget(database);
      else if (database.tip >= index) database.dropFrom(index);
    }
  }

  /** Everything at or below `commitIndex` becomes visible to new views (promise 2). */
  publish(commitIndex: LogIndex): void {
    assert(
      commitIndex >= this.#published,
      () => `Published index went back from ${this.#published} to ${commitIndex}`,
    );
    this.#published = commitIndex;
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

  openView(database: Database): View {
    const index = database.pin();
    let open = true;
    return {
      database,
      index,
      close: () => {
        assert(open, `View of ${database.name} closed twice`);
        open = false;
        database.unpin(index);
      },
    };
  }

  /** Dropped databases without open views; they are forgotten with this call and their files can go. */
  takeGone(): Database[] {
    const taken = [...this.#gone].filter((database) => database.pinCount === 0);
    for (const database of taken) {
      this.#gone.delete(database);
      this.#forget(database);
    }
    return taken;
  }

  /** A dropped database of that name still has its file. */
  hasGone(name: string): boolean {
    return (this.#byName.get(name) ?? []).some((database) => this.#gone.has(database));
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
    const named = (this.#byName.get(database.name) ?? []).filter((other) => other !== database);
    if (named.length === 0) this.#byName.delete(database.name);
    else this.#byName.set(database.name, named);
  }
}
