import { connect, type Database } from "../../client/mod.ts";
import type { ClusterOptions, DemoOptions } from "../arguments.ts";
import { DevelopmentCluster } from "../cluster.ts";
import type { CommandContext } from "../command_context.ts";
import { openStream } from "../file_stream.ts";
import { alignTable } from "../table_format.ts";
import { EXIT } from "../usage_error.ts";
import { writeCitiesDatabase } from "./cities.ts";

const NODES = 3;
const DATABASE = "cities";

const NEAR_THE_TOP = `
  SELECT country.name AS country, city.name AS city, population,
    rank() OVER (PARTITION BY country ORDER BY population DESC) AS rank_in_country
  FROM city JOIN country ON country.code = city.country
  WHERE feature_code NOT IN ('PPLX', 'PPLA5') ORDER BY population DESC LIMIT 5`;

/**
 * Starts three nodes, loads real data, writes and reads on all of them, kills the leader, and stays up so that
 * one can go on by hand.
 */
export async function runDemo(options: DemoOptions, context: CommandContext): Promise<number> {
  const isTemporary = options.dataDirectory === undefined;
  const folder = options.dataDirectory ?? await Deno.makeTempDir({ prefix: "walraft-demo-" });
  const cluster = new DevelopmentCluster(clusterOptions(options, folder), context);
  try {
    await new Demo(cluster, folder, context).run();
    if (options.stay) await untilStopped(context.signal);
  } catch (error) {
    if (!context.signal.aborted) throw error;
  } finally {
    await cluster.stop();
    if (isTemporary) await Deno.remove(folder, { recursive: true });
  }
  return EXIT.ok;
}

function clusterOptions(options: DemoOptions, dataDirectory: string): ClusterOptions {
  return {
    dataDirectory,
    nodes: NODES,
    httpPort: options.httpPort,
    raftPort: options.raftPort,
    wirePort: undefined,
    restart: false,
    tuning: {
      token: undefined,
      clusterSecret: undefined,
      createDatabases: true,
      electionTimeoutMs: 1_000,
      heartbeatMs: 100,
      leaseMs: 0,
      readers: undefined,
      engine: undefined,
      ...options.storage,
      logLevel: "warn",
      logFormat: "text",
    },
  };
}

class Demo {
  readonly #cluster: DevelopmentCluster;
  readonly #folder: string;
  readonly #context: CommandContext;
  #step = 0;

  constructor(cluster: DevelopmentCluster, folder: string, context: CommandContext) {
    this.#cluster = cluster;
    this.#folder = folder;
    this.#context = context;
  }

  async run(): Promise<void> {
    this.#title(`Three nodes, each a process of its own, data in ${this.#folder}`);
    await this.#cluster.start();
    const nodes = this.#cluster.urls.map((url) => connect(url).database(DATABASE));
    await this.#load();
    await this.#query(nodes);
    await this.#write(nodes);
    await this.#killLeader();
    this.#invite();
  }

