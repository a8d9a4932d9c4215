import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { membershipOf, MemoryLog, nextEntry, testChainHash } from "../../tests/support/raft_node.ts";
import { encodeMembership, type Membership } from "./membership.ts";
import { MembershipHistory } from "./membership_history.ts";
import { EntryType } from "./message.ts";

const A = membershipOf([1]);
const B = membershipOf([1, 2]);
const C = membershipOf([1, 2, 3]);

/** Data entries up to `length`, memberships at the places told. */
function logWith(length: number, at: Record<number, [Membership, Membership]>): MemoryLog {
  const log = new MemoryLog();
  for (let index = 1; index <= length; index++) {
    const change = at[index];
    if (change === undefined) log.append([nextEntry(log, 1, `${index}`)]);
    else {
      const data = encodeMembership(...change);
      const type = EntryType.membership;
      log.append([{
        index,
        term: 1,
        type,
        data,
        hash: testChainHash(log.hashAt(index - 1)!, 1, index, type, data),
      }]);
    }
  }
  return log;
}

Deno.test("MembershipHistory goes back to the one before when an appended one is cut off", () => {
  const history = new MembershipHistory(logWith(3, {}), A, 3);
  history.appended(4, B);
  history.appended(6, C);
  deepStrictEqual([history.latest, history.latestIndex], [C, 6]);
  strictEqual(history.truncated(7), false);
  strictEqual(history.truncated(5), true);
  deepStrictEqual([history.latest, history.latestIndex], [B, 4]);
  strictEqual(history.truncated(4), true);
  deepStrictEqual(history.latest, A);
});

Deno.test("MembershipHistory forgets what a committed one replaced, and never cuts below it", () => {
  const history = new MembershipHistory(logWith(3, {}), A, 3);
  history.appended(4, B);
  history.appended(6, C);
  history.committed(5);
  deepStrictEqual(history.at(5), B);
  throws(() => history.truncated(4), /cannot be cut off/);
  const other = new MembershipHistory(logWith(3, {}), A, 3);
  other.appended(4, B);
  deepStrictEqual([other.at(3), other.at(4)], [A, B]);
});

Deno.test("MembershipHistory searches the tail of a log it started with when that tail is cut", () => {
  const history = new MembershipHistory(logWith(6, { 4: [B, A], 5: [C, B] }), C, 2);
  strictEqual(history.truncated(5), true);
  deepStrictEqual([history.latest, history.latestIndex], [B, 4]);
  strictEqual(history.truncated(3), true);
  deepStrictEqual(history.latest, A);
});

Deno.test("MembershipHistory treats an unsearched tail as if its last entry were a change", () => {
  const history = new MembershipHistory(logWith(6, {}), A, 2);
  strictEqual(history.latestIndex, 6);
  history.committed(6);
  deepStrictEqual([history.latest, history.at(6)], [A, A]);
});

Deno.test("MembershipHistory keeps the latest when the tail that is cut holds no change", () => {
  const history = new MembershipHistory(logWith(6, {}), B, 2);
  strictEqual(history.truncated(4), false);
  deepStrictEqual([history.latest, history.latestIndex], [B, 2]);
});

Deno.test("MembershipHistory needs nothing of the log that is committed: it may be compacted", () => {
  const log = logWith(9, { 3: [B, A], 8: [C, B] });
  const history = new MembershipHistory(log, C, 1);
  history.committed(5);
  log.compact({ index: 5, term: 1, hash: log.hashAt(5)!, membership: encodeMembership(B) });
  deepStrictEqual(history.at(5), B);
  strictEqual(history.truncated(7), true);
  deepStrictEqual(history.latest, B);
});

Deno.test("MembershipHistory begins anew with an installed snapshot", () => {
  const history = new MembershipHistory(logWith(6, { 5: [B, A] }), B, 2);
  history.installed(20, C);
  deepStrictEqual([history.latest, history.latestIndex, history.at(20)], [C, 20, C]);
  history.appended(21, B);
  strictEqual(history.truncated(21), true);
  deepStrictEqual(history.latest, C);
});
