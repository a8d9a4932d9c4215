/** Members of every role in clusters of whole nodes: what they receive, what they answer, who follows whom. */
import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert/strict";
import { metric, NodeCluster } from "../../tests/support/node_cluster.ts";
import type { MemberChange } from "./service.ts";

const TABLE = "CREATE TABLE t (x)";
const ALL = "SELECT x FROM t ORDER BY x";
const insert = (value: number): string => `INSERT INTO t VALUES (${value})`;

async function rolesSeenBy(cluster: NodeCluster, id: number): Promise<string[]> {
  const { members, role } = await cluster.finish(cluster.node(id).cluster());
  return [role, ...members.map((member) => `${member.id} ${member.role}`)];
}

async function change(
  cluster: NodeCluster,
  through: number,
  id: number,
  wanted: MemberChange,
): Promise<void> {
  await cluster.finish(cluster.node(through).changeMember(id, wanted, 10_000));
}

/** Votes of members that this node knows are those of the whole cluster: their log is there. */
async function settle(cluster: NodeCluster): Promise<void> {
  await cluster.until(() => cluster.members.every(({ node }) => node.isReady()));
  await cluster.advance(2_000);
}

Deno.test("Node: a spare receives nothing, and answers from the leader", async () => {
  const cluster = await NodeCluster.start(3);
  await cluster.finish(cluster.write(1, TABLE));
  await cluster.add(4, { role: "spare", weight: 4, failureDomain: 2 });
  await settle(cluster);
  deepStrictEqual(await rolesSeenBy(cluster, 4), ["spare", "1 leader", "2 voter", "3 voter", "4 spare"]);
  deepStrictEqual(await rolesSeenBy(cluster, 2), ["follower", "1 leader", "2 voter", "3 voter", "4 spare"]);
  await cluster.finish(cluster.write(4, insert(1)));
  deepStrictEqual(await cluster.rows(4, ALL), [[1]]);
  deepStrictEqual(await cluster.rows(4, ALL, { level: "stale" }), [[1]]);
  const listed = await cluster.finish(cluster.node(4).listDatabases());
  deepStrictEqual(listed.map(({ name }) => name), ["main"]);
  strictEqual((await cluster.finish(cluster.node(4).describeDatabase("main"))).name, "main");
  await rejects(cluster.node(4).backup("main", 1_000), { code: "not_leader" });
  await rejects(cluster.node(4).checkpoint("main", "full", 1_000), { code: "not_leader" });
  strictEqual(metric(cluster.node(4), "log_tip_index"), 0);
  deepStrictEqual(cluster.node(4).traits(), { weight: 4, failureDomain: 2 });
  const { members } = await cluster.finish(cluster.node(1).cluster());
  const spare = members.find(({ id }) => id === 4);
  deepStrictEqual([spare?.weight, spare?.failureDomain, spare?.matchIndex], [4, 2, undefined]);
  ok((spare?.lastContactMs ?? Infinity) <= 100);
  await cluster.restart(4);
  await settle(cluster);
  deepStrictEqual(await cluster.rows(4, ALL), [[1]]);
  strictEqual(metric(cluster.node(4), "log_tip_index"), 0);
  // Whom to ask whether it still belongs it knows from those who told it, or from its join.
  await cluster.finish(cluster.node(2).removeMember(4, 5_000));
  await cluster.until(() => cluster.member(4).fatal.length > 0);
  cluster.member(4).fatal.length = 0;
  await cluster.close();
});

Deno.test("Node: a spare without a leader refuses at every level, and finds the next one", async () => {
  const cluster = await NodeCluster.start(3);
  await cluster.finish(cluster.write(1, TABLE));
  await cluster.add(4, { role: "spare" });
  await settle(cluster);
  cluster.network.partition([4], [1, 2, 3]);
  await cluster.until(() => !cluster.node(4).isReady());
  for (const level of ["linearizable", "stale"] as const) {
    await rejects(cluster.rows(4, ALL, { level, timeoutMs: 200 }), { code: "no_leader" });
  }
  cluster.network.partition([4], [1, 2, 3], false);
  await cluster.until(() => cluster.node(4).isReady());
  cluster.crash(1);
  await cluster.until(() => cluster.leader !== undefined && cluster.leader.id !== 1);
  deepStrictEqual(await cluster.rows(4, ALL), []);
  await cluster.boot(1);
  await cluster.close();
});

