/**
 * One record of the log: a header of 64 bytes, the body, zeros up to the next multiple of 8. Byte table in README.md.
 */
import type { LogIndex, LogPosition, Term } from "../base/ids.ts";
import { crc32 } from "../codec/crc32.ts";
import type { Entry, EntryType } from "../raft/message.ts";
import { UnknownFormatError } from "./damage.ts";
import { getUint64, setUint64 } from "./uint64.ts";

export const RECORD_HEADER_BYTES = 64;
/** Records begin at multiples of this, so that recovery finds one after damage by looking at every eighth byte. */
export const RECORD_ALIGNMENT_BYTES = 8;
/** "wRLr", read as a little-endian number. */
export const RECORD_MAGIC = 0x724c_5277;
export const RECORD_VERSION = 1;
/** Bound for a length read from disk before anything is allocated. Entries are smaller by far (LIMITS.entryBytesMax). */
export const RECORD_BODY_BYTES_MAX = 64 * 1024 * 1024;

const CRC_OFFSET = 60;
const ENTRY_TYPE_MAX = 2;

export interface RecordHeader {
  readonly type: EntryType;
  readonly bodyLength: number;
  readonly bodyCrc: number;
  readonly index: LogIndex;
  readonly term: Term;
  /** Entries up to here were durable on this disk when the record was written. Torn tail or damage: this decides. */
  readonly syncedIndex: LogIndex;
  /** Entries up to here were known to be committed when the record was written. */
  readonly commitIndex: LogIndex;
  readonly hash: number;
  /** Where this header lies. A copy of a record inside a body, or one the device put elsewhere, does not pass for one. */
  readonly position: LogPosition;
}

/** Bytes a record takes in its file. */
export function recordSize(bodyLength: number): number {
  const size = RECORD_HEADER_BYTES + bodyLength;
  return size + paddingAfter(size);
}

/** Bytes up to the next place where a record may begin. */
export function paddingAfter(size: number): number {
  return -size & (RECORD_ALIGNMENT_BYTES - 1);
}

/** Writes the header at `offset` of `bytes`; `view` covers the same bytes. */
export function writeRecordHeader(
  bytes: Uint8Array,
  view: DataView,
  offset: number,
  header: RecordHeader,
): void {
  view.setUint32(offset, RECORD_MAGIC, true);
  view.setUint16(offset + 4, RECORD_VERSION, true);
  view.setUint8(offset + 6, header.type);
  view.setUint8(offset + 7, 0);
  view.setUint32(offset + 8, header.bodyLength, true);
  view.setUint32(offset + 12, header.bodyCrc, true);
  setUint64(view, offset + 16, header.index);
  setUint64(view, offset + 24, header.term);
  setUint64(view, offset + 32, header.syncedIndex);
  setUint64(view, offset + 40, header.commitIndex);
  view.setUint32(offset + 48, header.hash, true);
  setUint64(view, offset + 52, header.position);
  view.setUint32(offset + CRC_OFFSET, crc32(bytes.subarray(offset, offset + CRC_OFFSET)), true);
}

/** A whole record as it lies in its file. */
export function encodeRecord(entry: Entry, position: LogPosition, syncedIndex: LogIndex): Uint8Array {
  const { index, term, type, hash, data } = entry;
  const bytes = new Uint8Array(recordSize(data.length));
  const header = { index, term, type, hash, syncedIndex, commitIndex: 0, position };
  const body = { bodyLength: data.length, bodyCrc: crc32(data) };
  writeRecordHeader(bytes, new DataView(bytes.buffer), 0, { ...header, ...body });
  bytes.set(data, RECORD_HEADER_BYTES);
  return bytes;
}

/**
 * The header at `offset`, or why there is none.
 *
 * @param position where the header lies in the log
 * @throws UnknownFormatError for a sound record of a newer program: neither a torn tail nor damage
 */
export function readRecordHeader(
  bytes: Uint8Array,
  view: DataView,
  offset: number,
  position: LogPosition,
): RecordHeader | string {
  if (bytes.length - offset < RECORD_HEADER_BYTES) return "the file ends inside a record header";
  if (view.getUint32(offset, true) !== RECORD_MAGIC) return "no record begins here";
  const crc = crc32(bytes.subarray(offset, offset + CRC_OFFSET));
  if (crc !== view.getUint32(offset + CRC_OFFSET, true)) return "the checksum of the record header is wrong";
  const header: RecordHeader = {
    type: view.getUint8(offset + 6) as EntryType,
    bodyLength: view.getUint32(offset + 8, true),
    bodyCrc: view.getUint32(offset + 12, true),
    index: getUint64(view, offset + 16),
    term: getUint64(view, offset + 24),
    syncedIndex: getUint64(view, offset + 32),
    commitIndex: getUint64(view, offset + 40),
    hash: view.getUint32(offset + 48, true),
    position: getUint64(view, offset + 52),
  };
  if (header.position !== position) return "the record belongs to another place of the log";
  const version = view.getUint16(offset + 4, true);
  const flags = view.getUint8(offset + 7);
  if (version !== RECORD_VERSION || flags !== 0 || header.type > ENTRY_TYPE_MAX) {
    throw new UnknownFormatError(
      `Cannot read record ${header.index} of the log: it has version ${version}, flags ${flags} and type ` +
        `${header.type}; start this node with the newer walraft that wrote it`,
    );
  }
  if (header.bodyLength > RECORD_BODY_BYTES_MAX) return `the record claims ${header.bodyLength} bytes`;
  if (!(header.index > 0 && header.term > 0 && header.syncedIndex >= 0 && header.commitIndex >= 0)) {
    return "the record header holds numbers that cannot be";
  }
  return header;
}

const chainBytes = new Uint8Array(32);
const chainView = new DataView(chainBytes.buffer);

/** {@link chainHash} for a body whose length and CRC-32 are known. */
export function chainHashOfBody(
  previousHash: number,
  term: Term,
  index: LogIndex,
  type: EntryType,
  bodyLength: number,
  bodyCrc: number,
): number {
  chainView.setUint32(0, previousHash, true);
  chainView.setUint32(4, type, true);
  setUint64(chainView, 8, term);
  setUint64(chainView, 16, index);
  chainView.setUint32(24, bodyLength, true);
  chainView.setUint32(28, bodyCrc, true);
  return crc32(chainBytes);
}

/**
 * Running hash of the log up to and with this entry, unsigned 32 bits: CRC-32 over the hash before it, its place and
 * the CRC-32 of its data. The empty log has hash 0.
 */
export function chainHash(
  previousHash: number,
  term: Term,
  index: LogIndex,
  type: EntryType,
  data: Uint8Array,
): number {
  return chainHashOfBody(previousHash, term, index, type, data.length, crc32(data));
}
