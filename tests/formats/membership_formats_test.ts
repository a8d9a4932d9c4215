/** Memberships as they lie in logs, snapshots and `raft/state`, byte by byte: each format is written as ever and can be read. */
import { deepStrictEqual, strictEqual } from "node:assert/strict";
import {
  decodeMembership,
  decodePreviousMembership,
  encodeMembership,
  type Membership,
} from "../../core/raft/membership.ts";

const BEFORE: Membership = {
  voters: [1],
  votersOutgoing: [],
  learners: [],
  standBys: [],
  spares: [],
  members: [{ id: 1, raftAddress: "one:7001", httpAddress: "one:4001" }],
  nextNodeId: 2,
};

/** A joint configuration with a learner. */
const FIRST: Membership = {
  ...BEFORE,
  voters: [1, 2, 3],
  votersOutgoing: [1],
  learners: [5],
  members: [
    { id: 1, raftAddress: "one:7001", httpAddress: "one:4001" },
    { id: 2, raftAddress: "two:7001", httpAddress: "two:4001" },
    { id: 3, raftAddress: "[::1]:7003", httpAddress: "[::1]:4003" },
    { id: 5, raftAddress: "five:7001", httpAddress: "five:4001" },
  ],
  nextNodeId: 6,
};

const SECOND: Membership = {
  ...FIRST,
  members: FIRST.members.map((member) => member.id === 2 ? { ...member, wireAddress: "two:9001" } : member),
};

const THIRD: Membership = {
  ...SECOND,
  standBys: [6],
  spares: [7],
  members: [
    ...SECOND.members.map((member) =>
      member.id === 1 ? { ...member, failureDomain: 2n ** 64n - 1n } : member
    ),
    { id: 6, raftAddress: "six:7001", httpAddress: "six:4001", weight: 10, failureDomain: 3 },
    { id: 7, raftAddress: "seven:7001", httpAddress: "seven:4001", wireAddress: "seven:9001" },
  ],
  nextNodeId: 8,
};

const GOLDEN: readonly [string, Membership, Membership | undefined][] = [
  ["v1/membership", FIRST, BEFORE],
  ["v2/membership", SECOND, BEFORE],
  ["v3/membership", THIRD, SECOND],
];

for (const [name, membership, previous] of GOLDEN) {
  Deno.test(`${name} is written as ever and can be read`, () => {
    const kept = Deno.readFileSync(new URL(name, import.meta.url));
    strictEqual(
      new TextDecoder().decode(encodeMembership(membership, previous)),
      new TextDecoder().decode(kept),
    );
    deepStrictEqual(decodeMembership(kept), membership);
    deepStrictEqual(decodePreviousMembership(kept), previous);
  });
}
