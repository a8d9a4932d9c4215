/** What the first page of a SQLite file says: https://www.sqlite.org/fileformat2.html#the_database_header */

const MAGIC = "SQLite format 3\0";
export const HEADER_BYTES = 100;

export function isSqliteFile(header: Uint8Array): boolean {
  return new TextDecoder("latin1").decode(header.subarray(0, MAGIC.length)) === MAGIC;
}

/** Throws Error with what is wrong, before a large file is sent for nothing. */
export function checkSqliteHeader(
  header: Uint8Array,
  fileBytes: number,
): { pageSize: number; pages: number } {
  if (header.length < HEADER_BYTES) {
    throw new Error(`it has ${fileBytes} bytes, less than the header of a database`);
  }
  const stored = new DataView(header.buffer, header.byteOffset, header.byteLength).getUint16(16);
  const pageSize = stored === 1 ? 65_536 : stored;
  if (pageSize < 512 || (pageSize & (pageSize - 1)) !== 0) {
    throw new Error(`its page size ${pageSize} is not allowed`);
  }
  if (fileBytes % pageSize !== 0) {
    throw new Error(`its ${fileBytes} bytes are not a whole number of pages of ${pageSize}: it is cut off`);
  }
  return { pageSize, pages: fileBytes / pageSize };
}
