/**
 * What a data entry of the log means to the page store. The Raft core and the log treat these bytes as opaque.
 * Byte tables: core/pages/README.md. All integers are little-endian.
 */
import { assert } from "../base/assert.ts";
import type { DatabaseId, LogPosition, Milliseconds, PageNumber } from "../base/ids.ts";
import { crc32 } from "../codec/crc32.ts";

/** Version of the layouts below; a reader refuses newer ones. */
export const ENTRY_BODY_VERSION = 1;

const Kind = { create: 1, drop: 2, pages: 3, activate: 4 } as const;

const COMMON_BYTES = 16;
const PAGES_HEADER_BYTES = 40;
const FRAME_HEADER_BYTES = 16;
const FLAG_FIRST = 1;
const FLAG_LAST = 2;
const FLAG_STAGED = 1;

/** Creates a database; its id is the index of this entry. A staged one stays invisible until it is activated. */
export interface CreateBody {
  readonly kind: "create";
  readonly wallMs: Milliseconds;
  readonly name: string;
  readonly staged: boolean;
  readonly pageSize: number;
}

export interface DropBody {
  readonly kind: "drop";
  readonly wallMs: Milliseconds;
  readonly databaseId: DatabaseId;
}

/** Makes a staged database visible; one that had its name is dropped in the same step. */
export interface ActivateBody {
  readonly kind: "activate";
  readonly wallMs: Milliseconds;
  readonly databaseId: DatabaseId;
}

/** Page versions. A transaction too large for one entry spans several; it takes effect with the last one. */
export interface PagesBody {
  readonly kind: "pages";
  /** When the leader made it: lets a reader ask for the state at a time. */
  readonly wallMs: Milliseconds;
  readonly databaseId: DatabaseId;
  readonly pageSize: number;
  /** Begins a transaction: unfinished parts of an earlier one, left by a leader that died, are void. */
  readonly first: boolean;
  readonly last: boolean;
  /** Size of the database in pages once the transaction is in effect; 0 unless `last`. */
  readonly pageCount: number;
  readonly pageNumbers: Uint32Array;
  /** Offset of each page's bytes within the body. */
  readonly offsets: Float64Array;
  /** CRC-32 of each full page. */
  readonly checksums: Uint32Array;
}

export type EntryBody = CreateBody | DropBody | ActivateBody | PagesBody;

/** One page version on its way into an entry. */
export interface Frame {
  readonly pageNumber: PageNumber;
  readonly bytes: Uint8Array;
}

/** The entry is not one this version of walraft can have written: damage, or a newer version. */
export class EntryBodyError extends Error {
  override name = "EntryBodyError";
}

export function encodeCreate(body: Omit<CreateBody, "kind">): Uint8Array {
  const name = new TextEncoder().encode(body.name);
  const bytes = new Uint8Array(COMMON_BYTES + 8 + name.length);
  const view = writeCommon(bytes, Kind.create, body.staged ? FLAG_STAGED : 0, body.wallMs);
  view.setUint32(COMMON_BYTES, body.pageSize, true);
  view.setUint32(COMMON_BYTES + 4, name.length, true);
  bytes.set(name, COMMON_BYTES + 8);
  return bytes;
}

export function encodeDrop(body: Omit<DropBody, "kind">): Uint8Array {
  return encodeReference(Kind.drop, body.databaseId, body.wallMs);
}

export function encodeActivate(body: Omit<ActivateBody, "kind">): Uint8Array {
  return encodeReference(Kind.activate, body.databaseId, body.wallMs);
}

export interface PagesBodyOptions {
  readonly wallMs: Milliseconds;
  readonly databaseId: DatabaseId;
  readonly pageSize: number;
  readonly pageCount: number;
  /** Bytes of one entry; a transaction above it is cut into several, each with at least one page. */
  readonly entryBytesMax: number;
}

/** Cuts the frames of one transaction (or of several, coalesced) into as few entries as fit. */
export function encodePages(frames: readonly Frame[], options: PagesBodyOptions): Uint8Array[] {
  assert(frames.length > 0, "An entry without pages");
  const frameBytes = FRAME_HEADER_BYTES + options.pageSize;
  const framesPerEntry = Math.max(1, Math.floor((options.entryBytesMax - PAGES_HEADER_BYTES) / frameBytes));
  const bodies: Uint8Array[] = [];
  for (let start = 0; start < frames.length; start += framesPerEntry) {
    const part = frames.slice(start, start + framesPerEntry);
    const last = start + part.length === frames.length;
    bodies.push(encodePart(part, options, start === 0, last));
  }
  return bodies;
}

function encodePart(
  frames: readonly Frame[],
  options: PagesBodyOptions,
  first: boolean,
  last: boolean,
): Uint8Array {
  const tableEnd = PAGES_HEADER_BYTES + FRAME_HEADER_BYTES * frames.length;
  const bytes = new Uint8Array(tableEnd + options.pageSize * frames.length);
  const flags = (first ? FLAG_FIRST : 0) | (last ? FLAG_LAST : 0);
  const view = writeCommon(bytes, Kind.pages, flags, options.wallMs);
  writeUint64(view, COMMON_BYTES, options.databaseId);
  view.setUint32(24, options.pageSize, true);
  view.setUint32(28, last ? options.pageCount : 0, true);
  view.setUint32(32, frames.length, true);
  let table = PAGES_HEADER_BYTES;
  let offset = tableEnd;
  for (const frame of frames) {
    assert(
      frame.bytes.length === options.pageSize,
      () => `Page ${frame.pageNumber} has ${frame.bytes.length} bytes`,
    );
    view.setUint32(table, frame.pageNumber, true);
    view.setUint32(table + 4, frame.bytes.length, true);
    view.setUint32(table + 8, crc32(frame.bytes), true);
    bytes.set(frame.bytes, offset);
    table += FRAME_HEADER_BYTES;
    offset += frame.bytes.length;
  }
  return bytes;
}

