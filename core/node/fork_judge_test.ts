import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert/strict";
import { setImmediate } from "node:timers";
import { ManualClock } from "../../tests/support/memory_transport.ts";
import { metric, NodeCluster } from "../../tests/support/node_cluster.ts";
import { SimDisk } from "../../tests/support/sim_disk.ts";
import { NodeError } from "../base/errors.ts";
import { crc32 } from "../codec/crc32.ts";
import { Log } from "../log/log.ts";
import { readNodeIdentity } from "../log/node_identity.ts";
import { chainHash } from "../log/record.ts";
import { decodeEntryBody } from "../pages/entry_body.ts";
import { type Entry, EntryType } from "../raft/message.ts";
import { ForkJudge } from "./fork_judge.ts";
import { FORK_REPORT_PATH, readForkReport } from "./fork_report.ts";
import type { LogMark } from "./fork_verdict.ts";

const mark = (term: number, hash: number, committed = true): LogMark => ({ term, hash, committed });

/** Member 1 of three, with (term 2, hash 7) at every index; `answers` is what the others hold. */
class Bench {
  readonly disk = new SimDisk({ seed: 1 });
  readonly clock = new ManualClock();
  readonly fatal: string[] = [];
  readonly told: [number, number][] = [];
  readonly verdicts: unknown[] = [];
  asked = 0;
  lastIndex = 10;
  answers: Record<number, LogMark | null> = {};
  readonly judge = new ForkJudge({
    disk: this.disk,
    clock: this.clock,
    events: { event: (_name, { verdict }) => void this.verdicts.push(verdict) },
    nodeId: 1,
    raft: {
      membership: {
        voters: [1, 2, 3],
        votersOutgoing: [],
        learners: [],
        standBys: [],
        spares: [],
        members: [1, 2, 3].map((id) => ({ id, raftAddress: `r${id}`, httpAddress: `h${id}` })),
        nextNodeId: 4,
      },
    },
    log: {
      lastIndex: () => this.lastIndex,
      termAt: (index) => index > this.lastIndex ? undefined : 2,
      hashAt: (index) => index > this.lastIndex ? undefined : 7,
    },
    committedIndex: () => 10,
    askMark: (member) => {
      this.asked++;
      const answer = this.answers[member];
      if (answer === undefined) return Promise.reject(new NodeError("no_leader", "There is no connection"));
      return Promise.resolve(answer);
    },
    tell: (member, index) => {
      this.told.push([member, index]);
      return Promise.reject(new NodeError("no_leader", "There is no connection"));
    },
    onFatal: (error) => void this.fatal.push(error.message),
  });

  async meet(reason: Parameters<ForkJudge["suspect"]>[0]["reason"] = "hash_differs"): Promise<void> {
    this.judge.suspect({ index: 5, reason, leader: 2 });
    await settled();
  }
}

