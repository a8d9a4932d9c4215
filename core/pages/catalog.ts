import type { DatabaseId, LogIndex } from "../base/ids.ts";
import type { Disk } from "../base/ports.ts";
import { crc32 } from "../codec/crc32.ts";
import { readWholeFile, replaceFile } from "../log/replace_file.ts";

/** Which databases there are at a log index. Stands for the entries that created them, once those are gone. */
export interface Catalog {
  readonly index: LogIndex;
  readonly databases: readonly CatalogDatabase[];
}

export interface CatalogDatabase {
  readonly id: DatabaseId;
  readonly name: string;
  readonly pageSize: number;
  /** Undefined: staged, an upload that is not complete. */
  readonly visibleFrom: LogIndex | undefined;
}

/** Version of the file; see core/pages/README.md. */
export const CATALOG_VERSION = 1;
export const CATALOG_PATH = "db/catalog";

/** JSON on one line, then its CRC-32 in hexadecimal on the next, as in checkpoint records. */
export function encodeCatalog({ index, databases }: Catalog): Uint8Array {
  const line = new TextEncoder().encode(JSON.stringify({ version: CATALOG_VERSION, index, databases }));
  const sum = new TextEncoder().encode(`\n${crc32(line).toString(16).padStart(8, "0")}\n`);
  const bytes = new Uint8Array(line.length + sum.length);
  bytes.set(line);
  bytes.set(sum, line.length);
  return bytes;
}

/** @throws Error when it is damaged or of a newer version */
export function decodeCatalog(bytes: Uint8Array): Catalog {
  const [line = "", checksum = ""] = new TextDecoder().decode(bytes).split("\n");
  if (crc32(new TextEncoder().encode(line)) !== Number.parseInt(checksum, 16)) {
    throw new Error("checksum does not match");
  }
  const { version, index, databases } = JSON.parse(line) as {
    version: number;
    index: LogIndex;
    databases: (Omit<CatalogDatabase, "visibleFrom"> & { visibleFrom?: LogIndex })[];
  };
  if (version !== CATALOG_VERSION) {
    throw new Error(`version ${version} is not known to this program, which knows ${CATALOG_VERSION}`);
  }
  const known = databases.map(({ id, name, pageSize, visibleFrom }) => ({ id, name, pageSize, visibleFrom }));
  return { index, databases: known };
}

/** Undefined while the log still begins with entry 1. */
export function readCatalog(disk: Disk): Catalog | undefined {
  try {
    const bytes = readWholeFile(disk, CATALOG_PATH);
    return bytes === undefined ? undefined : decodeCatalog(bytes);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`Cannot read ${CATALOG_PATH}: ${reason}; remove this node and add it again`);
  }
}

/** Durable when it resolves. */
export async function writeCatalog(disk: Disk, catalog: Catalog): Promise<void> {
  await replaceFile(disk, CATALOG_PATH, encodeCatalog(catalog));
}
