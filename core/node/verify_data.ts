/** `walraft verify`: what a data folder holds, checked without changing anything. The node must not be running. */
import type { Disk, DiskFile } from "../base/ports.ts";
import { crc32 } from "../codec/crc32.ts";
import { decodeState, HARD_STATE_PATH } from "../log/hard_state.ts";
import { clusterIdBytes, type NodeIdentity, readNodeIdentity } from "../log/node_identity.ts";
import { recoverLog } from "../log/recovery.ts";
import { readWholeFile } from "../log/replace_file.ts";
import type { LogBase } from "../log/segment_header.ts";
import { type Catalog, readCatalog } from "../pages/catalog.ts";
import { databaseFile, readCheckpointMeta } from "../pages/checkpoint_meta.ts";
import type { Database } from "../pages/database.ts";
import { PageStore, type StoredCheckpoint } from "../pages/page_store.ts";
import { PageSumReader } from "../pages/page_sums.ts";
import { EntryType } from "../raft/message.ts";
import { explainFork, FORK_REPORT_PATH, readForkReport } from "./fork_report.ts";
import { decodeManifest, MANIFEST_PATH } from "./snapshot_files.ts";

export interface Finding {
  /** A file or a part of the folder. */
  readonly what: string;
  readonly state: "ok" | "note" | "damaged";
  /** What it holds, or what is wrong and what to do. */
  readonly text: string;
}

const REPLACE = "remove this node from the cluster and let it join again with an empty folder";
const REPAIRED = "a running node with other members brings it back by itself";
/** A longer list helps nobody. */
const PAGES_NAMED_MAX = 10;

export async function verifyData(disk: Disk): Promise<Finding[]> {
  const findings: Finding[] = [];
  const source = readOnly(disk);
  const check = <T>(what: string, advice: string, action: () => T): T | undefined => {
    try {
      return action();
    } catch (error) {
      findings.push({ what, state: "damaged", text: `${messageOf(error)}; ${advice}` });
      return undefined;
    }
  };
  const note = (what: string, text: string): void => void findings.push({ what, state: "note", text });
  const sound = (what: string, text: string): void => void findings.push({ what, state: "ok", text });

  const identity = check("node.json", REPLACE, () => readNodeIdentity(source));
  if (identity === undefined) {
    if (findings.length === 0) note("node.json", "missing: the folder was never used by a node");
    return findings;
  }
  sound("node.json", `node ${identity.nodeId} of cluster ${identity.clusterId}`);
  const fork = check(
    FORK_REPORT_PATH,
    "delete it if it was not written by walraft",
    () => readForkReport(source),
  );
  if (fork !== undefined) {
    findings.push({ what: FORK_REPORT_PATH, state: "damaged", text: explainFork(fork) });
  }
  const pending = check(MANIFEST_PATH, REPLACE, () => {
    const bytes = readWholeFile(source, MANIFEST_PATH);
    return bytes === undefined ? undefined : decodeManifest(bytes);
  });
  if (pending !== undefined) {
    note(MANIFEST_PATH, `a snapshot at ${pending.metadata.index} is put in place at the next start`);
  }
  const state = check(HARD_STATE_PATH, REPLACE, () => {
    const bytes = readWholeFile(source, HARD_STATE_PATH);
    return bytes === undefined ? undefined : decodeState(bytes);
  });
  if (state !== undefined) {
    sound(HARD_STATE_PATH, `term ${state.hardState.term}, vote ${state.hardState.vote}`);
  }
  const catalog = check("db/catalog", REPLACE, () => readCatalog(source));
  if (catalog !== undefined) {
    sound("db/catalog", `${catalog.databases.length} databases at index ${catalog.index}`);
  }
  const checkpoints = readRecords(source, findings);
  const store = await verifyLog(source, identity, state?.base, checkpoints, catalog, findings);
  for (const checkpoint of checkpoints) {
    verifyFile(source, checkpoint, store?.get(checkpoint.databaseId), findings);
  }
  return findings;
}

function readRecords(disk: Disk, findings: Finding[]): StoredCheckpoint[] {
  const records: StoredCheckpoint[] = [];
  for (const entry of disk.list("db")) {
    if (!entry.endsWith(".meta")) continue;
    const name = entry.slice(0, -".meta".length);
    try {
      records.push({ name, ...readCheckpointMeta(disk, name) });
    } catch (error) {
      findings.push({ what: `db/${entry}`, state: "damaged", text: messageOf(error) });
    }
  }
  return records;
}

