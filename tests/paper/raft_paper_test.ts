/**
 * The Raft paper (Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm", extended version, 2014)
 * section by section, and the parts of Ongaro's thesis (2014) that the core builds on. Each test cites its sentence.
 */
import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { encodeMembership } from "../../core/raft/membership.ts";
import { EntryType, type Message } from "../../core/raft/message.ts";
import { appendFrom, RaftBench } from "../support/raft_bench.ts";
import { logOf, membershipOf, type MemoryLog, nextEntry } from "../support/raft_node.ts";

const THREE = membershipOf([1, 2, 3]);
const FIVE = membershipOf([1, 2, 3, 4, 5]);

const heartbeat = (from: number, term: number, commitIndex = 0): Message => ({
  kind: "heartbeat",
  from,
  to: 1,
  term,
  commitIndex,
  readRound: 0,
  leaseMs: 0,
});

const bytes = (text: string) => new TextEncoder().encode(text);
const termsOf = (log: MemoryLog) => log.list.map(({ term }) => term);

/** A follower in term 5 whose log has these terms behind the first entry, and its leader's log. */
function followerAndLeader(ours: readonly number[], theirs: readonly number[]) {
  const bench = new RaftBench({ terms: ours, term: 5 });
  return { bench, leaderLog: logOf(THREE, theirs) };
}

Deno.test("5.1: a server whose term is out of date takes the larger one and follows", () => {
  for (const role of ["candidate", "leader"] as const) {
    const bench = new RaftBench();
    if (role === "leader") bench.lead();
    else bench.raft.campaign();
    bench.receive(heartbeat(3, 9));
    deepStrictEqual([bench.status.role, bench.status.term, bench.status.leader], ["follower", 9, 3]);
  }
});

Deno.test("5.1: a request with a stale term changes nothing", () => {
  const { bench, leaderLog } = followerAndLeader([1], [1, 1]);
  bench.receive(appendFrom(leaderLog, 2, 1, 3, 2));
  deepStrictEqual([bench.raft.lastIndex, bench.status.leader, bench.status.term], [2, 0, 5]);
});

Deno.test("5.2: a follower that hears nobody for an election timeout campaigns; a heartbeat puts it off", () => {
  const bench = new RaftBench();
  bench.receive(heartbeat(2, 1));
  for (let round = 0; round < 5; round++) {
    bench.tick(4);
    bench.receive(heartbeat(2, 1));
  }
  strictEqual(bench.status.role, "follower");
  bench.tick(5);
  strictEqual(bench.status.role, "pre_candidate");
});

Deno.test("5.2: a candidate votes for itself, asks all others, and leads with a majority", () => {
  const bench = new RaftBench({ membership: FIVE });
  bench.lead();
  deepStrictEqual([bench.status.role, bench.status.term, bench.node.durableHardState], [
    "leader",
    2,
    { term: 2, vote: 1 },
  ]);
});

Deno.test("5.2: votes of a minority elect nobody; the candidate tries again with a new term", () => {
  const bench = new RaftBench({ membership: FIVE });
  const grant = (from: number, term: number, preVote: boolean) =>
    bench.receive({ kind: "vote_reply", from, to: 1, term, preVote, granted: true });
  bench.raft.campaign();
  bench.node.run();
  grant(2, 2, true);
  grant(3, 2, true);
  bench.sync();
  grant(2, 2, false);
  strictEqual(bench.status.role, "candidate");
  bench.tick(5);
  grant(2, 3, true);
  grant(4, 3, true);
  bench.sync();
  deepStrictEqual([bench.status.role, bench.status.term], ["candidate", 3]);
  // A vote of the term before does not count.
  grant(5, 2, false);
  grant(4, 2, false);
  strictEqual(bench.status.role, "candidate");
});

Deno.test("5.2: a candidate that hears the leader of its own term follows it", () => {
  const bench = new RaftBench();
  bench.raft.campaign();
  bench.node.run();
  for (const from of [2, 3]) {
    bench.receive({ kind: "vote_reply", from, to: 1, term: 2, preVote: true, granted: true });
  }
  strictEqual(bench.status.role, "candidate");
  bench.receive(heartbeat(3, 2));
  deepStrictEqual([bench.status.role, bench.status.leader], ["follower", 3]);
});

