/** The rules to change who belongs to the cluster. */
import type { NodeId } from "../base/ids.ts";
import {
  addressesOf,
  isJoint,
  type Member,
  type MemberAddresses,
  type MemberRole,
  type Membership,
  type MemberTraits,
  roleOf,
  traitsOf,
} from "./membership.ts";

/** What a member can be made in one step. A vote is given by `promote`, to a learner that has caught up. */
export type AssignableRole = Exclude<MemberRole, "voter">;

export type MembershipChange =
  /** A new member, a learner where no role is given. `replaces` leave at once: earlier lives of the same machine, for example. */
  | MemberAddresses & MemberTraits & {
    readonly kind: "add";
    readonly role?: AssignableRole;
    readonly replaces?: readonly NodeId[];
  }
  /** A learner gets its vote. */
  | { readonly kind: "promote"; readonly id: NodeId }
  /** A voter loses its vote, or a member without one gets another role. */
  | { readonly kind: "assign"; readonly id: NodeId; readonly role: AssignableRole }
  | { readonly kind: "remove"; readonly id: NodeId }
  /** The member moved. */
  | MemberAddresses & { readonly kind: "set_addresses"; readonly id: NodeId }
  /** What is left out stays as it is. */
  | MemberTraits & { readonly kind: "set_traits"; readonly id: NodeId };

export type ChangeRefusal =
  /** A joint configuration has to be left first. */
  | "change_pending"
  | "member_not_found"
  | "already_voter"
  /** Only a learner gets a vote: the leader knows how far it has come. */
  | "not_a_learner"
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
  const membership = draft.finish(current);
  if (membership.voters.length === 0) return { membership: undefined, refused: "no_voter_left" };
  return { membership, added: draft.added, refused: undefined };
}

class Draft {
  readonly added: NodeId[] = [];
  readonly #roles = new Map<NodeId, MemberRole>();
  readonly #members: Map<NodeId, Member>;
  #nextNodeId: NodeId;

  constructor(current: Membership) {
    for (const { id } of current.members) this.#roles.set(id, roleOf(current, id) as MemberRole);
    this.#members = new Map(current.members.map((member) => [member.id, member]));
    this.#nextNodeId = current.nextNodeId;
  }

  apply(change: MembershipChange): ChangeRefusal | undefined {
    if (change.kind === "add") return this.#add(change);
    const member = this.#members.get(change.id);
    if (member === undefined) return "member_not_found";
    switch (change.kind) {
      case "promote":
        return this.#promote(change.id);
      case "assign":
        if (this.#roles.get(change.id) === change.role) return "nothing_changes";
        this.#roles.set(change.id, change.role);
        return undefined;
      case "remove":
        return this.#remove(change.id);
      case "set_addresses":
        if (this.#taken(change.raftAddress, change.id)) return "address_taken";
        this.#members.set(change.id, { id: change.id, ...addressesOf(change), ...traitsOf(member) });
        return undefined;
      case "set_traits": {
        const { id, kind: _, ...traits } = change;
        this.#members.set(id, { id, ...addressesOf(member), ...traitsOf({ ...member, ...traits }) });
        return undefined;
      }
    }
  }

  finish(current: Membership): Membership {
    const voters = this.#having("voter");
    const entering = voters.filter((id) => !current.voters.includes(id)).length;
    const leaving = current.voters.filter((id) => !voters.includes(id));
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
      learners: this.#having("learner"),
      standBys: this.#having("stand_by"),
      spares: this.#having("spare"),
      members: [...members.values()].sort((a, b) => a.id - b.id),
      nextNodeId: this.#nextNodeId,
    };
  }

  #having(role: MemberRole): NodeId[] {
    return [...this.#roles].filter(([, each]) => each === role).map(([id]) => id).sort((a, b) => a - b);
  }

  #add(change: MembershipChange & { readonly kind: "add" }): ChangeRefusal | undefined {
    for (const id of change.replaces ?? []) {
      const refused = this.#remove(id);
      if (refused !== undefined) return refused;
    }
    if (this.#taken(change.raftAddress, 0)) return "address_taken";
    const id = this.#nextNodeId++;
    this.#members.set(id, { id, ...addressesOf(change), ...traitsOf(change) });
    this.#roles.set(id, change.role ?? "learner");
    this.added.push(id);
    return undefined;
  }

  #promote(id: NodeId): ChangeRefusal | undefined {
    const role = this.#roles.get(id);
    if (role !== "learner") return role === "voter" ? "already_voter" : "not_a_learner";
    this.#roles.set(id, "voter");
    return undefined;
  }

  #remove(id: NodeId): ChangeRefusal | undefined {
    if (!this.#members.delete(id)) return "member_not_found";
    this.#roles.delete(id);
    return undefined;
  }

  #taken(raftAddress: string, except: NodeId): boolean {
    for (const member of this.#members.values()) {
      if (member.raftAddress === raftAddress && member.id !== except) return true;
    }
    return false;
  }
}
