/** Who belongs to the cluster and as what, and its bytes. `plan_change.ts` has the rules to change it. */
import { assert } from "../base/assert.ts";
import type { NodeId, Unsigned64 } from "../base/ids.ts";

/** How a member is reached. */
export interface MemberAddresses {
  /** `HOST:PORT` of the peer listener. */
  readonly raftAddress: string;
  /** `HOST:PORT` of the HTTP listener, for clients. */
  readonly httpAddress: string;
  /** `HOST:PORT` where the dqlite protocol is spoken; missing where it is not. */
  readonly wireAddress?: string;
}

/** What decides among members that could do the same. The core stores it and does not look at it. */
export interface MemberTraits {
  /** The lower, the sooner it leads; missing: 0. */
  readonly weight?: Unsigned64;
  /** What fails together has the same number; missing: 0. */
  readonly failureDomain?: Unsigned64;
}

/** Traits of 0 are left out, so that equal members have equal bytes. */
export interface Member extends MemberAddresses, MemberTraits {
  readonly id: NodeId;
}

/**
 * - `voter`: counts in majorities, may lead.
 * - `learner`: on its way to a vote: receives the log, and the leader promotes it when it has caught up.
 * - `stand_by`: receives the log like a learner, and stays without a vote until it is told otherwise.
 * - `spare`: belongs to the cluster and receives nothing but heartbeats.
 */
export type MemberRole = "voter" | "learner" | "stand_by" | "spare";

/** Who belongs to the cluster and who votes. An entry carries a whole one, never a change. All lists of ids are sorted. */
export interface Membership {
  readonly voters: readonly NodeId[];
  /** The voters before the change; not empty: joint consensus, both majorities are needed (paper, 6). */
  readonly votersOutgoing: readonly NodeId[];
  /** The lists of members without a vote are disjoint from each other and from `voters`; they may overlap `votersOutgoing`. */
  readonly learners: readonly NodeId[];
  readonly standBys: readonly NodeId[];
  readonly spares: readonly NodeId[];
  /** Addresses and traits of all of the above, sorted by id. */
  readonly members: readonly Member[];
  /** Ids below were given out, to members past and present. */
  readonly nextNodeId: NodeId;
}

/** What a node knows that has not heard from its cluster yet. It never campaigns with it. */
export const EMPTY_MEMBERSHIP: Membership = {
  voters: [],
  votersOutgoing: [],
  learners: [],
  standBys: [],
  spares: [],
  members: [],
  nextNodeId: 1,
};

export function isVoter(membership: Membership, id: NodeId): boolean {
  return membership.voters.includes(id) || membership.votersOutgoing.includes(id);
}

/** A spare that still counts in the majority of a joint configuration needs the log until that is left. */
export function isSpare(membership: Membership, id: NodeId): boolean {
  return membership.spares.includes(id) && !membership.votersOutgoing.includes(id);
}

/** The role a member has, or will have once a joint configuration is left; undefined for who leaves, and for strangers. */
export function roleOf(membership: Membership, id: NodeId): MemberRole | undefined {
  if (membership.voters.includes(id)) return "voter";
  if (membership.learners.includes(id)) return "learner";
  if (membership.standBys.includes(id)) return "stand_by";
  return membership.spares.includes(id) ? "spare" : undefined;
}

export function isJoint(membership: Membership): boolean {
  return membership.votersOutgoing.length > 0;
}

/** The membership after a joint configuration: only the incoming voters count, who left is forgotten. */
export function leaveJoint(membership: Membership): Membership {
  assert(isJoint(membership), "Cannot leave a joint configuration: there is none");
  return {
    ...membership,
    votersOutgoing: [],
    members: membership.members.filter(({ id }) => roleOf(membership, id) !== undefined),
  };
}

/** The addresses alone, out of something that has them: no key without a value, which JSON would lose. */
export function addressesOf({ raftAddress, httpAddress, wireAddress }: MemberAddresses): MemberAddresses {
  return { raftAddress, httpAddress, ...(wireAddress === undefined ? {} : { wireAddress }) };
}

/** Whether the member is reached at these addresses and no others. */
export function hasAddresses(member: MemberAddresses, addresses: MemberAddresses): boolean {
  return member.raftAddress === addresses.raftAddress && member.httpAddress === addresses.httpAddress &&
    member.wireAddress === addresses.wireAddress;
}

/** The traits alone, those of 0 left out. */
export function traitsOf({ weight, failureDomain }: MemberTraits): MemberTraits {
  return {
    ...(weight === undefined || weight === 0 ? {} : { weight }),
    ...(failureDomain === undefined || failureDomain === 0 ? {} : { failureDomain }),
  };
}

function sorted(ids: Iterable<NodeId>): NodeId[] {
  return [...ids].sort((a, b) => a - b);
}

/** 1: members have two addresses. 2: they may have a `wireAddress`. 3: traits, stand-bys and spares. */
const FORMATS: readonly unknown[] = [1, 2, 3];

/**
 * JSON in UTF-8: `{"format":1,"membership":{…},"previous":{…}}`. The format is the lowest that has room for everything:
 * members of an older version go on while nobody uses what they do not know.
 *
 * @param previous in log entries, the membership before it: a node that drops the entry returns to that one, although
 * its log may hold no earlier membership entry
 */
export function encodeMembership(membership: Membership, previous?: Membership): Uint8Array {
  const format = Math.max(formatOf(membership), previous === undefined ? 1 : formatOf(previous));
  const envelope = {
    format,
    membership: toJson(membership, format),
    previous: previous === undefined ? undefined : toJson(previous, format),
  };
  return new TextEncoder().encode(JSON.stringify(envelope));
}

