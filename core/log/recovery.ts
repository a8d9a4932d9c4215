/**
 * Reads the log when a node starts: which entries are there, where a torn tail begins, and whether something that was
 * durable is gone (promise 6). README.md tells how the three are told apart.
 */
import { NodeError } from "../base/errors.ts";
import type { LogIndex, LogPosition } from "../base/ids.ts";
import type { Disk, DiskFile } from "../base/ports.ts";
import type { Entry } from "../raft/message.ts";
import type { DamagedRange } from "./damage.ts";
import { EntryTable } from "./entry_table.ts";
import { type FoundSegment, LogWalk } from "./log_walk.ts";
import { paddingAfter, readRecordHeader, RECORD_HEADER_BYTES, recordSize } from "./record.ts";
import {
  decodeSegmentHeader,
  LOG_FOLDER,
  type LogBase,
  parseSegmentName,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
} from "./segment_header.ts";
import { SegmentScanner } from "./segment_scanner.ts";
import type { SegmentInfo } from "./segment_table.ts";

/** What was found on disk. */
export interface RecoveryReport {
  readonly firstIndex: LogIndex;
  readonly lastIndex: LogIndex;
  /** Highest index known to be committed; at most `lastIndex`. */
  readonly commitIndex: LogIndex;
  /** No entry after this one has left a trace, sound or damaged. */
  readonly highestIndex: LogIndex;
  /** Present when records that were never acknowledged were cut off; the first one and what was wrong with it. */
  readonly tornTail: DamagedRange | undefined;
  /** Not empty: the log cannot be opened, and nothing was changed. */
  readonly damaged: readonly DamagedRange[];
}

export interface RecoverOptions {
  readonly clusterId: Uint8Array;
  /** The snapshot, durable elsewhere, that a log without files follows. */
  readonly base: LogBase;
  /**
   * Called for each entry that is known to be durable, in order. `entry.data` is valid only during the call.
   * Later ones are in `tail`.
   */
  readonly onEntry: (entry: Entry, bodyPosition: LogPosition) => void;
}

export interface Recovered {
  readonly report: RecoveryReport;
  /** The entries that were durable before the last crash. */
  readonly table: EntryTable;
  /**
   * Sound entries after those, of unknown durability: after a failed sync they may lie in the operating system's cache
   * only. They have to be written again before they count.
   */
  readonly tail: EntryTable;
  readonly segments: readonly SegmentInfo[];
  /** Files of which nothing belongs to the log any more. */
  readonly dead: readonly string[];
  /** What the files say about how far the log was durable, as far as there are entries. */
  readonly notedIndex: LogIndex;
  /** No byte of any file lies at or after this position. */
  readonly endPosition: LogPosition;
}

/** Changes nothing but leftover temporary files. Synchronises every file before it trusts what it reads. */
export async function recoverLog(disk: Disk, options: RecoverOptions): Promise<Recovered> {
  const found = await findSegments(disk, options.clusterId);
  const settledFloor = highestNote(disk, found);
  let pieces = layOut(found);
  if (beganInCrash(pieces, settledFloor, options.base)) pieces = [];
  const base = baseOf(pieces, options.base);
  const walk = new LogWalk(base ?? options.base, options.base.index, (entry, bodyPosition) => {
    if (entry.index <= settledFloor) options.onEntry(entry, bodyPosition);
  });
  for (const { segment, endIndex } of pieces) {
    await withFile(disk, segment.path, "read", (file) => {
      walk.walkSegment(segment, endIndex, new SegmentScanner(file, segment.startPosition));
    });
  }
  walk.finish(settledFloor, base !== undefined, pieces.at(-1)?.segment.path ?? found[0]?.path);
  return conclude(walk, settledFloor, found, pieces);
}

function conclude(
  walk: LogWalk,
  settledFloor: LogIndex,
  found: readonly FoundSegment[],
  pieces: readonly Piece[],
): Recovered {
  const { table } = walk;
  const damaged = walk.damaged();
  const torn = damaged.length === 0 ? walk.breaks[0] : undefined;
  if (torn !== undefined) table.truncateFrom(Math.max(torn.cutIndex, table.firstIndex));
  const report: RecoveryReport = {
    firstIndex: table.firstIndex,
    lastIndex: table.lastIndex,
    commitIndex: Math.min(walk.commitIndex, table.lastIndex),
    highestIndex: walk.highestIndex,
    tornTail: torn,
    damaged,
  };
  const tail = damaged.length === 0 ? splitTail(table, settledFloor) : new EntryTable(table.base);
  const live = pieces.filter(({ segment, endIndex }) => segment.firstIndex <= endIndex).map(({ segment }) =>
    segment
  );
  return {
    report,
    table,
    tail,
    notedIndex: tail.base.index,
    segments: live.map(({ firstIndex, startPosition, path }) => ({ firstIndex, startPosition, path })),
    dead: found.filter((segment) => !live.includes(segment)).map((segment) => segment.path),
    endPosition: Math.max(0, ...found.map(endOf)),
  };
}

/** Every segment file, oldest first. */
async function findSegments(disk: Disk, clusterId: Uint8Array): Promise<FoundSegment[]> {
  const found: FoundSegment[] = [];
  for (const name of disk.list(LOG_FOLDER)) {
    const path = `${LOG_FOLDER}/${name}`;
    if (name.endsWith(".tmp")) disk.remove(path);
    const place = parseSegmentName(name);
    if (place === undefined) continue;
    await withFile(disk, path, "write", async (file) => {
      await file.sync();
      const size = file.size();
      let header = readSegmentHeader(file);
      if (typeof header !== "string") {
        assertSameCluster(path, header.clusterId, clusterId);
        if (header.base.index + 1 !== place.firstIndex || header.startPosition !== place.startPosition) {
          header = "the segment header belongs to a file of another name";
        }
      }
      found.push({ ...place, path, size, header });
    });
  }
  await disk.syncDirectory(LOG_FOLDER);
  return found.sort((a, b) => a.startPosition - b.startPosition);
}