Deno.test("5.2: a new leader tells everybody at once, and again every heartbeat interval", () => {
  const bench = new RaftBench();
  bench.lead();
  deepStrictEqual(bench.sent("heartbeat").map(({ to }) => to), [2, 3]);
  bench.tick();
  deepStrictEqual(bench.sent("heartbeat").map(({ to }) => to), [2, 3]);
});

Deno.test("5.3: an append is accepted only where the entry before it agrees (figure 2, AppendEntries 2)", () => {
  const { bench, leaderLog } = followerAndLeader([1, 1, 2], [1, 1, 3, 3]);
  bench.receive(appendFrom(leaderLog, 2, 1, 5, 4));
  bench.sync();
  const [refused] = bench.sent("append_reply");
  deepStrictEqual([refused?.rejected, refused?.index, termsOf(bench.node.log)], [true, 4, [1, 1, 1, 2]]);
  bench.receive(appendFrom(leaderLog, 2, 1, 5, 3));
  bench.sync();
  const [accepted] = bench.sent("append_reply");
  deepStrictEqual([accepted?.rejected, accepted?.index, termsOf(bench.node.log)], [
    false,
    5,
    [1, 1, 1, 3, 3],
  ]);
});

Deno.test("5.3: only an entry that conflicts cuts the log (figure 2, AppendEntries 3 and 4)", () => {
  const { bench, leaderLog } = followerAndLeader([1, 1, 1], [1, 1, 1]);
  const late = appendFrom(leaderLog, 2, 1, 5, 1, leaderLog.entries(2, 2, 99));
  bench.receive(late);
  bench.sync();
  deepStrictEqual([bench.raft.lastIndex, bench.sent("append_reply").at(-1)?.index], [4, 2]);
  bench.receive(appendFrom(leaderLog, 2, 1, 5, 2, []));
  strictEqual(bench.raft.lastIndex, 4);
});

Deno.test("5.3: what a follower commits is bounded by what the leader just proved equal (figure 2, 5)", () => {
  const { bench, leaderLog } = followerAndLeader([1, 1, 1, 2, 2], [1, 1, 1, 3, 3]);
  // Entries 5 and 6 are of another leader; the message shows only that the logs agree up to 4.
  bench.receive(appendFrom(leaderLog, 2, 1, 5, 3, leaderLog.entries(4, 4, 99), 6));
  strictEqual(bench.raft.commitIndex, 4);
});

Deno.test("5.3: a leader never changes its own log, and repairs a follower's from where they agree", () => {
  const bench = new RaftBench({ terms: [1, 4, 4] });
  bench.lead();
  bench.forget();
  bench.receive({
    kind: "append_reply",
    from: 2,
    to: 1,
    term: 5,
    index: 4,
    rejected: true,
    hintIndex: 4,
    hintTerm: 3,
  });
  const [append] = bench.sent("append");
  deepStrictEqual([append?.previousIndex, append?.previousTerm], [2, 1]);
  deepStrictEqual(append?.entries.map(({ term }) => term), [4, 4, 5]);
  deepStrictEqual(termsOf(bench.node.log), [1, 1, 4, 4, 5]);
});

Deno.test("5.3: an entry is committed when a majority has it durable, the leader like the others (promise 5)", () => {
  const bench = new RaftBench({ membership: FIVE });
  bench.lead();
  bench.raft.propose(bytes("a"));
  bench.node.run();
  for (const from of [2, 3]) bench.acknowledge(from, 3);
  strictEqual(bench.raft.commitIndex, 2);
  bench.sync();
  strictEqual(bench.raft.commitIndex, 3);
});

Deno.test("5.3: entries committed by others may be published only when they are durable here (promise 1)", () => {
  const bench = new RaftBench();
  bench.lead();
  bench.raft.propose(bytes("a"));
  bench.node.run();
  for (const from of [2, 3]) bench.acknowledge(from, 3);
  deepStrictEqual([bench.raft.commitIndex, bench.outputs.at(-1)?.commitIndex], [3, 2]);
  bench.sync();
  strictEqual(bench.outputs.at(-1)?.commitIndex, 3);
});

Deno.test("5.3: an acknowledgement leaves when the entries are on disk, and in order (promise 1)", () => {
  const { bench, leaderLog } = followerAndLeader([], [1, 1]);
  bench.receive(appendFrom(leaderLog, 2, 1, 5, 1, leaderLog.entries(2, 2, 99)));
  bench.receive(appendFrom(leaderLog, 2, 1, 5, 2, leaderLog.entries(3, 3, 99)));
  deepStrictEqual(bench.sent("append_reply"), []);
  bench.sync(1);
  deepStrictEqual(bench.sent("append_reply").map(({ index }) => index), [2]);
  bench.sync();
  deepStrictEqual(bench.sent("append_reply").map(({ index }) => index), [3]);
});

