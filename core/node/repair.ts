/**
 * Brings damaged bytes back from other members: an entry of the log as a whole, proven by the running hash, or a page of
 * a `.db` file, proven by its checksum.
 */
import { NodeError } from "../base/errors.ts";
import type { DatabaseId, LogIndex, Milliseconds, NodeId, PageNumber } from "../base/ids.ts";
import { LIMITS } from "../base/limits.ts";
import type { Clock, Disk, DiskFile, EventSink } from "../base/ports.ts";
import { crc32 } from "../codec/crc32.ts";
import { DamageError, entriesDamaged } from "../log/damage.ts";
import type { Log } from "../log/log.ts";
import { databaseFile } from "../pages/checkpoint_meta.ts";
import type { Database } from "../pages/database.ts";
import type { PageDamage } from "../pages/page_damage.ts";
import { PageSumReader, PageSumWriter, sumFile } from "../pages/page_sums.ts";
import type { PageStore } from "../pages/page_store.ts";
import type { Entry } from "../raft/message.ts";
import type { Checkpoints } from "./checkpoints.ts";
import type { PeerMethods } from "./peer_calls.ts";
import type { ViewReader } from "./view_pages.ts";

export interface PageRequest {
  readonly databaseId: DatabaseId;
  readonly pageNumber: PageNumber;
  readonly at: LogIndex;
}

export interface PageAnswer {
  /** The page is as of here. */
  readonly index: LogIndex;
  readonly bytes: Uint8Array;
}

export type RepairMethod = "log_entry" | "page";

export interface RepairOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly events: EventSink;
  readonly log: Log;
  readonly store: PageStore;
  readonly checkpoints: Checkpoints;
  readonly otherMembers: () => readonly NodeId[];
  readonly call: <M extends RepairMethod>(
    to: NodeId,
    method: M,
    request: PeerMethods[M]["request"],
  ) => Promise<PeerMethods[M]["answer"]>;
  /** The files of the database were changed: what readers keep of them may be wrong. */
  readonly onRepaired: (database: Database) => void;
  readonly onFatal: (error: Error) => void;
}

/** What nobody could supply is not asked for again at once. */
const RETRY_MS = 5_000;

export class Repair {
  readonly #options: RepairOptions;
  /** What is under way, and what failed lately with the time from which on it may be tried again. */
  readonly #known = new Map<string, Milliseconds>();
  repairedCount = 0;
  failedCount = 0;

  constructor(options: RepairOptions) {
    this.#options = options;
  }

