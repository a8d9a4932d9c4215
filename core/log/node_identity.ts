/** `node.json`: who this data folder belongs to. JSON, so that an operator can read it. */
import { NodeError } from "../base/errors.ts";
import type { NodeId } from "../base/ids.ts";
import type { Disk, PeerAddress, Random } from "../base/ports.ts";
import { fileDamaged, UnknownFormatError } from "./damage.ts";
import { readWholeFile, replaceFile } from "./replace_file.ts";
import { CLUSTER_ID_BYTES } from "./segment_header.ts";

export const NODE_IDENTITY_PATH = "node.json";
const FORMAT_VERSION = 1;

export interface NodeIdentity {
  /** 32 hexadecimal digits, drawn when the cluster was founded. */
  readonly clusterId: string;
  /** Never used again by another node, also after this one is removed. 0 while `state` is `joining`. */
  readonly nodeId: NodeId;
  /** `joining`: asked to become a member and may ask again with the same token; `member`: takes part. */
  readonly state: "joining" | "member";
  /** Members to ask first when the log does not say who they are yet. */
  readonly peers: readonly PeerAddress[];
  /** Drawn once per data folder, so that a repeated request to join can get the same node id. */
  readonly joinToken?: string;
}

/** A new cluster id or join token. */
export function drawId(random: Random): string {
  return toHex(random.bytes(CLUSTER_ID_BYTES));
}

/** The 16 bytes a cluster id stands for, as the log keeps them. */
export function clusterIdBytes(clusterId: string): Uint8Array {
  if (!/^[0-9a-f]{32}$/.test(clusterId)) {
    throw new NodeError(
      "bad_request",
      `Cannot use cluster id "${clusterId}": it must be 32 hexadecimal digits`,
    );
  }
  return Uint8Array.from(
    { length: CLUSTER_ID_BYTES },
    (_, i) => parseInt(clusterId.slice(2 * i, 2 * i + 2), 16),
  );
}

/**
 * The identity of this data folder, undefined when it is new. A rename that was seen but is not durable is made so
 * before the log is written: opening the log synchronises the folder.
 *
 * @throws DamageError, UnknownFormatError
 */
export function readNodeIdentity(disk: Disk): NodeIdentity | undefined {
  if (disk.exists(`${NODE_IDENTITY_PATH}.tmp`)) disk.remove(`${NODE_IDENTITY_PATH}.tmp`);
  const bytes = readWholeFile(disk, NODE_IDENTITY_PATH);
  if (bytes === undefined) return undefined;
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw fileDamaged(NODE_IDENTITY_PATH, "it is not JSON");
  }
  return checkIdentity(parsed);
}

/** Durable when it resolves. */
export function writeNodeIdentity(disk: Disk, identity: NodeIdentity): Promise<void> {
  const text = JSON.stringify({ formatVersion: FORMAT_VERSION, ...identity }, undefined, 2) + "\n";
  return replaceFile(disk, NODE_IDENTITY_PATH, new TextEncoder().encode(text));
}

function checkIdentity(value: unknown): NodeIdentity {
  const fields = (typeof value === "object" && value !== null ? value : {}) as Record<string, unknown>;
  const { formatVersion, clusterId, nodeId, state, peers, joinToken } = fields;
  if (typeof formatVersion === "number" && formatVersion > FORMAT_VERSION) {
    throw new UnknownFormatError(
      `Cannot read ${NODE_IDENTITY_PATH}: it has version ${formatVersion}; start this node with the newer walraft that wrote it`,
    );
  }
  const isSound = formatVersion === FORMAT_VERSION && typeof clusterId === "string" &&
    typeof nodeId === "number" && Number.isSafeInteger(nodeId) && nodeId >= 0 &&
    (state === "joining" || (state === "member" && nodeId > 0)) && Array.isArray(peers) &&
    peers.every(isPeerAddress) && (joinToken === undefined || typeof joinToken === "string");
  if (!isSound) throw fileDamaged(NODE_IDENTITY_PATH, "a field is missing or has a value that cannot be");
  const identity: NodeIdentity = { clusterId, nodeId, state, peers };
  return joinToken === undefined ? identity : { ...identity, joinToken };
}

function isPeerAddress(value: unknown): value is PeerAddress {
  if (typeof value !== "object" || value === null) return false;
  const { id, raftAddress } = value as Record<string, unknown>;
  return typeof id === "number" && typeof raftAddress === "string";
}

function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
