/**
 * A node whose log is damaged where it was durable has forgotten what it acknowledged. It takes no part in the cluster
 * until it holds at least that again: it fetches everything from the leader and begins a new log behind it (promise 6).
 */
import { NodeError } from "../base/errors.ts";
import type { Milliseconds, NodeId } from "../base/ids.ts";
import type { Clock, Disk, EventSink } from "../base/ports.ts";
import type { DamageError } from "../log/damage.ts";
import type { HardStateFile } from "../log/hard_state.ts";
import { databaseFile } from "../pages/checkpoint_meta.ts";
import { readCheckpoints } from "./checkpoints.ts";
import { decodeAnswer, encodeRequest, type PeerMethods } from "./peer_calls.ts";
import { SnapshotFetch, type SnapshotMethod } from "./snapshot_fetch.ts";
import { type Manifest, placeSnapshot, writeManifest } from "./snapshot_files.ts";
import type { SnapshotDatabase } from "./snapshot_source.ts";
import type { ViewPages } from "./view_pages.ts";

export interface RebuildOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly events: EventSink;
  readonly nodeId: NodeId;
  /** Peer addresses of the other members. */
  readonly peers: readonly string[];
  readonly callOnce: (
    raftAddress: string,
    method: string,
    body: Uint8Array,
    timeoutMs: Milliseconds,
  ) => Promise<Uint8Array>;
}

const CALL_MS_MAX = 10_000;
const RETRY_MS = 500;

/** Tries until a leader answers: without one this node can do nothing. The log is gone and begun anew by the caller. */
export async function rebuild(
  options: RebuildOptions,
  hardState: HardStateFile,
  damage: DamageError,
): Promise<void> {
  const { disk, events, clock, peers } = options;
  if (peers.length === 0) throw damage;
  events.event("log_damaged", { reason: damage.message, highestIndex: damage.highestIndex });
  let address = peers[0] as string;
  for (let attempt = 1;; attempt++) {
    try {
      const manifest = await fetchFrom(options, address, damage.highestIndex);
      await writeManifest(disk, manifest);
      await placeSnapshot(disk, hardState, manifest);
      events.event("log_rebuilt", { index: manifest.metadata.index, databases: manifest.staged.length });
      return;
    } catch (error) {
      if (!(error instanceof NodeError)) throw error;
      events.event("rebuild_waits", { attempt, address, reason: error.message });
      address = error.details.leader ?? peers[attempt % peers.length] as string;
    }
    await new Promise<void>((resolve) => void clock.after(RETRY_MS, resolve));
  }
}

function fetchFrom(options: RebuildOptions, address: string, atLeast: number): Promise<Manifest> {
  const { disk, events, callOnce, nodeId } = options;
  const snapshot = new SnapshotFetch({
    disk,
    events,
    member: nodeId,
    call: async <M extends SnapshotMethod>(method: M, request: PeerMethods[M]["request"]) =>
      decodeAnswer<M>(await callOnce(address, method, encodeRequest<M>(request, CALL_MS_MAX), CALL_MS_MAX)),
    isCurrent: ({ id, index }) =>
      Promise.resolve(
        readCheckpoints(disk).some((own) =>
          own.databaseId === id && own.index === index && own.copiedThrough === index
        ),
      ),
    ownPages: (database) => filePages(disk, database),
  });
  return snapshot.fetch(atLeast, true);
}

/** What the `.db` file holds, sound or not: digests decide. */
function filePages(disk: Disk, { id, pageSize }: SnapshotDatabase): ViewPages | undefined {
  const own = readCheckpoints(disk).find((checkpoint) => checkpoint.databaseId === id);
  if (own === undefined || own.pageSize !== pageSize || !disk.exists(databaseFile(own.name))) {
    return undefined;
  }
  const file = disk.openFile(databaseFile(own.name), "read");
  return {
    pageCount: Math.min(own.pageCount, Math.floor(file.size() / pageSize)),
    read: (first, into) => void file.readAt(into, (first - 1) * pageSize),
    close: () => file.close(),
  };
}
