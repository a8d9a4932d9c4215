/**
 * A snapshot on its way into the data folder. The staged files lie in `snapshot/`; the manifest, written last, is the
 * point of no return: with it on disk the snapshot is put in place, now or at the next start.
 */
import type { DatabaseId } from "../base/ids.ts";
import type { Disk } from "../base/ports.ts";
import { decodeCheckedJson, encodeCheckedJson } from "../codec/checked_json.ts";
import type { HardStateFile } from "../log/hard_state.ts";
import { fileDamaged, UnknownFormatError } from "../log/damage.ts";
import { readWholeFile, replaceFile } from "../log/replace_file.ts";
import { LOG_FOLDER } from "../log/segment_header.ts";
import { type Catalog, writeCatalog } from "../pages/catalog.ts";
import {
  type CheckpointMeta,
  databaseFile,
  metaFile,
  writeCheckpointMeta,
} from "../pages/checkpoint_meta.ts";
import { sumFile } from "../pages/page_sums.ts";
import type { SnapshotMetadata } from "../raft/message.ts";
import { readCheckpoints, removeOrphans } from "./checkpoints.ts";

export const SNAPSHOT_FOLDER = "snapshot";
export const MANIFEST_PATH = `${SNAPSHOT_FOLDER}/manifest`;
/** Version of the manifest; see README.md. */
const MANIFEST_VERSION = 1;

export interface StagedDatabase extends CheckpointMeta {
  /** Of its files when they are in place. */
  readonly name: string;
}

export interface Manifest {
  readonly metadata: SnapshotMetadata;
  readonly catalog: Catalog;
  /** Databases whose file is replaced; the others are already as they should be. */
  readonly staged: readonly StagedDatabase[];
  /** The log on disk is damaged: nothing of it is read. */
  readonly discardLog: boolean;
}

export function stagedFile(id: DatabaseId): string {
  return `${SNAPSHOT_FOLDER}/${id}.db`;
}

export function stagedSums(id: DatabaseId): string {
  return `${SNAPSHOT_FOLDER}/${id}.sum`;
}

export function encodeManifest(manifest: Manifest): Uint8Array {
  const { membership, ...place } = manifest.metadata;
  const metadata = { ...place, membership: [...membership] };
  return encodeCheckedJson({ version: MANIFEST_VERSION, ...manifest, metadata });
}

/** @throws DamageError, UnknownFormatError */
export function decodeManifest(bytes: Uint8Array): Manifest {
  const { version, metadata, ...rest } = readJson(bytes) as Omit<Manifest, "metadata"> & {
    version: number;
    metadata: Omit<SnapshotMetadata, "membership"> & { membership: number[] };
  };
  if (version !== MANIFEST_VERSION) {
    throw new UnknownFormatError(
      `Cannot read ${MANIFEST_PATH}: it has version ${version}; start this node with the newer walraft that wrote it`,
    );
  }
  return { ...rest, metadata: { ...metadata, membership: Uint8Array.from(metadata.membership) } };
}

function readJson(bytes: Uint8Array): unknown {
  try {
    return decodeCheckedJson(bytes);
  } catch (error) {
    throw fileDamaged(MANIFEST_PATH, error instanceof Error ? error.message : String(error));
  }
}

/** The staged files are durable; from here on the snapshot is put in place, whatever happens. */
export async function writeManifest(disk: Disk, manifest: Manifest): Promise<void> {
  // The folder itself may be new.
  await disk.syncDirectory("");
  await disk.syncDirectory(SNAPSHOT_FOLDER);
  await replaceFile(disk, MANIFEST_PATH, encodeManifest(manifest));
}

/**
 * Puts the files in place and records the new beginning of the log. May be repeated: what was done before a crash is
 * found done. The log itself is begun anew by whoever calls this, and the manifest removed after that.
 */
export async function placeSnapshot(disk: Disk, hardState: HardStateFile, manifest: Manifest): Promise<void> {
  const { catalog, staged, metadata } = manifest;
  for (const { databaseId, name } of staged) {
    if (disk.exists(stagedSums(databaseId))) disk.rename(stagedSums(databaseId), sumFile(name));
    if (disk.exists(stagedFile(databaseId))) disk.rename(stagedFile(databaseId), databaseFile(name));
  }
  await disk.syncDirectory("db");
  for (const { name, ...meta } of staged) await writeCheckpointMeta(disk, name, meta);
  removeOtherCopies(disk, staged);
  const known = new Set(catalog.databases.map(({ id }) => id));
  removeOrphans(disk, (id) => known.has(id));
  await writeCatalog(disk, catalog);
  await hardState.saveBase(metadata);
  if (manifest.discardLog) {
    for (const name of disk.list(LOG_FOLDER)) disk.remove(`${LOG_FOLDER}/${name}`);
    await disk.syncDirectory(LOG_FOLDER);
  }
}

/** Files of an older copy under another name. */
function removeOtherCopies(disk: Disk, staged: readonly StagedDatabase[]): void {
  const names = new Map(staged.map(({ databaseId, name }) => [databaseId, name]));
  for (const { databaseId, name } of readCheckpoints(disk)) {
    const placed = names.get(databaseId);
    if (placed !== undefined && placed !== name) disk.remove(metaFile(name));
  }
}

/** The snapshot is in place and the log begins behind it, durably. */
export async function removeManifest(disk: Disk): Promise<void> {
  disk.remove(MANIFEST_PATH);
  await disk.syncDirectory(SNAPSHOT_FOLDER);
}

/** Finishes what a crash interrupted. To be called before anything else of the data folder is read. */
export async function finishSnapshot(disk: Disk, hardState: HardStateFile): Promise<void> {
  const bytes = readWholeFile(disk, MANIFEST_PATH);
  if (bytes !== undefined) await placeSnapshot(disk, hardState, decodeManifest(bytes));
}

/** Staged files of databases that are not wanted any more. */
export function removeStaged(disk: Disk, isWanted: (file: string) => boolean): void {
  for (const name of disk.list(SNAPSHOT_FOLDER)) {
    const path = `${SNAPSHOT_FOLDER}/${name}`;
    if (path !== MANIFEST_PATH && !isWanted(path)) disk.remove(path);
  }
}
