import type { DatabaseId, LogIndex } from "../base/ids.ts";
import type { Disk } from "../base/ports.ts";
import { decodeCheckedJson, encodeCheckedJson } from "../codec/checked_json.ts";
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

export function encodeCatalog({ index, databases }: Catalog): Uint8Array {
  return encodeCheckedJson({ version: CATALOG_VERSION, index, databases });
}

/** @throws Error when it is damaged or of a newer version */
export function decodeCatalog(bytes: Uint8Array): Catalog {
  const { version, index, databases } = decodeCheckedJson(bytes) as {
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
