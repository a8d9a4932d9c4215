import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { membershipOf } from "../../tests/support/raft_node.ts";
import {
  decodeMembership,
  decodePreviousMembership,
  EMPTY_MEMBERSHIP,
  encodeMembership,
  hasAddresses,
  type Membership,
} from "./membership.ts";
import { type MembershipChange, planChange } from "./plan_change.ts";

function plan(current: Membership, ...changes: MembershipChange[]): Membership {
  const planned = planChange(current, changes);
  if (planned.membership === undefined) throw new Error(`Refused: ${planned.refused}`);
  return planned.membership;
}

Deno.test("encodeMembership() carries the membership before, for a node that drops the entry", () => {
  const before = membershipOf([1]);
  const after = plan(before, { kind: "add", raftAddress: "new:1", httpAddress: "new:2" });
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
    plan(plain, { kind: "add", ...addresses }).members[1],
    { id: 2, ...addresses },
  );
});

Deno.test("encodeMembership() names format 3 where there are traits, stand-bys or spares, now or before", () => {
  const format = (...args: Parameters<typeof encodeMembership>) =>
    (JSON.parse(new TextDecoder().decode(encodeMembership(...args))) as { format: number }).format;
  const plain = membershipOf([1]);
  const large = 2n ** 64n - 1n;
  for (
    const other of [
      membershipOf([1], [], [2]),
      membershipOf([1], [], [], [2]),
      plan(plain, { kind: "set_traits", id: 1, weight: 1 }),
      plan(plain, { kind: "set_traits", id: 1, failureDomain: large }),
    ]
  ) {
    deepStrictEqual([format(other), format(other, plain), format(plain, other)], [3, 3, 3]);
    const bytes = encodeMembership(plain, other);
    deepStrictEqual([decodeMembership(bytes), decodePreviousMembership(bytes)], [plain, other]);
  }
  deepStrictEqual(format(plan(plain, { kind: "set_traits", id: 1, weight: 0 })), 1);
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
    () => decodeMembership(encode({ format: 4, membership: sound })),
    /format 4: this version knows 1, 2, 3/,
  );
  const spoiled: [object, RegExp][] = [
    [{ voters: [2, 1] }, /not sorted/],
    [{ voters: [0, 1] }, /not a node id/],
    [{ learners: [2] }, /ids in use/],
    [{ learners: [2, 3] }, /member 2 has two roles/],
    [{ standBys: [3] }, /member 3 has two roles/],
    [{ spares: [1] }, /member 1 has two roles/],
    [{ spares: [4] }, /ids in use/],
    [{ members: [{ ...sound.members[0], weight: -1 }] }, /the weight of member 1 is -1/],
    [{ members: [{ ...sound.members[0], failureDomain: "7" }] }, /the failure domain of member 1 is 7/],
    [{ members: [{ ...sound.members[0], weight: "18446744073709551616" }] }, /the weight of member 1/],
    [{ nextNodeId: 3 }, /nextNodeId/],
    [{ members: [] }, /ids in use/],
    [{ members: 7 }, /not a list/],
    [{ members: [{ ...sound.members[0], wireAddress: 1 }] }, /wire address of member 1/],
  ];
  for (const [change, message] of spoiled) {
    throws(() => decodeMembership(encode({ format: 3, membership: { ...sound, ...change } })), message);
  }
});
