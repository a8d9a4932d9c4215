import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { type BenchStart, RaftBench } from "../../tests/support/raft_bench.ts";
import { membershipOf } from "../../tests/support/raft_node.ts";
import type { VoteMessage } from "./message.ts";
import { checkRaftOptions } from "./options.ts";

const LEASE_MS = 200;
/** Of a promise of LEASE_MS. */
const USED_MS = 180;

/** A node with a clock of its own that stands still. */
class LeaseBench extends RaftBench {
  readonly clock: { nowMs: number };

  constructor(start: BenchStart = {}, ms = LEASE_MS, mayHavePromised = false) {
    const clock = { nowMs: 1_000 };
    super({ ...start, lease: { ms, nowMs: () => clock.nowMs, mayHavePromised } });
    this.clock = clock;
  }

  /** Leads, and its first entry is committed by node 2, in larger clusters by node 3, too. */
  static leader(start: BenchStart = {}): LeaseBench {
    const bench = new LeaseBench(start);
    bench.lead();
    for (const id of bench.raft.membership.voters.slice(1)) bench.acknowledge(id, bench.raft.lastIndex);
    bench.forget();
    return bench;
  }

  pass(ms: number): void {
    this.clock.nowMs += ms;
  }

  read(context: number): void {
    this.raft.readIndex(context);
    this.node.run();
  }

  /** A read in a round that these members answer with a promise. */
  readInRound(context: number, by: readonly number[] = [2]): void {
    this.read(context);
    const [heartbeat] = this.sent("heartbeat");
    for (const id of by) this.heartbeatReply(id, heartbeat?.readRound, LEASE_MS);
    this.forget();
  }

  get hasLease(): boolean {
    return this.raft.leaseLeftMs > 0;
  }

  /** What the heartbeats since the last call asked for, and in which round. */
  asked(): [round: number, leaseMs: number][] {
    return this.sent("heartbeat").filter(({ to }) => to === 2).map((
      { readRound, leaseMs },
    ) => [readRound, leaseMs]);
  }

  /** As the follower of node 2. */
  hear(leaseMs: number, readRound = 1): void {
    const { term } = this.status;
    this.receive({ kind: "heartbeat", from: 2, to: 1, term, commitIndex: 1, readRound, leaseMs });
  }

  /** @returns whether the vote was granted; undefined when nothing was said */
  vote(message: Partial<VoteMessage> = {}): boolean | undefined {
    const term = this.status.term + 1;
    const asks = { preVote: false, transfer: false, lastIndex: 99, lastTerm: 99 };
    this.receive({ kind: "vote", from: 3, to: 1, term, ...asks, ...message });
    this.sync();
    return this.sent("vote_reply")[0]?.granted;
  }
}

Deno.test("Lease: reads are answered at once until nine tenths of what was promised are over", () => {
  const bench = LeaseBench.leader();
  strictEqual(bench.raft.readNow(), undefined);
  bench.read(1);
  deepStrictEqual(bench.asked(), [[1, LEASE_MS]]);
  // The answer takes a while: the lease counts from the beginning of the round.
  bench.pass(50);
  bench.heartbeatReply(2, 1, LEASE_MS);
  strictEqual(bench.raft.leaseLeftMs, USED_MS - 50);
  const index = bench.raft.commitIndex;
  bench.read(2);
  deepStrictEqual(bench.reads.map(({ context }) => context), [1, 2]);
  strictEqual(bench.raft.readNow(), index);
  strictEqual(bench.raft.leaseReadCount, 2);
  bench.pass(USED_MS - 51);
  strictEqual(bench.raft.readNow(), index);
  bench.pass(1);
  strictEqual(bench.raft.readNow(), undefined);
  bench.forget();
  bench.read(3);
  deepStrictEqual(bench.reads, []);
  bench.heartbeatReply(2, 2, LEASE_MS);
  deepStrictEqual(bench.reads, [{ context: 3, index, rejected: false }]);
});