function settled(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

Deno.test("ForkJudge stops a node that the majority contradicts, the report first (promise 4)", async () => {
  const bench = new Bench();
  bench.answers = { 2: mark(2, 8), 3: mark(2, 8) };
  await bench.meet();
  strictEqual(bench.fatal.length, 1);
  match(bench.fatal[0]!, /minority.*entry 5/);
  const report = readForkReport(bench.disk);
  deepStrictEqual(report?.theirs, { 2: mark(2, 8), 3: mark(2, 8) });
  deepStrictEqual([report?.index, report?.nodeId, report?.ours], [5, 1, mark(2, 7)]);
  deepStrictEqual(bench.told, [], "the leader is not at fault");
});

Deno.test("ForkJudge stops also when the report finds no room", async () => {
  const bench = new Bench();
  bench.disk.capacityBytes = 0;
  bench.answers = { 2: mark(2, 8), 3: mark(2, 8) };
  await bench.meet();
  match(bench.fatal[0]!, /minority.*could not be written/);
});

Deno.test("ForkJudge lets the leader judge itself when it is not this node that is wrong", async () => {
  const bench = new Bench();
  bench.answers = { 2: mark(2, 8), 3: mark(2, 7) };
  await bench.meet();
  deepStrictEqual([bench.verdicts, bench.told, bench.fatal], [["majority"], [[2, 5]], []]);
  strictEqual(bench.disk.exists(FORK_REPORT_PATH), false);
});

Deno.test("ForkJudge decides nothing without enough answers, and asks again after a pause", async () => {
  const bench = new Bench();
  bench.answers = { 2: mark(2, 8) };
  await bench.meet();
  await bench.meet();
  deepStrictEqual([bench.verdicts, bench.fatal, bench.asked], [["undecided"], [], 2]);
  deepStrictEqual(bench.told, [[2, 5]], "the leader may reach more members");
  bench.answers[3] = mark(2, 8);
  bench.clock.advance(1_000);
  await bench.meet();
  deepStrictEqual([bench.verdicts, bench.fatal.length], [["undecided", "minority"], 1]);
});

Deno.test("ForkJudge judges one sign at a time", async () => {
  const bench = new Bench();
  bench.answers = { 2: mark(2, 7), 3: mark(2, 7) };
  bench.judge.suspectedBy(3, 5);
  bench.judge.suspectedBy(2, 5);
  await bench.meet();
  deepStrictEqual([bench.verdicts, bench.told], [["majority"], []]);
});

Deno.test("ForkJudge blames the sender for an entry that does not continue its own log", async () => {
  const bench = new Bench();
  bench.answers = { 2: mark(2, 8), 3: mark(2, 8) };
  await bench.meet("chain_broken");
  deepStrictEqual([bench.told, bench.fatal, bench.asked], [[[2, 5]], [], 0]);
});

Deno.test("ForkJudge ends a node at once whose disk lost what it acknowledged", () => {
  const bench = new Bench();
  bench.judge.suspect({ index: 5, reason: "acknowledged_entries_missing", leader: 2 });
  match(bench.fatal[0]!, /Entry 5.*acknowledged.*empty data folder/);
});

Deno.test("ForkJudge compares the log as it was on disk with the leader's, once", async () => {
  const bench = new Bench();
  const sweep = async () => {
    bench.clock.advance(1_000);
    bench.judge.sweep(2);
    await settled();
  };
  bench.judge.sweep(0);
  strictEqual(bench.asked, 0, "nobody leads");
  await sweep();
  bench.answers = { 2: null };
  await sweep();
  bench.answers = { 2: mark(1, 3, false) };
  await sweep();
  strictEqual(bench.asked, 3, "no answer, an entry it has not got, one that will be replaced");
  bench.answers = { 2: mark(2, 7) };
  await sweep();
  await sweep();
  deepStrictEqual([bench.asked, bench.verdicts], [4, []]);
});

Deno.test("ForkJudge judges what the leader has not got like this", async () => {
  const bench = new Bench();
  bench.answers = { 2: mark(2, 8), 3: mark(2, 8) };
  bench.judge.sweep(2);
  await settled();
  match(bench.fatal[0]!, /minority.*entry 10/);
});

Deno.test("ForkJudge need not compare where new entries were compared, or where this node leads", async () => {
  for (const change of [(bench: Bench) => bench.lastIndex++, (bench: Bench) => bench.lastIndex--]) {
    const bench = new Bench();
    change(bench);
    bench.judge.sweep(2);
    await settled();
    strictEqual(bench.asked, 0);
  }
  const leading = new Bench();
  leading.judge.sweep(1);
  leading.judge.sweep(2);
  await settled();
  strictEqual(leading.asked, 0);
});

/** Writes the log of a node that is down anew: only a comparison with other logs can tell that it is not the old one. */
async function rewriteLog(disk: SimDisk, change: (entries: Entry[]) => Entry[]): Promise<void> {
  const { clusterId } = readNodeIdentity(disk) ?? { clusterId: "" };
  const { log, recovery } = await Log.open(disk, { clusterId });
  const entries = change(log.entries(1, log.lastIndex(), Infinity));
  await log.close();
  for (const name of disk.list("raft/log")) disk.remove(`raft/log/${name}`);
  let hash = 0;
  const chained = entries.map((entry) => {
    hash = chainHash(hash, entry.term, entry.index, entry.type, entry.data);
    return { ...entry, hash };
  });
  const { log: rewritten } = await Log.open(disk, { clusterId });
  rewritten.append(chained, Math.min(recovery.commitIndex, entries.length));
  await rewritten.sync();
  await rewritten.close();
}

/** Another text of the same length wherever a page holds one row, with the checksums of those pages. */
function falsify(entries: Entry[]): Entry[] {
  let count = 0;
  const falsified = entries.map((entry) => {
    const data = entry.data.slice();
    const body = entry.type === EntryType.data ? decodeEntryBody(data) : undefined;
    if (body?.kind !== "pages") return entry;
    for (const [i, offset] of body.offsets.entries()) {
      const page = data.subarray(offset, offset + body.pageSize);
      const found = new TextDecoder("latin1").decode(page).indexOf("sound 5");
      if (found < 0) continue;
      page.set(new TextEncoder().encode("false 5"), found);
      new DataView(data.buffer).setUint32(40 + 16 * i + 8, crc32(page), true);
      count++;
    }
    return { ...entry, data };
  });
  ok(count > 0, "nothing to falsify");
  return falsified;
}

async function writtenCluster(): Promise<NodeCluster> {
  const cluster = await NodeCluster.start(3);
  await cluster.finish(cluster.write(1, "CREATE TABLE t (a)"));
  for (let i = 0; i < 10; i++) await cluster.finish(cluster.write(1, `INSERT INTO t VALUES ('sound ${i}')`));
  await cluster.advance(500);
  return cluster;
}

const SIXTH = "SELECT a FROM t WHERE rowid = 6";

/** The wrong node has stopped with a report; the others have the old data and take new. */
async function othersGoOn(cluster: NodeCluster, wrong: number): Promise<void> {
  const { fatal, disk } = cluster.member(wrong);
  match(fatal[0]!.message, /This node is in the minority/);
  const report = readForkReport(disk);
  strictEqual(report?.nodeId, wrong);
  cluster.crash(wrong);
  const others = [1, 2, 3].filter((id) => id !== wrong);
  for (const id of others) {
    deepStrictEqual([await cluster.rows(id, SIXTH), cluster.member(id).fatal], [[["sound 5"]], []]);
  }
  await cluster.finish(cluster.write(others[0]!, "INSERT INTO t VALUES ('after')"));
  deepStrictEqual(await cluster.rows(others[1]!, "SELECT count(*) FROM t WHERE a = 'after'"), [[1]]);
  await rejects(
    cluster.boot(wrong),
    new RegExp(`Cannot start: .*entry ${report.index} .*fork\\.json.*empty folder`),
  );
}

Deno.test("A follower with another log stops with a report, and stays down (promise 4)", async () => {
  const cluster = await writtenCluster();
  cluster.crash(3);
  const { disk, fatal } = cluster.member(3);
  await rewriteLog(disk, falsify);
  await cluster.boot(3);
  deepStrictEqual(await cluster.rows(3, SIXTH, { level: "stale" }), [["false 5"]], "alone it looks sound");
  await cluster.until(() => fatal.length > 0);
  await othersGoOn(cluster, 3);

  disk.remove(FORK_REPORT_PATH);
  await cluster.boot(3);
  await cluster.until(() => fatal.length > 1);
  match(fatal[1]!.message, /This node is in the minority/);
});

Deno.test("A leader with another log stops as soon as a majority can say so (promise 4)", async () => {
  const cluster = await writtenCluster();
  for (const id of [1, 2, 3]) cluster.crash(id);
  await rewriteLog(cluster.member(1).disk, falsify);
  await cluster.boot(1);
  // Its election timeout is over first.
  await cluster.advance(450);
  await cluster.boot(2);
  await cluster.until(() => cluster.leader !== undefined);
  strictEqual(cluster.leader?.id, 1);
  await cluster.advance(5_000);
  const verdicts = cluster.events.filter(({ name }) => name === "fork_judged");
  ok(verdicts.length > 2 && verdicts.every(({ facts }) => facts.verdict === "undecided"));
  deepStrictEqual([cluster.member(1).fatal, cluster.member(2).fatal], [[], []], "one against one");
  const publishedBefore = metric(cluster.node(2), "commit_index");

  await cluster.boot(3);
  await cluster.until(() => cluster.member(1).fatal.length > 0);
  strictEqual(metric(cluster.node(2), "commit_index"), publishedBefore, "nothing was committed meanwhile");
  await othersGoOn(cluster, 1);
});

Deno.test("A node whose log has lost acknowledged entries ends without asking anybody (promise 1)", async () => {
  const cluster = await writtenCluster();
  cluster.crash(3);
  const { disk, fatal } = cluster.member(3);
  await rewriteLog(disk, (entries) => entries.slice(0, -2));
  await cluster.boot(3);
  await cluster.until(() => fatal.length > 0);
  match(fatal[0]!.message, /which this node acknowledged, is not in its log/);
  ok(!disk.exists(FORK_REPORT_PATH));
  ok(!cluster.events.some(({ name }) => name === "fork_judged"));
});
