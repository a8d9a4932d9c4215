/** Who belongs to the cluster: the rules to change it, and its bytes. */
import { assert } from "../base/assert.ts";
import type { NodeId } from "../base/ids.ts";

export interface Member {
  readonly id: NodeId;
  /** `HOST:PORT` of the peer listener. */
  readonly raftAddress: string;
  /** `HOST:PORT` of the HTTP listener, for clients. */
  readonly httpAddress: string;
  /** `HOST:PORT` where the dqlite protocol is spoken; missing where it is not. */
  readonly wireAddress?: string;
}

/** How a member is reached. */
export type MemberAddresses = Omit<Member, "id">;

/** Who belongs to the cluster and who votes. An entry carries a whole one, never a change. */
export interface Membership {
  /** Sorted. */
  readonly voters: readonly NodeId[];
  /** The voters before the change, sorted; not empty: joint consensus, both majorities are needed (paper, 6). */
  readonly votersOutgoing: readonly NodeId[];
  /** Receive the log, do not count. Sorted, disjoint from `voters`; may overlap `votersOutgoing` during a demotion. */
  readonly learners: readonly NodeId[];
  /** Addresses of all of the above, sorted by id. */
  readonly members: readonly Member[];
  /** Ids below were given out, to members past and present. */
  readonly nextNodeId: NodeId;
}

export type MembershipChange =
  /** A new member that receives the log. `replaces` leave at once: earlier lives of the same machine, for example. */
  | MemberAddresses & { readonly kind: "add_learner"; readonly replaces?: readonly NodeId[] }
  | { readonly kind: "promote"; readonly id: NodeId }
  | { readonly kind: "demote"; readonly id: NodeId }
  | { readonly kind: "remove"; readonly id: NodeId }
  /** The member moved. */
  | MemberAddresses & { readonly kind: "set_addresses"; readonly id: NodeId };

export type ChangeRefusal =
  /** A joint configuration has to be left first. */
  | "change_pending"
  | "member_not_found"
  | "already_voter"
  | "not_a_voter"
  | "no_voter_left"
  | "address_taken"
  | "nothing_changes";

export type PlannedChange =
  | {
    readonly membership: Membership;
    /** Ids of new members, in the order of the changes. */
    readonly added: readonly NodeId[];
    readonly refused: undefined;
  }
  | { readonly membership: undefined; readonly refused: ChangeRefusal };

/** What a node knows that has not heard from its cluster yet. It never campaigns with it. */
export const EMPTY_MEMBERSHIP: Membership = {
  voters: [],
  votersOutgoing: [],
  learners: [],
  members: [],
  nextNodeId: 1,
};

export function isVoter(membership: Membership, id: NodeId): boolean {
  return membership.voters.includes(id) || membership.votersOutgoing.includes(id);
}

export function isJoint(membership: Membership): boolean {
  return membership.votersOutgoing.length > 0;
}

/**
 * The membership after one or several changes. Sets of voters that differ by one member always share a majority, so
 * such a change is made in one step; a larger one goes through a joint configuration that the leader leaves by itself.
 */
export function planChange(
  current: Membership,
  change: MembershipChange | readonly MembershipChange[],
): PlannedChange {
  if (isJoint(current)) return { membership: undefined, refused: "change_pending" };
  const draft = new Draft(current);
  const changes = Array.isArray(change)
    ? change as readonly MembershipChange[]
    : [change as MembershipChange];
  if (changes.length === 0) return { membership: undefined, refused: "nothing_changes" };
  for (const each of changes) {
    const refused = draft.apply(each);
    if (refused !== undefined) return { membership: undefined, refused };
  }
  if (draft.voters.size === 0) return { membership: undefined, refused: "no_voter_left" };
  return { membership: draft.finish(current), added: draft.added, refused: undefined };
}

class Draft {
  readonly voters: Set<NodeId>;
  readonly added: NodeId[] = [];
  readonly #learners: Set<NodeId>;
  readonly #members: Map<NodeId, Member>;
  #nextNodeId: NodeId;

  constructor(current: Membership) {
    this.voters = new Set(current.voters);
    this.#learners = new Set(current.learners);
    this.#members = new Map(current.members.map((member) => [member.id, member]));
    this.#nextNodeId = current.nextNodeId;
  }