Deno.test("Node: two voters out of three go on when the third is made a spare, which comes back as a voter", async () => {
  const cluster = await NodeCluster.start(3);
  await cluster.finish(cluster.write(1, TABLE));
  await change(cluster, 2, 3, { role: "spare" });
  await cluster.advance(2_000);
  const tip = metric(cluster.node(3), "log_tip_index");
  for (let i = 1; i <= 20; i++) await cluster.finish(cluster.write(3, insert(i)));
  strictEqual(metric(cluster.node(3), "log_tip_index"), tip);
  strictEqual((await cluster.rows(3, ALL)).length, 20);
  deepStrictEqual(await rolesSeenBy(cluster, 3), ["spare", "1 leader", "2 voter", "3 spare"]);
  strictEqual(metric(cluster.node(1), "voters"), 2);
  await change(cluster, 3, 3, { role: "voter" });
  deepStrictEqual(await rolesSeenBy(cluster, 1), ["leader", "1 leader", "2 voter", "3 voter"]);
  await cluster.until(() => metric(cluster.node(3), "voters") === 3);
  strictEqual((await cluster.rows(3, ALL)).length, 20);
  // Asked again it is so already.
  await change(cluster, 3, 3, { role: "voter" });
  cluster.crash(2);
  await cluster.finish(cluster.write(1, insert(21)));
  await cluster.boot(2);
  await cluster.close();
});

Deno.test("Node: the log is not kept for a spare; with another role it gets a snapshot", async () => {
  // Far below three quarters of the limit, from where on nobody's need counts.
  const cluster = await NodeCluster.start(2, { logBytesMax: 4 * 1024 * 1024, checkpointBytes: 64 * 1024 });
  await cluster.finish(cluster.write(1, TABLE));
  await cluster.add(3, { role: "spare" });
  await settle(cluster);
  for (let i = 1; i <= 80; i++) {
    await cluster.finish(cluster.write(1, `INSERT INTO t VALUES (hex(randomblob(8000)))`));
  }
  ok(metric(cluster.node(1), "log_bytes_total") < 3 * 1024 * 1024);
  await cluster.until(() => metric(cluster.node(1), "log_first_index") > 1);
  await cluster.advance(2_000);
  strictEqual(metric(cluster.node(3), "log_tip_index"), 0);
  strictEqual(metric(cluster.node(3), "snapshots_installed_total"), 0);
  await change(cluster, 1, 3, { role: "stand_by" });
  await cluster.until(() => metric(cluster.node(3), "snapshots_installed_total") === 1);
  const count = "SELECT count(*), count(DISTINCT x) FROM t";
  deepStrictEqual(await cluster.rows(3, count), [[80, 80]]);
  await cluster.until(() =>
    !cluster.node(3).metrics().some(({ name, value }) => name === "spares" && value > 0)
  );
  strictEqual(cluster.node(3).isReady(), true);
  deepStrictEqual(await cluster.rows(3, count, { level: "stale" }), [[80, 80]]);
  await cluster.close();
});

Deno.test("Node: a stand-by has the log and no vote until it is given one", async () => {
  const cluster = await NodeCluster.start(1);
  await cluster.finish(cluster.write(1, TABLE));
  await cluster.add(2, { role: "stand_by" });
  await cluster.until(() => cluster.node(2).isReady());
  await cluster.advance(60_000);
  deepStrictEqual(await rolesSeenBy(cluster, 2), ["stand_by", "1 leader", "2 stand_by"]);
  deepStrictEqual(await cluster.rows(2, ALL, { level: "stale" }), []);
  cluster.crash(2);
  await cluster.finish(cluster.write(1, insert(1)));
  // No longer than an election timeout: it answered lately, and would not answer now.
  await cluster.advance(250);
  await rejects(change(cluster, 1, 2, { role: "voter" }), { code: "commit_unknown", message: /learner/ });
  await cluster.boot(2);
  // It was not forgotten that it is to vote.
  await cluster.until(() => metric(cluster.node(1), "voters") === 2);
  await cluster.close();
});

