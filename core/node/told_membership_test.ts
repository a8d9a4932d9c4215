import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { membershipOf } from "../../tests/support/raft_node.ts";
import { encodeMembership, type Membership } from "../raft/membership.ts";
import { ToldMembership } from "./told_membership.ts";

const OLD = membershipOf([1, 2, 4]);
const SPARE = membershipOf([1, 2], [], [], [4]);
const LATER = membershipOf([1, 2, 3], [], [], [4]);

function start() {
  const raft = { commitIndex: 10, membership: OLD };
  const heard: Membership[] = [];
  const told = new ToldMembership({ raft, nodeId: 4, onChange: (membership) => heard.push(membership) });
  const hear = (index: number, membership: Membership) =>
    told.hear({ index, membership: encodeMembership(membership) });
  return { raft, heard, told, hear };
}

Deno.test("ToldMembership: the latest that was told counts until the log has come as far, and then the log", () => {
  const { raft, heard, told, hear } = start();
  deepStrictEqual([told.current, told.isSpare], [OLD, false]);
  hear(20, SPARE);
  deepStrictEqual([told.current, told.isSpare], [SPARE, true]);
  hear(30, LATER);
  hear(25, SPARE);
  deepStrictEqual([told.current, heard], [LATER, [SPARE, LATER]]);
  raft.commitIndex = 29;
  told.sweep();
  strictEqual(told.isSpare, true);
  raft.membership = membershipOf([1, 2, 3, 5], [4]);
  raft.commitIndex = 30;
  deepStrictEqual([told.current, told.isSpare], [raft.membership, false]);
  // Peers follow, although nothing was appended in this moment.
  told.sweep();
  told.sweep();
  deepStrictEqual(heard, [SPARE, LATER, raft.membership]);
});

Deno.test("ToldMembership: old news, news for who is no spare and bytes of another format change nothing", () => {
  const { heard, told, hear } = start();
  hear(10, SPARE);
  hear(40, membershipOf([1, 2, 4]));
  hear(40, membershipOf([1, 2], [4]));
  throws(() => told.hear({ index: 50, membership: new TextEncoder().encode('{"format":9}') }), /format 9/);
  deepStrictEqual([told.current, heard], [OLD, []]);
});

Deno.test("ToldMembership: a log that says so itself needs no news", () => {
  const { raft, told } = start();
  raft.membership = SPARE;
  strictEqual(told.isSpare, true);
});
