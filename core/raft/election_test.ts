import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { type BenchStart, RaftBench } from "../../tests/support/raft_bench.ts";
import { membershipOf } from "../../tests/support/raft_node.ts";
import type { Message, VoteMessage } from "./message.ts";

/** Node 2 asks for a vote in term 5, with a log that ends at 9 in term 4. */
const asks = (change: Partial<VoteMessage> = {}): VoteMessage => ({
  kind: "vote",
  from: 2,
  to: 1,
  term: 5,
  preVote: false,
  lastIndex: 9,
  lastTerm: 4,
  transfer: false,
  ...change,
});

const heartbeat = (from: number, term: number): Message => ({
  kind: "heartbeat",
  from,
  to: 1,
  term,
  commitIndex: 0,
  readRound: 0,
  leaseMs: 0,
});

/** What node 1 in term 4 answers: `[granted, term]`, or undefined for no answer. */
function answer(message: VoteMessage, start: BenchStart = {}, before: Message[] = []): unknown {
  const bench = new RaftBench({ term: 4, ...start });
  for (const each of before) bench.receive(each);
  bench.receive(message);
  bench.sync();
  const [reply] = bench.sent("vote_reply");
  return reply && [reply.granted, reply.term];
}

Deno.test("onVote() grants to a log that is up to date: later last term first, then length", () => {
  const log = { terms: [2, 4] };
  deepStrictEqual(answer(asks({ lastTerm: 4, lastIndex: 3 }), log), [true, 5]);
  deepStrictEqual(answer(asks({ lastTerm: 4, lastIndex: 2 }), log), [false, 5]);
  deepStrictEqual(answer(asks({ lastTerm: 5, lastIndex: 1 }), log), [true, 5]);
  deepStrictEqual(answer(asks({ lastTerm: 3, lastIndex: 99 }), log), [false, 5]);
});

Deno.test("onVote() gives one vote a term, and the same one again when asked again", () => {
  deepStrictEqual(answer(asks({ term: 4 }), { vote: 3 }), [false, 4]);
  deepStrictEqual(answer(asks({ term: 4 }), { vote: 2 }), [true, 4]);
  deepStrictEqual(answer(asks({ term: 4, from: 3 }), {}, [asks({ term: 4 })]), [true, 4]);
});

Deno.test("onVote() does not give a second vote of the term to another candidate", () => {
  const bench = new RaftBench({ term: 4 });
  bench.receive(asks());
  bench.receive(asks({ from: 3 }));
  bench.sync();
  deepStrictEqual(bench.sent("vote_reply").map(({ to, granted }) => [to, granted]), [[2, true], [3, false]]);
});

Deno.test("onVote() of a pre-vote promises nothing: neither term nor vote changes", () => {
  const bench = new RaftBench({ term: 4, vote: 3 });
  bench.receive(asks({ preVote: true }));
  bench.receive(asks({ preVote: true, from: 3, term: 9 }));
  // A grant names the term asked for.
  deepStrictEqual(bench.sent("vote_reply").map(({ granted, term }) => [granted, term]), [[true, 5], [
    true,
    9,
  ]]);
  deepStrictEqual(bench.node.durableHardState, { term: 4, vote: 3 });
  strictEqual(bench.status.term, 4);
});

Deno.test("admit() answers a pre-vote of an older term with the present one, a vote not at all", () => {
  deepStrictEqual(answer(asks({ preVote: true, term: 3 })), [false, 4]);
  deepStrictEqual(answer(asks({ term: 3 })), undefined);
});

Deno.test("admit() ignores candidates while a leader is heard, unless the leader hands over", () => {
  const heard = [heartbeat(3, 4)];
  deepStrictEqual(answer(asks(), {}, heard), undefined);
  deepStrictEqual(answer(asks({ preVote: true }), {}, heard), undefined);
  deepStrictEqual(answer(asks({ transfer: true }), {}, heard), [true, 5]);
});

Deno.test("admit() hears candidates again an election timeout after the leader, or when it is forgotten", () => {
  const bench = new RaftBench({ term: 4 });
  bench.receive(heartbeat(3, 4));
  bench.tick(4);
  bench.receive(asks({ preVote: true }));
  deepStrictEqual(bench.sent("vote_reply"), []);
  bench.raft.forgetLeader();
  bench.receive(asks({ preVote: true }));
  deepStrictEqual(bench.sent("vote_reply").map(({ granted }) => granted), [true]);
});

Deno.test("admit(): a leader does not stand down for a candidate, it trusts its own check of the quorum", () => {
  const bench = new RaftBench({ term: 4 });
  bench.lead();
  bench.receive(asks({ term: 9 }));
  deepStrictEqual([bench.status.role, bench.status.term], ["leader", 5]);
});

