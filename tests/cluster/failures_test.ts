import { deepStrictEqual, fail, ok, strictEqual } from "node:assert/strict";
import { eventually, type NodeProcess, ProcessCluster } from "./process_cluster.ts";
import { TcpProxy } from "./tcp_proxy.ts";

interface Tally {
  readonly acknowledged: Set<string>;
  readonly refused: Set<string>;
  readonly unknown: Set<string>;
}

/** Writes unique values through all nodes until told to stop; notes what each answer promised. */
class Writers {
  readonly tally: Tally = { acknowledged: new Set(), refused: new Set(), unknown: new Set() };
  readonly #running: Promise<void>[] = [];
  #stopped = false;

  constructor(cluster: ProcessCluster, count: number) {
    for (let i = 0; i < count; i++) this.#running.push(this.#run(cluster, i));
  }

  async #run(cluster: ProcessCluster, writer: number): Promise<void> {
    for (let i = 0; !this.#stopped; i++) {
      const value = `${writer}-${i}`;
      const running = cluster.running;
      const node = running[(writer + i) % running.length] as NodeProcess;
      try {
        const { status, body } = await node.request("POST", "/v1/databases/main/execute", {
          sql: "INSERT INTO t (v) VALUES (?1)",
          params: [value],
          timeout_ms: 10_000,
        });
        if (status === 200) this.tally.acknowledged.add(value);
        else if (body.error.may_have_committed) this.tally.unknown.add(value);
        else this.tally.refused.add(value);
      } catch {
        this.tally.unknown.add(value);
      }
    }
  }

  async acknowledgedReaches(count: number): Promise<void> {
    const target = this.tally.acknowledged.size + count;
    await eventually(
      `${count} more writes are acknowledged`,
      () => Promise.resolve(this.tally.acknowledged.size >= target),
    );
  }

  async stop(): Promise<Tally> {
    this.#stopped = true;
    await Promise.all(this.#running);
    return this.tally;
  }
}

/** Every acknowledged write is there once, nothing refused is there; all nodes hold the same bytes at the same index. */
async function checkAll(cluster: ProcessCluster, tally: Tally): Promise<void> {
  const files: Uint8Array[] = [];
  for (const node of cluster.running) {
    const read = await node.query("SELECT v, count(*) AS n FROM t GROUP BY v");
    strictEqual(read.status, 200, JSON.stringify(read.body));
    const counts = new Map<string, number>(read.body.rows);
    for (const value of tally.acknowledged) {
      if (counts.get(value) !== 1) {
        fail(`${value} was acknowledged; ${node.name} has it ${counts.get(value) ?? 0} times`);
      }
    }
    for (const value of tally.refused) ok(!counts.has(value), `${value} was refused, ${node.name} has it`);
    for (const [value, count] of counts) {
      ok(count === 1, `${value} is there ${count} times`);
      ok(tally.acknowledged.has(value) || tally.unknown.has(value), `${value} comes from nowhere`);
    }
    files.push(await node.backup());
  }
  for (const file of files) {
    deepStrictEqual(Buffer.compare(file, files[0]!), 0, "same bytes at the same index");
  }
}

const CREATE = "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)";

Deno.test("kill -9 of the leader during concurrent writes loses and repeats nothing (promises 1, 4, 5)", async () => {
  await using cluster = await ProcessCluster.start(3);
  await cluster.nodes[0]!.execute(CREATE);
  const writers = new Writers(cluster, 8);
  for (let round = 0; round < 3; round++) {
    await writers.acknowledgedReaches(200);
    const leader = await cluster.leader();
    await leader.kill();
    await writers.acknowledgedReaches(200);
    leader.start();
    await cluster.ready();
  }
  const tally = await writers.stop();
  ok(tally.acknowledged.size > 1_000);
  await checkAll(cluster, tally);
});

