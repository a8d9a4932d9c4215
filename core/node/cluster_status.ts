import type { Milliseconds, NodeId } from "../base/ids.ts";
import { roleOf } from "../raft/membership.ts";
import type { Driver } from "./driver.ts";
import type { NodeParts } from "./node_parts.ts";
import type { ClusterStatus, MemberStatus } from "./service.ts";
import type { ToldMembership } from "./told_membership.ts";

export interface ClusterStatusSource {
  readonly parts: Pick<NodeParts, "clusterId" | "nodeId" | "raft" | "store" | "clock" | "tickMs">;
  readonly driver: Driver;
  readonly told: ToldMembership;
  /** As this node sees them. */
  readonly members: () => readonly MemberStatus[];
  readonly membersAtLeader: (deadlineMs: Milliseconds) => Promise<readonly MemberStatus[]>;
}

/** The leader knows how far everyone is; without its answer the list still says who belongs. */
const ASK_TICKS_MAX = 10;

/** The cluster as this node sees it. */
export async function clusterStatus(source: ClusterStatusSource): Promise<ClusterStatus> {
  const { driver, told, membersAtLeader } = source;
  const { clusterId, nodeId, raft, store, clock, tickMs } = source.parts;
  let members = source.members();
  if (driver.role !== "leader" && driver.leader !== 0) {
    const deadlineMs = clock.nowMs() + ASK_TICKS_MAX * tickMs;
    members = await membersAtLeader(deadlineMs).catch(() => members);
  }
  return {
    clusterId,
    nodeId,
    role: ownRole(driver, told, nodeId),
    term: driver.term,
    leaderId: driver.leader === 0 ? undefined : driver.leader,
    leaderHttpAddress: told.current.members.find(({ id }) => id === driver.leader)?.httpAddress,
    tip: raft.lastIndex,
    commitIndex: store.publishedIndex,
    changing: raft.status().membershipPending,
    members,
  };
}

function ownRole(driver: Driver, told: ToldMembership, nodeId: NodeId): ClusterStatus["role"] {
  const role = roleOf(told.current, nodeId);
  if (role !== undefined && role !== "voter" && driver.role !== "leader") return role;
  return driver.role === "pre_candidate" ? "candidate" : driver.role;
}
