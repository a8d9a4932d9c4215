import { assert } from "../base/assert.ts";
import { NodeError } from "../base/errors.ts";
import type { DatabaseId, LogIndex, Milliseconds, NodeId, PageNumber } from "../base/ids.ts";
import { LIMITS } from "../base/limits.ts";
import type { Clock, EventSink } from "../base/ports.ts";
import { crc32 } from "../codec/crc32.ts";
import { PAGE_DIGEST_BYTES, pageDigests } from "../codec/page_digest.ts";
import type { CatalogDatabase } from "../pages/catalog.ts";
import type { View } from "../pages/database.ts";
import type { PageStore } from "../pages/page_store.ts";
import type { SnapshotMetadata } from "../raft/message.ts";
import type { Driver } from "./driver.ts";
import type { Log } from "../log/log.ts";
import { mustBeKept, type ViewPages, type ViewReader } from "./view_pages.ts";

/** A database as the snapshot holds it. */
export interface SnapshotDatabase extends CatalogDatabase {
  readonly pageCount: number;
  /** Its last change. */
  readonly index: LogIndex;
}

export interface SnapshotOffer {
  readonly sessionId: number;
  readonly metadata: SnapshotMetadata;
  readonly databases: readonly SnapshotDatabase[];
}

/** Asks for pages `first`, `first + 1`, … */
export interface SnapshotPagesRequest {
  readonly sessionId: number;
  readonly databaseId: DatabaseId;
  readonly first: PageNumber;
  readonly count: number;
  /** Of the pages the asking node has in their place: PAGE_DIGEST_BYTES each, or nothing at all. */
  readonly digests: Uint8Array;
}

export interface SnapshotPages {
  /** Positions, from 0, of the pages that follow; the others are as the digests say. */
  readonly positions: readonly number[];
  readonly pages: Uint8Array;
  /** CRC-32 of `pages`. */
  readonly checksum: number;
}

interface Session {
  readonly id: number;
  readonly member: NodeId;
  readonly metadata: SnapshotMetadata;
  readonly views: ReadonlyMap<DatabaseId, View>;
  lastUsedMs: Milliseconds;
  /** The database that is being read. */
  open: { readonly id: DatabaseId; readonly pages: ViewPages } | undefined;
}

export interface SnapshotSourceOptions {
  readonly clock: Clock;
  readonly events: EventSink;
  readonly driver: Driver;
  readonly log: Log;
  readonly store: PageStore;
  readonly reader: ViewReader;
}

/** A member that has not asked for longer begins again. */
const SESSION_IDLE_MS_MAX = 30_000;

/** The leader's side of a snapshot: views of all databases at one index, kept for a member until it has them. */
export class SnapshotSource {
  readonly #options: SnapshotSourceOptions;
  readonly #sessions = new Map<number, Session>();
  #nextId = 1;

  constructor(options: SnapshotSourceOptions) {
    this.#options = options;
  }

