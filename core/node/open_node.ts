/** Brings a node up from what its data folder says, or makes it a member of a cluster first. */
import { NodeError } from "../base/errors.ts";
import type { LogIndex, Milliseconds, NodeId } from "../base/ids.ts";
import { LIMITS } from "../base/limits.ts";
import type {
  Clock,
  Disk,
  EndOfTurn,
  EventSink,
  PeerAddress,
  Random,
  Transport,
  TransportHandler,
} from "../base/ports.ts";
import { DamageError } from "../log/damage.ts";
import { HardStateFile } from "../log/hard_state.ts";
import { Log } from "../log/log.ts";
import { chainHash } from "../log/record.ts";
import { type NodeIdentity, readNodeIdentity, writeNodeIdentity } from "../log/node_identity.ts";
import { readCatalog } from "../pages/catalog.ts";
import { PageStore } from "../pages/page_store.ts";
import {
  addressesOf,
  decodeMembership,
  EMPTY_MEMBERSHIP,
  encodeMembership,
  type Membership,
  traitsOf,
} from "../raft/membership.ts";
import { EntryType } from "../raft/message.ts";
import { Raft } from "../raft/raft.ts";
import type { ShortWorkOptions } from "../sql/pool.ts";
import type { StartSqlWorker } from "../sql/worker_slot.ts";
import { finishRenames, readCheckpoints, removeOrphans, settleFileNames } from "./checkpoints.ts";
import { DiskReserve, isDiskFull } from "./disk_reserve.ts";
import { explainFork, readForkReport } from "./fork_report.ts";
import { noteLeases } from "./lease_note.ts";
import { Node } from "./node.ts";
import type { NodeParts } from "./node_parts.ts";
import { decodeAnswer, encodeRequest } from "./peer_calls.ts";
import { rebuild } from "./rebuild.ts";
import { finishSnapshot, MANIFEST_PATH, removeManifest } from "./snapshot_files.ts";
import type { NewMember } from "./service.ts";

/** How a node with an empty data folder begins. */
export type FirstStart =
  /** As the only member of a new cluster. */
  | { readonly kind: "bootstrap" }
  /** As a new member of the cluster that one of these peer addresses belongs to. */
  | { readonly kind: "join"; readonly raftAddresses: readonly string[] };

export interface OpenNodeOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly endOfTurn: EndOfTurn;
  readonly random: Random;
  readonly events: EventSink;
  readonly addresses: NewMember;
  readonly firstStart: FirstStart;
  /** Starts listening for peers. */
  readonly openTransport: (
    identity: { readonly clusterId: string; readonly nodeId: NodeId },
    handler: TransportHandler,
  ) => Transport;
  /** One call to a peer of a cluster that this node does not belong to yet. */
  readonly callOnce: (
    raftAddress: string,
    method: string,
    body: Uint8Array,
    timeoutMs: Milliseconds,
  ) => Promise<
    Uint8Array
  >;
  readonly startWorker: StartSqlWorker;
  /** Short queries run on the main thread; without it workers run them all. */
  readonly shortWork?: ShortWorkOptions;
  readonly readerCount: number;
  readonly electionTimeoutMs: Milliseconds;
  readonly heartbeatMs: Milliseconds;
  /** Leader leases of this length, at most half of `electionTimeoutMs`; 0 or left out: none. */
  readonly leaseMs?: Milliseconds;
  readonly checkpointBytes: number;
  readonly checkpointAgeMs: Milliseconds;
  /** How far back reads of the past reach; 0: only as far as open views do. */
  readonly retainMs: Milliseconds;
  /** Limit of the log on disk. */
  readonly logBytesMax: number;
  readonly createDatabases: boolean;
  /** Entries of one append message, in bytes; LIMITS.appendBytesMax where it is left out. */
  readonly appendBytesMax?: number;
  readonly onFatal: (error: Error) => void;
}

/** A log that was never compacted follows this: files missing at its front are damage, not retention. */
const LOG_BEGIN = { index: 0, term: 0, hash: 0 };
const JOIN_TIMEOUT_MS = 10_000;
/** A cluster that is being started may need a while until someone leads. */
const JOIN_PATIENCE_MS = 60_000;
const JOIN_RETRY_MS = 250;

