import { deepStrictEqual, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import { membershipOf } from "../../tests/support/raft_node.ts";
import {
  decodeMembership,
  encodeMembership,
  isJoint,
  isSpare,
  isVoter,
  leaveJoint,
  type Membership,
  roleOf,
} from "./membership.ts";
import { type MembershipChange, planChange } from "./plan_change.ts";

const add = (port: number, replaces: number[] = []): MembershipChange => ({
  kind: "add",
  raftAddress: `new:${port}`,
  httpAddress: `newhttp:${port}`,
  replaces,
});

function plan(current: Membership, ...changes: MembershipChange[]): Membership {
  const planned = planChange(current, changes);
  if (planned.membership === undefined) throw new Error(`Refused: ${planned.refused}`);
  return planned.membership;
}

Deno.test("planChange() adds a learner with an id that was never given out", () => {
  const planned = planChange(membershipOf([1, 2, 3]), add(1));
  deepStrictEqual(planned.refused, undefined);
  deepStrictEqual(planned.membership?.learners, [4]);
  deepStrictEqual(planned.membership?.nextNodeId, 5);
  const removed = plan(planned.membership!, { kind: "remove", id: 4 });
  deepStrictEqual(plan(removed, add(1)).learners, [5]);
});

Deno.test("planChange() of one voter takes one step, of two a joint configuration", () => {
  const current = membershipOf([1, 2, 3], [4, 5]);
  const one = plan(current, { kind: "promote", id: 4 });
  deepStrictEqual([one.voters, one.votersOutgoing], [[1, 2, 3, 4], []]);
  const two = plan(current, { kind: "promote", id: 4 }, { kind: "remove", id: 1 });
  deepStrictEqual([two.voters, two.votersOutgoing], [[2, 3, 4], [1, 2, 3]]);
  strictEqual(isJoint(two), true);
  // Who leaves goes on receiving the log, and counts in its majority, until the joint configuration is left.
  strictEqual(two.members.some(({ id }) => id === 1), true);
  strictEqual(isVoter(two, 1), true);
  const left = leaveJoint(two);
  deepStrictEqual([left.voters, left.votersOutgoing, left.members.map(({ id }) => id)], [
    [2, 3, 4],
    [],
    [2, 3, 4, 5],
  ]);
});

Deno.test("planChange() demotes in a joint configuration: a learner may still be an outgoing voter", () => {
  const joint = plan(membershipOf([1, 2, 3], [4]), { kind: "promote", id: 4 }, {
    kind: "assign",
    id: 3,
    role: "learner",
  });
  deepStrictEqual([joint.voters, joint.learners, joint.votersOutgoing], [[1, 2, 4], [3], [1, 2, 3]]);
  deepStrictEqual(leaveJoint(joint).learners, [3]);
  deepStrictEqual(decodeMembership(encodeMembership(joint)), joint);
});

Deno.test("planChange() replaces an earlier life of a machine at the same address in one step", () => {
  const current = membershipOf([1, 2, 3]);
  const address = current.members[2]!;
  const again = plan(current, { ...add(0, [3]), raftAddress: address.raftAddress } as MembershipChange);
  deepStrictEqual([again.voters, again.learners], [[1, 2], [4]]);
});

Deno.test("planChange() says why it refuses", () => {
  const current = membershipOf([1, 2], [3]);
  const refusal = (change: MembershipChange | MembershipChange[], of = current) =>
    planChange(of, change).refused;
  const address = current.members[0]!.raftAddress;
  strictEqual(refusal([]), "nothing_changes");
  strictEqual(refusal({ kind: "promote", id: 1 }), "already_voter");
  strictEqual(refusal({ kind: "promote", id: 9 }), "member_not_found");
  strictEqual(refusal({ kind: "assign", id: 3, role: "learner" }), "nothing_changes");
  strictEqual(refusal({ kind: "assign", id: 9, role: "spare" }), "member_not_found");
  strictEqual(refusal({ kind: "set_traits", id: 9, weight: 1 }), "member_not_found");
  for (const [standBys, spares] of [[[3], []], [[], [3]]]) {
    strictEqual(
      refusal({ kind: "promote", id: 3 }, membershipOf([1, 2], [], standBys, spares)),
      "not_a_learner",
    );
  }
  strictEqual(refusal({ kind: "remove", id: 9 }), "member_not_found");
  strictEqual(
    refusal([{ kind: "remove", id: 1 }, { kind: "assign", id: 2, role: "stand_by" }]),
    "no_voter_left",
  );
  strictEqual(refusal({ kind: "add", raftAddress: address, httpAddress: "" }), "address_taken");
  const joint = plan(current, { kind: "promote", id: 3 }, { kind: "remove", id: 2 });
  strictEqual(refusal({ kind: "remove", id: 1 }, joint), "change_pending");
});

const anyChange = fc.oneof(
  fc.integer({ min: 1, max: 99 }).map((port) => add(port)),
  fc.record({
    kind: fc.constantFrom("promote" as const, "remove" as const),
    id: fc.integer({ min: 1, max: 8 }),
  }),
  fc.record({
    kind: fc.constant("assign" as const),
    id: fc.integer({ min: 1, max: 8 }),
    role: fc.constantFrom("learner" as const, "stand_by" as const, "spare" as const),
  }),
);

Deno.test("planChange(): majorities before and after always share a voter, or the change is joint", () => {
  fc.assert(fc.property(fc.array(anyChange, { minLength: 1, maxLength: 6 }), (changes) => {
    const current = membershipOf([1, 2, 3, 4], [5, 6], [7], [8]);
    const { membership } = planChange(current, changes);
    if (membership === undefined) return;
    deepStrictEqual(decodeMembership(encodeMembership(membership)), membership);
    if (isJoint(membership)) return deepStrictEqual(membership.votersOutgoing, current.voters);
    const stay = membership.voters.filter((id) => current.voters.includes(id)).length;
    const majority = (count: number) => Math.floor(count / 2) + 1;
    const all = new Set([...membership.voters, ...current.voters]).size;
    strictEqual(majority(membership.voters.length) + majority(current.voters.length) > all, true);
    strictEqual(stay > 0, true);
  }));
});

Deno.test("planChange(): every member has one role, and every role leads to every other", () => {
  const current = membershipOf([1, 2, 3], [4], [5], [6]);
  deepStrictEqual([1, 4, 5, 6, 7].map((id) => roleOf(current, id)), [
    "voter",
    "learner",
    "stand_by",
    "spare",
    undefined,
  ]);
  for (const id of [3, 4, 5, 6]) {
    for (const role of ["learner", "stand_by", "spare"] as const) {
      if (roleOf(current, id) === role) continue;
      const changed = plan(current, { kind: "assign", id, role });
      strictEqual(roleOf(changed, id), role);
      deepStrictEqual(changed.members, current.members);
    }
  }
  const added = plan(current, { ...add(1), role: "spare", weight: 3 } as MembershipChange);
  deepStrictEqual([added.spares, added.members.at(-1)?.weight], [[6, 7], 3]);
});

Deno.test("planChange(): who becomes a spare in a joint configuration is none until that is left", () => {
  const joint = plan(membershipOf([1, 2, 3], [4]), { kind: "promote", id: 4 }, {
    kind: "assign",
    id: 3,
    role: "spare",
  });
  deepStrictEqual([joint.spares, isSpare(joint, 3), isVoter(joint, 3)], [[3], false, true]);
  deepStrictEqual([isSpare(leaveJoint(joint), 3), isVoter(leaveJoint(joint), 3)], [true, false]);
});

Deno.test("planChange() keeps traits when a member moves, and changes only those that are named", () => {
  const named = plan(membershipOf([1]), { kind: "set_traits", id: 1, weight: 7, failureDomain: 2n ** 63n });
  const moved = plan(named, { kind: "set_addresses", id: 1, raftAddress: "c:3", httpAddress: "d:4" });
  deepStrictEqual(moved.members, [
    { id: 1, raftAddress: "c:3", httpAddress: "d:4", weight: 7, failureDomain: 2n ** 63n },
  ]);
  const lighter = plan(moved, { kind: "set_traits", id: 1, weight: 0 });
  deepStrictEqual(lighter.members, [
    { id: 1, raftAddress: "c:3", httpAddress: "d:4", failureDomain: 2n ** 63n },
  ]);
});
