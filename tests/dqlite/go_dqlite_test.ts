/**
 * The programs of Debian's package `go-dqlite`, unchanged, against three nodes of walraft. Skipped, and said so, where they
 * are not installed.
 */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { eventually, type NodeProcess } from "../cluster/process_cluster.ts";
import { WireDatabase } from "../../net/client/wire.ts";
import { freePorts } from "../support/free_ports.ts";
import { WireClient } from "./wire_client.ts";
import { WireCluster } from "./wire_cluster.ts";

/** dqlite's id of a node that founds a cluster. */
const BOOTSTRAP_ID = "3297041220608546238";
const BENCHMARK_SECONDS = 2;

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function run(program: string, args: readonly string[], cwd?: string): Promise<Ended> {
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    stdin: "null",
    ...(cwd === undefined ? {} : { cwd }),
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, out: text(stdout), err: text(stderr) };
}

async function isInstalled(program: string): Promise<boolean> {
  try {
    await run(program, ["--help"]);
    return true;
  } catch {
    console.error(`SKIPPED: ${program} is not installed; "apt-get install go-dqlite" would bring it`);
    return false;
  }
}

const hasShell = await isInstalled("dqlite");
const hasBenchmark = await isInstalled("dqlite-benchmark");

const portOf = (address: string): number => Number(address.split(":")[1]);

class ShellCluster extends WireCluster {
  /** Runs one line in the shell and gives what it prints. */
  async shell(line: string, addresses: readonly string[] = this.addresses): Promise<Ended> {
    return await run("dqlite", ["-s", addresses.join(","), "test.db", line], this.folder);
  }

  async prints(line: string, expected: string): Promise<void> {
    const { code, out, err } = await this.shell(line);
    deepStrictEqual({ line, code, out: out.trimEnd() }, { line, code: 0, out: expected }, err);
  }
}