Deno.test("5.4.2, figure 8: entries of earlier terms are not committed by counting copies (promise 5)", () => {
  const bench = new RaftBench({ terms: [1, 2, 2], membership: FIVE });
  bench.lead();
  for (const from of [2, 3, 4]) bench.acknowledge(from, 4);
  strictEqual(bench.raft.commitIndex, 1);
  bench.acknowledge(2, 5);
  strictEqual(bench.raft.commitIndex, 1);
  bench.acknowledge(3, 5);
  strictEqual(bench.raft.commitIndex, 5);
});

Deno.test("5.5: requests may come twice", () => {
  const { bench, leaderLog } = followerAndLeader([], [1, 2]);
  const append = appendFrom(leaderLog, 2, 1, 5, 1);
  for (let i = 0; i < 2; i++) {
    bench.receive(append);
    bench.sync();
  }
  deepStrictEqual(bench.sent("append_reply").map(({ index }) => index), [3, 3]);
  deepStrictEqual(termsOf(bench.node.log), [1, 1, 2]);
});

Deno.test("5.5: old answers that come late take nothing back", () => {
  const bench = new RaftBench();
  bench.lead();
  bench.raft.propose(bytes("a"));
  bench.sync();
  bench.acknowledge(2, 3);
  bench.acknowledge(2, 2);
  strictEqual(bench.status.progress.find(({ id }) => id === 2)?.match, 3);
  strictEqual(bench.raft.commitIndex, 3);
});

Deno.test("6: a membership is in force from the moment it is in the log", () => {
  const bench = new RaftBench();
  bench.lead();
  bench.acknowledge(2, 2);
  const proposed = bench.raft.proposeMembership({ kind: "remove", id: 3 });
  strictEqual(proposed.refused, undefined);
  deepStrictEqual(bench.raft.membership.voters, [1, 2]);
});

Deno.test("6: a follower that drops a membership entry goes back to the one before", () => {
  const { bench } = followerAndLeader([], []);
  const joined = membershipOf([1, 2, 3, 4]);
  const log = logOf(THREE, []);
  const entry = nextEntry(log, 2, "");
  const data = encodeMembership(joined, THREE);
  const type = EntryType.membership;
  const { chainHash } = bench.node.options;
  const change = { ...entry, type, data, hash: chainHash(log.hashAt(1)!, 2, 2, type, data) };
  bench.receive(appendFrom(log, 2, 1, 5, 1, [change]));
  deepStrictEqual(bench.raft.membership.voters, [1, 2, 3, 4]);
  const other = logOf(THREE, [6]);
  bench.receive(appendFrom(other, 3, 1, 6, 1));
  deepStrictEqual(bench.raft.membership.voters, [1, 2, 3]);
  strictEqual(bench.outputs.at(-1)?.membership?.voters.length, 3);
});

Deno.test("6: a joint configuration commits with both majorities only, and is left by itself", () => {
  const bench = new RaftBench({ membership: membershipOf([1, 2, 3], [4, 5]) });
  bench.lead();
  bench.acknowledge(2, 2);
  bench.raft.proposeMembership([
    { kind: "promote", id: 4 },
    { kind: "promote", id: 5 },
    { kind: "remove", id: 2 },
    { kind: "remove", id: 3 },
  ]);
  bench.sync();
  bench.acknowledge(4, 3);
  bench.acknowledge(5, 3);
  deepStrictEqual([bench.raft.commitIndex, bench.raft.membership.votersOutgoing], [2, [1, 2, 3]]);
  bench.acknowledge(3, 3);
  deepStrictEqual([bench.raft.commitIndex, bench.raft.membership.votersOutgoing], [3, []]);
});

Deno.test("6 and Ongaro 2015: no change before an entry of the own term is committed, one at a time", () => {
  const bench = new RaftBench();
  bench.lead();
  const change = { kind: "remove", id: 3 } as const;
  strictEqual(bench.raft.proposeMembership(change).refused, "term_not_committed");
  bench.acknowledge(2, 2);
  strictEqual(bench.raft.proposeMembership(change).refused, undefined);
  strictEqual(bench.raft.proposeMembership({ kind: "remove", id: 2 }).refused, "change_pending");
});

