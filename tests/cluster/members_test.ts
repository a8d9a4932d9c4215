import { deepStrictEqual, match, notStrictEqual, ok, strictEqual } from "node:assert/strict";
import { freePorts } from "../support/free_ports.ts";
import { eventually, NodeProcess, ProcessCluster } from "./process_cluster.ts";

interface Member {
  readonly id: number;
  readonly role: string;
  readonly http_address: string;
  readonly raft_address: string;
}

async function members(node: NodeProcess): Promise<Member[]> {
  return (await node.request("GET", "/v1/cluster")).body.members;
}

async function memberOf(cluster: ProcessCluster, node: NodeProcess): Promise<Member | undefined> {
  const list = await members(await cluster.leader());
  return list.find((member) => member.http_address === `127.0.0.1:${node.httpPort}`);
}

/** Writes one row after another through the given node until stopped; every row must be acknowledged. */
class Writer {
  #stopped = false;
  count = 0;
  readonly #done: Promise<void>;

  constructor(node: NodeProcess) {
    this.#done = this.#run(node);
  }

  async #run(node: NodeProcess): Promise<void> {
    while (!this.#stopped) {
      const { status, body } = await node.execute("INSERT INTO t (v) VALUES (?1)", [this.count]);
      strictEqual(status, 200, JSON.stringify(body));
      this.count++;
    }
  }

  async stop(): Promise<number> {
    this.#stopped = true;
    await this.#done;
    return this.count;
  }
}

Deno.test("members come, go, move and come back; no write is lost", async (test) => {
  await using cluster = await ProcessCluster.start(3);
  const [first, second, third] = cluster.nodes as [NodeProcess, NodeProcess, NodeProcess];
  await first.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER)");
  let written = 0;
  const rows = async (node: NodeProcess): Promise<unknown> =>
    (await node.query("SELECT count(*) FROM t")).body.rows;

  await test.step("a fourth node joins while writes run and becomes a voter", async () => {
    const writer = new Writer(second);
    const fourth = cluster.addNode();
    fourth.start();
    await cluster.ready();
    written += await writer.stop();
    strictEqual((await memberOf(cluster, fourth))?.role, "voter");
    deepStrictEqual(await rows(fourth), [[written]]);
  });

  await test.step("leadership is handed over without a failed write", async () => {
    const leader = await cluster.leader();
    const writer = new Writer(third);
    await eventually("writes run", () => Promise.resolve(writer.count > 20));
    const { status, body } = await leader.request("POST", "/v1/cluster/transfer", {});
    strictEqual(status, 200, JSON.stringify(body));
    notStrictEqual(await cluster.leader(), leader);
    const before = writer.count;
    await eventually("writes go on", () => Promise.resolve(writer.count > before + 20));
    written += await writer.stop();
    deepStrictEqual(await rows(leader), [[written]]);
  });

  await test.step("a follower is removed, then the leader itself; the others go on", async () => {
    const fourth = cluster.nodes[3]!;
    const gone = await memberOf(cluster, fourth);
    const removed = await first.request("DELETE", `/v1/cluster/members/${gone?.id}`);
    strictEqual(removed.status, 200, JSON.stringify(removed.body));
    await fourth.kill();
    strictEqual(await memberOf(cluster, fourth), undefined);
    strictEqual(
      (await first.request("DELETE", `/v1/cluster/members/${gone?.id}`)).body.error.code,
      "member_not_found",
    );

    const leader = await cluster.leader();
    const id = (await memberOf(cluster, leader))?.id;
    const other = cluster.running.find((node) => node !== leader)!;
    const answer = await other.request("DELETE", `/v1/cluster/members/${id}`);
    strictEqual(answer.status, 200, JSON.stringify(answer.body));
    await leader.kill();
    const { status } = await other.execute("INSERT INTO t (v) VALUES (-1)");
    strictEqual(status, 200);
    written++;
    strictEqual((await members(other)).length, 2);

    // It comes back with an empty folder, as a new member under a new id.
    await Deno.remove(leader.dataFolder, { recursive: true });
    leader.restartAsJoiner(other);
    await cluster.ready();
    const again = await memberOf(cluster, leader);
    ok(again !== undefined && again.id > (id as number), JSON.stringify(again));
    deepStrictEqual(await rows(leader), [[written]]);
  });

  await test.step("a node whose disk was lost returns as a new member; its old id is gone", async () => {
    const [lost] = await cluster.followers() as [NodeProcess];
    const old = await memberOf(cluster, lost);
    await lost.kill();
    await Deno.remove(lost.dataFolder, { recursive: true });
    lost.restartAsJoiner(await cluster.leader());
    await cluster.ready();
    const list = await members(await cluster.leader());
    deepStrictEqual([list.length, list.some((member) => member.id === old?.id)], [3, false]);
    const backups = await Promise.all(cluster.running.map((node) => node.backup()));
    for (const backup of backups) strictEqual(Buffer.compare(backup, backups[0]!), 0);
  });

  await test.step("a node that starts with other ports tells the cluster", async () => {
    const [moved] = await cluster.followers() as [NodeProcess];
    await moved.stop();
    moved.httpPort = freePorts(1);
    moved.start();
    await eventually("the new address is known", async () => (await memberOf(cluster, moved)) !== undefined);
    await cluster.ready();
  });
});

async function refused(node: NodeProcess): Promise<{ code: number; output: string }> {
  node.start();
  return await node.ended();
}

Deno.test("a node that must not start says why and ends", async (test) => {
  await using cluster = new ProcessCluster(await Deno.makeTempDir({ prefix: "walraft-test-" }), [
    "--cluster-secret",
    "right",
  ]);
  const first = cluster.addNode();
  first.start();
  await cluster.ready();

  await test.step("a second process on the same data folder", async () => {
    const { code, output } = await refused(new NodeProcess("twin", first.dataFolder, [], []));
    notStrictEqual(code, 0);
    match(output, /data folder .* uses it; stop that process/);
  });

  await test.step("another address than loopback without a token", async () => {
    const open = new NodeProcess("open", `${cluster.folder}/open`, [], ["--http", "0.0.0.0:0"]);
    const { code, output } = await refused(open);
    strictEqual(code, 2, output);
    match(output, /without --token/);
  });

  await test.step("a wrong cluster secret is not let in", async () => {
    const wrong = cluster.addNode();
    wrong.extra.splice(0, 2, "--cluster-secret", "wrong");
    const { code, output } = await refused(wrong);
    strictEqual(code, 1, output);
    match(output, /secret/);
    ok(!output.includes("wrong --") && !output.includes("right"), "secrets are not printed");
  });
});