Deno.test({
  name: "the stock dqlite shell works against three nodes, also after kill -9 of the leader",
  ignore: !hasShell,
  fn: async (test) => {
    await using cluster = await ShellCluster.three();
    const { addresses } = cluster;

    await test.step("it finds the leader through any node and lists the members", async () => {
      const leader = cluster.addressOf(await cluster.leader());
      await cluster.prints(".leader", leader);
      const { out } = await cluster.shell(".cluster");
      const lines = out.trim().split("\n").map((line) => line.split("|"));
      deepStrictEqual(
        lines.map(([, address, role]) => `${address} ${role}`).sort(),
        addresses.map((a) => `${a} voter`).sort(),
      );
      for (const address of addresses) {
        const alone = await cluster.shell(".leader", [address]);
        strictEqual(alone.out.trim(), leader, alone.err);
      }
    });

    await test.step("it creates tables, writes typed values and reads them", async () => {
      await cluster.prints(
        "CREATE TABLE t (i INTEGER PRIMARY KEY, f FLOAT, s TEXT, b BLOB, dt DATETIME, bo BOOLEAN)",
        "",
      );
      await cluster.prints(
        "INSERT INTO t VALUES (1, 1.5, 'é, ''quoted''', x'6869', '2024-01-02 03:04:05', 1)",
        "",
      );
      await cluster.prints("INSERT INTO t (i, dt, bo) VALUES (9007199254740993, 1700000000, 0)", "");
      await cluster.prints("SELECT i, f, s FROM t WHERE i = 1", "1|1.5|é, 'quoted'");
      await cluster.prints("SELECT i, f FROM t WHERE i > 1", "9007199254740993|<nil>");
      await cluster.prints("SELECT dt, bo FROM t WHERE i = 1", "2024-01-02 03:04:05 +0000 UTC|true");
      await cluster.prints(
        "SELECT bo, typeof(dt), unixepoch(dt, 'unixepoch') FROM t WHERE i > 1",
        "false|integer|1700000000",
      );
      await cluster.prints("UPDATE t SET s = 'changed'", "");
      await cluster.prints("DELETE FROM t WHERE i > 1", "");
      await cluster.prints("SELECT s, count(*) FROM t", "changed|1");
      const { code, err } = await cluster.shell("INSERT INTO t (i) VALUES (1)");
      ok(code !== 0);
      match(err, /UNIQUE constraint failed: t\.i/);
      match((await cluster.shell("SELEC 1")).err, /near "SELEC": syntax error/);
    });

    await test.step("it gives a database away as a file", async () => {
      const { code, err } = await cluster.shell(`.dump ${addresses[1]} test.db`);
      strictEqual(code, 0, err);
      const file = await Deno.readFile(`${cluster.folder}/test.db`);
      strictEqual(new TextDecoder().decode(file.subarray(0, 15)), "SQLite format 3");
      ok(file.length >= 8192);
    });

    await test.step("it shows what members are, and gives them weights", async () => {
      const [follower] = await cluster.followers();
      const address = cluster.addressOf(follower as NodeProcess);
      await cluster.prints(`.describe ${address}`, `${address}|0|0`);
      strictEqual((await cluster.shell(`.weight ${address} 7`)).code, 0);
      await cluster.prints(`.describe ${address}`, `${address}|0|7`);
      const leader = await WireClient.connect(portOf(cluster.addressOf(await cluster.leader())));
      const { nodes } = await leader.expect("nodes", { kind: "cluster", format: 1 });
      const nodeId = nodes.find((node) => node.address === address)?.nodeId ?? 0;
      const shown = async () => {
        const { out } = await cluster.shell(".cluster");
        return out.trim().split("\n").find((line) => line.includes(address))?.split("|")[2];
      };
      for (const [role, name] of [[1, "stand-by"], [2, "spare"], [0, "voter"]] as const) {
        await leader.expect("empty", { kind: "assign", nodeId, role });
        strictEqual(await shown(), name);
        await cluster.prints("SELECT s FROM t", "changed");
      }
      await cluster.prints(`.describe ${address}`, `${address}|0|7`);
      strictEqual((await cluster.shell(`.weight ${address} 0`)).code, 0);
      leader.close();
    });

    await test.step("nodes that do not lead say so; a transfer moves clients on", async () => {
      const database = new WireDatabase(addresses, { database: "test.db" });
      strictEqual((await database.first<{ n: number }>("SELECT count(*) AS n FROM t"))?.n, 1);
      const [follower] = await cluster.followers();
      const other = await WireClient.connect(portOf(cluster.addressOf(follower as NodeProcess)));
      deepStrictEqual(await other.failure("SELECT 1"), [10250, "not leader"]);
      deepStrictEqual(await other.failure("COMMIT"), [10250, "not leader"]);
      const leader = await WireClient.connect(portOf(cluster.addressOf(await cluster.leader())));
      await leader.expect("database", { kind: "open", name: "test.db", flags: 0, vfs: "" });
      await leader.run("BEGIN; INSERT INTO t (s) VALUES ('lost')");
      const to = await other.expect("nodes", { kind: "cluster", format: 1 });
      const target = to.nodes.find(({ address }) => address === cluster.addressOf(follower as NodeProcess));
      await leader.expect("empty", { kind: "transfer", nodeId: target?.nodeId ?? 0 });
      deepStrictEqual(await leader.failure("INSERT INTO t (s) VALUES ('alone')"), [10250, "not leader"]);
      strictEqual((await database.execute("UPDATE t SET s = 'changed'")).changes, 1);
      strictEqual((await leader.expect("node", { kind: "leader" })).address, target?.address);
      for (const client of [leader, other]) client.close();
      database.close();
    });

    await test.step("it finds the next leader, and all that was acknowledged", async () => {
      const killed = await cluster.leader();
      await killed.kill();
      await eventually("another node answers", async () => {
        const { code, out } = await cluster.shell("SELECT s FROM t");
        return code === 0 && out.trim() === "changed";
      });
      ok((await cluster.shell(".leader")).out.trim() !== cluster.addressOf(killed));
      await cluster.prints("INSERT INTO t (s) VALUES ('after')", "");
      await cluster.prints("SELECT count(*) FROM t", "2");
    });

    await test.step("it removes a member", async () => {
      const gone = cluster.nodes.find((node) => !node.isRunning) as NodeProcess;
      const { code, err } = await cluster.shell(`.remove ${cluster.addressOf(gone)}`);
      strictEqual(code, 0, err);
      strictEqual((await cluster.shell(".cluster")).out.trim().split("\n").length, 2);
    });
  },
});