export async function openNode(options: OpenNodeOptions): Promise<Node> {
  const { disk, leaseMs = 0 } = options;
  const fork = readForkReport(disk);
  if (fork !== undefined) throw new NodeError("internal", `Cannot start: ${explainFork(fork)}`);
  const identity = await identify(options);
  disk.makeDirectory("db");
  const hardState = await HardStateFile.open(disk);
  await finishSnapshot(disk, hardState);
  await finishRenames(disk);
  const opened = await readLog(options, identity.clusterId, hardState).catch(async (error) => {
    if (isDiskFull(error) && DiskReserve.remove(disk)) return readLog(options, identity.clusterId, hardState);
    if (!(error instanceof DamageError) || error.damaged.length === 0) throw error;
    const peers = identity.peers.map(({ raftAddress }) => raftAddress);
    await rebuild({ ...options, nodeId: identity.nodeId, peers }, hardState, error);
    return await readLog(options, identity.clusterId, hardState);
  });
  const { log, store, membership, commitIndex } = opened;
  if (disk.exists(MANIFEST_PATH)) await removeManifest(disk);
  mustHoldCheckpoints(log.lastIndex(), commitIndex);
  store.publish(commitIndex);
  removeOrphans(disk, (id) => store.get(id) !== undefined);
  await settleFileNames(disk, store);
  const mayHavePromised = await noteLeases(disk, leaseMs > 0);
  const lease = { ms: leaseMs, mayHavePromised, nowMs: () => options.clock.nowMs() };
  const raft = new Raft({ ...raftOptions(options, identity.nodeId), lease }, {
    hardState: hardState.value,
    log,
    membership,
    commitIndex,
    random: () => options.random.next(),
  });
  const bytes = Math.min(LIMITS.diskReserveBytes, Math.ceil(options.logBytesMax / LIMITS.logSegmentsMin));
  const reserve = new DiskReserve({ ...options, bytes });
  return connect(options, identity, { raft, log, hardState, store, reserve });
}

/** One pass over the log: which pages lie where, and who belongs to the cluster. */
async function readLog(
  { disk, events, logBytesMax }: OpenNodeOptions,
  clusterId: string,
  hardState: HardStateFile,
) {
  const checkpoints = readCheckpoints(disk);
  const catalog = readCatalog(disk);
  const { base } = hardState;
  const beginning = base === undefined ? EMPTY_MEMBERSHIP : decodeMembership(base.membership);
  let store = new PageStore(checkpoints, catalog);
  let membership = beginning;
  const { log, recovery, restarted } = await Log.open(disk, {
    clusterId,
    base: base ?? LOG_BEGIN,
    events,
    segmentBytesMax: segmentBytesFor(logBytesMax),
    onEntry: (entry, bodyPosition) => {
      if (entry.type === EntryType.empty) store.beginTerm(entry.index);
      else if (entry.type === EntryType.membership) membership = decodeMembership(entry.data);
      else store.append({ index: entry.index, body: entry.data, bodyPosition });
    },
  });
  if (restarted) {
    // A snapshot takes the place of what the log held.
    store = new PageStore(checkpoints, catalog);
    membership = beginning;
  }
  const commitIndex = Math.max(
    restarted ? 0 : recovery.commitIndex,
    base?.index ?? 0,
    catalog?.index ?? 0,
    ...checkpoints.map(({ index, copiedThrough }) => copiedThrough ?? index),
  );
  return { log, store, membership, commitIndex };
}

/** Segments go as a whole, so the largest log consists of many. */
function segmentBytesFor(logBytesMax: number): number {
  return Math.min(LIMITS.segmentBytesMax, Math.ceil(logBytesMax / LIMITS.logSegmentsMin));
}

/** The transport needs a handler and the node a transport: messages that come in between are lost, as any may be. */
function connect(
  options: OpenNodeOptions,
  identity: NodeIdentity,
  parts: Pick<NodeParts, "raft" | "log" | "hardState" | "store" | "reserve">,
): Node {
  const opened: { node?: Node } = {};
  const transport = options.openTransport(identity, {
    onMessage: (message) => opened.node?.onMessage(message),
    onCall: (from, method, body) =>
      opened.node?.onCall(from, method, body) ??
        Promise.reject(new NodeError("no_leader", "The node is starting; try again")),
    onUnreachable: (peer) => opened.node?.onUnreachable(peer),
    onConnected: () => opened.node?.onConnected(),
    onDisconnected: (peer) => opened.node?.onDisconnected(peer),
  });
  const node = new Node({
    ...options,
    ...parts,
    transport,
    clusterId: identity.clusterId,
    nodeId: identity.nodeId,
    tickMs: options.heartbeatMs,
    handOverMs: 10 * options.heartbeatMs + 2 * (options.leaseMs ?? 0),
    identity,
  });
  opened.node = node;
  node.start();
  return node;
}

