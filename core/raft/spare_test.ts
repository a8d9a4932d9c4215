import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { RaftBench } from "../../tests/support/raft_bench.ts";
import { membershipOf } from "../../tests/support/raft_node.ts";
import type { LogIndex, NodeId } from "../base/ids.ts";
import { encodeMembership } from "./membership.ts";
import type { MembershipChange } from "./plan_change.ts";

/** Node 1 leads, its log is durable, and voter 2 has acknowledged it; others when named. */
function lead(bench: RaftBench, others: readonly NodeId[] = [2]): RaftBench {
  bench.raft.campaign();
  bench.node.run();
  for (const preVote of [true, false]) {
    bench.sync();
    const term = preVote ? bench.status.term + 1 : bench.status.term;
    bench.receive({ kind: "vote_reply", from: 2, to: 1, term, preVote, granted: true });
  }
  bench.sync();
  strictEqual(bench.status.role, "leader");
  acknowledge(bench, bench.raft.lastIndex, others);
  for (const kind of ["append", "heartbeat", "snapshot"] as const) bench.sent(kind);
  return bench;
}

function acknowledge(bench: RaftBench, index: LogIndex, from: readonly NodeId[]): void {
  bench.sync();
  const { term } = bench.status;
  for (const id of from) {
    bench.receive({
      kind: "append_reply",
      from: id,
      to: 1,
      term,
      index,
      rejected: false,
      hintIndex: 0,
      hintTerm: 0,
    });
  }
}

function change(bench: RaftBench, ...changes: MembershipChange[]): void {
  strictEqual(bench.raft.proposeMembership(changes).refused, undefined);
  bench.node.run();
}

function write(bench: RaftBench): void {
  bench.raft.propose(new Uint8Array(10));
  bench.node.run();
}

/** To whom appends and snapshots went since the last look. */
function fed(bench: RaftBench): NodeId[] {
  return [...new Set([...bench.sent("append"), ...bench.sent("snapshot")].map(({ to }) => to))];
}

Deno.test("a spare is sent heartbeats and nothing else, whatever it answers, and no commit waits for it", () => {
  const bench = lead(new RaftBench({ membership: membershipOf([1, 2], [], [3], [4]) }), [2, 3]);
  write(bench);
  deepStrictEqual(fed(bench), [2, 3]);
  bench.tick();
  deepStrictEqual(bench.sent("heartbeat").map(({ to, commitIndex }) => [to, commitIndex > 0]), [
    [2, true],
    [3, true],
    [4, false],
  ]);
  const { term } = bench.status;
  bench.receive({ kind: "heartbeat_reply", from: 4, to: 1, term, readRound: 0, leaseMs: 0 });
  const hint = { index: 0, hintIndex: 0, hintTerm: 0 };
  bench.receive({ kind: "append_reply", from: 4, to: 1, term, rejected: true, ...hint });
  bench.receive({ kind: "append_reply", from: 4, to: 1, term, rejected: false, ...hint, index: 1 });
  bench.raft.reportUnreachable(4);
  bench.raft.snapshotReported(4, false);
  write(bench);
  acknowledge(bench, bench.raft.lastIndex, [2]);
  strictEqual(bench.status.commitIndex, bench.raft.lastIndex);
  strictEqual(fed(bench).includes(4), false);
  strictEqual(bench.status.progress.find(({ id }) => id === 4)?.state, "spare");
});

Deno.test("neither answers of spares nor of stand-bys keep a leader without its voters", () => {
  const bench = lead(new RaftBench({ membership: membershipOf([1, 2], [], [3], [4]) }));
  for (let tick = 0; tick < 10; tick++) {
    for (const from of [3, 4]) {
      bench.receive({
        kind: "heartbeat_reply",
        from,
        to: 1,
        term: bench.status.term,
        readRound: 0,
        leaseMs: 0,
      });
    }
    bench.tick();
  }
  strictEqual(bench.status.role, "follower");
});

