/** Answers about databases and the cluster. */

export interface DatabaseInfo {
  readonly name: string;
  readonly id: number;
  readonly pageSize: number;
  readonly pages: number;
  readonly bytes: number;
  /** Log index of the newest change that can be read. */
  readonly index: number;
  /** Last index appended for it, committed or not. */
  readonly tip: number;
  /** Everything up to here is in the `.db` file of the answering node. */
  readonly checkpointIndex: number;
}

export interface MemberInfo {
  readonly id: number;
  /** A learner is on its way to a vote; stand-bys and spares stay what they are. */
  readonly role: "leader" | "voter" | "learner" | "stand_by" | "spare";
  readonly httpAddress: string;
  readonly raftAddress: string;
  /** Last index known to be durable there; undefined when the answering node does not know. */
  readonly matchIndex: number | undefined;
  /** Entries behind the tip of the leader. */
  readonly lag: number | undefined;
  readonly lastContactMs: number | undefined;
  /** The lower, the sooner it leads. A bigint above 2^53 - 1. */
  readonly weight: number | bigint;
  readonly failureDomain: number | bigint;
}

export interface ClusterInfo {
  readonly clusterId: string;
  /** The node that answered. */
  readonly nodeId: number;
  readonly role: "leader" | "follower" | "candidate" | "learner" | "stand_by" | "spare";
  readonly term: number;
  readonly leaderId: number | undefined;
  readonly leaderHttpAddress: string | undefined;
  readonly tip: number;
  readonly commitIndex: number;
  /** A change of members is under way. */
  readonly changing: boolean;
  readonly members: readonly MemberInfo[];
}

/** What is left out stays as it is. */
export interface MemberChange {
  /** A voter gets its vote when it has caught up. */
  readonly role?: "voter" | "stand_by" | "spare";
  readonly weight?: number | bigint;
  readonly failureDomain?: number | bigint;
}

export interface NewMember extends MemberChange {
  /** HOST:PORT peers reach it at. */
  readonly raftAddress: string;
  /** HOST:PORT clients reach it at. */
  readonly httpAddress: string;
}

type JsonObject = { readonly [key: string]: unknown };

const asObject = (
  value: unknown,
): JsonObject => (value !== null && typeof value === "object" ? value as JsonObject : {});
const asNumber = (value: unknown): number => (typeof value === "number" ? value : 0);
const asOptionalNumber = (
  value: unknown,
): number | undefined => (typeof value === "number" ? value : undefined);
const asString = (value: unknown): string => (typeof value === "string" ? value : "");
const asUnsigned = (
  value: unknown,
): number | bigint => (typeof value === "string" && /^[0-9]+$/.test(value) ? BigInt(value) : asNumber(value));
const asArray = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

function asOneOf<T extends string>(value: unknown, allowed: readonly T[], otherwise: T): T {
  return allowed.find((name) => name === value) ?? otherwise;
}

/** Reads a description from JSON. Fields a newer node adds are ignored, missing ones are 0. */
export function toDatabaseInfo(value: unknown): DatabaseInfo {
  const json = asObject(value);
  return {
    name: asString(json.name),
    id: asNumber(json.id),
    pageSize: asNumber(json.page_size),
    pages: asNumber(json.pages),
    bytes: asNumber(json.bytes),
    index: asNumber(json.index),
    tip: asNumber(json.tip),
    checkpointIndex: asNumber(json.checkpoint_index),
  };
}

export function toDatabaseInfos(value: unknown): DatabaseInfo[] {
  return asArray(asObject(value).databases).map(toDatabaseInfo);
}

function toMemberInfo(value: unknown): MemberInfo {
  const json = asObject(value);
  return {
    id: asNumber(json.id),
    role: asOneOf(json.role, ["leader", "voter", "learner", "stand_by", "spare"], "learner"),
    httpAddress: asString(json.http_address),
    raftAddress: asString(json.raft_address),
    matchIndex: asOptionalNumber(json.match_index),
    lag: asOptionalNumber(json.lag),
    lastContactMs: asOptionalNumber(json.last_contact_ms),
    weight: asUnsigned(json.weight),
    failureDomain: asUnsigned(json.failure_domain),
  };
}

const OWN_ROLES = ["leader", "follower", "candidate", "learner", "stand_by", "spare"] as const;

export function toClusterInfo(value: unknown): ClusterInfo {
  const json = asObject(value);
  return {
    clusterId: asString(json.cluster_id),
    nodeId: asNumber(json.node_id),
    role: asOneOf(json.role, OWN_ROLES, "follower"),
    term: asNumber(json.term),
    leaderId: asOptionalNumber(json.leader_id),
    leaderHttpAddress: asString(json.leader_http_address) || undefined,
    tip: asNumber(json.tip),
    commitIndex: asNumber(json.commit_index),
    changing: json.changing === true,
    members: asArray(json.members).map(toMemberInfo),
  };
}

/** The fields of a request; large numbers go as their digits. */
export function toMemberChangeBody({ role, weight, failureDomain }: MemberChange): object {
  const digits = (value: number | bigint): number | string =>
    typeof value === "bigint" ? String(value) : value;
  return {
    ...(role === undefined ? {} : { role }),
    ...(weight === undefined ? {} : { weight: digits(weight) }),
    ...(failureDomain === undefined ? {} : { failure_domain: digits(failureDomain) }),
  };
}
