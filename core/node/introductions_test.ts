import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { ManualClock } from "../../tests/support/manual_clock.ts";
import { membershipOf } from "../../tests/support/raft_node.ts";
import type { Role } from "../raft/output.ts";
import type { Driver } from "./driver.ts";
import { Introductions } from "./introductions.ts";

const SELF = { id: 4, raftAddress: "127.0.0.1:7004" };

/** Member 4 of four, in a role that the test sets, and whom it has called since the last look. */
function member() {
  const clock = new ManualClock();
  const raft = { membership: membershipOf([1, 2, 3, 4]), status: () => ({ progress: PROGRESS }) };
  const driver = { role: "follower" as Role, raft };
  let called: number[] = [];
  let changes = 0;
  const introductions = new Introductions({
    clock,
    driver: driver as unknown as Driver,
    self: SELF,
    call: (to) => {
      called.push(to);
      return Promise.reject(new Error("nobody answers"));
    },
    onChange: () => changes++,
  });
  const sweep = (role: Role) => {
    driver.role = role;
    called = [];
    introductions.sweep();
    return called;
  };
  return { clock, introductions, sweep, changes: () => changes };
}

const PROGRESS = [{ id: 1, recentActive: true }, { id: 2, recentActive: false }, {
  id: 3,
  recentActive: true,
}];

Deno.test("Introductions: a candidate tells all voters who it is, a leader those that are silent, once a second", () => {
  const { clock, sweep } = member();
  deepStrictEqual(sweep("follower"), []);
  deepStrictEqual(sweep("pre_candidate"), [1, 2, 3]);
  deepStrictEqual(sweep("candidate"), []);
  clock.advance(1_000);
  deepStrictEqual(sweep("candidate"), [1, 2, 3]);
  clock.advance(1_000);
  deepStrictEqual(sweep("leader"), [2]);
});

Deno.test("Introductions: who was heard of is a peer until a membership names it", () => {
  const { introductions, changes } = member();
  introductions.heard({ id: 7, raftAddress: "a:1" });
  introductions.heard({ id: 7, raftAddress: "a:1" });
  strictEqual(changes(), 1);
  introductions.heard({ id: 7, raftAddress: "a:2" });
  deepStrictEqual(introductions.withKnown([SELF]), [SELF, { id: 7, raftAddress: "a:2" }]);
  introductions.withKnown([{ id: 7, raftAddress: "a:3" }]);
  deepStrictEqual(introductions.withKnown([]), []);
  for (let id = 100; id < 200; id++) introductions.heard({ id, raftAddress: "a:1" });
  strictEqual(introductions.withKnown([]).length, 16);
});