Deno.test("the entry that makes a member a spare is the last one that it is sent", () => {
  const bench = lead(new RaftBench(), [2, 3]);
  change(bench, { kind: "assign", id: 3, role: "spare" });
  const last = bench.sent("append").filter(({ to }) => to === 3);
  deepStrictEqual(last.map(({ entries }) => entries.at(-1)?.index), [bench.raft.lastIndex]);
  acknowledge(bench, bench.raft.lastIndex, [2, 3]);
  write(bench);
  deepStrictEqual(fed(bench), [2]);
  // It hears that its new role is committed, since it has it.
  bench.tick();
  const beat = bench.sent("heartbeat").find(({ to }) => to === 3);
  strictEqual(beat?.commitIndex, bench.status.commitIndex);
});

Deno.test("a member that does not keep up becomes a spare without another word", () => {
  const bench = lead(new RaftBench());
  bench.raft.reportUnreachable(3);
  change(bench, { kind: "assign", id: 3, role: "spare" });
  deepStrictEqual(fed(bench), [2]);
});

Deno.test("a voter that becomes a spare with another change at once is needed until the joint configuration is left", () => {
  const bench = lead(new RaftBench({ membership: membershipOf([1, 2, 3], [4]) }), [2, 3, 4]);
  change(bench, { kind: "promote", id: 4 }, { kind: "assign", id: 3, role: "spare" });
  fed(bench);
  // Node 4 replaces 3 in the new majority; in the old one 2 alone is not enough without node 1's disk.
  acknowledge(bench, bench.raft.lastIndex, [3, 4]);
  deepStrictEqual(bench.raft.membership.votersOutgoing, []);
  strictEqual(fed(bench).includes(3), true);
  acknowledge(bench, bench.raft.lastIndex, [2, 3, 4]);
  write(bench);
  deepStrictEqual(fed(bench), [2, 4]);
});

for (const role of ["stand_by", "learner"] as const) {
  Deno.test(`a spare that becomes a ${role} is sent the log`, () => {
    const bench = lead(new RaftBench({ membership: membershipOf([1, 2], [], [], [4]) }));
    change(bench, { kind: "assign", id: 4, role });
    deepStrictEqual(fed(bench), [2, 4]);
    strictEqual(bench.status.progress.find(({ id }) => id === 4)?.state, "probe");
    acknowledge(bench, bench.raft.lastIndex, [2, 4]);
    write(bench);
    deepStrictEqual(fed(bench), [2, 4]);
  });
}

Deno.test("a leader that is made a spare commits that and goes", () => {
  const bench = lead(new RaftBench(), [2, 3]);
  change(bench, { kind: "assign", id: 1, role: "spare" });
  acknowledge(bench, bench.raft.lastIndex, [2, 3]);
  bench.node.run();
  strictEqual(bench.status.role, "follower");
  bench.tick(20);
  strictEqual(bench.status.role, "follower");
  deepStrictEqual(bench.sent("vote").filter(({ term }) => term > 2), []);
});

Deno.test("a spare is announced no snapshot where the log is gone, and is announced one with its next role", () => {
  const bench = lead(new RaftBench({ membership: membershipOf([1, 2], [], [], [4]), terms: [1, 1, 1] }));
  const { node, raft } = bench;
  node.compact(node.baseAt(bench.status.commitIndex, encodeMembership));
  const { term } = bench.status;
  const answer = () =>
    bench.receive({ kind: "heartbeat_reply", from: 4, to: 1, term, readRound: 0, leaseMs: 0 });
  for (let i = 0; i < 3; i++) {
    bench.tick();
    answer();
    write(bench);
    acknowledge(bench, raft.lastIndex, [2]);
  }
  deepStrictEqual(fed(bench), [2]);
  change(bench, { kind: "assign", id: 4, role: "stand_by" });
  const probe = bench.sent("append").find(({ to }) => to === 4);
  const previousIndex = probe?.previousIndex ?? 0;
  const nothing = { rejected: true, hintIndex: 0, hintTerm: 0 } as const;
  bench.receive({ kind: "append_reply", from: 4, to: 1, term, index: previousIndex, ...nothing });
  deepStrictEqual(bench.sent("snapshot").map(({ to }) => to), [4]);
});
