import type { DatabaseId, LogIndex } from "../base/ids.ts";
import type { Disk } from "../base/ports.ts";
import { readWholeFile, replaceFile } from "../log/replace_file.ts";
import { crc32 } from "../codec/crc32.ts";

/** The record beside a `.db` file: what the file is a checkpoint of. Written after the file is durable. */
export interface CheckpointMeta {
  readonly databaseId: DatabaseId;
  readonly pageSize: number;
  readonly pageCount: number;
  readonly index: LogIndex;
}

/** Version of the record; see core/pages/README.md. */
export const CHECKPOINT_META_VERSION = 1;

export function databaseFile(name: string): string {
  return `db/${name}.db`;
}

export function metaFile(name: string): string {
  return `db/${name}.meta`;
}

/** JSON on one line, then its CRC-32 in hexadecimal on the next: readable by people, checked by us. */
export function encodeCheckpointMeta(meta: CheckpointMeta): Uint8Array {
  const line = JSON.stringify({ version: CHECKPOINT_META_VERSION, ...meta });
  const bytes = new TextEncoder().encode(line);
  return new TextEncoder().encode(`${line}\n${crc32(bytes).toString(16).padStart(8, "0")}\n`);
}

/** @throws Error when the record is damaged or of a newer version */
export function decodeCheckpointMeta(bytes: Uint8Array): CheckpointMeta {
  const [line = "", checksum = ""] = new TextDecoder().decode(bytes).split("\n");
  if (crc32(new TextEncoder().encode(line)) !== Number.parseInt(checksum, 16)) {
    throw new Error("checksum does not match");
  }
  const { version, ...meta } = JSON.parse(line) as CheckpointMeta & { version: number };
  if (version !== CHECKPOINT_META_VERSION) {
    throw new Error(
      `version ${version} is not known to this program, which knows ${CHECKPOINT_META_VERSION}`,
    );
  }
  return meta;
}

export function readCheckpointMeta(disk: Disk, name: string): CheckpointMeta {
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
