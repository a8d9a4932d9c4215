import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { type AsOf, connect, type Database, isWalraftError } from "../../net/client/mod.ts";
import { type NodeProcess, ProcessCluster } from "./process_cluster.ts";

interface Moment {
  readonly index: number;
  /** Not before the write, and before the next one. */
  readonly time: Date;
  readonly rows: number;
}

/** The database as this one node shows it. */
function at(node: NodeProcess): Database {
  return connect(node.url, { database: "main", discover: false });
}

/** Now, once the clock shows a later time: what is written after this comes later. */
async function tickOfClock(): Promise<Date> {
  const time = new Date();
  while (Date.now() <= time.getTime()) await new Promise((resolve) => setTimeout(resolve, 1));
  return time;
}

async function writeHistory(database: Database): Promise<Moment[]> {
  await database.execute("CREATE TABLE log (id INTEGER PRIMARY KEY, note TEXT)");
  const moments: Moment[] = [];
  for (let rows = 1; rows <= 4; rows++) {
    const { index } = await database.execute("INSERT INTO log (note) VALUES (?)", ["x".repeat(rows * 1_000)]);
    moments.push({ index, time: await tickOfClock(), rows });
  }
  return moments;
}

async function countAsOf(
  database: Database,
  asOf: AsOf,
): Promise<{ rows: unknown; index: number; level: string }> {
  const answer = await database.query<{ n: number }>("SELECT count(*) AS n FROM log", [], { asOf });
  return { rows: answer.rows[0]?.n, index: answer.index, level: answer.level };
}

function hasNoHistory(error: unknown): boolean {
  ok(isWalraftError(error, "view_expired"), String(error));
  strictEqual(error.status, 410);
  return true;
}

Deno.test("the past is read on every node, by index and by time, until a full checkpoint", async (test) => {
  await using cluster = await ProcessCluster.start(3, ["--retain", "1h"]);
  const leader = await cluster.leader();
  const [follower, other] = await cluster.followers() as [NodeProcess, NodeProcess];
  const moments = await writeHistory(at(leader));
  const [first, second] = moments as [Moment, Moment];
  const last = moments.at(-1)!;

  await test.step("each moment shows what had been written, on leader and followers", async () => {
    for (const node of cluster.nodes) {
      const database = at(node);
      for (const [i, { index, time, rows }] of moments.entries()) {
        deepStrictEqual(await countAsOf(database, index), { rows, index, level: "as_of" }, node.name);
        for (const asOf of [time, time.toISOString()]) {
          const shown = await countAsOf(database, asOf);
          strictEqual(shown.rows, rows, `${node.name} as of ${time.toISOString()}`);
          ok(shown.index >= index && shown.index < (moments[i + 1]?.index ?? Infinity), `${shown.index}`);
        }
      }
    }
  });

  await test.step("a later index is waited for, a later time shows the newest state, an earlier one nothing", async () => {
    for (const node of cluster.nodes) {
      const later = await node.query("SELECT 1", { as_of: last.index + 1_000, timeout_ms: 50 });
      strictEqual(later.body.error?.code, "index_not_reached", JSON.stringify(later.body));
      const tomorrow = new Date(Date.now() + 86_400_000);
      strictEqual((await countAsOf(at(node), tomorrow)).rows, last.rows);
      const longAgo = await node.query("SELECT 1", { as_of: "1999-12-31T23:59:59Z" });
      strictEqual(longAgo.body.error?.code, "view_expired", JSON.stringify(longAgo.body));
      const none = await node.query("SELECT count(*) FROM log", { as_of: 1 });
      strictEqual(none.body.error?.code, "database_not_found", JSON.stringify(none.body));
    }
  });

  await test.step("a passive checkpoint leaves the history that --retain keeps", async () => {
    for (const node of cluster.nodes) {
      const { checkpointIndex, complete } = await at(node).checkpoint();
      strictEqual(complete, false);
      ok(checkpointIndex < first.index, `${checkpointIndex}`);
      strictEqual((await countAsOf(at(node), first.index)).rows, first.rows);
    }
  });

  await test.step("a full checkpoint gives the history up, on the node that was asked only", async () => {
    for (const node of [leader, follower]) {
      const { checkpointIndex, complete } = await at(node).checkpoint({ mode: "full" });
      strictEqual(complete, true);
      ok(checkpointIndex >= last.index, `${checkpointIndex}`);
      await rejects(countAsOf(at(node), first.index), hasNoHistory);
      await rejects(countAsOf(at(node), second.time), hasNoHistory);
      strictEqual((await countAsOf(at(node), checkpointIndex)).rows, last.rows);
    }
    strictEqual((await countAsOf(at(other), first.index)).rows, first.rows);
    const anywhere = connect(cluster.nodes.map((node) => node.url), { database: "main" });
    strictEqual((await countAsOf(anywhere, first.index)).rows, first.rows);
  });
});