Deno.test("7: a snapshot replaces a log that ends before it or contradicts it", () => {
  const { bench } = followerAndLeader([1, 1], []);
  const snapshot = { index: 9, term: 4, hash: 77, membership: encodeMembership(membershipOf([1, 2])) };
  bench.receive({ kind: "snapshot", from: 2, to: 1, term: 5, snapshot });
  deepStrictEqual(bench.outputs.at(-1)?.snapshot, snapshot);
  bench.node.install(snapshot);
  bench.sync();
  deepStrictEqual([bench.raft.lastIndex, bench.raft.lastTerm, bench.raft.commitIndex], [9, 4, 9]);
  deepStrictEqual(bench.raft.membership.voters, [1, 2]);
  strictEqual(bench.sent("append_reply").at(-1)?.index, 9);
});

Deno.test("7: entries behind a snapshot that the log agrees with are kept", () => {
  const { bench } = followerAndLeader([1, 2, 2], []);
  const { log } = bench.node;
  const snapshot = { index: 3, term: 2, hash: log.hashAt(3)!, membership: encodeMembership(THREE) };
  bench.receive({ kind: "snapshot", from: 2, to: 1, term: 5, snapshot });
  bench.sync();
  deepStrictEqual([bench.raft.lastIndex, bench.raft.commitIndex], [4, 3]);
  strictEqual(bench.outputs.some((output) => output.snapshot !== undefined), false);
  strictEqual(bench.sent("append_reply").at(-1)?.index, 3);
});

Deno.test("7: an old snapshot takes nothing back, and none lowers the term", () => {
  const { bench } = followerAndLeader([1, 1], []);
  bench.receive(heartbeat(2, 5, 3));
  const snapshot = { index: 2, term: 1, hash: 0, membership: encodeMembership(THREE) };
  bench.receive({ kind: "snapshot", from: 2, to: 1, term: 5, snapshot });
  deepStrictEqual([bench.raft.commitIndex, bench.raft.lastIndex, bench.status.term], [3, 3, 5]);
  strictEqual(bench.sent("append_reply").at(-1)?.index, 3);
});

Deno.test("7: the entry a log begins after is known by term; below it nothing is", () => {
  const leader = new RaftBench({ terms: [1, 1, 1], commitIndex: 4 });
  leader.node.compact(leader.node.baseAt(3, encodeMembership));
  leader.lead();
  const refuse = (from: number, hintIndex: number) =>
    leader.receive({
      kind: "append_reply",
      from,
      to: 1,
      term: 2,
      index: 4,
      rejected: true,
      hintIndex,
      hintTerm: 1,
    });
  leader.forget();
  refuse(2, 3);
  deepStrictEqual(leader.sent("append").map(({ previousIndex }) => previousIndex), [3]);
  refuse(3, 2);
  deepStrictEqual(leader.sent("append"), []);
  deepStrictEqual(leader.sent("snapshot").map(({ to, snapshot }) => [to, snapshot.index]), [[3, 4]]);
});

Deno.test("8: a read waits for an entry of the term and for a majority (thesis, 6.4; promise 5)", () => {
  const bench = new RaftBench();
  bench.lead();
  bench.raft.readIndex(1);
  bench.sync();
  deepStrictEqual(bench.reads, []);
  bench.acknowledge(2, 2);
  bench.heartbeatReply(2, 1);
  deepStrictEqual(bench.reads, [{ context: 1, index: 2, rejected: false }]);
});

Deno.test("Figure 2: term and vote are durable before a vote leaves, and survive a crash (promise 1)", () => {
  const bench = new RaftBench();
  bench.receive({
    kind: "vote",
    from: 2,
    to: 1,
    term: 7,
    preVote: false,
    lastIndex: 1,
    lastTerm: 1,
    transfer: false,
  });
  deepStrictEqual([bench.sent("vote_reply"), bench.node.durableHardState], [[], { term: 1, vote: 0 }]);
  bench.sync();
  strictEqual(bench.sent("vote_reply").length, 1);
  bench.node.crash({ hardStates: 0, appends: 0, entries: 0 });
  bench.node.restart();
  deepStrictEqual([bench.status.term, bench.node.durableHardState.vote], [7, 2]);
});

