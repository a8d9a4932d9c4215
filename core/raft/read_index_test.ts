import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { RaftBench } from "../../tests/support/raft_bench.ts";
import { membershipOf } from "../../tests/support/raft_node.ts";
import { ForwardedReads, ReadRounds, type WaitingRead } from "./read_index.ts";

const read = (context: number, from = 1): WaitingRead => ({ context, from, count: 1 });

Deno.test("ReadRounds: a read that comes while a round is under way waits for the next one", () => {
  const rounds = new ReadRounds();
  const answered: [number, number][] = [];
  const answer = ({ context }: WaitingRead, index: number) => answered.push([context, index]);
  rounds.add(read(1));
  rounds.add(read(2));
  rounds.begin(10);
  rounds.add(read(3));
  rounds.confirmed(1, answer);
  deepStrictEqual(answered, [[1, 10], [2, 10]]);
  rounds.confirmed(1, answer);
  strictEqual(answered.length, 2);
  rounds.begin(12);
  rounds.confirmed(2, answer);
  deepStrictEqual(answered.at(-1), [3, 12]);
});

Deno.test("ReadRounds: an answer to a round confirms all rounds before it", () => {
  const rounds = new ReadRounds();
  const answered: number[] = [];
  for (const context of [1, 2, 3]) {
    rounds.add(read(context));
    rounds.begin(context * 10);
  }
  rounds.confirmed(2, (_, index) => answered.push(index));
  deepStrictEqual(answered, [10, 20]);
});

Deno.test("ReadRounds: a bounded number of rounds is under way", () => {
  const rounds = new ReadRounds();
  let begun = 0;
  for (let context = 0; context < 20; context++) {
    rounds.add(read(context));
    if (!rounds.mayBegin) continue;
    rounds.begin(1);
    begun++;
  }
  strictEqual(begun, 4);
  rounds.confirmed(1, () => {});
  strictEqual(rounds.mayBegin, true);
});

Deno.test("ReadRounds: nothing is confirmed any more once leadership is lost", () => {
  const rounds = new ReadRounds();
  const rejected: number[] = [];
  rounds.add(read(1));
  rounds.begin(10);
  rounds.add(read(2));
  rounds.rejectAll(({ context }) => rejected.push(context));
  deepStrictEqual(rejected, [1, 2]);
  rounds.confirmed(1, () => rejected.push(99));
  strictEqual(rejected.includes(99), false);
});

Deno.test("ReadRounds and ForwardedReads refuse more than 65,536 reads", () => {
  const rounds = new ReadRounds();
  const forwarded = new ForwardedReads();
  let [atLeader, atFollower] = [0, 0];
  for (let context = 0; context < 70_000; context++) {
    if (rounds.add(read(context))) atLeader++;
    if (forwarded.add(context, 0)) atFollower++;
  }
  deepStrictEqual([atLeader, atFollower], [65_536, 65_536]);
});

Deno.test("ForwardedReads: one answer to each, and none to what is forgotten", () => {
  const forwarded = new ForwardedReads();
  const rejected: number[] = [];
  forwarded.add(1, 10);
  forwarded.add(2, 12);
  strictEqual(forwarded.answered(1), true);
  strictEqual(forwarded.answered(1), false);
  forwarded.add(3, 14);
  forwarded.expire(13, (context) => rejected.push(context));
  deepStrictEqual(rejected, [2]);
  forwarded.rejectAll((context) => rejected.push(context));
  deepStrictEqual(rejected, [2, 3]);
  strictEqual(forwarded.answered(3), false);
});

Deno.test("readIndex() of a leader waits until an entry of its own term is committed", () => {
  const bench = new RaftBench({ terms: [1] });
  bench.lead();
  bench.raft.readIndex(7);
  bench.node.run();
  bench.heartbeatReply(2, 9);
  deepStrictEqual(bench.reads, []);
  bench.acknowledge(2, 3);
  const [heartbeat] = bench.sent("heartbeat").filter(({ readRound }) => readRound === 1);
  strictEqual(heartbeat?.readRound, 1);
  deepStrictEqual(bench.reads, []);
  bench.heartbeatReply(2, 1);
  deepStrictEqual(bench.reads, [{ context: 7, index: 3, rejected: false }]);
});

Deno.test("readIndex(): a late heartbeat answer of an earlier round confirms nothing", () => {
  const bench = new RaftBench();
  bench.lead();
  bench.acknowledge(2, 2);
  bench.raft.readIndex(1);
  bench.node.run();
  bench.heartbeatReply(2, 1);
  bench.raft.readIndex(2);
  bench.node.run();
  bench.heartbeatReply(3, 1);
  deepStrictEqual(bench.reads.map(({ context }) => context), [1]);
  bench.heartbeatReply(3, 2);
  deepStrictEqual(bench.reads.map(({ context }) => context), [1, 2]);
});

Deno.test("readIndex() of a follower: answers of a former leader do not count", () => {
  const bench = new RaftBench({ term: 3 });
  const hears = (from: number, term: number) =>
    bench.receive({ kind: "heartbeat", from, to: 1, term, commitIndex: 0, readRound: 0, leaseMs: 0 });
  const answers = (from: number, term: number, context: number) =>
    bench.receive({ kind: "read_index_reply", from, to: 1, term, context, index: 1, rejected: false });
  hears(2, 3);
  bench.raft.readIndex(1);
  bench.node.run();
  deepStrictEqual(bench.sent("read_index").map(({ to, context }) => [to, context]), [[2, 1]]);
  hears(3, 4);
  answers(2, 3, 1);
  answers(2, 4, 1);
  deepStrictEqual(bench.reads, [{ context: 1, index: 0, rejected: true }]);
  bench.raft.readIndex(2);
  answers(3, 4, 2);
  deepStrictEqual(bench.reads.at(-1), { context: 2, index: 1, rejected: false });
});