Deno.test("Node: a leader that is to lose its vote hands over first; the last voter keeps it", async () => {
  const cluster = await NodeCluster.start(2);
  await change(cluster, 1, 1, { role: "stand_by" });
  deepStrictEqual(await rolesSeenBy(cluster, 1), ["stand_by", "1 stand_by", "2 leader"]);
  for (const role of ["stand_by", "spare"] as const) {
    await rejects(change(cluster, 1, 2, { role }), {
      code: "membership_change_refused",
      message: /Cannot change member \d: nobody would have a vote/,
    });
  }
  await rejects(change(cluster, 1, 9, { role: "spare" }), {
    code: "member_not_found",
    message: /member 9: the cluster has no/,
  });
  await rejects(change(cluster, 1, 9, {}), { code: "member_not_found" });
  await cluster.close();
});

Deno.test("Node: a voter that was away while it was made a spare is told; one that was removed then ends itself", async () => {
  const cluster = await NodeCluster.start(3);
  await cluster.finish(cluster.write(1, TABLE));
  cluster.network.partition([3], [1, 2]);
  await cluster.advance(5_000);
  await change(cluster, 1, 3, { role: "spare" });
  await cluster.finish(cluster.write(1, insert(1)));
  const tip = metric(cluster.node(3), "log_tip_index");
  cluster.network.partition([3], [1, 2], false);
  await settle(cluster);
  deepStrictEqual(await rolesSeenBy(cluster, 3), ["spare", "1 leader", "2 voter", "3 spare"]);
  deepStrictEqual(await cluster.rows(3, ALL), [[1]]);
  strictEqual(metric(cluster.node(3), "log_tip_index"), tip);
  // It never heard of it in its log, and can depose nobody.
  const term = metric(cluster.node(1), "raft_term");
  await cluster.advance(30_000);
  strictEqual(metric(cluster.node(1), "raft_term"), term);
  await cluster.finish(cluster.node(2).removeMember(3, 5_000));
  await cluster.until(() => cluster.member(3).fatal.length > 0);
  match(String(cluster.member(3).fatal[0]), /Member 3 was removed from the cluster/);
  cluster.member(3).fatal.length = 0;
  await cluster.close();
});

Deno.test("Node: the lightest voter takes over, whether the leader hands over or is gone", async () => {
  const cluster = await NodeCluster.start(4);
  await change(cluster, 3, 1, { weight: 9 });
  await change(cluster, 3, 2, { weight: 3, failureDomain: 2 });
  await change(cluster, 3, 4, { weight: 2n ** 63n });
  deepStrictEqual(await cluster.finish(cluster.node(4).transferLeadership(undefined, 5_000)), {
    leaderId: 3,
  });
  await change(cluster, 1, 3, { weight: 4 });
  await settle(cluster);
  for (const [gone, next] of [[3, 2], [2, 3], [3, 2]] as const) {
    cluster.crash(gone);
    const leads = () =>
      cluster.members.filter(({ id, node }) => id !== gone && metric(node, "is_leader") === 1);
    await cluster.until(() => leads().length > 0);
    deepStrictEqual(leads().map(({ id }) => id), [next]);
    await cluster.boot(gone);
    await settle(cluster);
  }
  await cluster.close();
});

Deno.test("Node: what a member is started with is announced, and a machine without its disk comes back as what it was", async () => {
  const cluster = await NodeCluster.start(3);
  cluster.wanted.set(2, { failureDomain: 7 });
  await cluster.restart(2);
  await cluster.until(() => cluster.node(1).isReady() && cluster.node(2).traits().failureDomain === 7);
  await change(cluster, 1, 2, { weight: 5 });
  cluster.wanted.set(2, {});
  await cluster.restart(2);
  await settle(cluster);
  deepStrictEqual(cluster.node(2).traits(), { weight: 5, failureDomain: 7 });
  await change(cluster, 1, 3, { role: "stand_by", failureDomain: 8 });
  cluster.crash(3);
  const wiped = cluster.members.pop();
  strictEqual(wiped?.id, 3);
  const joined = cluster.node(1).addMember(
    { raftAddress: "127.0.0.1:7003", httpAddress: "127.0.0.1:8003" },
    5_000,
  );
  deepStrictEqual(await cluster.finish(joined), { id: 4 });
  const { members } = await cluster.finish(cluster.node(1).cluster());
  deepStrictEqual(members.map(({ id, role, failureDomain }) => [id, role, failureDomain]), [
    [1, "leader", 0],
    [2, "voter", 7],
    [4, "stand_by", 8],
  ]);
  await cluster.close();
});