Deno.test("Lease: who reads renews it before it ends, with one round; without reads there are none", () => {
  const bench = LeaseBench.leader();
  bench.readInRound(1);
  bench.tick(3);
  deepStrictEqual(bench.asked(), [[1, 0], [1, 0], [1, 0]]);
  bench.pass(USED_MS / 2 - 1);
  bench.read(2);
  deepStrictEqual(bench.asked(), []);
  bench.pass(1);
  bench.read(3);
  bench.read(4);
  deepStrictEqual(bench.asked(), [[2, LEASE_MS]]);
  deepStrictEqual(bench.reads.map(({ context }) => context), [2, 3, 4]);
  // Until it is answered, a heartbeat that leaves anyway asks again: the first one may be lost.
  bench.tick();
  deepStrictEqual(bench.asked(), [[2, LEASE_MS]]);
  bench.pass(10);
  bench.heartbeatReply(2, 2, LEASE_MS);
  strictEqual(bench.raft.leaseLeftMs, USED_MS - 10);
});

Deno.test("Lease: a promise that is shorter than asked for, or none, confirms a read and gives no lease", () => {
  const bench = LeaseBench.leader();
  bench.read(1);
  bench.heartbeatReply(2, 1, 0);
  bench.heartbeatReply(3, 1, LEASE_MS - 1);
  deepStrictEqual(bench.reads.map(({ rejected }) => rejected), [false]);
  strictEqual(bench.hasLease, false);
});

Deno.test("Lease: an answer to an earlier round gives none", () => {
  const bench = LeaseBench.leader();
  bench.readInRound(1);
  bench.pass(USED_MS);
  bench.read(2);
  bench.heartbeatReply(2, 1, LEASE_MS);
  strictEqual(bench.hasLease, false);
  bench.heartbeatReply(2, 2, LEASE_MS);
  strictEqual(bench.hasLease, true);
});

Deno.test("Lease: two of the others have to promise in a cluster of five, and learners do not count", () => {
  const bench = LeaseBench.leader({ membership: membershipOf([1, 2, 3, 4, 5], [6, 7]) });
  bench.readInRound(1, [2, 6, 7]);
  strictEqual(bench.hasLease, false);
  bench.heartbeatReply(5, 1, LEASE_MS);
  strictEqual(bench.hasLease, true);
});

Deno.test("Lease: it stands on promises of the membership in force, of both majorities while it is joint", () => {
  const bench = LeaseBench.leader({ membership: membershipOf([1, 2, 3], [4, 5]) });
  bench.readInRound(1, [2]);
  strictEqual(bench.hasLease, true);
  bench.raft.proposeMembership([{ kind: "promote", id: 4 }, { kind: "promote", id: 5 }, {
    kind: "remove",
    id: 2,
  }]);
  bench.node.run();
  // Of 1, 3, 4, 5 three are needed; of 1, 2, 3 it has two.
  strictEqual(bench.hasLease, false);
  bench.pass(USED_MS);
  bench.readInRound(2, [4, 5]);
  strictEqual(bench.hasLease, false);
  bench.heartbeatReply(2, 2, LEASE_MS);
  strictEqual(bench.hasLease, true);
});

Deno.test("Lease: a leader that is removed has none, although a majority has promised", () => {
  const bench = LeaseBench.leader();
  bench.readInRound(1, [2, 3]);
  bench.raft.proposeMembership({ kind: "remove", id: 1 });
  bench.node.run();
  strictEqual(bench.status.role, "leader");
  strictEqual(bench.raft.readNow(), undefined);
});

Deno.test("Lease: not before an entry of the term is committed, and never in a later term", () => {
  const bench = new LeaseBench();
  bench.lead();
  bench.read(1);
  strictEqual(bench.sent("heartbeat").every(({ leaseMs }) => leaseMs === 0), true);
  bench.acknowledge(2, bench.raft.lastIndex);
  bench.heartbeatReply(2, 1, LEASE_MS);
  strictEqual(bench.hasLease, true);
  const { term } = bench.status;
  bench.receive({
    kind: "heartbeat",
    from: 2,
    to: 1,
    term: term + 1,
    commitIndex: 0,
    readRound: 0,
    leaseMs: 0,
  });
  strictEqual(bench.raft.readNow(), undefined);
});

