import { deepStrictEqual, fail, match, notStrictEqual, ok, strictEqual } from "node:assert/strict";
import { freePorts } from "../support/free_ports.ts";
import { eventually, NodeProcess, ProcessCluster } from "./process_cluster.ts";

const SECRET = "right-5f2c81d0";
const WRONG_SECRET = "other-93be07a6";

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

async function knownMember(cluster: ProcessCluster, node: NodeProcess): Promise<Member> {
  return await memberOf(cluster, node) ?? fail(`${node.name} is no member`);
}

/** Writes one row after another through the given node until stopped; every row must be acknowledged. */
class Writer {
  readonly #acknowledged: number[];
  readonly #countBefore: number;
  readonly #done: Promise<void>;
  #stopped = false;
  #failure: unknown;

  /** Appends each value to `acknowledged` once its write has succeeded. */
  constructor(node: NodeProcess, acknowledged: number[]) {
    this.#acknowledged = acknowledged;
    this.#countBefore = acknowledged.length;
    // Kept for later: an unhandled rejection would end the tests and leave the nodes behind.
    this.#done = this.#run(node).catch((error) => void (this.#failure = error));
  }

  async #run(node: NodeProcess): Promise<void> {
    while (!this.#stopped) {
      const value = this.#acknowledged.length;
      const { status, body } = await node.execute("INSERT INTO t (v) VALUES (?1)", [value]);
      strictEqual(status, 200, JSON.stringify(body));
      this.#acknowledged.push(value);
    }
  }

  /** Waits until this writer has written `count` more rows; ends early when a write failed. */
  async writes(count: number): Promise<void> {
    const target = this.#acknowledged.length + count;
    await eventually("writes go on", () => {
      return Promise.resolve(this.#failure !== undefined || this.#acknowledged.length >= target);
    });
    if (this.#failure !== undefined) throw this.#failure;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#done;
    if (this.#failure !== undefined) throw this.#failure;
    ok(this.#acknowledged.length > this.#countBefore, "nothing was written");
  }

  /** Also when a step fails, so that it does not write on into the next one. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    await this.#done;
  }
}

Deno.test("members come, go, move and come back; no write is lost", async (test) => {
  await using cluster = await ProcessCluster.start(3);
  const [first, second, third] = cluster.nodes as [NodeProcess, NodeProcess, NodeProcess];
  await first.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER)");
  const acknowledged: number[] = [];

  /** Every acknowledged row, once and in order, on every running node; and the same bytes everywhere. */
  const check = async (): Promise<void> => {
    for (const node of cluster.running) {
      const { body } = await node.query("SELECT v FROM t ORDER BY id");
      deepStrictEqual(body.rows?.flat(), acknowledged, `${node.name}: ${JSON.stringify(body.error)}`);
    }
    const backups = await Promise.all(cluster.running.map((node) => node.backup()));
    for (const backup of backups) strictEqual(Buffer.compare(backup, backups[0]!), 0);
  };

  await test.step("a fourth node joins while writes run and becomes a voter", async () => {
    await using writer = new Writer(second, acknowledged);
    await writer.writes(20);
    const fourth = cluster.addNode();
    fourth.start();
    await cluster.ready();
    await writer.writes(20);
    await writer.stop();
    strictEqual((await memberOf(cluster, fourth))?.role, "voter");
    await check();
  });

  await test.step("the fourth becomes a spare that answers from the leader, and a voter again", async () => {
    const fourth = cluster.nodes[3]!;
    const { id } = await knownMember(cluster, fourth);
    await using writer = new Writer(fourth, acknowledged);
    await writer.writes(20);
    const path = `/v1/cluster/members/${id}`;
    const wanted = { role: "spare", weight: 3, failure_domain: "18446744073709551615" };
    const changed = await second.request("POST", path, wanted);
    deepStrictEqual([changed.status, changed.body], [200, { id }]);
    const known = await knownMember(cluster, fourth);
    deepStrictEqual(known, { ...known, ...wanted });
    await writer.writes(20);
    await writer.stop();
    for (const level of ["linearizable", "stale"]) {
      const { body } = await fourth.query("SELECT count(*) FROM t", { level });
      deepStrictEqual(body.rows, [[acknowledged.length]], JSON.stringify(body));
    }
    strictEqual((await fourth.request("GET", "/v1/cluster")).body.role, "spare");
    strictEqual((await fourth.request("GET", "/readyz")).status, 200);
    const backup = await fourth.request("GET", "/v1/databases/main/backup");
    strictEqual(backup.body.error.code, "not_leader");
    strictEqual(
      (await fourth.request("POST", path, { role: "voter", weight: 0, failure_domain: 0 })).status,
      200,
    );
    strictEqual((await memberOf(cluster, fourth))?.role, "voter");
    await check();
  });

  await test.step("leadership is handed over without a failed write", async () => {
    const leader = await cluster.leader();
    await using writer = new Writer(third, acknowledged);
    await writer.writes(20);
    const { status, body } = await leader.request("POST", "/v1/cluster/transfer", {});
    strictEqual(status, 200, JSON.stringify(body));
    notStrictEqual(await cluster.leader(), leader);
    await writer.writes(20);
    await writer.stop();
    await check();
  });

  await test.step("a follower is removed, while writes run; it is unknown afterwards", async () => {
    const fourth = cluster.nodes[3]!;
    if (await cluster.leader() === fourth) {
      const to = (await memberOf(cluster, first))?.id;
      strictEqual((await fourth.request("POST", "/v1/cluster/transfer", { to })).status, 200);
    }
    const id = (await knownMember(cluster, fourth)).id;
    await using writer = new Writer(second, acknowledged);
    await writer.writes(20);
    const removed = await first.request("DELETE", `/v1/cluster/members/${id}`);
    strictEqual(removed.status, 200, JSON.stringify(removed.body));
    // It was not told: nobody sends it anything any more. It asks, and ends.
    const { code, output } = await fourth.ended();
    strictEqual(code, 1, output);
    match(output, new RegExp(`Member ${id} was removed from the cluster`));
    await writer.writes(20);
    await writer.stop();
    strictEqual(await memberOf(cluster, fourth), undefined);
    const again = await first.request("DELETE", `/v1/cluster/members/${id}`);
    deepStrictEqual([again.status, again.body.error.code], [404, "member_not_found"]);
    await check();
  });

  await test.step("the leader itself is removed, through a follower; the others go on", async () => {
    const leader = await cluster.leader();
    const { id } = await knownMember(cluster, leader);
    const other = cluster.running.find((node) => node !== leader)!;
    await using writer = new Writer(other, acknowledged);
    await writer.writes(20);
    const answer = await other.request("DELETE", `/v1/cluster/members/${id}`);
    strictEqual(answer.status, 200, JSON.stringify(answer.body));
    await leader.kill();
    await writer.writes(20);
    await writer.stop();
    strictEqual((await members(other)).length, 2);

    // It comes back with an empty folder, as a new member under a new id.
    await Deno.remove(leader.dataFolder, { recursive: true });
    leader.restartAsJoiner(other);
    await cluster.ready();
    const back = await knownMember(cluster, leader);
    ok(back.id > id, JSON.stringify(back));
    await check();
  });

  await test.step("a node whose disk was lost returns as a new member; its old id is gone", async () => {
    const [lost] = await cluster.followers() as [NodeProcess];
    const old = await knownMember(cluster, lost);
    await using writer = new Writer(await cluster.leader(), acknowledged);
    await lost.kill();
    await Deno.remove(lost.dataFolder, { recursive: true });
    await writer.writes(20);
    lost.restartAsJoiner(await cluster.leader());
    await cluster.ready();
    await writer.stop();
    const back = await knownMember(cluster, lost);
    ok(back.id > old.id && back.raft_address === old.raft_address, JSON.stringify(back));
    for (const node of cluster.running) {
      await eventually(`${node.name} knows three members, without the old id`, async () => {
        const ids = (await members(node)).map((member) => member.id);
        return ids.length === 3 && ids.includes(back.id) && !ids.includes(old.id);
      });
    }
    await check();
  });

  await test.step("a node that starts with another HTTP port tells the cluster, and stays the same member", async () => {
    const [moved] = await cluster.followers() as [NodeProcess];
    const old = await knownMember(cluster, moved);
    await moved.stop();
    moved.httpPort = freePorts(1);
    moved.start();
    for (const node of cluster.running) {
      await eventually(`${node.name} knows the new address`, async () => {
        const list = await members(node);
        const member = list.find((each) => each.id === old.id);
        return list.length === 3 && member?.http_address === `127.0.0.1:${moved.httpPort}`;
      });
    }
    await cluster.ready();
    await check();
  });
});

async function refused(node: NodeProcess): Promise<{ code: number; output: string }> {
  node.start();
  return await node.ended();
}

Deno.test("a node that must not start says why and ends", async (test) => {
  await using cluster = new ProcessCluster(await Deno.makeTempDir({ prefix: "walraft-test-" }), [
    "--cluster-secret",
    SECRET,
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

  await test.step("a wrong cluster secret is not let in, and the cluster goes on without it", async () => {
    const wrong = cluster.addNode();
    wrong.extra.splice(0, 2, "--cluster-secret", WRONG_SECRET);
    const { code, output } = await refused(wrong);
    strictEqual(code, 1, output);
    match(output, /secret/);
    ok(!output.includes(WRONG_SECRET) && !output.includes(SECRET), "secrets are not printed");
    strictEqual((await members(first)).length, 1);
    strictEqual((await first.execute("CREATE TABLE t (v)")).status, 200);
  });

  await test.step("a node without a secret is not let in either", async () => {
    const without = cluster.addNode();
    without.extra.splice(0, 2);
    const { code, output } = await refused(without);
    strictEqual(code, 1, output);
    match(output, /secret/);
    strictEqual((await members(first)).length, 1);
  });
});