/**
 * Reads the header and the page table; page bytes are not touched.
 *
 * @throws EntryBodyError for a version or kind this program does not know, or sizes that do not add up
 */
export function decodeEntryBody(bytes: Uint8Array): EntryBody {
  if (bytes.length < COMMON_BYTES) throw new EntryBodyError(`Cannot read entry body: ${bytes.length} bytes`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = view.getUint16(2, true);
  if (version !== ENTRY_BODY_VERSION) {
    throw new EntryBodyError(
      `Cannot read entry body of version ${version}: this program knows version ${ENTRY_BODY_VERSION}; upgrade it`,
    );
  }
  const kind = view.getUint8(0);
  const flags = view.getUint8(1);
  const wallMs = readUint64(view, 8);
  switch (kind) {
    case Kind.create: {
      mustHold(bytes, COMMON_BYTES + 8);
      const length = view.getUint32(COMMON_BYTES + 4, true);
      mustHold(bytes, COMMON_BYTES + 8 + length);
      const name = new TextDecoder().decode(bytes.subarray(COMMON_BYTES + 8, COMMON_BYTES + 8 + length));
      const pageSize = view.getUint32(COMMON_BYTES, true);
      return { kind: "create", wallMs, name, staged: (flags & FLAG_STAGED) !== 0, pageSize };
    }
    case Kind.drop:
    case Kind.activate:
      mustHold(bytes, COMMON_BYTES + 8);
      return {
        kind: kind === Kind.drop ? "drop" : "activate",
        wallMs,
        databaseId: readUint64(view, COMMON_BYTES),
      };
    case Kind.pages:
      return decodePages(bytes, view, flags, wallMs);
    default:
      throw new EntryBodyError(`Cannot read entry body: unknown kind ${kind}`);
  }
}

function decodePages(bytes: Uint8Array, view: DataView, flags: number, wallMs: number): PagesBody {
  mustHold(bytes, PAGES_HEADER_BYTES);
  const pageSize = view.getUint32(24, true);
  const count = view.getUint32(32, true);
  mustHold(bytes, PAGES_HEADER_BYTES + FRAME_HEADER_BYTES * count);
  const pageNumbers = new Uint32Array(count);
  const offsets = new Float64Array(count);
  const checksums = new Uint32Array(count);
  let table = PAGES_HEADER_BYTES;
  let offset = PAGES_HEADER_BYTES + FRAME_HEADER_BYTES * count;
  for (let i = 0; i < count; i++) {
    pageNumbers[i] = view.getUint32(table, true);
    const length = view.getUint32(table + 4, true);
    if (length !== pageSize) {
      throw new EntryBodyError(
        `Cannot read frame ${i}: ${length} bytes in an entry of ${pageSize}-byte pages`,
      );
    }
    checksums[i] = view.getUint32(table + 8, true);
    offsets[i] = offset;
    table += FRAME_HEADER_BYTES;
    offset += length;
  }
  mustHold(bytes, offset);
  return {
    kind: "pages",
    wallMs,
    databaseId: readUint64(view, COMMON_BYTES),
    pageSize,
    first: (flags & FLAG_FIRST) !== 0,
    last: (flags & FLAG_LAST) !== 0,
    pageCount: view.getUint32(28, true),
    pageNumbers,
    offsets,
    checksums,
  };
}

/** Where each page lies in the log, given where the body of its entry lies. */
export function framePositions(body: PagesBody, bodyPosition: LogPosition): Float64Array {
  return body.offsets.map((offset) => bodyPosition + offset);
}

function encodeReference(kind: number, databaseId: DatabaseId, wallMs: Milliseconds): Uint8Array {
  const bytes = new Uint8Array(COMMON_BYTES + 8);
  writeUint64(writeCommon(bytes, kind, 0, wallMs), COMMON_BYTES, databaseId);
  return bytes;
}

function writeCommon(bytes: Uint8Array, kind: number, flags: number, wallMs: Milliseconds): DataView {
  const view = new DataView(bytes.buffer);
  view.setUint8(0, kind);
  view.setUint8(1, flags);
  view.setUint16(2, ENTRY_BODY_VERSION, true);
  writeUint64(view, 8, wallMs);
  return view;
}

function writeUint64(view: DataView, offset: number, value: number): void {
  assert(Number.isSafeInteger(value) && value >= 0, () => `Not an unsigned safe integer: ${value}`);
  view.setUint32(offset, value >>> 0, true);
  view.setUint32(offset + 4, Math.floor(value / 0x1_0000_0000), true);
}

function readUint64(view: DataView, offset: number): number {
  const value = view.getUint32(offset, true) + view.getUint32(offset + 4, true) * 0x1_0000_0000;
  if (!Number.isSafeInteger(value)) {
    throw new EntryBodyError(`Cannot read entry body: number ${value} too large`);
  }
  return value;
}

function mustHold(bytes: Uint8Array, length: number): void {
  if (bytes.length < length) {
    throw new EntryBodyError(`Cannot read entry body: ${bytes.length} bytes where ${length} are needed`);
  }
}