Deno.test("Lease: the only voter needs nobody's promise", () => {
  const bench = LeaseBench.leader({ membership: membershipOf([1]) });
  strictEqual(bench.raft.readNow(), bench.raft.commitIndex);
});

Deno.test("Lease: a leader that hands over uses none, and waits until those who promised are free", () => {
  const bench = LeaseBench.leader({ electionTicks: 20 });
  bench.readInRound(1, [2, 3]);
  bench.pass(10);
  bench.raft.transferLeadership(2);
  bench.node.run();
  strictEqual(bench.raft.readNow(), undefined);
  // Reads go by rounds now, which ask for nothing.
  bench.read(2);
  deepStrictEqual(bench.asked(), [[2, 0]]);
  bench.pass(LEASE_MS / 0.9 - 11);
  bench.tick();
  deepStrictEqual(bench.sent("timeout_now"), []);
  // What another follower says changes nothing about the wait.
  bench.acknowledge(3, bench.raft.lastIndex);
  bench.pass(2);
  bench.tick();
  deepStrictEqual(bench.sent("timeout_now").map(({ to }) => to), [2]);
  // It may be under way for long: no lease counts any more in this term, whatever comes of the transfer.
  bench.tick(20);
  strictEqual(bench.status.transferTarget, 0);
  bench.forget();
  bench.readInRound(3, [2, 3]);
  strictEqual(bench.hasLease, false);
});

Deno.test("Lease: without promises leadership is handed over at once; given up in time it costs no lease", () => {
  const direct = LeaseBench.leader();
  direct.raft.transferLeadership(2);
  direct.node.run();
  strictEqual(direct.sent("timeout_now").length, 1);

  const bench = LeaseBench.leader();
  bench.readInRound(1, [2, 3]);
  bench.raft.transferLeadership(2);
  // Node 2 takes itself out before it was told.
  bench.raft.tick();
  for (let tick = 0; tick < 5; tick++) {
    bench.tick();
    bench.heartbeatReply(3);
  }
  strictEqual(bench.status.transferTarget, 0);
  deepStrictEqual(bench.sent("timeout_now"), []);
  strictEqual(bench.raft.readNow(), bench.raft.commitIndex);
});

Deno.test("LeasePromise: no vote, pre-vote or vote for a transfer is given, and no term is raised", () => {
  const bench = new LeaseBench({ term: 3 });
  bench.hear(LEASE_MS);
  deepStrictEqual(bench.sent("heartbeat_reply").map(({ leaseMs }) => leaseMs), [LEASE_MS]);
  // The connection to the leader is closed.
  bench.raft.forgetLeader();
  bench.pass(LEASE_MS - 1);
  for (const asks of [{}, { preVote: true }, { transfer: true }, { term: 3 }, { from: 2 }]) {
    strictEqual(bench.vote(asks) ?? false, false, JSON.stringify(asks));
    strictEqual(bench.status.term, 3);
  }
  bench.pass(1);
  strictEqual(bench.vote(), true);
});

Deno.test("LeasePromise: no campaign until it ends, then with the next tick", () => {
  const bench = new LeaseBench({ term: 3 });
  bench.hear(LEASE_MS);
  bench.raft.forgetLeader();
  bench.raft.campaign();
  bench.tick(30);
  strictEqual(bench.status.role, "follower");
  strictEqual(bench.raft.allFreeAfterMs, LEASE_MS);
  // Others have promised the same a little later.
  bench.pass(LEASE_MS - 1);
  strictEqual(bench.raft.allFreeAfterMs, LEASE_MS);
  bench.pass(1);
  strictEqual(bench.raft.allFreeAfterMs, 0);
  bench.tick();
  strictEqual(bench.status.role, "pre_candidate");
});