/** A checkpoint is of committed entries: a log that ends before one has lost what this node acknowledged. */
function mustHoldCheckpoints(lastIndex: LogIndex, commitIndex: LogIndex): void {
  if (lastIndex >= commitIndex) return;
  throw new NodeError(
    "internal",
    `Cannot start: a .db file holds entry ${commitIndex}, but the log ends at ${lastIndex}. Part of the log is missing; ` +
      "remove this node from the cluster and let it join again with an empty data folder",
  );
}

function raftOptions(options: OpenNodeOptions, id: NodeId) {
  return {
    id,
    electionTicks: Math.max(3, Math.round(options.electionTimeoutMs / options.heartbeatMs)),
    heartbeatTicks: 1,
    appendBytesMax: options.appendBytesMax ?? LIMITS.appendBytesMax,
    appendsInFlightMax: LIMITS.appendsInFlightMax,
    appendBytesInFlightMax: LIMITS.appendBytesInFlightMax,
    uncommittedBytesMax: LIMITS.uncommittedBytesMax,
    chainHash,
  };
}

/** Who this node is: as recorded, or newly bootstrapped or joined. */
async function identify(options: OpenNodeOptions): Promise<NodeIdentity> {
  const recorded = readNodeIdentity(options.disk);
  if (recorded?.state === "member") return recorded;
  const identity = options.firstStart.kind === "bootstrap"
    ? await bootstrap(options, recorded)
    : await join(options, options.firstStart.raftAddresses);
  await writeNodeIdentity(options.disk, identity);
  return identity;
}

/**
 * A cluster of one, whose first entry says so. The identity is recorded as unfinished before that entry is written, so a
 * crash in between is repeated with the same cluster id.
 */
async function bootstrap(
  options: OpenNodeOptions,
  recorded: NodeIdentity | undefined,
): Promise<NodeIdentity> {
  const { disk, random, addresses, events } = options;
  const clusterId = recorded?.clusterId ?? toHex(random.bytes(16));
  const identity: NodeIdentity = { clusterId, nodeId: 1, state: "joining", peers: [] };
  await writeNodeIdentity(disk, identity);
  const { log } = await Log.open(disk, { clusterId, base: LOG_BEGIN, events });
  if (log.lastIndex() === 0) {
    const membership: Membership = {
      voters: [1],
      votersOutgoing: [],
      learners: [],
      standBys: [],
      spares: [],
      members: [{ id: 1, ...addressesOf(addresses), ...traitsOf(addresses) }],
      nextNodeId: 2,
    };
    const data = encodeMembership(membership, EMPTY_MEMBERSHIP);
    const type = EntryType.membership;
    log.append([{ index: 1, term: 1, type, data, hash: chainHash(0, 1, 1, type, data) }], 1);
    await log.sync();
  }
  await log.close();
  const hardState = await HardStateFile.open(disk);
  await hardState.save({ term: 1, vote: 0 });
  return { ...identity, state: "member" };
}

/** Asks the addresses in turn until the leader answers, following hints to it. */
async function join(options: OpenNodeOptions, raftAddresses: readonly string[]): Promise<NodeIdentity> {
  const { clock, events, addresses } = options;
  const untilMs = clock.nowMs() + JOIN_PATIENCE_MS;
  let last: unknown;
  for (let attempt = 0; clock.nowMs() < untilMs; attempt++) {
    let address = raftAddresses[attempt % raftAddresses.length];
    for (let hops = 0; address !== undefined && hops < 2; hops++) {
      try {
        const body = encodeRequest<"join">(addresses, JOIN_TIMEOUT_MS);
        const answer = decodeAnswer<"join">(await options.callOnce(address, "join", body, JOIN_TIMEOUT_MS));
        const peers: PeerAddress[] = answer.membership.members.filter(({ id }) => id !== answer.nodeId);
        return { clusterId: answer.clusterId, nodeId: answer.nodeId, state: "member", peers };
      } catch (error) {
        last = error;
        // A wrong secret, say: asking again does not help.
        if (error instanceof NodeError && error.retry === "never") throw cannotJoin(raftAddresses, error);
        address = error instanceof NodeError ? error.details.leader : undefined;
      }
    }
    events.event("join_waits", { attempt, reason: String(last) });
    await new Promise<void>((resolve) => {
      clock.after(JOIN_RETRY_MS, resolve);
    });
  }
  throw cannotJoin(raftAddresses, last);
}

function cannotJoin(raftAddresses: readonly string[], cause: unknown): NodeError {
  const code = cause instanceof NodeError ? cause.code : "no_leader";
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new NodeError(code, `Cannot join a cluster through ${raftAddresses.join(", ")}: ${reason}`, {}, {
    cause,
  });
}

function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