Deno.test("readIndex() is refused without a leader, when nobody answers, and when leadership is lost", () => {
  const alone = new RaftBench();
  alone.raft.readIndex(1);
  alone.node.run();
  deepStrictEqual(alone.reads, [{ context: 1, index: 0, rejected: true }]);

  const follower = new RaftBench({ term: 3 });
  const heartbeat = {
    kind: "heartbeat",
    from: 2,
    to: 1,
    term: 3,
    commitIndex: 0,
    readRound: 0,
    leaseMs: 0,
  } as const;
  follower.receive(heartbeat);
  follower.raft.readIndex(1);
  for (let tick = 0; tick < 7; tick++) {
    follower.tick();
    follower.receive(heartbeat);
  }
  deepStrictEqual(follower.reads, [{ context: 1, index: 0, rejected: true }]);

  const leader = new RaftBench();
  leader.lead();
  leader.raft.readIndex(1);
  leader.receive({ ...heartbeat, term: 9 });
  deepStrictEqual(leader.reads, [{ context: 1, index: 0, rejected: true }]);
});

Deno.test("readIndex() of a lone voter needs nobody", () => {
  const bench = new RaftBench({ membership: membershipOf([1]) });
  bench.raft.campaign();
  bench.sync();
  bench.sync();
  bench.raft.readIndex(1);
  bench.node.run();
  deepStrictEqual(bench.reads, [{ context: 1, index: 2, rejected: false }]);
});

const to = (bench: RaftBench) =>
  bench.sent("heartbeat").map((heartbeat) => [heartbeat.to, heartbeat.readRound]);

/** A leader whose followers 2 and 3 keep up; it has just asked one of them on account of many reads. */
function askedOne(): { bench: RaftBench; asked: number; other: number } {
  const bench = new RaftBench();
  bench.lead();
  for (const id of [2, 3]) bench.acknowledge(id, 2);
  bench.forget();
  ask(bench, 1, 4);
  const [heartbeat, ...others] = bench.sent("heartbeat");
  deepStrictEqual([heartbeat?.readRound, others.length], [1, 0]);
  return { bench, asked: heartbeat!.to, other: 5 - heartbeat!.to };
}

function ask(bench: RaftBench, context: number, count: number): void {
  bench.raft.readIndex(context, count);
  bench.node.run();
}

Deno.test("a round for many reads asks no more members than it needs; heartbeats still go to all", () => {
  const { bench, asked, other } = askedOne();
  bench.heartbeatReply(asked, 1);
  strictEqual(bench.reads.length, 1);
  ask(bench, 2, 4);
  deepStrictEqual(to(bench), [[asked, 2]]);
  bench.tick();
  deepStrictEqual(to(bench), [[2, 2], [3, 2]]);
  // The one that answers first is asked next.
  bench.heartbeatReply(other, 2);
  strictEqual(bench.reads.length, 2);
  ask(bench, 3, 4);
  deepStrictEqual(to(bench), [[other, 3]]);
});

Deno.test("a round asks everybody when few reads wait", () => {
  const { bench, asked } = askedOne();
  bench.heartbeatReply(asked, 1);
  ask(bench, 2, 3);
  deepStrictEqual(to(bench), [[2, 2], [3, 2]]);
  ask(bench, 3, 1);
  deepStrictEqual(to(bench), [[asked, 3]]);
});

Deno.test("a member that was asked and is silent holds up reads until the next heartbeat", () => {
  const { bench, asked, other } = askedOne();
  bench.tick();
  deepStrictEqual(to(bench), [[2, 1], [3, 1]]);
  bench.heartbeatReply(other, 1);
  strictEqual(bench.reads.length, 1);
  ask(bench, 2, 4);
  deepStrictEqual(to(bench), [[other, 2]], `${asked} has not answered`);
});

Deno.test("a member that was asked and is gone does not hold up reads", () => {
  const { bench, asked, other } = askedOne();
  bench.raft.reportUnreachable(asked);
  bench.node.run();
  deepStrictEqual(to(bench), [[2, 1], [3, 1]]);
  bench.heartbeatReply(other, 1);
  strictEqual(bench.reads.length, 1);
  bench.raft.reportUnreachable(asked);
  bench.node.run();
  deepStrictEqual(to(bench), [], "being told again is no news");
});

Deno.test("Raft: the only voter reads at once, but not before an entry of its term is committed", () => {
  const bench = new RaftBench({ membership: membershipOf([1]), terms: [1] });
  strictEqual(bench.raft.readNow(), undefined);
  bench.raft.campaign();
  bench.node.run();
  // Elected, and its first entry is not on the disk: the one before it may be committed without its knowing.
  strictEqual(bench.raft.readNow(), undefined);
  bench.sync();
  bench.sync();
  deepStrictEqual([bench.status.role, bench.raft.readNow()], ["leader", bench.raft.lastIndex]);
  const three = new RaftBench();
  three.lead();
  three.acknowledge(2, three.raft.lastIndex);
  strictEqual(three.raft.readNow(), undefined);
});