function formatOf({ standBys, spares, members }: Membership): number {
  const hasTraits = members.some((member) => Object.keys(traitsOf(member)).length > 0);
  if (standBys.length > 0 || spares.length > 0 || hasTraits) return 3;
  return members.some(({ wireAddress }) => wireAddress !== undefined) ? 2 : 1;
}

function toJson(membership: Membership, format: number): unknown {
  const { voters, votersOutgoing, learners, standBys, spares, nextNodeId } = membership;
  const members = membership.members.map(({ id, weight, failureDomain, ...addresses }) => ({
    id,
    ...addressesOf(addresses),
    weight: toJsonUnsigned(weight),
    failureDomain: toJsonUnsigned(failureDomain),
  }));
  const others = format < 3 ? {} : { standBys, spares };
  return { voters, votersOutgoing, learners, ...others, members, nextNodeId };
}

/** Numbers of JSON end at 2^53: what is larger goes as its decimal digits. */
function toJsonUnsigned(value: Unsigned64 | undefined): number | string | undefined {
  return typeof value === "bigint" ? String(value) : value;
}

/** @throws Error when the bytes are not a membership of a format this version knows */
export function decodeMembership(bytes: Uint8Array): Membership {
  const { membership, format } = parse(bytes);
  return checkMembership(membership, format);
}

/** The membership before the entry; undefined in snapshots. */
export function decodePreviousMembership(bytes: Uint8Array): Membership | undefined {
  const { previous, format } = parse(bytes);
  return previous === undefined ? undefined : checkMembership(previous, format);
}

function parse(bytes: Uint8Array): { format: number; membership: unknown; previous: unknown } {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new Error(`Cannot decode membership of ${bytes.length} bytes: not JSON`, { cause });
  }
  const record = asRecord(value, "envelope");
  const { format, membership, previous } = record;
  if (!FORMATS.includes(format)) {
    throw new Error(
      `Cannot decode membership of format ${String(format)}: this version knows ${FORMATS.join(", ")}`,
    );
  }
  return { format: format as number, membership, previous };
}

function checkMembership(value: unknown, format: number): Membership {
  const record = asRecord(value, "membership");
  const idsOf = (name: string): NodeId[] => asIds(record[name], name);
  const voters = idsOf("voters");
  const votersOutgoing = idsOf("votersOutgoing");
  const learners = idsOf("learners");
  // Before format 3 everybody without a vote was on the way to one.
  const standBys = format < 3 ? [] : idsOf("standBys");
  const spares = format < 3 ? [] : idsOf("spares");
  const nextNodeId = asId(record["nextNodeId"], "nextNodeId");
  const list = record["members"];
  if (!Array.isArray(list)) throw new Error("Cannot decode membership: members is not a list");
  const members = list.map(asMember);
  const known = asIds(members.map((member) => member.id), "members");
  const roles = [...voters, ...learners, ...standBys, ...spares];
  const used = sorted(new Set([...roles, ...votersOutgoing]));
  if (used.join() !== known.join()) {
    throw new Error(`Cannot decode membership: members are ${known.join()}, ids in use are ${used.join()}`);
  }
  const twice = roles.find((id, at) => roles.indexOf(id) !== at);
  if (twice !== undefined) throw new Error(`Cannot decode membership: member ${twice} has two roles`);
  if (known.some((id) => id >= nextNodeId)) {
    throw new Error(`Cannot decode membership: ids ${known.join()} reach nextNodeId ${nextNodeId}`);
  }
  return { voters, votersOutgoing, learners, standBys, spares, members, nextNodeId };
}

function asMember(value: unknown): Member {
  const member = asRecord(value, "member");
  const { raftAddress, httpAddress, wireAddress } = member;
  const id = asId(member["id"], "member id");
  if (typeof raftAddress !== "string" || typeof httpAddress !== "string") {
    throw new Error(`Cannot decode membership: member ${id} has no addresses`);
  }
  if (wireAddress !== undefined && typeof wireAddress !== "string") {
    throw new Error(`Cannot decode membership: the wire address of member ${id} is not a text`);
  }
  const weight = asUnsigned(member["weight"], `the weight of member ${id}`);
  const failureDomain = asUnsigned(member["failureDomain"], `the failure domain of member ${id}`);
  const addresses = { raftAddress, httpAddress, ...(wireAddress === undefined ? {} : { wireAddress }) };
  return { id, ...addresses, ...traitsOf({ weight, failureDomain }) };
}

/** Missing: 0. */
function asUnsigned(value: unknown, what: string): Unsigned64 {
  if (value === undefined) return 0;
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  if (typeof value === "string" && /^[1-9][0-9]{15,19}$/.test(value)) {
    const large = BigInt(value);
    if (large > Number.MAX_SAFE_INTEGER && large < 1n << 64n) return large;
  }
  throw new Error(`Cannot decode membership: ${what} is ${String(value)}, not an unsigned number of 64 bits`);
}

function asRecord(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Error(`Cannot decode membership: ${what} is not an object`);
  }
  return value as Record<string, unknown>;
}

function asId(value: unknown, what: string): NodeId {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 1) {
    throw new Error(`Cannot decode membership: ${what} is ${String(value)}, not a node id`);
  }
  return value;
}

function asIds(value: unknown, what: string): NodeId[] {
  if (!Array.isArray(value)) throw new Error(`Cannot decode membership: ${what} is not a list`);
  const ids = value.map((each: unknown) => asId(each, what));
  if (ids.some((id, at) => at > 0 && ids[at - 1]! >= id)) {
    throw new Error(`Cannot decode membership: ${what} ${ids.join()} is not sorted`);
  }
  return ids;
}