/** Returns which page versions lie in the log; undefined when it cannot be read. */
async function verifyLog(
  disk: Disk,
  identity: NodeIdentity,
  base: LogBase | undefined,
  checkpoints: readonly StoredCheckpoint[],
  catalog: Catalog | undefined,
  findings: Finding[],
): Promise<PageStore | undefined> {
  const store = new PageStore(checkpoints, catalog);
  try {
    const { report, table, tail } = await recoverLog(disk, {
      clusterId: clusterIdBytes(identity.clusterId),
      base: base ?? { index: 0, term: 0, hash: 0 },
      onEntry: (entry, bodyPosition) => {
        if (entry.type === EntryType.empty) store.beginTerm(entry.index);
        else if (entry.type === EntryType.data) {
          store.append({ index: entry.index, body: entry.data, bodyPosition });
        }
      },
    });
    for (const { segment, fromIndex, toIndex, why } of report.damaged) {
      const text =
        `entries ${fromIndex} to ${toIndex}, which were durable: ${why}; at its next start the node takes ` +
        "everything from the leader before it takes part";
      findings.push({ what: segment, state: "damaged", text });
    }
    if (report.tornTail !== undefined) {
      const { segment, fromIndex, why } = report.tornTail;
      const text = `entry ${fromIndex} was never acknowledged and will be cut: ${why}`;
      findings.push({ what: segment, state: "note", text });
    }
    if (report.damaged.length > 0) return undefined;
    const last = Math.max(table.lastIndex, tail.lastIndex);
    const hash = (tail.hashAt(last) ?? table.hashAt(last) ?? 0).toString(16).padStart(8, "0");
    const text =
      `entries ${report.firstIndex} to ${last}, known to be committed up to ${report.commitIndex}; running ` +
      `hash ${hash} at ${last}, to be compared with other members`;
    findings.push({ what: "raft/log", state: "ok", text });
    return store;
  } catch (error) {
    findings.push({ what: "raft/log", state: "damaged", text: `${messageOf(error)}; ${REPLACE}` });
    return undefined;
  }
}

function verifyFile(
  disk: Disk,
  checkpoint: StoredCheckpoint,
  database: Database | undefined,
  findings: Finding[],
): void {
  const { name, index, pageCount, pageSize, hasSums, copiedThrough = index } = checkpoint;
  const what = databaseFile(name);
  const add = (state: Finding["state"], text: string): void => void findings.push({ what, state, text });
  if (!disk.exists(what)) {
    return add("damaged", `missing, although it holds a checkpoint at ${index}; ${REPLACE}`);
  }
  if (hasSums !== true) {
    return add("note", `${pageCount} pages at index ${index}, without checksums until the next checkpoint`);
  }
  if (copiedThrough > index && database === undefined) {
    return add("note", `a copy up to ${copiedThrough} was interrupted; it is repeated at the next start`);
  }
  const bad: number[] = [];
  let badCount = 0;
  const file = disk.openFile(what, "read");
  const sums = new PageSumReader(disk, name);
  try {
    const page = new Uint8Array(pageSize);
    for (let pageNumber = 1; pageNumber <= pageCount; pageNumber++) {
      // Readers find this page in the log; an interrupted copy may have put it here already.
      if (database?.pages.locate(pageNumber, Infinity) !== undefined) continue;
      const read = file.readAt(page, (pageNumber - 1) * pageSize);
      if (read === pageSize && crc32(page) === sums.get(pageNumber)) continue;
      badCount++;
      if (bad.length < PAGES_NAMED_MAX) bad.push(pageNumber);
    }
  } finally {
    sums.close();
    file.close();
  }
  if (badCount === 0) return add("ok", `${pageCount} pages at index ${index}, all with the right checksum`);
  const more = badCount > bad.length ? ` and ${badCount - bad.length} more` : "";
  add("damaged", `pages ${bad.join(", ")}${more} have a wrong checksum; ${REPAIRED}`);
}

/** What would change something does nothing, or fails. */
function readOnly(disk: Disk): Disk {
  const open = (path: string): DiskFile => {
    const file = disk.openFile(path, "read");
    return {
      readAt: (into, offset) => file.readAt(into, offset),
      writeAt: () => refuse(path),
      truncate: () => refuse(path),
      sync: () => Promise.resolve(),
      size: () => file.size(),
      close: () => file.close(),
    };
  };
  return {
    openFile: open,
    exists: (path) => disk.exists(path),
    list: (path) => disk.list(path),
    makeDirectory: () => {},
    remove: () => {},
    rename: refuse,
    syncDirectory: () => Promise.resolve(),
  };
}

function refuse(path: string): never {
  throw new Error(`Cannot change ${path}: it is only being verified`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