Deno.test("A learner votes: the candidate may know of a promotion it has not heard of", () => {
  const membership = membershipOf([2, 3], [1]);
  deepStrictEqual(answer(asks(), { membership }), [true, 5]);
});

Deno.test("A message of an older leader is answered with the present term, so that it stands down", () => {
  const bench = new RaftBench({ term: 4 });
  bench.receive(heartbeat(3, 2));
  const [reply] = bench.sent("append_reply");
  deepStrictEqual([reply?.to, reply?.term, reply?.rejected], [3, 4, true]);
  strictEqual(bench.status.leader, 0);
});

Deno.test("Two leaders of one term are reported and the second one ignored", () => {
  const bench = new RaftBench({ term: 4 });
  bench.receive(heartbeat(3, 4));
  bench.receive(heartbeat(2, 4));
  strictEqual(bench.status.leader, 3);
  strictEqual(bench.events.some(({ name }) => name === "two_leaders"), true);
});

Deno.test("startCampaign(): election timeouts are drawn anew from T to 2T - 1", () => {
  const ticksUntilCampaign = (random: () => number) => {
    const bench = new RaftBench({ random });
    const ticks: number[] = [];
    for (let tick = 1; tick <= 20; tick++) {
      bench.tick();
      if (bench.events.some(({ name }) => name === "campaign_started")) ticks.push(tick);
      bench.forget();
    }
    return ticks;
  };
  deepStrictEqual(ticksUntilCampaign(() => 0), [5, 10, 15, 20]);
  deepStrictEqual(ticksUntilCampaign(() => 0.999_999), [9, 18]);
  let draw = 0;
  deepStrictEqual(ticksUntilCampaign(() => draw++ === 0 ? 0 : 0.5), [5, 12, 19]);
});

Deno.test("startCampaign(): learners, strangers and nodes without a membership never campaign", () => {
  for (const membership of [membershipOf([2, 3], [1]), membershipOf([2, 3])]) {
    const bench = new RaftBench({ membership });
    bench.tick(20);
    bench.raft.campaign();
    bench.node.run();
    deepStrictEqual([bench.status.role, bench.sent("vote")], ["follower", []]);
  }
});

Deno.test("A voter whose removal is not committed still campaigns, without counting itself (thesis, 4.2.2)", () => {
  const bench = new RaftBench();
  bench.lead();
  bench.acknowledge(2, 2);
  bench.raft.proposeMembership({ kind: "remove", id: 1 });
  bench.sync();
  bench.tick(12);
  strictEqual(bench.status.role === "leader", false);
  bench.forget();
  bench.tick(5);
  deepStrictEqual(bench.sent("vote").map(({ to, preVote }) => [to, preVote]), [[2, true], [3, true]]);
  const grant = (from: number, preVote: boolean) =>
    bench.receive({
      kind: "vote_reply",
      from,
      to: 1,
      term: bench.status.term + (preVote ? 1 : 0),
      preVote,
      granted: true,
    });
  grant(2, true);
  strictEqual(bench.status.role, "pre_candidate");
  grant(3, true);
  bench.sync();
  grant(2, false);
  strictEqual(bench.status.role, "candidate");
  grant(3, false);
  strictEqual(bench.status.role, "leader");
});

Deno.test("onVoteReply() counts only answers to the question that is open", () => {
  const bench = new RaftBench({ membership: membershipOf([1, 2, 3, 4, 5]) });
  bench.raft.campaign();
  bench.node.run();
  const reply = (from: number, term: number, preVote: boolean, granted = true) =>
    bench.receive({ kind: "vote_reply", from, to: 1, term, preVote, granted });
  reply(2, 2, true);
  reply(2, 2, true);
  strictEqual(bench.status.role, "pre_candidate");
  reply(3, 2, true);
  bench.sync();
  deepStrictEqual([bench.status.role, bench.status.term], ["candidate", 2]);
  // The votes are lost; grants of the first pre-vote that come now do not answer the second one.
  bench.tick(5);
  strictEqual(bench.status.role, "pre_candidate");
  reply(4, 2, true);
  reply(5, 2, true);
  deepStrictEqual([bench.status.role, bench.status.term], ["pre_candidate", 2]);
  // As many refusals as leave no majority end the attempt.
  for (const from of [2, 3, 4]) reply(from, 2, true, false);
  strictEqual(bench.status.role, "follower");
});

Deno.test("A disk that does not end a sync keeps a node from campaigning", () => {
  const bench = new RaftBench({ term: 4 });
  bench.receive(asks());
  bench.tick(20);
  strictEqual(bench.status.role, "follower");
  bench.sync();
  bench.tick();
  strictEqual(bench.status.role, "pre_candidate");
});