Deno.test("LeasePromise: it never ends earlier because a heartbeat asks for less", () => {
  const bench = new LeaseBench({ term: 3 });
  bench.hear(LEASE_MS);
  bench.hear(0);
  bench.hear(10);
  strictEqual(bench.raft.allFreeAfterMs, LEASE_MS);
});

Deno.test("LeasePromise: a member without leases promises nothing, one with them 500 ms at most", () => {
  const off = new LeaseBench({ term: 3 }, 0);
  off.hear(LEASE_MS);
  const none = new RaftBench({ term: 3 });
  none.receive({
    kind: "heartbeat",
    from: 2,
    to: 1,
    term: 3,
    commitIndex: 1,
    readRound: 1,
    leaseMs: LEASE_MS,
  });
  const on = new LeaseBench({ term: 3 });
  on.hear(60_000);
  const promised = [off, none, on].map((bench) => bench.sent("heartbeat_reply")[0]?.leaseMs);
  deepStrictEqual(promised, [0, 0, 500]);
  deepStrictEqual([off, none, on].map(({ raft }) => raft.allFreeAfterMs), [0, 0, 500]);
});

Deno.test("LeasePromise: the leader it was made to frees its successor, nobody else does", () => {
  const bench = new LeaseBench({ term: 3 });
  bench.hear(LEASE_MS);
  bench.receive({ kind: "timeout_now", from: 3, to: 1, term: 3 });
  strictEqual(bench.status.role, "follower");
  bench.receive({ kind: "timeout_now", from: 2, to: 1, term: 3 });
  strictEqual(bench.status.role, "candidate");
});

Deno.test("LeasePromise: after a start a member waits for what its earlier life may have promised", () => {
  const bench = new LeaseBench({ term: 3 }, 0, true);
  strictEqual(bench.vote(), undefined);
  strictEqual(bench.status.term, 3);
  bench.hear(0);
  // A leader of an older term could send this, too: who was promised something is not known.
  bench.receive({ kind: "timeout_now", from: 2, to: 1, term: 3 });
  bench.tick(30);
  strictEqual(bench.status.role, "follower");
  bench.pass(500);
  bench.tick();
  strictEqual(bench.status.role, "pre_candidate");
  // Nobody else could be elected without the only voter.
  const alone = new LeaseBench({ membership: membershipOf([1]) }, LEASE_MS, true);
  alone.lead();
  strictEqual(alone.status.role, "leader");
});

Deno.test("LeasePromise: who asks for a pre-vote asks again those who said nothing, since they may be bound", () => {
  const asked = (bench: RaftBench) => bench.sent("vote").map(({ to, preVote }) => [to, preVote]);
  const bench = new LeaseBench({ membership: membershipOf([1, 2, 3, 4]) });
  bench.raft.campaign();
  bench.node.run();
  const term = bench.status.term + 1;
  bench.receive({ kind: "vote_reply", from: 2, to: 1, term, preVote: true, granted: true });
  deepStrictEqual(asked(bench).length, 3);
  bench.tick();
  deepStrictEqual(asked(bench), [[3, true], [4, true]]);
  bench.receive({ kind: "vote_reply", from: 4, to: 1, term, preVote: true, granted: true });
  bench.sync();
  strictEqual(bench.status.role, "candidate");
  strictEqual(asked(bench).length, 3);
  bench.tick();
  deepStrictEqual(asked(bench), []);

  const without = new RaftBench();
  without.raft.campaign();
  without.tick();
  strictEqual(asked(without).length, 2);
});

Deno.test("checkRaftOptions() refuses leases that a restart does not wait for", () => {
  const { options } = new LeaseBench().node;
  const withLease = (ms: number) => ({
    ...options,
    lease: { ms, nowMs: () => 0, mayHavePromised: false },
  });
  checkRaftOptions(withLease(500));
  for (const ms of [501, -1, 0.5, NaN]) throws(() => checkRaftOptions(withLease(ms)), /with leases of/);
});
