/** From what is asked about a member to changes of the membership. Pure. */
import type { NodeId } from "../base/ids.ts";
import { addressesOf, type Member, type Membership, type MemberTraits, roleOf } from "../raft/membership.ts";
import type { AssignableRole, MembershipChange } from "../raft/plan_change.ts";
import type { MemberChange, NewMember, WantedRole } from "./service.ts";

/** The new member with what it takes over from earlier lives of the same machine, which leave. */
export function newLife(membership: Membership, member: NewMember): MembershipChange {
  const replaced = membership.members.filter((other) => other.raftAddress === member.raftAddress);
  const last = replaced.at(-1);
  const earlier = last === undefined ? undefined : roleOf(membership, last.id);
  const inherited = earlier === "stand_by" || earlier === "spare" ? earlier : "learner";
  const weight = member.weight ?? last?.weight ?? 0;
  const failureDomain = member.failureDomain ?? last?.failureDomain ?? 0;
  return {
    kind: "add",
    ...addressesOf(member),
    weight,
    failureDomain,
    role: member.role === undefined ? inherited : firstRole(member.role),
    replaces: replaced.map(({ id }) => id),
  };
}

/** Empty when everything is so already, and when the member is on its way to the vote it is to have. */
export function planMemberChange(
  membership: Membership,
  id: NodeId,
  { role, ...traits }: MemberChange,
): MembershipChange[] {
  const member = membership.members.find((each) => each.id === id);
  // Refused as unknown by whoever plans.
  if (member === undefined) return [{ kind: "set_traits", id }];
  const current = roleOf(membership, id);
  const isSo = role === undefined || role === current || (role === "voter" && current === "learner");
  const assigned: MembershipChange[] = isSo ? [] : [{ kind: "assign", id, role: firstRole(role) }];
  return [...traitChange(member, traits), ...assigned];
}

/** Empty when nothing that is named differs. */
export function traitChange(member: Member, { weight, failureDomain }: MemberTraits): MembershipChange[] {
  const traits: MemberTraits = {
    ...(weight === undefined || weight === (member.weight ?? 0) ? {} : { weight }),
    ...(failureDomain === undefined || failureDomain === (member.failureDomain ?? 0)
      ? {}
      : { failureDomain }),
  };
  return Object.keys(traits).length === 0 ? [] : [{ kind: "set_traits", id: member.id, ...traits }];
}

/** A vote is given to who has caught up. */
function firstRole(role: WantedRole): AssignableRole {
  return role === "voter" ? "learner" : role;
}
