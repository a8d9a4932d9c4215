import type { LogIndex, LogPosition } from "../base/ids.ts";
import type { Entry } from "../raft/message.ts";
import type { DamagedRange } from "./damage.ts";
import { EntryTable } from "./entry_table.ts";
import { chainHashOfBody, RECORD_ALIGNMENT_BYTES, RECORD_HEADER_BYTES, recordSize } from "./record.ts";
import { type LogBase, SEGMENT_HEADER_BYTES, type SegmentHeader } from "./segment_header.ts";
import type { Probe, SegmentScanner } from "./segment_scanner.ts";
import type { SegmentInfo } from "./segment_table.ts";

/** A segment file as recovery finds it. */
export interface FoundSegment extends SegmentInfo {
  readonly size: number;
  /** The header, or why there is none. */
  readonly header: SegmentHeader | string;
}

/** A place where the log does not go on as it should. Whether it is a torn tail or damage is decided at the end. */
interface Break extends DamagedRange {
  /** Where the log would be cut if it is a torn tail. */
  readonly cutIndex: LogIndex;
  /** Certainly damage: the disk refuses to read it, which no crash causes. */
  readonly certain: boolean;
}

export type OnWalked = (entry: Entry, bodyPosition: LogPosition) => void;

type RecordProbe = Extract<Probe, { kind: "record" }>;

/**
 * Goes through the live segments from the oldest to the newest, record by record, and gathers the entries up to the
 * first break, all breaks, and what the records say about how far the log was durable.
 */
export class LogWalk {
  readonly table: EntryTable;
  readonly breaks: Break[] = [];
  /** Entries up to here were durable: the highest note that no later segment header overrides. */
  syncedIndex: LogIndex;
  commitIndex: LogIndex = 0;
  readonly #snapshotIndex: LogIndex;
  readonly #onEntry: OnWalked;
  /** Index of the record that should come next, also after a break. */
  #expected: LogIndex;

  /**
   * @param base what comes before the first segment
   * @param snapshotIndex entries up to here are durable elsewhere
   */
  constructor(base: LogBase, snapshotIndex: LogIndex, onEntry: OnWalked) {
    this.#snapshotIndex = snapshotIndex;
    this.table = new EntryTable(base);
    this.syncedIndex = base.index;
    this.#expected = base.index + 1;
    this.#onEntry = onEntry;
  }

