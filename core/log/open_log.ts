import { NodeError } from "../base/errors.ts";
import type { Disk } from "../base/ports.ts";
import { entriesDamaged } from "./damage.ts";
import type { EntryTable } from "./entry_table.ts";
import type { Log } from "./log.ts";
import type { LogOptions, LogStart, OpenedLog } from "./log_options.ts";
import { clusterIdBytes } from "./node_identity.ts";
import { readEntries } from "./record_reader.ts";
import { RECORD_HEADER_BYTES } from "./record.ts";
import { type Recovered, recoverLog } from "./recovery.ts";
import { LOG_FOLDER, type LogBase } from "./segment_header.ts";
import { SegmentReader } from "./segment_reader.ts";
import { type SegmentInfo, SegmentTable } from "./segment_table.ts";
import { SegmentWriter, WriteBuffer } from "./segment_writer.ts";

/** Bytes of the tail that are read, and written again, at once. */
const COPY_BYTES_MAX = 1024 * 1024;
const NO_BASE: LogBase = { index: 0, term: 0, hash: 0 };

/** Recovers what is on disk, makes sure that all of it is durable, and fits it to the snapshot the node knows of. */
export async function openLog(
  disk: Disk,
  options: LogOptions,
  create: (start: LogStart) => Log,
): Promise<OpenedLog> {
  disk.makeDirectory(LOG_FOLDER);
  await disk.syncDirectory("raft");
  await disk.syncDirectory("");
  const recovered = await recoverLog(disk, {
    clusterId: clusterIdBytes(options.clusterId),
    base: options.base ?? NO_BASE,
    onEntry: options.onEntry ?? (() => {}),
  });
  const { report } = recovered;
  if (report.damaged.length > 0) throw entriesDamaged(report.damaged, report.highestIndex);
  checkBeginning(recovered, options.base);
  if (report.tornTail !== undefined) options.events?.event("log_tail_cut", { ...report.tornTail });
  const { tail } = recovered;
  const hasTail = tail.lastIndex > tail.base.index;
  const log = create(
    hasTail || report.tornTail !== undefined ? await writeAgain(disk, recovered, options) : recovered,
  );
  hearTail(log, tail, options.onEntry ?? (() => {}));
  const { base } = options;
  const restarted = base !== undefined && (base.index > log.lastIndex() || !holds(log, base));
  if (restarted) {
    options.events?.event("log_restarted", { base: base.index, lastIndex: log.lastIndex() });
    log.restart(base);
  }
  await log.sync();
  return { log, recovery: report, restarted };
}

/** The log may begin after `base`, never with a gap to it. */
function checkBeginning({ table, segments }: Recovered, base: LogBase | undefined): void {
  if (base === undefined || table.firstIndex <= base.index + 1) return;
  throw entriesDamaged([{
    segment: segments[0]?.path ?? LOG_FOLDER,
    fromIndex: base.index + 1,
    toIndex: table.firstIndex - 1,
    why: "the records before this segment are missing",
  }], table.lastIndex);
}

/** Whether the log continues the snapshot. */
function holds(log: Log, base: LogBase): boolean {
  return log.hashAt(base.index) === base.hash && log.termAt(base.index) === base.term;
}

/**
 * Writes the tail to a file of its own, durable when the promise resolves. The old bytes may lie only in the operating
 * system's cache, marked clean by a sync that failed before the restart; a sync of the old file would then succeed and
 * write nothing. With an empty tail the file says that nothing follows, so that what was cut off stays away.
 *
 * The file gets its name when it is complete: a torn copy must not stand in for entries that are sound in older files.
 */
async function writeAgain(disk: Disk, recovered: Recovered, options: LogOptions): Promise<LogStart> {
  const { table, tail, segments, dead, endPosition } = recovered;
  const temporary = `${LOG_FOLDER}/tail.tmp`;
  const header = {
    base: tail.base,
    startPosition: endPosition,
    syncedIndex: tail.base.index,
    beginsLog: tail.base.index < table.firstIndex,
    clusterId: clusterIdBytes(options.clusterId),
  };
  try {
    const writer = new SegmentWriter(disk, header, new WriteBuffer(), undefined, temporary);
    try {
      copyTail(disk, recovered, writer, table);
      await writer.sync();
    } finally {
      writer.close();
    }
    disk.rename(temporary, writer.info.path);
    await disk.syncDirectory(LOG_FOLDER);
    const isKept = (segment: SegmentInfo) => segment.firstIndex <= tail.base.index;
    const kept = header.beginsLog ? [] : segments.filter(isKept);
    const gone = segments.filter((segment) => !kept.includes(segment)).map(({ path }) => path);
    return {
      table,
      segments: [...kept, writer.info],
      dead: [...dead, ...gone],
      endPosition: writer.endPosition,
      notedIndex: tail.base.index,
    };
  } catch (error) {
    throw whenFull(error, tail);
  }
}

/** Adds the tail to the file and, at its new positions, to the table. */
function copyTail(disk: Disk, recovered: Recovered, writer: SegmentWriter, table: EntryTable): void {
  const { tail, segments, report } = recovered;
  const reader = new SegmentReader(disk, segments);
  const places = new SegmentTable(segments);
  let previous: LogBase = tail.base;
  try {
    for (let from = tail.firstIndex; from <= tail.lastIndex;) {
      const to = lastWithin(tail, from);
      for (const entry of readEntries(tail, places, reader, from, to)) {
        const position = writer.add(entry, previous.hash, tail.base.index, report.commitIndex);
        table.push(entry.term, entry.hash, position, entry.data.length);
        previous = entry;
      }
      from = to + 1;
    }
    writer.flush();
  } finally {
    reader.close();
  }
}

/** Tells the caller of the tail, from where it lies now. */
function hearTail(log: Log, tail: EntryTable, onEntry: NonNullable<LogOptions["onEntry"]>): void {
  for (let from = tail.firstIndex; from <= tail.lastIndex;) {
    const entries = log.entries(from, tail.lastIndex, COPY_BYTES_MAX);
    for (const entry of entries) onEntry(entry, log.positionOf(entry.index));
    from += entries.length;
  }
}

function whenFull(error: unknown, tail: EntryTable): unknown {
  if (!(error instanceof NodeError && error.code === "disk_full")) return error;
  return new NodeError(
    "disk_full",
    `Cannot open the log: the disk has no room to write its last ${
      tail.lastIndex - tail.base.index
    } entries again; ` +
      "free some space and start again",
    {},
    { cause: error },
  );
}

function lastWithin(table: EntryTable, from: number): number {
  let bytes = table.lengthAt(from);
  let to = from;
  while (to < table.lastIndex) {
    bytes += table.lengthAt(to + 1) + RECORD_HEADER_BYTES;
    if (bytes > COPY_BYTES_MAX) break;
    to++;
  }
  return to;
}
