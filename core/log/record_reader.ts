import type { LogIndex } from "../base/ids.ts";
import { crc32 } from "../codec/crc32.ts";
import type { Entry } from "../raft/message.ts";
import { entriesDamaged } from "./damage.ts";
import type { EntryTable } from "./entry_table.ts";
import { readRecordHeader, RECORD_HEADER_BYTES, recordSize } from "./record.ts";
import type { SegmentReader } from "./segment_reader.ts";
import type { SegmentTable } from "./segment_table.ts";

/** Records that lie together are read at once, up to this: a catch-up message is one read (LIMITS.appendBytesMax). */
const READ_BYTES_MAX = 2 * 1024 * 1024;

/**
 * Reads the entries `from ..= to` back from their files and checks every byte against its checksum and against what
 * the table knows: wrong bytes are never returned.
 *
 * @throws DamageError
 */
export function readEntries(
  table: EntryTable,
  segments: SegmentTable,
  reader: SegmentReader,
  from: LogIndex,
  to: LogIndex,
): Entry[] {
  const entries: Entry[] = [];
  for (let index = from; index <= to; index = from + entries.length) {
    const last = lastOfRun(table, index, to);
    readRun(table, segments, reader, index, last, entries);
  }
  return entries;
}

/** The last entry whose record follows without a gap in the same file. */
function lastOfRun(table: EntryTable, from: LogIndex, to: LogIndex): LogIndex {
  let end = table.positionAt(from) + recordSize(table.lengthAt(from));
  const endMax = table.positionAt(from) + READ_BYTES_MAX;
  let last = from;
  while (last < to && table.positionAt(last + 1) === end) {
    end += recordSize(table.lengthAt(last + 1));
    if (end > endMax) break;
    last++;
  }
  return last;
}

function readRun(
  table: EntryTable,
  segments: SegmentTable,
  reader: SegmentReader,
  from: LogIndex,
  to: LogIndex,
  into: Entry[],
): void {
  const start = table.positionAt(from);
  const segment = segments.atPosition(start)?.path ?? "no segment";
  const bytes = new Uint8Array(table.positionAt(to) + RECORD_HEADER_BYTES + table.lengthAt(to) - start);
  try {
    reader.readAt(start, bytes);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw entriesDamaged([{ segment, fromIndex: from, toIndex: to, why }], 0, { cause: error });
  }
  const view = new DataView(bytes.buffer);
  for (let index = from; index <= to; index++) {
    const offset = table.positionAt(index) - start;
    const entry = checkedEntry(table, bytes, view, offset, index);
    if (typeof entry === "string") {
      throw entriesDamaged([{ segment, fromIndex: index, toIndex: index, why: entry }]);
    }
    into.push(entry);
  }
}

function checkedEntry(
  table: EntryTable,
  bytes: Uint8Array,
  view: DataView,
  offset: number,
  index: LogIndex,
): Entry | string {
  const header = readRecordHeader(bytes, view, offset, table.positionAt(index));
  if (typeof header === "string") return header;
  const { term, type, hash, bodyLength, bodyCrc } = header;
  const known = header.index === index && term === table.termAt(index) && hash === table.hashAt(index) &&
    bodyLength === table.lengthAt(index);
  if (!known) return `the record of entry ${header.index} lies there`;
  const data = bytes.subarray(offset + RECORD_HEADER_BYTES, offset + RECORD_HEADER_BYTES + bodyLength);
  if (crc32(data) !== bodyCrc) return "the checksum of the body is wrong";
  return { index, term, type, hash, data };
}
