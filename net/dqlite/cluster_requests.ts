import { NodeError } from "../../core/base/errors.ts";
import { LIMITS } from "../../core/base/limits.ts";
import type { ClusterStatus, MemberStatus, NodeService } from "../../core/node/service.ts";
import { type Answer, EMPTY, respond } from "./answer.ts";
import { FailureError } from "./failure.ts";
import { FailureCode } from "./failure_codes.ts";
import { encodeFilesHeads } from "./files_head.ts";
import type { ProtocolVersion } from "./handshake.ts";
import {
  type AddRequest,
  type AssignRequest,
  type ClusterRequest,
  type DumpRequest,
  type RemoveRequest,
  Role,
  type TransferRequest,
  type Unsigned,
  type WeightRequest,
} from "./request.ts";

const TIMEOUT_MS = LIMITS.requestMsDefault;

/** What a node says about itself: of this process, lost when it ends, as in dqlite. */
export interface NodeMetadata {
  weight: Unsigned;
}

/** Requests about the cluster. They need no database, and any node answers those that change nothing. */
export class ClusterRequests {
  readonly #node: NodeService;
  readonly #metadata: NodeMetadata;

  constructor(node: NodeService, metadata: NodeMetadata) {
    this.#node = node;
    this.#metadata = metadata;
  }

  async leader(version: ProtocolVersion): Promise<Answer> {
    const { leaderId, members } = await this.#node.cluster();
    const leader = members.find(({ id }) => id === leaderId);
    const address = leader?.wireAddress ?? "";
    if (version === "legacy") return respond({ kind: "node_legacy", address });
    return respond({ kind: "node", nodeId: address === "" ? 0 : leader?.id ?? 0, address });
  }

  /** Members that do not speak the protocol have no address that a client could use, and are left out. */
  async cluster({ format }: ClusterRequest): Promise<Answer> {
    const { members } = await this.#node.cluster();
    const nodes = members.flatMap((member) =>
      member.wireAddress === undefined
        ? []
        : [{ nodeId: member.id, address: member.wireAddress, role: roleOf(member) }]
    );
    return respond({ kind: "nodes", format, nodes });
  }

  /** A node of walraft adds itself; to add one from outside would need the address of its log, which is another. */
  async add({ nodeId, address }: AddRequest): Promise<Answer> {
    const { members } = await this.#mustLead();
    if (members.some(({ id }) => id === nodeId)) throw refusal("server ID already in use");
    if (members.some(({ wireAddress }) => wireAddress === address)) {
      throw refusal("server address already in use");
    }
    throw refusal(`cannot add ${address}: a walraft node adds itself, start it with --join`);
  }

  /** Learners become voters by themselves once they have caught up, and no voter becomes a learner. */
  async assign({ nodeId, role }: AssignRequest): Promise<Answer> {
    const member = findMember(await this.#mustLead(), nodeId, "Resource not found");
    if (roleOf(member) === role) throw refusal("server role is not valid");
    if (role !== Role.voter) throw refusal("walraft has no members that stay without a vote");
    throw new FailureError({
      code: FailureCode.busy,
      message: "the member gets its vote by itself as soon as it has caught up",
    });
  }

  async remove({ nodeId }: RemoveRequest): Promise<Answer> {
    const { id } = findMember(await this.#mustLead(), nodeId, "server ID is not valid");
    await this.#node.removeMember(id, TIMEOUT_MS);
    return EMPTY;
  }

  async transfer({ nodeId }: TransferRequest): Promise<Answer> {
    const status = await this.#mustLead();
    if (nodeId === 0) {
      await this.#node.transferLeadership(undefined, TIMEOUT_MS);
      return EMPTY;
    }
    const { id, role } = findMember(status, nodeId, "server ID is not valid");
    if (role !== "voter") throw refusal("server ID is not valid");
    await this.#node.transferLeadership(id, TIMEOUT_MS);
    return EMPTY;
  }

  describe(): Answer {
    return respond({ kind: "metadata", failureDomain: 0, weight: this.#metadata.weight });
  }

  weight({ weight }: WeightRequest): Answer {
    this.#metadata.weight = weight;
    return EMPTY;
  }

  /** The database as one file at one moment, and a WAL of no bytes, as dqlite since 1.18.3. */
  async dump({ name }: DumpRequest): Promise<Answer> {
    const { bytes, chunks } = await this.#node.backup(name, TIMEOUT_MS);
    return { kind: "stream", chunks: dumpChunks(name, bytes, chunks) };
  }

  async #mustLead(): Promise<ClusterStatus> {
    const status = await this.#node.cluster();
    if (status.role === "leader") return status;
    throw new NodeError("not_leader", "Cannot change members: this node does not lead");
  }
}

async function* dumpChunks(
  name: string,
  bytes: number,
  chunks: AsyncIterableIterator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const [first, second] = encodeFilesHeads([{ name, bytes }, { name: `${name}-wal`, bytes: 0 }]);
  if (first !== undefined) yield first;
  yield* chunks;
  if (second !== undefined) yield second;
}

function roleOf({ role }: MemberStatus): Role {
  return role === "learner" ? Role.spare : Role.voter;
}

function findMember({ members }: ClusterStatus, nodeId: Unsigned, message: string): MemberStatus {
  const member = members.find(({ id }) => id === nodeId);
  if (member === undefined) throw refusal(message);
  return member;
}

function refusal(message: string): FailureError {
  return new FailureError({ code: FailureCode.error, message });
}
