import { NodeError } from "../base/errors.ts";
import type { LogIndex, NodeId, PageNumber } from "../base/ids.ts";
import { LIMITS } from "../base/limits.ts";
import type { Disk, DiskFile, EventSink } from "../base/ports.ts";
import { crc32 } from "../codec/crc32.ts";
import { pageDigests } from "../codec/page_digest.ts";
import { PageSumWriter } from "../pages/page_sums.ts";
import type { PeerMethods } from "./peer_calls.ts";
import {
  type Manifest,
  removeStaged,
  SNAPSHOT_FOLDER,
  type StagedDatabase,
  stagedFile,
  stagedSums,
} from "./snapshot_files.ts";
import type { SnapshotDatabase, SnapshotOffer } from "./snapshot_source.ts";
import type { ViewPages } from "./view_pages.ts";

export type SnapshotMethod = "snapshot_begin" | "snapshot_pages" | "snapshot_end";

export interface SnapshotFetchOptions {
  readonly disk: Disk;
  readonly events: EventSink;
  /** This node. */
  readonly member: NodeId;
  /** Asks the leader. */
  readonly call: <M extends SnapshotMethod>(
    method: M,
    request: PeerMethods[M]["request"],
  ) => Promise<PeerMethods[M]["answer"]>;
  /** The `.db` file of this node is what the snapshot has, or could be made so. */
  readonly isCurrent: (database: SnapshotDatabase) => Promise<boolean>;
  /** What this node has of the database, if anything; closed by the caller. */
  readonly ownPages: (database: SnapshotDatabase) => ViewPages | undefined;
}

/** Chunks on their way at once: hides the round trip, bounds the memory. */
const CHUNKS_IN_FLIGHT_MAX = 4;

/**
 * Brings a snapshot from the leader into staged files. Every page this node has, from before or from an attempt that
 * broke off, is compared by its digest, so only pages that differ are sent and an attempt goes on where the last one
 * stopped.
 */
export class SnapshotFetch {
  readonly #options: SnapshotFetchOptions;
  sentPages = 0;
  keptPages = 0;

  constructor(options: SnapshotFetchOptions) {
    this.#options = options;
  }

  /**
   * The staged files of the result are durable.
   *
   * @param hasForgotten the log of this node is lost, and with it what it acknowledged
   * @throws NodeError: to be tried again
   */
  async fetch(atLeast: LogIndex, hasForgotten: boolean): Promise<Manifest> {
    const { disk, call, events, isCurrent, member } = this.#options;
    disk.makeDirectory(SNAPSHOT_FOLDER);
    const offer: SnapshotOffer = await call("snapshot_begin", { member, atLeast, hasForgotten });
    const { sessionId, metadata, databases } = offer;
    const wanted = new Set(databases.map(({ id }) => stagedFile(id)));
    removeStaged(disk, (path) => wanted.has(path));
    const staged: StagedDatabase[] = [];
    for (const database of databases) {
      if (database.pageCount === 0 || await isCurrent(database)) continue;
      await this.#stage(sessionId, database);
      const { id: databaseId, pageSize, pageCount, index, visibleFrom } = database;
      const name = visibleFrom === undefined ? `${database.name}~${databaseId}` : database.name;
      staged.push({ databaseId, name, pageSize, pageCount, index, hasSums: true });
    }
    // The views have done their work; that they stay open a while if this is lost does no harm.
    await call("snapshot_end", { sessionId }).catch(() => {});
    events.event("snapshot_fetched", {
      index: metadata.index,
      databases: staged.length,
      sentPages: this.sentPages,
      keptPages: this.keptPages,
    });
    const catalog = {
      index: metadata.index,
      databases: databases.map(({ id, name, pageSize, visibleFrom }) => ({
        id,
        name,
        pageSize,
        visibleFrom,
      })),
    };
    return { metadata, catalog, staged, discardLog: hasForgotten };
  }

  async #stage(sessionId: number, database: SnapshotDatabase): Promise<void> {
    const { disk, ownPages } = this.#options;
    const { id, pageSize, pageCount } = database;
    const file = disk.openFile(stagedFile(id), "write");
    const sums = new Uint32Array(pageCount);
    const own = ownPages(database);
    try {
      const stagedPages = Math.floor(file.size() / pageSize);
      const perChunk = Math.max(1, Math.floor(LIMITS.snapshotChunkBytesMax / pageSize));
      const inFlight: Promise<void>[] = [];
      for (let first = 1; first <= pageCount; first += perChunk) {
        const count = Math.min(perChunk, pageCount - first + 1);
        const chunk = new Uint8Array(count * pageSize);
        const isStaged = first + count - 1 <= stagedPages;
        const isKnown = isStaged
          ? readStaged(file, first, chunk, pageSize)
          : readOwn(own, first, count, chunk);
        const done = this.#fill(sessionId, database, file, first, chunk, isKnown, isStaged, sums);
        // Seen when its turn comes; until then it is nobody's.
        done.catch(() => {});
        inFlight.push(done);
        if (inFlight.length >= CHUNKS_IN_FLIGHT_MAX) await inFlight.shift();
      }
      await Promise.all(inFlight);
      file.truncate(pageCount * pageSize);
      await file.sync();
      await this.#writeSums(database, sums);
    } finally {
      own?.close();
      file.close();
    }
  }

  async #writeSums({ id, pageSize }: SnapshotDatabase, sums: Uint32Array): Promise<void> {
    const writer = new PageSumWriter(this.#options.disk, stagedSums(id), pageSize);
    try {
      for (const sum of sums) writer.add(sum);
      await writer.finish();
    } finally {
      writer.close();
    }
  }

  /** Asks for what is wrong in the chunk and writes it to the staged file. */
  async #fill(
    sessionId: number,
    { id, pageSize }: SnapshotDatabase,
    file: DiskFile,
    first: PageNumber,
    chunk: Uint8Array,
    isKnown: boolean,
    isStaged: boolean,
    sums: Uint32Array,
  ): Promise<void> {
    const count = chunk.length / pageSize;
    const digests = isKnown ? pageDigests(chunk, pageSize) : new Uint8Array(0);
    const request = { sessionId, databaseId: id, first, count, digests };
    const { positions, pages, checksum } = await this.#options.call("snapshot_pages", request);
    const isWhole = pages.length === positions.length * pageSize && crc32(pages) === checksum;
    if (
      !isWhole || positions.some((position) => position >= count) || (!isKnown && positions.length < count)
    ) {
      throw new NodeError(
        "internal",
        `Pages ${first} to ${first + count - 1} of a snapshot arrived damaged; ask again`,
      );
    }
    positions.forEach((position, i) =>
      chunk.set(pages.subarray(i * pageSize, (i + 1) * pageSize), position * pageSize)
    );
    this.sentPages += positions.length;
    this.keptPages += count - positions.length;
    for (let i = 0; i < count; i++) {
      sums[first - 1 + i] = crc32(chunk.subarray(i * pageSize, (i + 1) * pageSize));
    }
    if (positions.length > 0 || !isStaged) file.writeAt(chunk, (first - 1) * pageSize);
  }
}

function readStaged(file: DiskFile, first: PageNumber, into: Uint8Array, pageSize: number): boolean {
  return file.readAt(into, (first - 1) * pageSize) === into.length;
}

function readOwn(own: ViewPages | undefined, first: PageNumber, count: number, into: Uint8Array): boolean {
  if (own === undefined || first + count - 1 > own.pageCount) return false;
  try {
    own.read(first, into);
    return true;
  } catch (error) {
    // Damaged or given up here: the leader's pages come instead.
    if (error instanceof NodeError) return false;
    throw error;
  }
}
