import { assert } from "../base/assert.ts";
import type { DatabaseId, LogIndex } from "../base/ids.ts";
import type { Disk } from "../base/ports.ts";
import { readWholeFile, replaceFile } from "../log/replace_file.ts";
import { decodeCheckedJson, encodeCheckedJson } from "../codec/checked_json.ts";

/** The record beside a `.db` file: what the file is a checkpoint of. Written after the file is durable. */
export interface CheckpointMeta {
  readonly databaseId: DatabaseId;
  readonly pageSize: number;
  readonly pageCount: number;
  readonly index: LogIndex;
  /** The file of page checksums beside the `.db` file is right. */
  readonly hasSums?: boolean;
  /**
   * A copy up to here has begun: pages of the `.db` file may be as new as this. Views before it cannot be shown any more,
   * later ones find those pages in the log. `index` where it is left out.
   */
  readonly copiedThrough?: LogIndex;
}

/** Version of the record; see core/pages/README.md. Version 1 knows neither checksums nor `copiedThrough`. */
export const CHECKPOINT_META_VERSION = 2;

export function databaseFile(name: string): string {
  return `db/${name}.db`;
}

/** @param databaseFile a path that `databaseFile` made */
export function nameOfDatabaseFile(databaseFile: string): string {
  assert(
    databaseFile.startsWith("db/") && databaseFile.endsWith(".db"),
    () => `Not a database: ${databaseFile}`,
  );
  return databaseFile.slice("db/".length, -".db".length);
}

export function metaFile(name: string): string {
  return `db/${name}.meta`;
}

export function encodeCheckpointMeta(meta: CheckpointMeta): Uint8Array {
  return encodeCheckedJson({ version: CHECKPOINT_META_VERSION, ...complete(meta) });
}

/** @throws Error when the record is damaged or of a newer version */
export function decodeCheckpointMeta(bytes: Uint8Array): Required<CheckpointMeta> {
  const { version, ...meta } = decodeCheckedJson(bytes) as CheckpointMeta & { version: number };
  if (version !== 1 && version !== CHECKPOINT_META_VERSION) {
    throw new Error(
      `version ${version} is not known to this program, which knows those up to ${CHECKPOINT_META_VERSION}`,
    );
  }
  return complete(meta);
}

function complete(meta: CheckpointMeta): Required<CheckpointMeta> {
  const { databaseId, pageSize, pageCount, index, hasSums = false, copiedThrough = index } = meta;
  return { databaseId, pageSize, pageCount, index, hasSums, copiedThrough };
}

export function readCheckpointMeta(disk: Disk, name: string): Required<CheckpointMeta> {
  const path = metaFile(name);
  try {
    const bytes = readWholeFile(disk, path);
    if (bytes === undefined) throw new Error("it is missing");
    return decodeCheckpointMeta(bytes);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`Cannot read checkpoint record ${path}: ${reason}; remove this node and add it again`);
  }
}

export async function writeCheckpointMeta(disk: Disk, name: string, meta: CheckpointMeta): Promise<void> {
  await replaceFile(disk, metaFile(name), encodeCheckpointMeta(meta));
}