  /** A page was read that is not what was written. Reports may repeat and may be late. */
  page(databaseId: DatabaseId, damage: PageDamage): void {
    if (damage.place === "log") {
      const index = this.#options.log.indexAt(damage.position);
      return index === undefined ? undefined : this.entry(index);
    }
    const database = this.#options.store.get(databaseId);
    // Of a view that was given up: a newer copy has taken the page's place.
    if (database === undefined || damage.at < database.historyFrom) return;
    this.#once(
      `page ${damage.pageNumber} of ${damage.path}`,
      () => this.#repairPage(database, damage.pageNumber),
    );
  }

  /** A durable entry of the log is damaged. */
  entry(index: LogIndex): void {
    this.#once(`entry ${index} of the log`, () => this.#repairEntry(index));
  }

  /** Bounded: damage beyond that is found again. */
  #once(what: string, work: () => Promise<boolean>): void {
    const { clock, events, onFatal } = this.#options;
    const notBeforeMs = this.#known.get(what);
    if (notBeforeMs !== undefined && clock.nowMs() < notBeforeMs) return;
    if (notBeforeMs === undefined && this.#known.size >= LIMITS.repairsKnownMax) return;
    this.#known.set(what, Infinity);
    events.event("damage_found", { what });
    work().then((isRepaired) => {
      if (isRepaired) {
        this.#known.delete(what);
        this.repairedCount++;
        return events.event("damage_repaired", { what });
      }
      this.failedCount++;
      this.#known.set(what, clock.nowMs() + RETRY_MS);
      events.event("damage_not_repaired", {
        what,
        reason: "no other member could supply it; it is tried again",
      });
    }).catch((error) => onFatal(error instanceof Error ? error : new Error(String(error))));
  }

  async #repairEntry(index: LogIndex): Promise<boolean> {
    const { log, store, onFatal } = this.#options;
    // Gone meanwhile, cut or truncated: nothing to repair.
    const isGone = (): boolean => index < log.firstIndex() || index > log.syncedIndex;
    const outcome = await this.#fromAnyone("log_entry", { index }, async (entry) => {
      if (!isGone()) await log.repair(entry);
      return true;
    });
    if (outcome !== "nobody_has_it" || isGone()) return outcome === "repaired" || isGone();
    // All others have cut it from their logs. Where nothing here needs it either, it is only waiting to go.
    if (log.positionOf(index) < store.neededPosition) return false;
    onFatal(
      entriesDamaged([{
        segment: "raft/log",
        fromIndex: index,
        toIndex: index,
        why: "no member has it any more",
      }]),
    );
    return false;
  }

  async #repairPage(database: Database, pageNumber: PageNumber): Promise<boolean> {
    const { store, checkpoints } = this.#options;
    const request = { databaseId: database.id, pageNumber, at: database.checkpoint.index };
    const outcome = await this.#fromAnyone("page", request, (answer) =>
      checkpoints.alone(async () => {
        const isGone = store.get(database.id) !== database || database.checkpoint.index !== request.at;
        if (isGone) return true;
        const isPut = await this.#putPage(database, pageNumber, answer);
        if (isPut) this.#options.onRepaired(database);
        return isPut;
      }));
    return outcome === "repaired";
  }

  /** No checkpoint runs. Returns false when the page offered is not the one that was lost. */
  async #putPage(database: Database, pageNumber: PageNumber, { index, bytes }: PageAnswer): Promise<boolean> {
    const { disk } = this.#options;
    const { fileName, pageSize, checkpoint } = database;
    if (bytes.length !== pageSize) return false;
    const sums = new PageSumReader(disk, fileName);
    const expected = sums.get(pageNumber);
    sums.close();
    const sum = crc32(bytes);
    const file = disk.openFile(databaseFile(fileName), "write");
    try {
      // A page of another index counts only if it is the same there: its checksum says so, or what lies here does. A member
      // that lags proves nothing: what it has and what a lost write left here may be the same old page.
      const isProven = sum === expected || index === checkpoint.index ||
        (index > checkpoint.index && isAt(file, bytes, pageNumber));
      if (!isProven) return false;
      file.writeAt(bytes, (pageNumber - 1) * pageSize);
      await file.sync();
    } finally {
      file.close();
    }
    if (sum !== expected) await this.#putSum(database, pageNumber, sum);
    return true;
  }

  /** It was the checksum that was damaged. All are written anew, as a checkpoint does. */
  async #putSum(database: Database, pageNumber: PageNumber, sum: number): Promise<void> {
    const { disk } = this.#options;
    const { fileName, pageSize, checkpoint } = database;
    const reader = new PageSumReader(disk, fileName);
    const writer = new PageSumWriter(disk, sumFile(fileName), pageSize);
    try {
      for (let page = 1; page <= checkpoint.pageCount; page++) {
        writer.add(page === pageNumber ? sum : reader.get(page) ?? 0);
      }
      await writer.finish();
    } finally {
      reader.close();
      writer.close();
    }
    await disk.syncDirectory("db");
  }

  /** Asks one member after the other until one has an answer that can be used. */
  async #fromAnyone<M extends RepairMethod>(
    method: M,
    request: PeerMethods[M]["request"],
    use: (answer: NonNullable<PeerMethods[M]["answer"]>) => Promise<boolean>,
  ): Promise<"repaired" | "nobody_has_it" | "not_now"> {
    const { otherMembers, call, events } = this.#options;
    const members = otherMembers();
    let haveNot = 0;
    for (const member of members) {
      try {
        const answer = await call(member, method, request);
        if (answer === null) haveNot++;
        else if (await use(answer as NonNullable<PeerMethods[M]["answer"]>)) return "repaired";
      } catch (error) {
        if (!(error instanceof NodeError)) throw error;
        events.event("repair_refused", { member, method, reason: error.message });
      }
    }
    return members.length > 0 && haveNot === members.length ? "nobody_has_it" : "not_now";
  }
}

function isAt(file: DiskFile, bytes: Uint8Array, pageNumber: PageNumber): boolean {
  const found = new Uint8Array(bytes.length);
  file.readAt(found, (pageNumber - 1) * bytes.length);
  return found.every((byte, i) => byte === bytes[i]);
}

/** What this member has of an entry, checked; null when it is not there, or is damaged here as well. */
export function readEntry(log: Log, index: LogIndex, repair: Repair): Entry | null {
  if (index < log.firstIndex() || index > log.lastIndex()) return null;
  try {
    return log.entries(index, index, 1)[0] ?? null;
  } catch (error) {
    if (!(error instanceof DamageError)) throw error;
    repair.entry(index);
    return null;
  }
}

/** What this member has of a page, checked. */
export function readPage(store: PageStore, reader: ViewReader, request: PageRequest): PageAnswer | null {
  const { databaseId, pageNumber, at } = request;
  const database = store.get(databaseId);
  if (database === undefined || database.published === 0) return null;
  const isKept = at >= database.historyFrom && at <= store.publishedIndex;
  const view = isKept ? database.openView(at) : database.openView();
  try {
    const pages = reader.open(view);
    try {
      if (pageNumber > pages.pageCount) return null;
      const bytes = new Uint8Array(database.pageSize);
      pages.read(pageNumber, bytes);
      return { index: isKept ? at : view.index, bytes };
    } finally {
      pages.close();
    }
  } finally {
    view.close();
  }
}