function readSegmentHeader(file: DiskFile): SegmentHeader | string {
  const bytes = new Uint8Array(SEGMENT_HEADER_BYTES);
  try {
    return decodeSegmentHeader(bytes.subarray(0, file.readAt(bytes, 0)));
  } catch (error) {
    if (error instanceof NodeError) throw error;
    return "the disk refuses to read the segment header";
  }
}

/** What of a segment still belongs to the log: its entries up to `endIndex`. */
interface Piece {
  readonly segment: FoundSegment;
  endIndex: LogIndex;
}

/**
 * The log as the files tell it. A file is only ever added to; to truncate, the log begins a new file at an index that
 * older files have already passed, and from that index on those no longer count.
 */
function layOut(found: readonly FoundSegment[]): Piece[] {
  let pieces: Piece[] = [];
  for (const segment of found) {
    const { firstIndex, header } = segment;
    if (typeof header !== "string" && header.beginsLog) pieces = [];
    for (const piece of pieces) piece.endIndex = Math.min(piece.endIndex, firstIndex - 1);
    // The first piece stays, even empty: its header tells what comes before the log.
    pieces = pieces.filter((piece, i) => i === 0 || piece.segment.firstIndex <= piece.endIndex);
    pieces.push({ segment, endIndex: Infinity });
  }
  return pieces;
}

/**
 * Whether the log never came to begin: what comes before the first file is missing, and nothing after the snapshot was
 * ever durable. (Older segments are removed only when a note says that the next one is durable.)
 */
function beganInCrash(pieces: readonly Piece[], syncedIndex: LogIndex, base: LogBase): boolean {
  const first = pieces[0]?.segment;
  if (first === undefined || syncedIndex > base.index) return false;
  const { header, firstIndex } = first;
  return typeof header === "string"
    ? firstIndex !== base.index + 1
    : firstIndex > base.index + 1 && !header.beginsLog;
}

/** What comes before the first piece; undefined when that is lost. */
function baseOf(pieces: readonly Piece[], fallback: LogBase): LogBase | undefined {
  const first = pieces[0]?.segment;
  if (first === undefined) return fallback;
  if (typeof first.header !== "string") return first.header.base;
  // Only at its creation can a crash have torn it.
  return first.firstIndex === fallback.index + 1 ? fallback : undefined;
}

/**
 * How far the log was certainly durable, from the headers of the newest segment that has one: so that the walk can hand
 * over nearly all entries as it goes. Records that a newer file replaces count too: what they say of the entries before
 * them stays true.
 */
function highestNote(disk: Disk, found: readonly FoundSegment[]): LogIndex {
  let limit = Infinity;
  for (const { path, size, header, startPosition, firstIndex } of found.toReversed()) {
    if (typeof header !== "string") {
      const file = disk.openFile(path, "read");
      try {
        return Math.min(limit, notesOf(file, size, startPosition, header.syncedIndex));
      } finally {
        file.close();
      }
    }
    limit = Math.min(limit, firstIndex - 1);
  }
  return 0;
}

function notesOf(file: DiskFile, size: number, startPosition: LogPosition, headerNote: LogIndex): LogIndex {
  let note = headerNote;
  const bytes = new Uint8Array(RECORD_HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  try {
    for (let offset = SEGMENT_HEADER_BYTES; offset + RECORD_HEADER_BYTES <= size;) {
      file.readAt(bytes, offset);
      const header = readRecordHeader(bytes, view, 0, startPosition + offset);
      if (typeof header === "string") break;
      note = Math.max(note, header.syncedIndex);
      offset += recordSize(header.bodyLength);
    }
  } catch (error) {
    // An unreadable place ends this count: the walk meets it again and reports it.
    if (error instanceof NodeError) throw error;
  }
  return note;
}

/** Also a file that is still empty takes its place: no two segments begin at one position. */
function endOf({ startPosition, size }: FoundSegment): LogPosition {
  return startPosition + Math.max(size + paddingAfter(size), SEGMENT_HEADER_BYTES);
}

/** Moves the entries after `settledIndex` into a table of their own. */
function splitTail(table: EntryTable, settledIndex: LogIndex): EntryTable {
  const last = Math.min(Math.max(settledIndex, table.base.index), table.lastIndex);
  const tail = new EntryTable({
    index: last,
    term: table.termAt(last) as number,
    hash: table.hashAt(last) as number,
  });
  for (let index = last + 1; index <= table.lastIndex; index++) {
    tail.push(
      table.termAt(index) as number,
      table.hashAt(index) as number,
      table.positionAt(index),
      table.lengthAt(index),
    );
  }
  table.truncateFrom(last + 1);
  return tail;
}

function assertSameCluster(path: string, found: Uint8Array, expected: Uint8Array): void {
  if (found.every((byte, i) => byte === expected[i])) return;
  const text = (bytes: Uint8Array) =>
    Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  throw new NodeError(
    "internal",
    `Cannot open the log: ${path} belongs to cluster ${text(found)}, this node to ${text(expected)}; ` +
      "start it with the data folder of this cluster",
  );
}

async function withFile(
  disk: Disk,
  path: string,
  mode: "read" | "write",
  action: (file: DiskFile) => void | Promise<void>,
): Promise<void> {
  const file = disk.openFile(path, mode);
  try {
    await action(file);
  } finally {
    file.close();
  }
}
