import { assert } from "../base/assert.ts";
import type { LogIndex } from "../base/ids.ts";

const READ_VERSION_OFFSET = 18;
const CHANGE_COUNTER_OFFSET = 24;
const VERSION_VALID_FOR_OFFSET = 92;
/** SQLite's file header is 100 bytes (https://sqlite.org/fileformat2.html#the_database_header). */
const HEADER_BYTES = 100;

/**
 * Presents page 1 of a WAL-mode database as that of a plain file at one index: bytes 18 and 19 say rollback journal,
 * and the change counter follows the index, so that SQLite drops its cache exactly when the view moves.
 */
export function presentAsPlainFile(page1: Uint8Array, index: LogIndex): void {
  assert(page1.length >= HEADER_BYTES, () => `Page 1 has ${page1.length} bytes`);
  const view = new DataView(page1.buffer, page1.byteOffset, page1.byteLength);
  view.setUint16(READ_VERSION_OFFSET, 0x0101);
  const counter = index % 0x1_0000_0000;
  view.setUint32(CHANGE_COUNTER_OFFSET, counter);
  view.setUint32(VERSION_VALID_FOR_OFFSET, counter);
}

/** The reverse for an uploaded file: page 1 as the writer, in WAL mode, expects it. */
export function presentAsWalFile(page1: Uint8Array): void {
  const view = new DataView(page1.buffer, page1.byteOffset, page1.byteLength);
  view.setUint16(READ_VERSION_OFFSET, 0x0202);
}

/** Page size of a SQLite file; undefined when it is not one. */
export function pageSizeOf(header: Uint8Array): number | undefined {
  const magic = "SQLite format 3\0";
  if (header.length < HEADER_BYTES) return undefined;
  for (let i = 0; i < magic.length; i++) if (header[i] !== magic.charCodeAt(i)) return undefined;
  const stored = new DataView(header.buffer, header.byteOffset).getUint16(16);
  const pageSize = stored === 1 ? 65_536 : stored;
  const isPowerOfTwo = (pageSize & (pageSize - 1)) === 0;
  return pageSize >= 512 && isPowerOfTwo ? pageSize : undefined;
}