/**
 * The benchmark starts a dqlite node of its own and asks it who is there. Its folder is prepared as if that node had run
 * before: it founded a cluster of itself, and knows walraft's nodes as those to send statements to.
 */
async function prepareBenchmark(folder: string, own: string, addresses: readonly string[]): Promise<void> {
  await Deno.mkdir(`${folder}/${own}`, { recursive: true });
  await Deno.writeTextFile(`${folder}/${own}/info.yaml`, `Address: ${own}\nID: ${BOOTSTRAP_ID}\nRole: 0\n`);
  const members = addresses.map((address, index) => `- Address: ${address}\n  ID: ${index + 1}\n  Role: 0\n`);
  await Deno.writeTextFile(`${folder}/${own}/cluster.yaml`, members.join(""));
}

/** Calls and failed calls of all workers, from the files it leaves. */
async function readResults(folder: string): Promise<{ calls: number; failures: number }> {
  let calls = 0;
  let failures = 0;
  for await (const { name } of Deno.readDir(folder)) {
    const text = await Deno.readTextFile(`${folder}/${name}`);
    calls += Number(/^n (\d+)$/m.exec(text)?.[1]);
    failures += Number(/^n_err (\d+)$/m.exec(text)?.[1]);
  }
  return { calls, failures };
}

Deno.test({
  name: "the stock dqlite-benchmark runs against three nodes, also over kill -9 of the leader",
  ignore: !hasBenchmark || !hasShell,
  fn: async () => {
    await using cluster = await ShellCluster.three();
    const workers = 8;
    const benchmark = async (folder: string): Promise<{ calls: number; failures: number }> => {
      const own = `127.0.0.1:${freePorts(1)}`;
      await prepareBenchmark(folder, own, cluster.addresses);
      const args = ["--db", own, "--driver", "--cluster", own, "--dir", folder, "--workload", "kvreadwrite"];
      const ended = await run("dqlite-benchmark", [
        ...args,
        "--workers",
        `${workers}`,
        "--duration",
        `${BENCHMARK_SECONDS}`,
        "--cluster-timeout",
        "10",
      ]);
      strictEqual(ended.code, 0, ended.err);
      return await readResults(`${folder}/${own}/results`);
    };
    const quiet = await benchmark(`${cluster.folder}/quiet`);
    ok(quiet.calls > 50, JSON.stringify(quiet));
    // The time of a worker ends in the middle of a call.
    ok(quiet.failures <= workers * 2, `no call fails in a healthy cluster: ${JSON.stringify(quiet)}`);

    const disturbed = benchmark(`${cluster.folder}/disturbed`);
    const before = Number((await rowCount(cluster)).out);
    await eventually("it writes again", async () => Number((await rowCount(cluster)).out) > before);
    await (await cluster.leader()).kill();
    const { calls } = await disturbed;
    ok(calls > 10, `${calls} calls`);
    await eventually("the rows can be counted at the next leader", async () => {
      const { code, out } = await rowCount(cluster);
      return code === 0 && Number(out) > before;
    });
  },
});

function rowCount(cluster: ShellCluster): Promise<Ended> {
  return run("dqlite", ["-s", cluster.addresses.join(","), "benchmark", "SELECT count(*) FROM model"]);
}
