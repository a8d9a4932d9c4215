/** Compares what the nodes hold with the reference model, while no call is under way. */
import { fail, strictEqual } from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { DATABASES } from "./crash_connection.ts";
import type { CrashModel, DatabaseContent } from "./crash_model.ts";
import { eventually, type NodeProcess, type ProcessCluster } from "./process_cluster.ts";

interface Backup {
  readonly index: number;
  readonly bytes: Uint8Array;
}

async function backupOf(node: NodeProcess, database: string): Promise<Backup> {
  const response = await fetch(`${node.url}/v1/databases/${database}/backup`);
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (response.status !== 200) {
    throw new Error(`backup from ${node.name}: ${new TextDecoder().decode(bytes)}`);
  }
  return { index: Number(response.headers.get("walraft-index")), bytes };
}

/** One backup of each node, all at the same index: a write that waited in a slow node may still come in between. */
async function backupsAtOneIndex(cluster: ProcessCluster, database: string): Promise<Backup[]> {
  let backups: Backup[] = [];
  await eventually(`all nodes give a backup of ${database} at one index`, async () => {
    backups = await Promise.all(cluster.nodes.map((node) => backupOf(node, database)));
    return new Set(backups.map(({ index }) => index)).size === 1;
  });
  return backups;
}

/** What the file holds, read by native SQLite. */
function readContent(path: string): DatabaseContent {
  const native = new DatabaseSync(path, { readOnly: true });
  try {
    const [sound] = native.prepare("PRAGMA integrity_check").all();
    strictEqual(Object.values(sound ?? {})[0], "ok", `integrity of ${path}`);
    const rows = native.prepare('SELECT grp AS "group", place, value FROM item').all();
    const counters = native.prepare("SELECT name, n FROM counter").all();
    const total = native.prepare("SELECT sum(amount) AS total FROM account").get();
    return {
      rows: rows as unknown as DatabaseContent["rows"],
      counters: new Map(counters.map(({ name, n }) => [String(name), Number(n)])),
      accountsTotal: Number(total?.total),
    };
  } finally {
    native.close();
  }
}

/** The way of a query: the node's own view through its own SQLite. */
async function queryNode(node: NodeProcess, database: string, sql: string): Promise<unknown[][]> {
  const { status, body } = await node.request("POST", `/v1/databases/${database}/query`, { sql });
  if (status !== 200) fail(`${node.name}: ${sql}: ${JSON.stringify(body)}`);
  return body.rows;
}

/** All nodes must run and be ready. @throws AssertionError that lists what is wrong */
export async function checkCluster(cluster: ProcessCluster, model: CrashModel): Promise<void> {
  for (const database of DATABASES) {
    const backups = await backupsAtOneIndex(cluster, database);
    const [first, ...others] = backups as [Backup, ...Backup[]];
    const path = `${cluster.folder}/${database}.backup.db`;
    await Deno.writeFile(path, first.bytes);
    for (const [i, other] of others.entries()) {
      if (Buffer.compare(first.bytes, other.bytes) === 0) continue;
      await Deno.writeFile(`${cluster.folder}/${database}.backup-${i + 2}.db`, other.bytes);
      fail(
        `${database}: node-1 and node-${
          i + 2
        } hold other bytes at index ${first.index}; see the backups there`,
      );
    }
    const problems = model.compare(database, readContent(path));
    if (problems.length > 0) fail(problems.join("\n"));
    for (const node of cluster.nodes) {
      const [sound] = await queryNode(node, database, "PRAGMA integrity_check");
      strictEqual(sound?.[0], "ok", `${database} on ${node.name}: ${sound}`);
    }
  }
}
