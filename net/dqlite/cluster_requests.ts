import { NodeError } from "../../core/base/errors.ts";
import { LIMITS } from "../../core/base/limits.ts";
import type { ClusterStatus, MemberStatus, NodeService, WantedRole } from "../../core/node/service.ts";
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

const WANTED_ROLES: Readonly<Record<Role, WantedRole>> = {
  [Role.voter]: "voter",
  [Role.stand_by]: "stand_by",
  [Role.spare]: "spare",
};

/** Requests about the cluster. They need no database, and any node answers those that change nothing. */
export class ClusterRequests {
  readonly #node: NodeService;

  constructor(node: NodeService) {
    this.#node = node;
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

  /**
   * A node of walraft adds itself, under an id it is given and in the role it was started with: to add it from outside
   * would need the address of its log, which is another. So a member that is there is added already, and nothing changes.
   */
  async add({ nodeId, address }: AddRequest): Promise<Answer> {
    const { members } = await this.#mustLead();
    const member = members.find(({ wireAddress }) => wireAddress === address);
    if (member !== undefined && (nodeId === member.id || nodeId === 0)) return EMPTY;
    // A client that went on with the id it has in mind would speak of nobody, or of another member.
    if (member !== undefined) {
      throw refusal(
        `server address already in use: ${address} is member ${member.id}, an id that walraft gave it`,
      );
    }
    if (members.some(({ id }) => id === nodeId)) throw refusal("server ID already in use");
    throw refusal(
      `cannot add ${address}: a walraft node adds itself and is given its id; ` +
        "start it with --join, and with --role spare to choose its role later",
    );
  }

  /** To a voter it is answered when the member has its vote. */
  async assign({ nodeId, role }: AssignRequest): Promise<Answer> {
    const { id, role: current } = findMember(await this.#mustLead(), nodeId, "Resource not found");
    const wanted = WANTED_ROLES[role];
    if (wanted === (current === "leader" ? "voter" : current)) throw refusal("server role is not valid");
    await this.#node.changeMember(id, { role: wanted }, TIMEOUT_MS);
    return EMPTY;
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

  /** Asks nobody: clients look in this way whether a node is alive. */
  describe(): Answer {
    return respond({ kind: "metadata", ...this.#node.traits() });
  }

  /** Of the node that is asked, as in dqlite; but the cluster knows it, and it outlives the process. */
  async weight({ weight }: WeightRequest): Promise<Answer> {
    const { nodeId } = await this.#node.cluster();
    await this.#node.changeMember(nodeId, { weight }, TIMEOUT_MS);
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

/** Who has no vote yet is to dqlite's clients what it was before: a spare. */
function roleOf({ role }: MemberStatus): Role {
  if (role === "stand_by") return Role.stand_by;
  return role === "leader" || role === "voter" ? Role.voter : Role.spare;
}

function findMember({ members }: ClusterStatus, nodeId: Unsigned, message: string): MemberStatus {
  const member = members.find(({ id }) => id === nodeId);
  if (member === undefined) throw refusal(message);
  return member;
}

function refusal(message: string): FailureError {
  return new FailureError({ code: FailureCode.error, message });
}