  /** Opens the views. A member has one session; a new one ends the old. */
  begin(member: NodeId, atLeast: LogIndex): SnapshotOffer {
    const { driver, log, store, clock, events } = this.#options;
    if (driver.role !== "leader") {
      throw new NodeError("not_leader", "Cannot send a snapshot: this node does not lead");
    }
    const index = store.publishedIndex;
    if (index < atLeast || store.isInsideTransaction) {
      throw new NodeError(
        "index_not_reached",
        `Cannot send a snapshot at ${index}: ${
          index < atLeast ? `${atLeast} is asked for` : "a large transaction is being written"
        }; try again`,
      );
    }
    for (const session of this.#sessions.values()) if (session.member === member) this.#end(session);
    this.#makeRoom();
    const metadata: SnapshotMetadata = {
      index,
      term: log.termAt(index) as number,
      hash: log.hashAt(index) as number,
      membership: driver.raft.committedMembership(),
    };
    const views = new Map<DatabaseId, View>();
    const databases = store.catalog().databases.map((known): SnapshotDatabase => {
      const database = store.get(known.id);
      assert(database !== undefined, () => `Database ${known.name} is in the catalog only`);
      const view = database.openView();
      views.set(known.id, view);
      return { ...known, pageCount: database.pages.pageCountAt(view.index), index: database.published };
    });
    const id = this.#nextId++;
    this.#sessions.set(id, { id, member, metadata, views, lastUsedMs: clock.nowMs(), open: undefined });
    events.event("snapshot_begun", { member, index, databases: databases.length });
    return { sessionId: id, metadata, databases };
  }

  /** Pages of one database that are not what the digests say. */
  pages({ sessionId, databaseId, first, count, digests }: SnapshotPagesRequest): SnapshotPages {
    const session = this.#sessions.get(sessionId);
    const view = session?.views.get(databaseId);
    if (session === undefined || view === undefined) {
      throw new NodeError("view_expired", `Snapshot ${sessionId} is not open any more; begin again`);
    }
    session.lastUsedMs = this.#options.clock.nowMs();
    const source = this.#open(session, view);
    const { pageSize } = view.database;
    mustBeInside(first, count, source.pageCount, pageSize);
    const bytes = new Uint8Array(count * pageSize);
    source.read(first, bytes);
    mustBeKept(view);
    const positions = differing(digests, pageDigests(bytes, pageSize), count);
    if (positions.length === count) return { positions, pages: bytes, checksum: crc32(bytes) };
    const pages = new Uint8Array(positions.length * pageSize);
    positions.forEach((position, i) =>
      pages.set(bytes.subarray(position * pageSize, (position + 1) * pageSize), i * pageSize)
    );
    return { positions, pages, checksum: crc32(pages) };
  }

  end(sessionId: number): void {
    const session = this.#sessions.get(sessionId);
    if (session !== undefined) this.#end(session);
  }

  /** What a member that is being sent a snapshot holds when it has it. */
  indexFor(member: NodeId): LogIndex | undefined {
    for (const session of this.#sessions.values()) {
      if (session.member === member) return session.metadata.index;
    }
    return undefined;
  }

  /** Ends sessions that nobody uses. */
  sweep(): void {
    const nowMs = this.#options.clock.nowMs();
    for (const session of this.#sessions.values()) {
      if (nowMs - session.lastUsedMs > SESSION_IDLE_MS_MAX) this.#end(session);
    }
  }

  stop(): void {
    for (const session of this.#sessions.values()) this.#end(session);
  }

  #makeRoom(): void {
    if (this.#sessions.size < LIMITS.snapshotSessionsMax) return;
    throw new NodeError(
      "queue_full",
      `Cannot send a snapshot: ${this.#sessions.size} are being sent; try again later`,
      {
        limit: { name: "snapshotSessionsMax", value: LIMITS.snapshotSessionsMax },
      },
    );
  }

  #open(session: Session, view: View): ViewPages {
    const { id } = view.database;
    if (session.open?.id !== id) {
      session.open?.pages.close();
      session.open = { id, pages: this.#options.reader.open(view) };
    }
    return session.open.pages;
  }

  #end(session: Session): void {
    session.open?.pages.close();
    for (const view of session.views.values()) view.close();
    this.#sessions.delete(session.id);
  }
}

function mustBeInside(first: PageNumber, count: number, pageCount: number, pageSize: number): void {
  const isInside = Number.isInteger(first) && Number.isInteger(count) && first >= 1 && count >= 1 &&
    first + count - 1 <= pageCount && count * pageSize <= LIMITS.snapshotChunkBytesMax;
  if (isInside) return;
  throw new NodeError(
    "bad_request",
    `Cannot send pages ${first} to ${first + count - 1}: there are ${pageCount}`,
  );
}

function differing(theirs: Uint8Array, ours: Uint8Array, count: number): number[] {
  const positions: number[] = [];
  for (let i = 0; i < count; i++) {
    for (let offset = i * PAGE_DIGEST_BYTES; offset < (i + 1) * PAGE_DIGEST_BYTES; offset++) {
      if (theirs[offset] === ours[offset]) continue;
      positions.push(i);
      break;
    }
  }
  return positions;
}
