/** The first 64 bytes of a segment file, and its name. Byte table in README.md. */
import { assert } from "../base/assert.ts";
import type { LogIndex, LogPosition, Term } from "../base/ids.ts";
import { crc32 } from "../codec/crc32.ts";
import { UnknownFormatError } from "./damage.ts";
import { getUint64, setUint64 } from "./uint64.ts";

export const SEGMENT_HEADER_BYTES = 64;
export const CLUSTER_ID_BYTES = 16;
export const LOG_FOLDER = "raft/log";
/** "wRLs", read as a little-endian number. */
const SEGMENT_MAGIC = 0x734c_5277;
export const SEGMENT_VERSION = 1;
const FLAG_BEGINS_LOG = 1;
const KNOWN_FLAGS = FLAG_BEGINS_LOG;
const CRC_OFFSET = 60;
const NAME_PATTERN = /^(\d{20})-(\d{20})\.seg$/;

/** The entry a log or a segment continues: all zero before the first one. */
export interface LogBase {
  readonly index: LogIndex;
  readonly term: Term;
  readonly hash: number;
}

export interface SegmentHeader {
  /** The entry before the first one of this segment. */
  readonly base: LogBase;
  /** Where the first byte of this header lies in the log. */
  readonly startPosition: LogPosition;
  /** Entries up to here were durable when the segment was created. Overrides the notes of older segments. */
  readonly syncedIndex: LogIndex;
  /** The log begins here: older segments no longer count, whatever their indexes. */
  readonly beginsLog: boolean;
  readonly clusterId: Uint8Array;
}

/** `<first index>-<start position>.seg`, 20 digits each. The position makes it unique: after a truncation the index is used again. */
export function segmentPath(firstIndex: LogIndex, startPosition: LogPosition): string {
  return `${LOG_FOLDER}/${digits(firstIndex)}-${digits(startPosition)}.seg`;
}

/** What a file name says, or undefined when it is not the name of a segment. */
export function parseSegmentName(
  name: string,
): { firstIndex: LogIndex; startPosition: LogPosition } | undefined {
  const match = NAME_PATTERN.exec(name);
  if (match === null) return undefined;
  const firstIndex = Number(match[1]);
  const startPosition = Number(match[2]);
  if (!Number.isSafeInteger(firstIndex) || !Number.isSafeInteger(startPosition)) return undefined;
  return { firstIndex, startPosition };
}

export function encodeSegmentHeader(header: SegmentHeader): Uint8Array {
  assert(header.clusterId.length === CLUSTER_ID_BYTES, "A cluster id has 16 bytes");
  const bytes = new Uint8Array(SEGMENT_HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, SEGMENT_MAGIC, true);
  view.setUint16(4, SEGMENT_VERSION, true);
  view.setUint16(6, header.beginsLog ? FLAG_BEGINS_LOG : 0, true);
  bytes.set(header.clusterId, 8);
  setUint64(view, 24, header.base.index + 1);
  setUint64(view, 32, header.base.term);
  setUint64(view, 40, header.startPosition);
  view.setUint32(48, header.base.hash, true);
  setUint64(view, 52, header.syncedIndex);
  view.setUint32(CRC_OFFSET, crc32(bytes.subarray(0, CRC_OFFSET)), true);
  return bytes;
}

/**
 * The header, or why the bytes are none.
 *
 * @throws UnknownFormatError for a sound header of a newer program
 */
export function decodeSegmentHeader(bytes: Uint8Array): SegmentHeader | string {
  if (bytes.length < SEGMENT_HEADER_BYTES) return "the file ends inside the segment header";
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0, true) !== SEGMENT_MAGIC) return "the file does not begin with a segment header";
  if (crc32(bytes.subarray(0, CRC_OFFSET)) !== view.getUint32(CRC_OFFSET, true)) {
    return "the checksum of the segment header is wrong";
  }
  const flags = view.getUint16(6, true);
  if (view.getUint16(4, true) !== SEGMENT_VERSION || (flags & ~KNOWN_FLAGS) !== 0) {
    throw new UnknownFormatError(
      `Cannot read a segment of the log: it has version ${
        view.getUint16(4, true)
      } and flags ${flags}; start this ` +
        "node with the newer walraft that wrote it",
    );
  }
  return {
    base: { index: getUint64(view, 24) - 1, term: getUint64(view, 32), hash: view.getUint32(48, true) },
    startPosition: getUint64(view, 40),
    syncedIndex: getUint64(view, 52),
    beginsLog: (flags & FLAG_BEGINS_LOG) !== 0,
    clusterId: bytes.slice(8, 8 + CLUSTER_ID_BYTES),
  };
}

function digits(value: number): string {
  return String(value).padStart(20, "0");
}