  apply(change: MembershipChange): ChangeRefusal | undefined {
    switch (change.kind) {
      case "add_learner":
        return this.#add(addressesOf(change), change.replaces ?? []);
      case "promote":
        if (this.voters.has(change.id)) return "already_voter";
        if (!this.#learners.delete(change.id)) return "member_not_found";
        this.voters.add(change.id);
        return undefined;
      case "demote":
        if (!this.#members.has(change.id)) return "member_not_found";
        if (!this.voters.delete(change.id)) return "not_a_voter";
        this.#learners.add(change.id);
        return undefined;
      case "remove":
        return this.#remove(change.id);
      case "set_addresses":
        if (!this.#members.has(change.id)) return "member_not_found";
        if (this.#taken(change.raftAddress, change.id)) return "address_taken";
        this.#members.set(change.id, { id: change.id, ...addressesOf(change) });
        return undefined;
    }
  }

  finish(current: Membership): Membership {
    const voters = sorted(this.voters);
    const entering = voters.filter((id) => !current.voters.includes(id)).length;
    const leaving = current.voters.filter((id) => !this.voters.has(id));
    const joint = entering + leaving.length > 1;
    // Outgoing voters keep receiving the log until the joint configuration is left.
    const members = new Map(this.#members);
    if (joint) {
      for (const id of leaving) {
        const member = current.members.find((each) => each.id === id);
        if (member !== undefined && !members.has(id)) members.set(id, member);
      }
    }
    return {
      voters,
      votersOutgoing: joint ? current.voters : [],
      learners: sorted(this.#learners),
      members: [...members.values()].sort((a, b) => a.id - b.id),
      nextNodeId: this.#nextNodeId,
    };
  }

  #add(addresses: MemberAddresses, replaces: readonly NodeId[]): ChangeRefusal | undefined {
    for (const id of replaces) {
      const refused = this.#remove(id);
      if (refused !== undefined) return refused;
    }
    if (this.#taken(addresses.raftAddress, 0)) return "address_taken";
    const id = this.#nextNodeId++;
    this.#members.set(id, { id, ...addresses });
    this.#learners.add(id);
    this.added.push(id);
    return undefined;
  }

  #remove(id: NodeId): ChangeRefusal | undefined {
    if (!this.#members.delete(id)) return "member_not_found";
    this.voters.delete(id);
    this.#learners.delete(id);
    return undefined;
  }

  #taken(raftAddress: string, except: NodeId): boolean {
    for (const member of this.#members.values()) {
      if (member.raftAddress === raftAddress && member.id !== except) return true;
    }
    return false;
  }
}

/** The membership after a joint configuration: only the incoming voters count, who left is forgotten. */
export function leaveJoint(membership: Membership): Membership {
  assert(isJoint(membership), "Cannot leave a joint configuration: there is none");
  const stay = new Set([...membership.voters, ...membership.learners]);
  return {
    ...membership,
    votersOutgoing: [],
    members: membership.members.filter((member) => stay.has(member.id)),
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

function sorted(ids: Iterable<NodeId>): NodeId[] {
  return [...ids].sort((a, b) => a - b);
}

/** 1: members have two addresses. 2: they may have a `wireAddress`. */
const FORMATS: readonly unknown[] = [1, 2];

/**
 * JSON in UTF-8: `{"format":1,"membership":{…},"previous":{…}}`. The format is 2 only where a member has what 1 lacks: members
 * of an older version go on while nobody uses it.
 *
 * @param previous in log entries, the membership before it: a node that drops the entry returns to that one, although
 * its log may hold no earlier membership entry
 */
export function encodeMembership(membership: Membership, previous?: Membership): Uint8Array {
  const members = [...membership.members, ...previous?.members ?? []];
  const format = members.some(({ wireAddress }) => wireAddress !== undefined) ? 2 : 1;
  return new TextEncoder().encode(JSON.stringify({ format, membership, previous }));
}

/** @throws Error when the bytes are not a membership of a format this version knows */
export function decodeMembership(bytes: Uint8Array): Membership {
  return checkMembership(parse(bytes).membership);
}

/** The membership before the entry; undefined in snapshots. */
export function decodePreviousMembership(bytes: Uint8Array): Membership | undefined {
  const { previous } = parse(bytes);
  return previous === undefined ? undefined : checkMembership(previous);
}

function parse(bytes: Uint8Array): { membership: unknown; previous: unknown } {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new Error(`Cannot decode membership of ${bytes.length} bytes: not JSON`, { cause });
  }
  const record = asRecord(value, "envelope");
  if (!FORMATS.includes(record["format"])) {
    throw new Error(
      `Cannot decode membership of format ${String(record["format"])}: this version knows ${
        FORMATS.join(", ")
      }`,
    );
  }
  return { membership: record["membership"], previous: record["previous"] };
}

function checkMembership(value: unknown): Membership {
  const record = asRecord(value, "membership");
  const voters = asIds(record["voters"], "voters");
  const votersOutgoing = asIds(record["votersOutgoing"], "votersOutgoing");
  const learners = asIds(record["learners"], "learners");
  const nextNodeId = asId(record["nextNodeId"], "nextNodeId");
  const list = record["members"];
  if (!Array.isArray(list)) throw new Error("Cannot decode membership: members is not a list");
  const members = list.map((each: unknown): Member => {
    const member = asRecord(each, "member");
    const { id, raftAddress, httpAddress, wireAddress } = member;
    if (typeof raftAddress !== "string" || typeof httpAddress !== "string") {
      throw new Error(`Cannot decode membership: member ${String(id)} has no addresses`);
    }
    const addresses = { id: asId(id, "member id"), raftAddress, httpAddress };
    if (wireAddress === undefined) return addresses;
    if (typeof wireAddress === "string") return { ...addresses, wireAddress };
    throw new Error(`Cannot decode membership: the wire address of member ${addresses.id} is not a text`);
  });
  const known = asIds(members.map((member) => member.id), "members");
  const used = sorted(new Set([...voters, ...votersOutgoing, ...learners]));
  if (used.join() !== known.join()) {
    throw new Error(`Cannot decode membership: members are ${known.join()}, ids in use are ${used.join()}`);
  }
  if (learners.some((id) => voters.includes(id))) {
    throw new Error(`Cannot decode membership: learners ${learners.join()} overlap voters ${voters.join()}`);
  }
  if (known.some((id) => id >= nextNodeId)) {
    throw new Error(`Cannot decode membership: ids ${known.join()} reach nextNodeId ${nextNodeId}`);
  }
  return { voters, votersOutgoing, learners, members, nextNodeId };
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
