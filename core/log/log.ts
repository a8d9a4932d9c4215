import { assert, mustHave } from "../base/assert.ts";
import { NodeError } from "../base/errors.ts";
import type { LogIndex, LogPosition, Term } from "../base/ids.ts";
import { LIMITS } from "../base/limits.ts";
import type { Disk, EventSink } from "../base/ports.ts";
import type { Entry } from "../raft/message.ts";
import type { LogReader } from "../raft/output.ts";
import { DamageError } from "./damage.ts";
import { EntryTable } from "./entry_table.ts";
import { GroupSync } from "./group_sync.ts";
import type { LogOptions, LogStart, OpenedLog } from "./log_options.ts";
import { clusterIdBytes } from "./node_identity.ts";
import { openLog } from "./open_log.ts";
import { readEntries } from "./record_reader.ts";
import { chainHash, encodeRecord, RECORD_HEADER_BYTES, recordSize } from "./record.ts";
import { RecentEntries } from "./recent_entries.ts";
import { LOG_FOLDER, type LogBase, SEGMENT_HEADER_BYTES } from "./segment_header.ts";
import { SegmentReader } from "./segment_reader.ts";
import { type SegmentInfo, SegmentTable } from "./segment_table.ts";
import { type FillAhead, SegmentWriter, WriteBuffer } from "./segment_writer.ts";

/** An append as it is being written. Nothing of it counts until all of it is in files. */
interface Staged {
  readonly positions: LogPosition[];
  readonly created: SegmentWriter[];
  /** The note its records carry. */
  readonly syncedIndex: LogIndex;
  writer: SegmentWriter | undefined;
}

/**
 * The Raft log of one node and at the same time the write-ahead log of all its databases. Owned by the main thread.
 * Writing is synchronous and goes to the operating system's cache; `sync` makes it durable.
 *
 * The first failed write (other than a full disk) or sync is final: from then on everything but reading throws, and
 * the process must end (promise 1).
 */
export class Log implements LogReader {
  readonly #disk: Disk;
  readonly #clusterId: Uint8Array;
  readonly #segmentBytesMax: number;
  readonly #events: EventSink | undefined;
  readonly #buffer = new WriteBuffer();
  readonly #fill: FillAhead;
  readonly #recent: RecentEntries;
  readonly #reader: SegmentReader;
  readonly #group = new GroupSync(() => this.#syncOnce());
  #table: EntryTable;
  #segments: SegmentTable;
  #segmentsVersion = 1;
  /** The file that is being added to. Undefined at the start: a file that was found on disk is never written again. */
  #active: SegmentWriter | undefined;
  /** Files with bytes that no sync has covered. */
  #dirty = new Set<SegmentWriter>();
  /** Files that get no more bytes; closed when a sync has covered them. */
  #retired = new Set<SegmentWriter>();
  /** Files of which nothing belongs to the log any more; removed when a sync has made their successor durable. */
  readonly #dead: string[];
  /** After a failed append no file takes the place of the dead ones yet: they are still needed. */
  #truncationUnwritten = false;
  #folderChanged = false;
  /** No byte ever written lies at or after this position, also of appends that failed. */
  #endPosition: LogPosition;
  #syncedIndex: LogIndex;
  /** The newest note in a durable record or header: what recovery will know to have been durable. */
  #notedIndex: LogIndex;
  /** What the sync under way will make durable, entries and note, less what was truncated meanwhile. */
  #syncTarget: LogIndex = 0;
  #noteTarget: LogIndex = 0;
  /** The note in the newest record or header. */
  #writtenNote: LogIndex;
  #removal: Promise<void> = Promise.resolve();
  #closed = false;
  #writtenBytes = 0;
  #syncCount = 0;