Deno.test("kill -9 of all nodes at once, then restart: everything acknowledged is there (promise 1)", async () => {
  await using cluster = await ProcessCluster.start(3);
  await cluster.nodes[0]!.execute(CREATE);
  const writers = new Writers(cluster, 8);
  await writers.acknowledgedReaches(500);
  const stopped = writers.stop();
  await Promise.all(cluster.nodes.map((node) => node.kill()));
  const tally = await stopped;
  for (const node of cluster.nodes) node.start();
  await cluster.ready();
  await checkAll(cluster, tally);
});

Deno.test("a follower that was away for thousands of entries catches up", async () => {
  await using cluster = await ProcessCluster.start(3);
  await cluster.nodes[0]!.execute(CREATE);
  const [away] = await cluster.followers();
  await away!.kill();
  const before = (await (await cluster.leader()).request("GET", "/v1/cluster")).body.tip;
  const writers = new Writers(cluster, 2);
  await eventually(
    "3,000 entries are in the log",
    async () => (await (await cluster.leader()).request("GET", "/v1/cluster")).body.tip >= before + 3_000,
  );
  const tally = await writers.stop();
  away!.start();
  await cluster.ready();
  await checkAll(cluster, tally);
});

Deno.test("five nodes go on when two are killed, and refuse honestly when three are", async () => {
  await using cluster = await ProcessCluster.start(5);
  await cluster.nodes[0]!.execute(CREATE);
  const writers = new Writers(cluster, 4);
  await writers.acknowledgedReaches(100);
  await (await cluster.leader()).kill();
  await (await cluster.followers())[0]!.kill();
  await writers.acknowledgedReaches(100);
  const tally = await writers.stop();
  await checkAll(cluster, tally);

  const [third, ...rest] = cluster.running;
  await third!.kill();
  for (const node of rest) {
    const refused = await node.request("POST", "/v1/databases/main/execute", {
      sql: "INSERT INTO t (v) VALUES ('minority')",
      timeout_ms: 1_500,
    });
    ok(refused.status === 503 || refused.status === 504, JSON.stringify(refused.body));
    ok(["no_leader", "not_leader", "commit_unknown", "no_quorum"].includes(refused.body.error.code));
    const read = await node.query("SELECT count(*) FROM t", { timeout_ms: 1_500 });
    strictEqual(read.status, 503, JSON.stringify(read.body));
    const stale = await node.query("SELECT count(*) FROM t", { level: "stale" });
    strictEqual(stale.status, 200, JSON.stringify(stale.body));
  }
});

Deno.test("a leader that nobody reaches any more answers for nothing it cannot keep (promise 5)", async () => {
  await using cluster = new ProcessCluster(await Deno.makeTempDir({ prefix: "walraft-test-" }), []);
  const proxies: TcpProxy[] = [];
  for (let i = 0; i < 3; i++) {
    const node = cluster.addNode();
    const proxy = new TcpProxy(node.raftPort);
    proxies.push(proxy);
    node.announcedRaftPort = proxy.port;
    node.start();
  }
  try {
    await cluster.ready();
    await cluster.nodes[0]!.execute(CREATE);
    const writers = new Writers(cluster, 6);
    await writers.acknowledgedReaches(100);
    const leader = await cluster.leader();
    // It still reaches the others, but nobody reaches it: the partition that goes one way is the nastier one.
    proxies[cluster.nodes.indexOf(leader)]!.cut();
    await eventually("the others elect a leader of their own", async () => {
      for (const node of cluster.nodes) {
        if (node === leader) continue;
        const { body } = await node.request("GET", "/v1/cluster");
        if (body.role === "leader") return true;
      }
      return false;
    });
    const read = await leader.query("SELECT count(*) FROM t", { timeout_ms: 1_000 });
    strictEqual(read.status, 503, JSON.stringify(read.body));
    for (const proxy of proxies) proxy.heal();
    await cluster.ready();
    const tally = await writers.stop();
    await checkAll(cluster, tally);
  } finally {
    for (const proxy of proxies) proxy.close();
  }
});