  /** No entry after this one has left a trace. */
  get highestIndex(): LogIndex {
    return Math.max(this.#expected - 1, this.syncedIndex);
  }

  /** @param endIndex the last entry that may lie here: what follows was truncated away by the next segment */
  walkSegment(segment: FoundSegment, endIndex: LogIndex, scanner: SegmentScanner): void {
    this.#join(segment, scanner);
    for (let offset: number | undefined = SEGMENT_HEADER_BYTES; offset !== undefined;) {
      if (this.#expected > endIndex) return;
      offset = this.#step(segment, endIndex, scanner, offset);
    }
  }

  /**
   * To be called after the last segment.
   *
   * @param syncedIndex a note that the walk may not have met
   * @param baseIsKnown false when no crash explains how the log begins
   */
  finish(syncedIndex: LogIndex, baseIsKnown: boolean, path = "no segment"): void {
    this.syncedIndex = Math.max(this.syncedIndex, syncedIndex);
    const from = this.#expected;
    if (!baseIsKnown) this.#break(path, 1, from, "the beginning of the log is missing", { certain: true });
    if (this.syncedIndex < from) return;
    this.#break(path, from, this.syncedIndex, "records are missing at the end");
  }

  /** The breaks at which a cut would lose something that was durable. The others are a torn tail. */
  damaged(): Break[] {
    return this.breaks.filter((found) =>
      found.certain || Math.max(found.fromIndex, this.#snapshotIndex + 1) <= this.syncedIndex
    );
  }

  /** Checks that the segment continues what was walked before. */
  #join(segment: FoundSegment, scanner: SegmentScanner): void {
    const { header, firstIndex } = segment;
    if (firstIndex > this.#expected) {
      this.#break(
        segment.path,
        this.#expected,
        firstIndex - 1,
        "the records before this segment are missing",
      );
    }
    if (typeof header === "string") {
      this.syncedIndex = Math.min(this.syncedIndex, firstIndex - 1);
      scanner.bytesAt(0, SEGMENT_HEADER_BYTES);
      const certain = scanner.isUnreadable(0, SEGMENT_HEADER_BYTES);
      this.#break(segment.path, firstIndex, firstIndex, header, { certain });
    } else {
      // The header was written later than every record of older segments, and after a truncation it says less.
      this.syncedIndex = header.syncedIndex;
      const { base } = header;
      const { table } = this;
      const continues = base.hash === table.hashAt(base.index) && base.term === table.termAt(base.index);
      if (this.breaks.length === 0 && !continues) {
        this.#break(segment.path, base.index, base.index, "the segment continues another entry", {
          cutIndex: firstIndex,
        });
      }
    }
    this.#expected = Math.max(this.#expected, firstIndex);
  }

  /** Looks at one place; returns the next one, undefined at the end of the segment. */
  #step(
    segment: FoundSegment,
    endIndex: LogIndex,
    scanner: SegmentScanner,
    offset: number,
  ): number | undefined {
    const probe = scanner.probe(offset);
    if (probe.kind === "record") {
      if (probe.header.index > endIndex) return undefined;
      const size = recordSize(probe.header.bodyLength);
      this.#take(segment, probe, scanner.isUnreadable(offset, size));
      return offset + size;
    }
    const unreadable = scanner.isUnreadable(offset, RECORD_HEADER_BYTES);
    const next = scanner.findRecord(offset + RECORD_ALIGNMENT_BYTES);
    if (next !== undefined || probe.kind === "bad") {
      const why = probe.kind === "bad" ? probe.why : "zeros lie where a record should";
      const last = next === undefined ? undefined : scanner.probe(next);
      const toIndex = last?.kind === "record" ? Math.min(last.header.index - 1, endIndex) : this.#expected;
      this.#break(segment.path, this.#expected, Math.max(this.#expected, toIndex), why, {
        certain: unreadable,
      });
      this.#expected = Math.max(this.#expected, toIndex + 1);
    }
    return next;
  }

  #take(segment: FoundSegment, probe: RecordProbe, unreadable: boolean): void {
    const { header, body } = probe;
    const { index, term, type, hash, bodyLength, bodyCrc } = header;
    this.syncedIndex = Math.max(this.syncedIndex, header.syncedIndex);
    if (index < this.#expected) {
      if (this.breaks.length === 0) {
        this.#break(segment.path, this.#expected, this.#expected, `entry ${index} lies there`);
      }
      return;
    }
    if (index > this.#expected) this.#break(segment.path, this.#expected, index - 1, "records are missing");
    this.#expected = index + 1;
    if (body === undefined) {
      const why = unreadable ? "the disk refuses to read it" : "the checksum of the body is wrong";
      this.#break(segment.path, index, index, why, { certain: unreadable });
      return;
    }
    if (this.breaks.length > 0) return;
    const { table } = this;
    const before = table.hashAt(index - 1) as number;
    const chained = chainHashOfBody(before, term, index, type, bodyLength, bodyCrc) === hash &&
      term >= (table.termAt(index - 1) as number);
    if (!chained) {
      this.#break(segment.path, index, index, "the record does not continue the entry before it");
      return;
    }
    this.commitIndex = Math.max(this.commitIndex, header.commitIndex);
    table.push(term, hash, header.position, bodyLength);
    this.#onEntry({ index, term, type, hash, data: body }, header.position + RECORD_HEADER_BYTES);
  }

  #break(
    segment: string,
    fromIndex: LogIndex,
    toIndex: LogIndex,
    why: string,
    { certain = false, cutIndex = fromIndex }: { readonly certain?: boolean; readonly cutIndex?: LogIndex } =
      {},
  ): void {
    this.breaks.push({ segment, fromIndex, toIndex, why, certain, cutIndex });
  }
}