  /** Everything of `start` is durable. For `open_log.ts`; everyone else calls `open`. */
  constructor(disk: Disk, options: LogOptions, start: LogStart) {
    this.#disk = disk;
    this.#clusterId = clusterIdBytes(options.clusterId);
    this.#segmentBytesMax = options.segmentBytesMax ?? LIMITS.segmentBytesMax;
    const chunkBytes = options.fillAheadBytes ?? LIMITS.logFillAheadBytes;
    this.#fill = { chunkBytes, sizeMax: this.#segmentBytesMax };
    this.#events = options.events;
    this.#recent = new RecentEntries(options.cacheBytesMax ?? LIMITS.logCacheBytesMax);
    this.#table = start.table;
    this.#segments = new SegmentTable(start.segments);
    this.#reader = new SegmentReader(disk, start.segments);
    this.#dead = [...start.dead];
    this.#endPosition = start.endPosition;
    this.#syncedIndex = start.table.lastIndex;
    this.#notedIndex = this.#writtenNote = start.notedIndex;
  }

  /**
   * Recovers the log of the data folder, or begins one.
   *
   * @throws DamageError when entries that were durable are missing or unsound; nothing is changed then
   * @throws UnknownFormatError when a newer program wrote it
   */
  static open(disk: Disk, options: LogOptions): Promise<OpenedLog> {
    return openLog(disk, options, (start) => new Log(disk, options, start));
  }

  firstIndex(): LogIndex {
    return this.#table.firstIndex;
  }

  lastIndex(): LogIndex {
    return this.#table.lastIndex;
  }

  termAt(index: LogIndex): Term | undefined {
    return this.#table.termAt(index);
  }

  hashAt(index: LogIndex): number | undefined {
    return this.#table.hashAt(index);
  }

  /** Everything up to here is durable. */
  get syncedIndex(): LogIndex {
    return this.#syncedIndex;
  }

  /** Why the log refuses everything, undefined while it is sound. */
  get failure(): Error | undefined {
    return this.#group.failure;
  }

  /** Bytes written to files since the log was opened. */
  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  /** Syncs that ended well since the log was opened. */
  get syncCount(): number {
    return this.#syncCount;
  }

  /** Position after everything that was ever written. */
  get endPosition(): LogPosition {
    return this.#endPosition;
  }

  /** Bytes of all segments, those included that a truncation made void. */
  get bytes(): number {
    return this.#endPosition - (this.#segments.list[0]?.startPosition ?? this.#endPosition);
  }