  async #load(): Promise<void> {
    this.#title(
      "Real data: the cities of the world, built with native SQLite and uploaded in one atomic step",
    );
    const path = `${this.#folder}/cities-to-load.db`;
    await Deno.remove(path).catch(() => {});
    const count = writeCitiesDatabase(path);
    const startMs = performance.now();
    const { size } = await Deno.stat(path);
    const answer = await this.#client().restore(openStream(path, () => {}));
    await Deno.remove(path);
    const seconds = ((performance.now() - startMs) / 1_000).toFixed(2);
    this.#say(
      `${count} cities, ${
        (size / 1e6).toFixed(1)
      } MB, checked and on a majority in ${seconds} s (index ${answer.index})`,
    );
  }

  async #query(nodes: readonly Database[]): Promise<void> {
    this.#title("A join with a window function, answered by the second node, linearizable");
    const top = await nodes[1]!.query<Record<string, unknown>>(NEAR_THE_TOP);
    this.#table(top.columns, top.rows);
    this.#title("Full-text search: the index is built on the leader, its pages are replicated");
    await nodes[0]!.execute(
      "CREATE VIRTUAL TABLE IF NOT EXISTS city_search USING fts5 (name, content = 'city', content_rowid = 'id')",
    );
    const built = await nodes[0]!.execute("INSERT INTO city_search (city_search) VALUES ('rebuild')");
    const found = await nodes[2]!.query<Record<string, unknown>>(
      `SELECT city.name AS city, country.name AS country, population FROM city_search
        JOIN city ON city.id = city_search.rowid JOIN country ON country.code = city.country
        WHERE city_search MATCH 'san AND jo*' ORDER BY population DESC LIMIT 5`,
      [],
      { level: "index", index: built.index },
    );
    this.#table(found.columns, found.rows);
  }

  async #write(nodes: readonly Database[]): Promise<void> {
    this.#title("A write on each node, read back on another one at the index of its answer");
    await nodes[0]!.execute(
      "CREATE TABLE IF NOT EXISTS visit (id INTEGER PRIMARY KEY, city TEXT, at TEXT DEFAULT (datetime('now')))",
    );
    for (const [i, node] of nodes.entries()) {
      const wrote = await node.execute("INSERT INTO visit (city) VALUES (?)", [
        ["Bern", "Quito", "Hanoi"][i] as string,
      ]);
      const reader = nodes[(i + 1) % nodes.length]!;
      const read = await reader.query<Record<string, unknown>>("SELECT count(*) AS visits FROM visit", [], {
        level: "index",
        index: wrote.index,
      });
      this.#say(
        `written through node ${i + 1} at index ${wrote.index}; node ${(i + 1) % NODES + 1} sees ${
          JSON.stringify(read.rows[0])
        }`,
      );
    }
  }

  async #killLeader(): Promise<void> {
    const client = connect(this.#cluster.urls);
    const before = await client.cluster();
    const leader = before.members.find((member) => member.id === before.leaderId);
    if (leader === undefined) throw new Error("Nobody leads the demo cluster");
    const name = this.#cluster.nameOf(leader.httpAddress);
    this.#title(`kill -9 of the leader, ${name}`);
    const killed = performance.now();
    await this.#cluster.kill(name);
    const database = connect(this.#cluster.urls.filter((url) => !url.endsWith(leader.httpAddress))).database(
      DATABASE,
    );
    const wrote = await database.execute("INSERT INTO visit (city) VALUES ('Lisbon')");
    const elapsedMs = performance.now() - killed;
    const after = await client.cluster();
    this.#say(
      `next write acknowledged after ${
        Math.round(elapsedMs)
      } ms by node ${after.leaderId} (term ${after.term}, index ${wrote.index})`,
    );
    const kept = await database.query<Record<string, unknown>>(
      "SELECT group_concat(city, ', ') AS cities FROM visit",
    );
    this.#say(`nothing is lost: ${JSON.stringify(kept.rows[0])}`);
    await this.#cluster.startAgain(name);
    this.#say(`${name} is back and has caught up`);
  }

  #invite(): void {
    const [url] = this.#cluster.urls as [string];
    this.#title("It stays up. From another terminal:");
    for (
      const line of [
        `npx -y deno@2.9.6 task walraft shell ${url} --database ${DATABASE}`,
        `npx -y deno@2.9.6 task walraft status ${url}`,
        `curl -s ${url}/v1/databases/${DATABASE}/query -d '{"sql":"SELECT * FROM visit","rows":"objects"}' -H 'content-type: application/json'`,
      ]
    ) this.#say(`  ${line}`);
    this.#say(`ready ${this.#cluster.urls.join(" ")}   (Ctrl-C ends all)`);
  }

  #client(): Database {
    return connect(this.#cluster.urls).database(DATABASE);
  }

  #title(text: string): void {
    this.#step++;
    this.#context.output.stdout(`\n${this.#step}. ${text}\n`);
  }

  #say(text: string): void {
    this.#context.output.stdout(`   ${text}\n`);
  }

  #table(columns: readonly string[], rows: readonly Record<string, unknown>[]): void {
    const cells = rows.map((row) => columns.map((column) => String(row[column])));
    const rightAligned = columns.map((column) => typeof rows[0]?.[column] === "number");
    const table = alignTable(columns, cells, rightAligned, this.#context.output.columns);
    this.#context.output.stdout(table.replaceAll(/^(?=.)/gm, "   "));
  }
}

function untilStopped(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