Deno.test("Figure 2: entries that reached the disk before their term are proof of that term", () => {
  const bench = new RaftBench({ terms: [4], term: 2, vote: 3 });
  strictEqual(bench.status.term, 4);
  bench.sync();
  deepStrictEqual(bench.node.durableHardState, { term: 4, vote: 0 });
});

Deno.test("Figure 3, log matching: a log that differs at an equal index and term is a fork (promise 4)", () => {
  const { bench, leaderLog } = followerAndLeader([1, 1], [1, 1, 2]);
  bench.node.log.list[2] = { ...bench.node.log.list[2]!, hash: 5 };
  bench.receive(appendFrom(leaderLog, 2, 1, 5, 3));
  deepStrictEqual([bench.fork?.reason, bench.fork?.index, bench.fork?.ourHash], ["hash_differs", 3, 5]);
  bench.sync();
  deepStrictEqual([bench.sent("append_reply"), bench.raft.lastIndex], [[], 3]);
});

Deno.test("Figure 3, log matching: an entry whose hash does not follow from its data is not taken (promise 4)", () => {
  const { bench, leaderLog } = followerAndLeader([1], [1, 2]);
  const [entry] = leaderLog.entries(3, 3, 99);
  bench.receive(appendFrom(leaderLog, 2, 1, 5, 2, [{ ...entry!, data: bytes("changed") }]));
  deepStrictEqual([bench.fork?.reason, bench.raft.lastIndex], ["chain_broken", 2]);
});

Deno.test("Figure 3, state machine safety: a committed entry is never replaced (promise 4)", () => {
  const { bench, leaderLog } = followerAndLeader([1, 1], [2, 2]);
  bench.receive(heartbeat(2, 5, 3));
  bench.receive(appendFrom(leaderLog, 2, 1, 5, 1));
  deepStrictEqual([bench.fork?.reason, bench.fork?.index], ["committed_entry_differs", 2]);
  deepStrictEqual(termsOf(bench.node.log), [1, 1, 1]);
});

Deno.test("Figure 3: a leader that knows of acknowledged entries this node lost shows its disk lied (promise 4)", () => {
  const bench = new RaftBench();
  bench.receive(heartbeat(2, 5, 4));
  deepStrictEqual([bench.fork?.reason, bench.fork?.index], ["acknowledged_entries_missing", 4]);
  strictEqual(bench.raft.commitIndex, 1);
});

Deno.test("Thesis, 10.2.1: a heartbeat names no commit index above what the follower is known to hold", () => {
  const bench = new RaftBench();
  bench.lead();
  bench.raft.propose(bytes("a"));
  bench.sync();
  bench.acknowledge(2, 3);
  bench.forget();
  bench.tick();
  deepStrictEqual(bench.sent("heartbeat").map(({ to, commitIndex }) => [to, commitIndex]), [[2, 3], [3, 0]]);
});

Deno.test("Thesis, 10.2.1: proposals are refused above the bound of uncommitted bytes", () => {
  const bench = new RaftBench({ uncommittedBytesMax: 10 });
  bench.lead();
  const indexOf = (text: string) => {
    const proposed = bench.raft.propose(bytes(text));
    return "refused" in proposed ? proposed.refused : proposed.index;
  };
  deepStrictEqual([indexOf("123456"), indexOf("123456"), indexOf("1234")], [3, "uncommitted_full", 4]);
  strictEqual(bench.raft.uncommittedBytes, 10);
  bench.sync();
  bench.acknowledge(2, 4);
  deepStrictEqual([bench.raft.uncommittedBytes, indexOf("12345678901")], [0, 5]);
});

Deno.test("A snapshot that could not be sent is announced again only after the follower was heard", () => {
  const bench = new RaftBench({ terms: [1, 1, 1], commitIndex: 4 });
  bench.node.compact(bench.node.baseAt(4, encodeMembership));
  bench.lead();
  bench.receive({
    kind: "append_reply",
    from: 2,
    to: 1,
    term: 2,
    index: 4,
    rejected: true,
    hintIndex: 1,
    hintTerm: 1,
  });
  strictEqual(bench.sent("snapshot").length, 1);
  bench.raft.snapshotReported(2, false);
  bench.node.run();
  bench.tick();
  strictEqual(bench.sent("snapshot").length, 0);
  bench.heartbeatReply(2);
  strictEqual(bench.sent("snapshot").length, 1);
});