  /** For readers on other threads. The version changes whenever the list does. */
  segments(): { readonly version: number; readonly list: readonly SegmentInfo[] } {
    return { version: this.#segmentsVersion, list: this.#segments.list };
  }

  /** @throws DamageError when the disk returns anything but what was appended */
  entries(from: LogIndex, to: LogIndex, bytesMax: number): Entry[] {
    const { firstIndex, lastIndex } = this.#table;
    assert(
      from >= firstIndex && from <= to && to <= lastIndex,
      () => `Cannot read entries ${from} to ${to}: the log holds ${firstIndex} to ${lastIndex}`,
    );
    let last = from;
    let bytes = this.#table.lengthAt(from);
    while (last < to && (bytes += this.#table.lengthAt(last + 1)) <= bytesMax) last++;
    const entries: Entry[] = [];
    for (let index = from; index <= last; index = from + entries.length) {
      const recent = this.#recent.get(index);
      if (recent !== undefined) {
        entries.push(recent);
      } else {
        const end = Math.min(last, this.#recent.firstIndex - 1);
        for (const entry of readEntries(this.#table, this.#segments, this.#reader, index, end)) {
          entries.push(entry);
        }
      }
    }
    return entries;
  }

  /** Where the body of the entry lies. Positions are never used again, also not after a truncation. */
  positionOf(index: LogIndex): LogPosition {
    return this.#table.positionAt(index) + RECORD_HEADER_BYTES;
  }

  /** Fills `into` with bytes of the log, unchecked: pages carry checksums of their own. */
  readAt(position: LogPosition, into: Uint8Array): void {
    this.#reader.readAt(position, into);
  }

  /** The entry whose bytes lie at the position. */
  indexAt(position: LogPosition): LogIndex | undefined {
    return this.#table.indexAt(position);
  }

  /**
   * Reads durable entries from their files, at most about `bytesMax` bytes, and checks them.
   *
   * @returns where to go on, and the first entry that is not sound, if any
   */
  scrub(
    from: LogIndex,
    bytesMax: number,
  ): { readonly next: LogIndex; readonly damaged: LogIndex | undefined } {
    const first = Math.max(from, this.#table.firstIndex);
    const end = Math.min(this.#syncedIndex, this.#table.lastIndex);
    if (first > end) return { next: this.#table.firstIndex, damaged: undefined };
    let last = first;
    for (let bytes = this.#table.lengthAt(first); last < end && bytes < bytesMax; last++) {
      bytes += this.#table.lengthAt(last + 1);
    }
    try {
      readEntries(this.#table, this.#segments, this.#reader, first, last);
      return { next: last + 1, damaged: undefined };
    } catch (error) {
      const damaged = error instanceof DamageError ? error.damaged[0]?.fromIndex : undefined;
      if (damaged === undefined) throw error;
      return { next: damaged + 1, damaged };
    }
  }

  /**
   * Writes a damaged entry again, where it was. The running hash proves that it is the same one.
   *
   * @throws NodeError `data_damaged` when the entry offered is another one
   */
  async repair(entry: Entry): Promise<void> {
    this.#checkUsable("repair");
    const { index, term, type, hash, data } = entry;
    const before = mustHave(this.#table.hashAt(index - 1), () => `hash before entry ${index}`);
    const isSame = term === this.#table.termAt(index) && hash === this.#table.hashAt(index) &&
      data.length === this.#table.lengthAt(index) && chainHash(before, term, index, type, data) === hash;
    if (!isSame) throw new NodeError("data_damaged", `Cannot repair entry ${index}: another one was offered`);
    const position = this.#table.positionAt(index);
    const segment = mustHave(this.#segments.atPosition(position), () => `segment of entry ${index}`);
    // Later records say how far the log was durable; this one claims what is true in any case.
    const note = Math.min(index - 1, this.#syncedIndex);
    const file = this.#disk.openFile(segment.path, "write");
    try {
      file.writeAt(encodeRecord(entry, position, note), position - segment.startPosition);
      await file.sync();
    } finally {
      file.close();
    }
  }

  /**
   * Adds consecutive entries, with one write per segment. The first one may lie inside the log: everything from its
   * index on is replaced. The data is kept by reference for a while and must not change.
   *
   * @param commitIndex highest index known to be committed, noted in the records
   * @throws NodeError `disk_full`: the log was truncated, nothing was appended. Until a later append and sync succeed, a
   * crash may bring back what was truncated, or some of the entries: they may be tried again, or the term be given up,
   * but a leader must not put others in their place
   */
  append(entries: readonly Entry[], commitIndex: LogIndex): void {
    const first = entries[0];
    if (first === undefined) return;
    this.#checkUsable("append to");
    this.#table.assertContinuedBy(entries);
    this.#write(this.#baseAt(first.index - 1), entries, commitIndex, false);
  }

  /**
   * Makes all that was appended before durable. Calls share runs: one is under way, one waits.
   * A rejection is final and fatal to the process.
   */
  sync(): Promise<void> {
    if (this.#closed) return Promise.reject(new NodeError("stopping", "Cannot sync the log: it is closed"));
    return this.#group.run();
  }

  /**
   * Drops every entry and begins anew after `base`: a snapshot up to there is durable elsewhere. Counts, like an
   * append, when the next sync ends.
   */
  restart(base: LogBase): void {
    this.#checkUsable("restart");
    this.#write(base, [], base.index, true);
  }

  /**
   * Removes the files that hold only entries before `index`, as far as a later append and sync have noted that the
   * next file is durable. `firstIndex` moves at once; the files go one by one, oldest first, so that a crash leaves no
   * gap. Resolves when they are gone.
   */
  removeBefore(index: LogIndex): Promise<void> {
    this.#checkUsable("shorten");
    // Recovery must see that the successor was durable, or it would take the missing files for a crash at its creation.
    const keepFrom = Math.min(index, this.#notedIndex);
    const { list } = this.#segments;
    let count = 0;
    while (count + 1 < list.length && (list[count + 1] as SegmentInfo).firstIndex <= keepFrom) count++;
    if (count === 0) return this.#removal;
    const paths = list.slice(0, count).map((segment) => segment.path);
    this.#table.removeBefore((list[count] as SegmentInfo).firstIndex);
    this.#setSegments(list.slice(count));
    const removed = this.#removal.then(() => this.#removeFiles(paths));
    // Seen by whoever waits for it; the failure itself stays in `#group`.
    this.#removal = removed.catch(() => {});
    return removed;
  }

  /** Waits for a sync under way, then closes all files. What was not synced may be lost. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#group.idle();
    await this.#removal;
    if (this.#active !== undefined) this.#retired.add(this.#active);
    for (const writer of new Set([...this.#retired, ...this.#dirty])) writer.close();
    this.#retired.clear();
    this.#dirty.clear();
    this.#active = undefined;
    this.#reader.close();
  }

  #checkUsable(what: string): void {
    const { failure } = this.#group;
    if (failure !== undefined) {
      const text =
        `Cannot ${what} the log: an earlier write or sync failed (${failure.message}); end the process`;
      throw new NodeError("internal", text, {}, { cause: failure });
    }
    if (this.#closed) throw new NodeError("stopping", `Cannot ${what} the log: it is closed`);
  }

  #baseAt(index: LogIndex): LogBase {
    const term = mustHave(this.#table.termAt(index), () => `term of entry ${index}`);
    return { index, term, hash: mustHave(this.#table.hashAt(index), () => `hash of entry ${index}`) };
  }

  /** Writes the entries after `base` to files; only when all are there, the log's state changes. */
  #write(base: LogBase, entries: readonly Entry[], commitIndex: LogIndex, restart: boolean): void {
    const continues = !restart && base.index === this.#table.lastIndex;
    const before = continues ? this.#active : undefined;
    const sizeBefore = before?.size ?? 0;
    const syncedIndex = restart ? base.index : Math.min(this.#syncedIndex, base.index);
    const staged: Staged = { positions: [], created: [], syncedIndex, writer: before };
    try {
      this.#stage(staged, base, entries, commitIndex, restart);
    } catch (error) {
      const isRoomMissing = error instanceof NodeError && error.code === "disk_full" && !restart;
      if (!isRoomMissing) this.#group.fail(error instanceof Error ? error : new Error(String(error)));
      this.#undo(staged, before, sizeBefore);
      // A file that stands for the truncation may survive a crash, so the truncation counts here too.
      this.#truncationUnwritten = true;
      this.#forgetFrom(base.index + 1, false);
      throw error;
    }
    if (restart) this.#table = new EntryTable(base);
    if (before === undefined) this.#forgetFrom(base.index + 1, restart);
    this.#commit(staged, entries, before);
  }

  #stage(
    staged: Staged,
    base: LogBase,
    entries: readonly Entry[],
    commitIndex: LogIndex,
    restart: boolean,
  ): void {
    const { syncedIndex } = staged;
    let previous = base;
    const begin = () => {
      staged.writer?.flush();
      const startPosition = Math.max(this.#endPosition, staged.writer?.endPosition ?? 0);
      const beginsLog = restart || previous.index < this.#table.firstIndex;
      const header = { base: previous, startPosition, syncedIndex, beginsLog, clusterId: this.#clusterId };
      staged.writer = new SegmentWriter(this.#disk, header, this.#buffer, this.#fill);
      staged.created.push(staged.writer);
      return staged.writer;
    };
    for (const entry of entries) {
      let writer = staged.writer ?? begin();
      const fits = writer.size + recordSize(entry.data.length) <= this.#segmentBytesMax;
      if (!fits && writer.size > SEGMENT_HEADER_BYTES) writer = begin();
      staged.positions.push(writer.add(entry, previous.hash, syncedIndex, commitIndex));
      previous = entry;
    }
    (staged.writer ?? begin()).flush();
  }

  #commit(staged: Staged, entries: readonly Entry[], before: SegmentWriter | undefined): void {
    this.#writtenBytes += SEGMENT_HEADER_BYTES * staged.created.length;
    for (const [i, { term, hash, data }] of entries.entries()) {
      this.#table.push(term, hash, staged.positions[i] as LogPosition, data.length);
      this.#writtenBytes += recordSize(data.length);
    }
    this.#recent.push(entries);
    this.#writtenNote = staged.syncedIndex;
    this.#truncationUnwritten = false;
    if (before !== undefined) this.#dirty.add(before);
    if (staged.created.length > 0) {
      for (const writer of staged.created) this.#dirty.add(writer);
      for (const writer of [this.#active, ...staged.created]) {
        if (writer !== undefined) this.#retired.add(writer);
      }
      this.#folderChanged = true;
      this.#setSegments([...this.#segments.list, ...staged.created.map((writer) => writer.info)]);
    }
    this.#active = mustHave(staged.writer, "a file to append to");
    this.#retired.delete(this.#active);
    this.#endPosition = Math.max(this.#endPosition, this.#active.endPosition);
  }

  /** Takes back what a failed append left. Best effort: recovery copes with all of it. */
  #undo(staged: Staged, before: SegmentWriter | undefined, sizeBefore: number): void {
    for (const writer of [before, ...staged.created]) {
      if (writer !== undefined) this.#endPosition = Math.max(this.#endPosition, writer.endPosition);
    }
    // Offsets once written are not written again: the next append begins a new file.
    if (this.#active !== undefined) this.#retired.add(this.#active);
    this.#active = undefined;
    // The next sync makes the clean-up durable as well.
    if (before !== undefined) this.#dirty.add(before);
    this.#folderChanged = true;
    try {
      before?.cutBack(sizeBefore);
      for (const writer of staged.created) {
        writer.close();
        this.#disk.remove(writer.info.path);
      }
    } catch (error) {
      this.#events?.event("log_undo_failed", { error: String(error) });
    }
  }

  /** Everything from `index` on is replaced; files that hold nothing else are dead. */
  #forgetFrom(index: LogIndex, all: boolean): void {
    const { lastIndex } = this.#table;
    if (index <= lastIndex) {
      this.#events?.event("log_truncated", { from: index, lastIndex });
      this.#table.truncateFrom(index);
    }
    this.#recent.truncateFrom(all ? 0 : index);
    this.#syncedIndex = all ? index - 1 : Math.min(this.#syncedIndex, index - 1);
    this.#notedIndex = Math.min(this.#notedIndex, index - 1);
    this.#syncTarget = Math.min(this.#syncTarget, index - 1);
    this.#noteTarget = Math.min(this.#noteTarget, index - 1);
    const { list } = this.#segments;
    const kept = all ? [] : list.filter((segment) => segment.firstIndex < index);
    for (const segment of list.slice(kept.length)) this.#dead.push(segment.path);
    this.#setSegments(kept);
  }

  #setSegments(list: readonly SegmentInfo[]): void {
    this.#segments = new SegmentTable(list);
    this.#segmentsVersion++;
    this.#reader.update(list);
  }

  async #syncOnce(): Promise<void> {
    const files = [...this.#dirty];
    const retired = [...this.#retired];
    const dead = this.#truncationUnwritten ? [] : this.#dead.splice(0);
    const folderChanged = this.#folderChanged;
    this.#dirty.clear();
    this.#retired.clear();
    this.#folderChanged = false;
    this.#syncTarget = this.#table.lastIndex;
    this.#noteTarget = this.#writtenNote;
    const syncs = files.map((file) => file.sync());
    if (folderChanged) syncs.push(this.#disk.syncDirectory(LOG_FOLDER));
    await Promise.all(syncs);
    this.#syncCount++;
    this.#syncedIndex = Math.max(this.#syncedIndex, this.#syncTarget);
    this.#notedIndex = Math.max(this.#notedIndex, this.#noteTarget);
    for (const file of retired) file.close();
    for (const path of dead) this.#disk.remove(path);
  }

  async #removeFiles(paths: readonly string[]): Promise<void> {
    try {
      // Dead files go without a sync. One that a file of `paths` replaced must not come back when that one is gone.
      await this.#disk.syncDirectory(LOG_FOLDER);
      for (const path of paths) {
        this.#disk.remove(path);
        await this.#disk.syncDirectory(LOG_FOLDER);
      }
    } catch (error) {
      this.#group.fail(error instanceof Error ? error : new Error(String(error)));
      throw error;
    }
  }
}
