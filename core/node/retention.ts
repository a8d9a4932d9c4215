import type { LogIndex, LogPosition, Milliseconds, NodeId } from "../base/ids.ts";
import type { Clock, Disk, EventSink } from "../base/ports.ts";
import type { HardStateFile } from "../log/hard_state.ts";
import type { Log } from "../log/log.ts";
import type { SegmentInfo } from "../log/segment_table.ts";
import { writeCatalog } from "../pages/catalog.ts";
import type { PageStore } from "../pages/page_store.ts";
import type { Raft } from "../raft/raft.ts";
import type { Checkpoints } from "./checkpoints.ts";
import { type DiskReserve, isDiskFull } from "./disk_reserve.ts";

export interface RetentionOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly events: EventSink;
  readonly raft: Raft;
  readonly log: Log;
  readonly hardState: HardStateFile;
  readonly reserve: DiskReserve;
  readonly store: PageStore;
  readonly checkpoints: Checkpoints;
  /** How far back reads of the past reach at least, as long as the log has room. */
  readonly retainMs: Milliseconds;
  /** The log is not larger than this, whoever still needs what goes. */
  readonly logBytesMax: number;
  /** On the leader: the index from which on a member that is being sent a snapshot will need the log. */
  readonly snapshotIndexFor: (member: NodeId) => LogIndex | undefined;
  /** Position from which on the sessions of writers may look in the log. */
  readonly writersNeedFrom: () => LogPosition;
  readonly onFatal: (error: Error) => void;
}

/** Below this share of the limit nothing is removed: members that were away for a moment catch up from the log. */
const KEPT_SHARE = 1 / 4;
/** From this share on nobody's need counts; the rest is room for what comes while the copy runs. */
const FORCED_SHARE = 3 / 4;
/** The window moves in steps of this. */
const WINDOW_STEP_MS = 1_000;

/**
 * Decides how much of the log stays. Segments go oldest first, when everything in them is in the `.db` files and neither
 * an open view, nor the retention window, nor a slow member needs them; at the limit they go in any case.
 */
export class Retention {
  readonly #options: RetentionOptions;
  #trimming: Promise<void> | undefined;
  #windowMovedMs = -Infinity;
  #isForced = false;
  trimCount = 0;

  constructor(options: RetentionOptions) {
    this.#options = options;
    if (options.retainMs > 0) options.store.retainFrom(0);
  }

  /** Called with every tick. */
  sweep(): void {
    this.#moveWindow();
    if (this.#trimming !== undefined) return;
    const { log, logBytesMax, checkpoints } = this.#options;
    const { list } = log.segments();
    const wanted = this.#lastToGo(list, logBytesMax * KEPT_SHARE);
    const forced = this.#lastToGo(list, logBytesMax * FORCED_SHARE);
    this.#setForced(forced > 0);
    if (wanted === 0) return checkpoints.releaseBefore(0, "history");
    const count = Math.max(this.#forcible(list, forced), this.#unneeded(list, wanted));
    const goal = list[forced > 0 ? forced : wanted] as SegmentInfo;
    checkpoints.releaseBefore(goal.startPosition, forced > 0 ? "nothing" : "history");
    if (count > 0) this.#trim((list[count] as SegmentInfo).firstIndex - 1);
  }

  /** Waits until nothing is being removed. */
  async stop(): Promise<void> {
    await this.#trimming;
  }

  #moveWindow(): void {
    const { clock, store, retainMs } = this.#options;
    if (retainMs === 0 || this.#isForced) return;
    const nowMs = clock.nowMs();
    if (nowMs - this.#windowMovedMs < WINDOW_STEP_MS) return;
    this.#windowMovedMs = nowMs;
    store.retainFrom(store.times.around(clock.wallMs() - retainMs)?.from ?? 0);
  }

  #setForced(isForced: boolean): void {
    if (isForced === this.#isForced) return;
    const { events, log, logBytesMax } = this.#options;
    this.#isForced = isForced;
    if (isForced) events.event("log_limit_reached", { bytes: log.bytes, limit: logBytesMax });
    this.#windowMovedMs = -Infinity;
  }

  /** How many of the oldest segments have to go for the rest to be at most `bytes`; the newest stays. */
  #lastToGo(list: readonly SegmentInfo[], bytes: number): number {
    const { endPosition } = this.#options.log;
    let count = 0;
    while (count + 1 < list.length && endPosition - (list[count] as SegmentInfo).startPosition > bytes) {
      count++;
    }
    return count;
  }

  /** How many of them may go now although they are needed for more than the databases. */
  #forcible(list: readonly SegmentInfo[], count: number): number {
    return this.#within(list, count, Infinity);
  }

  #unneeded(list: readonly SegmentInfo[], count: number): number {
    return this.#within(list, count, this.#neededByMembers());
  }

  /** Never more than is published and in the `.db` files (promise 3). */
  #within(list: readonly SegmentInfo[], count: number, neededFrom: LogIndex): number {
    const { store, writersNeedFrom } = this.#options;
    const oldest = Math.min(store.neededPosition, writersNeedFrom());
    let allowed = 0;
    while (allowed < count) {
      const next = list[allowed + 1] as SegmentInfo;
      if (next.startPosition > oldest || next.firstIndex > neededFrom) break;
      if (next.firstIndex > store.publishedIndex) break;
      allowed++;
    }
    return allowed;
  }

  /** The first entry that a member lacks and can still be sent. A spare is sent none. */
  #neededByMembers(): LogIndex {
    const { raft, log, snapshotIndexFor } = this.#options;
    let needed = Infinity;
    for (const { id, match, state } of raft.status().progress) {
      if (state === "spare") continue;
      const next = match + 1 >= log.firstIndex() ? match + 1 : (snapshotIndexFor(id) ?? Infinity) + 1;
      needed = Math.min(needed, next);
    }
    return needed;
  }

  /** The catalog and the base are durable before the first file goes: without them a shorter log cannot be read. */
  #trim(through: LogIndex): void {
    const { disk, log, hardState, raft, store, events, reserve, onFatal } = this.#options;
    const term = log.termAt(through) as number;
    const hash = log.hashAt(through) as number;
    const trim = async (): Promise<void> => {
      // Saved before, when the log could not let go yet: it waits for a note that the next file is durable.
      if ((hardState.base?.index ?? 0) < through) {
        await writeCatalog(disk, store.catalog());
        await hardState.saveBase({ index: through, term, hash, membership: raft.committedMembership() });
      }
      const firstBefore = log.firstIndex();
      await log.removeBefore(through + 1);
      if (log.firstIndex() === firstBefore) return;
      this.trimCount++;
      events.event("log_trimmed", { through, firstIndex: log.firstIndex(), bytes: log.bytes });
    };
    this.#trimming = trim().catch((error) => {
      // What is to go gives more room than this takes.
      if (isDiskFull(error)) return void reserve.release();
      onFatal(error instanceof Error ? error : new Error(String(error)));
    }).finally(() => {
      this.#trimming = undefined;
    });
  }
}
