/**
 * The first bytes of page 1 (https://sqlite.org/fileformat2.html#the_database_header), as far as a VFS must know them.
 * Numbers are big-endian.
 */
export const HEADER_BYTES = 100;
const MAGIC = "SQLite format 3\0";
const WRITE_VERSION_OFFSET = 18;
const READ_VERSION_OFFSET = 19;
const CHANGE_COUNTER_OFFSET = 24;
const VERSION_VALID_FOR_OFFSET = 92;
const ROLLBACK_JOURNAL = 1;
const WAL = 2;
/** SQLITE_VERSION_NUMBER noted in the databases made here; SQLite writes its own with the next change of page 1. */
const SQLITE_VERSION_NUMBER = 3_053_000;

/** Page 1 of a database without tables, in WAL mode, UTF-8: what SQLite writes when it creates a database. */
export function emptyDatabasePage(pageSize: number): Uint8Array {
  const page = new Uint8Array(pageSize);
  page.set(new TextEncoder().encode(MAGIC));
  const view = new DataView(page.buffer);
  view.setUint16(16, pageSize === 65_536 ? 1 : pageSize);
  presentAsWal(page);
  page[21] = 64; // Payload fractions: fixed by the format.
  page[22] = 32;
  page[23] = 32;
  view.setUint32(CHANGE_COUNTER_OFFSET, 1);
  view.setUint32(28, 1); // Pages in the database.
  view.setUint32(56, 1); // UTF-8.
  view.setUint32(VERSION_VALID_FOR_OFFSET, 1);
  view.setUint32(96, SQLITE_VERSION_NUMBER);
  page[HEADER_BYTES] = 13; // An empty leaf of a table b-tree: the schema.
  view.setUint16(105, pageSize === 65_536 ? 0 : pageSize);
  return page;
}

/** Page size of a SQLite file by its first 100 bytes; undefined when it is not one. */
export function pageSizeOf(header: Uint8Array): number | undefined {
  if (header.length < HEADER_BYTES) return undefined;
  for (let i = 0; i < MAGIC.length; i++) if (header[i] !== MAGIC.charCodeAt(i)) return undefined;
  const stored = new DataView(header.buffer, header.byteOffset).getUint16(16);
  const pageSize = stored === 1 ? 65_536 : stored;
  const isPowerOfTwo = (pageSize & (pageSize - 1)) === 0;
  return pageSize >= 512 && isPowerOfTwo ? pageSize : undefined;
}

/** The writer must find WAL mode, also in a database that was loaded from a file in another mode. */
export function presentAsWal(page: Uint8Array): void {
  page[WRITE_VERSION_OFFSET] = WAL;
  page[READ_VERSION_OFFSET] = WAL;
}

/**
 * A view is a plain file without a journal. Its change counter is the view's index, so SQLite drops what it
 * cached exactly when the view moves; the second copy makes SQLite believe the page count in the header.
 */
export function presentAsView(page: Uint8Array, index: number): void {
  page[WRITE_VERSION_OFFSET] = ROLLBACK_JOURNAL;
  page[READ_VERSION_OFFSET] = ROLLBACK_JOURNAL;
  const view = new DataView(page.buffer, page.byteOffset, HEADER_BYTES);
  view.setUint32(CHANGE_COUNTER_OFFSET, index % 0x1_0000_0000);
  view.setUint32(VERSION_VALID_FOR_OFFSET, index % 0x1_0000_0000);
}
