import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import fc from "fast-check";
import { membershipOf } from "../../tests/support/raft_node.ts";
import {
  decodeMembership,
  decodePreviousMembership,
  EMPTY_MEMBERSHIP,
  encodeMembership,
  hasAddresses,
  isJoint,
  isVoter,
  leaveJoint,
  type Membership,
  type MembershipChange,
  planChange,
} from "./membership.ts";

const add = (port: number, replaces: number[] = []): MembershipChange => ({
  kind: "add_learner",
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
  const joint = plan(membershipOf([1, 2, 3], [4]), { kind: "promote", id: 4 }, { kind: "demote", id: 3 });
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
  strictEqual(refusal({ kind: "demote", id: 3 }), "not_a_voter");
  strictEqual(refusal({ kind: "demote", id: 9 }), "member_not_found");
  strictEqual(refusal({ kind: "remove", id: 9 }), "member_not_found");
  strictEqual(refusal([{ kind: "remove", id: 1 }, { kind: "demote", id: 2 }]), "no_voter_left");
  strictEqual(refusal({ kind: "add_learner", raftAddress: address, httpAddress: "" }), "address_taken");
  const joint = plan(current, { kind: "promote", id: 3 }, { kind: "remove", id: 2 });
  strictEqual(refusal({ kind: "remove", id: 1 }, joint), "change_pending");
});

const anyChange = fc.oneof(
  fc.integer({ min: 1, max: 99 }).map((port) => add(port)),
  fc.record({
    kind: fc.constantFrom("promote" as const, "demote" as const, "remove" as const),
    id: fc.integer({ min: 1, max: 8 }),
  }),
);

Deno.test("planChange(): majorities before and after always share a voter, or the change is joint", () => {
  fc.assert(fc.property(fc.array(anyChange, { minLength: 1, maxLength: 6 }), (changes) => {
    const current = membershipOf([1, 2, 3, 4], [5, 6]);
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

Deno.test("encodeMembership() carries the membership before, for a node that drops the entry", () => {
  const before = membershipOf([1]);
  const after = plan(before, add(1));
  const bytes = encodeMembership(after, before);
  deepStrictEqual(decodeMembership(bytes), after);
  deepStrictEqual(decodePreviousMembership(bytes), before);
  strictEqual(decodePreviousMembership(encodeMembership(after)), undefined);
  deepStrictEqual(decodePreviousMembership(encodeMembership(before, EMPTY_MEMBERSHIP)), EMPTY_MEMBERSHIP);
});

Deno.test("encodeMembership() names format 2 only where a member has a wire address", () => {
  const format = (...args: Parameters<typeof encodeMembership>) =>
    (JSON.parse(new TextDecoder().decode(encodeMembership(...args))) as { format: number }).format;
  const plain = membershipOf([1]);
  const addresses = { raftAddress: "c:3", httpAddress: "d:4", wireAddress: "e:5" };
  const spoken = plan(plain, { kind: "set_addresses", id: 1, ...addresses });
  deepStrictEqual(spoken.members, [{ id: 1, ...addresses }]);
  deepStrictEqual(decodeMembership(encodeMembership(spoken, plain)), spoken);
  deepStrictEqual([format(plain, plain), format(spoken, plain), format(plain, spoken)], [1, 2, 2]);
  const { wireAddress: _, ...silent } = addresses;
  deepStrictEqual(plan(spoken, { kind: "set_addresses", id: 1, ...silent }).members, [{ id: 1, ...silent }]);
  deepStrictEqual(
    plan(plain, { kind: "add_learner", ...addresses }).members[1],
    { id: 2, ...addresses },
  );
});

Deno.test("hasAddresses() looks at every address, the one that may be missing included", () => {
  const addresses = { raftAddress: "a:1", httpAddress: "b:2", wireAddress: "c:3" };
  strictEqual(hasAddresses({ ...addresses }, addresses), true);
  for (const changed of ["raftAddress", "httpAddress", "wireAddress"] as const) {
    strictEqual(hasAddresses({ ...addresses, [changed]: "z:9" }, addresses), false, changed);
  }
  const { wireAddress: _, ...silent } = addresses;
  strictEqual(hasAddresses(silent, addresses), false);
  strictEqual(hasAddresses(addresses, silent), false);
});

Deno.test("memberships of formats 1 and 2 as they lie in logs stay readable", () => {
  const bytes = (text: string) => new TextEncoder().encode(text);
  const rest = '"voters":[1],"votersOutgoing":[],"learners":[],"nextNodeId":2';
  const first = '{"id":1,"raftAddress":"a:1","httpAddress":"b:2"}';
  const second = '{"id":1,"raftAddress":"a:1","httpAddress":"b:2","wireAddress":"c:3"}';
  const old = decodeMembership(bytes(`{"format":1,"membership":{${rest},"members":[${first}]}}`));
  deepStrictEqual(old.members, [{ id: 1, raftAddress: "a:1", httpAddress: "b:2" }]);
  const current = decodeMembership(bytes(`{"format":2,"membership":{${rest},"members":[${second}]}}`));
  deepStrictEqual(current.members, [{ id: 1, raftAddress: "a:1", httpAddress: "b:2", wireAddress: "c:3" }]);
});

Deno.test("decodeMembership() refuses what it does not understand, or what contradicts itself", () => {
  const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
  const sound = membershipOf([1, 2], [3]);
  throws(() => decodeMembership(new Uint8Array([1, 2])), /not JSON/);
  throws(
    () => decodeMembership(encode({ format: 3, membership: sound })),
    /format 3: this version knows 1, 2/,
  );
  const spoiled: [object, RegExp][] = [
    [{ voters: [2, 1] }, /not sorted/],
    [{ voters: [0, 1] }, /not a node id/],
    [{ learners: [2] }, /ids in use/],
    [{ learners: [2, 3] }, /overlap/],
    [{ nextNodeId: 3 }, /nextNodeId/],
    [{ members: [] }, /ids in use/],
    [{ members: 7 }, /not a list/],
    [{ members: [{ ...sound.members[0], wireAddress: 1 }] }, /wire address of member 1/],
  ];
  for (const [change, message] of spoiled) {
    throws(() => decodeMembership(encode({ format: 1, membership: { ...sound, ...change } })), message);
  }
});
