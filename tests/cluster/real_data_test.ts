import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { writeCitiesDatabase } from "../../net/cli/demo/cities.ts";
import { type NodeProcess, ProcessCluster } from "./process_cluster.ts";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;
const CITIES = 135_233;

const SEARCH = [
  "CREATE VIRTUAL TABLE city_search USING fts5 (name, content = 'city', content_rowid = 'id')",
  "INSERT INTO city_search (city_search) VALUES ('rebuild')",
];

/** Joins, aggregates, full text and window functions: the same text for the cluster and for native SQLite. */
const QUERIES = [
  `SELECT country.name, count(*) AS cities, sum(population) AS people, max(latitude)
     FROM city JOIN country ON country.code = city.country
     GROUP BY country.code HAVING cities > 500 ORDER BY people DESC, country.name`,
  `SELECT * FROM (
     SELECT country, name, population, rank() OVER w AS place,
       sum(population) OVER (w ROWS UNBOUNDED PRECEDING) AS so_far
     FROM city WHERE country IN ('CH', 'EC', 'VN') WINDOW w AS (PARTITION BY country ORDER BY population DESC, id)
   ) WHERE place <= 5 ORDER BY country, place`,
  `SELECT city.name AS city, country.name AS country, highlight(city_search, 0, '[', ']') AS found
     FROM city_search JOIN city ON city.id = city_search.rowid JOIN country ON country.code = city.country
     WHERE city_search MATCH 'san AND (jo* OR fe)' ORDER BY population DESC, city.id LIMIT 50`,
  `WITH RECURSIVE step (n, id) AS (
     SELECT 1, min(id) FROM city UNION ALL
     SELECT n + 1, (SELECT min(id) FROM city WHERE city.id > step.id) FROM step WHERE n < 100
   ) SELECT n, step.id, name FROM step JOIN city USING (id)`,
];

async function load(url: string, database: string, file: string): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", MAIN, "load", url, database, file],
    stdin: "null",
  }).output();
  const printed = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  strictEqual(code, 0, printed);
  return printed;
}

async function query(node: NodeProcess, database: string, sql: string): Promise<unknown[][]> {
  const { status, body } = await node.request("POST", `/v1/databases/${database}/query`, { sql });
  strictEqual(status, 200, JSON.stringify(body));
  return body.rows;
}

function nativeRows(db: DatabaseSync, sql: string): unknown[][] {
  return db.prepare(sql).all().map((row) => Object.values(row));
}

/** Every table of both, row by row; compared as text, since the difference of two large arrays takes minutes to print. */
function assertSameContent(actual: DatabaseSync, expected: DatabaseSync): void {
  const schema = "SELECT type, name, sql FROM sqlite_schema ORDER BY name, type";
  deepStrictEqual(nativeRows(actual, schema), nativeRows(expected, schema));
  for (const table of ["country", "city"]) {
    const all = `SELECT * FROM ${table} ORDER BY 1`;
    ok(
      JSON.stringify(nativeRows(actual, all)) === JSON.stringify(nativeRows(expected, all)),
      `${table} differs`,
    );
  }
  // SQLite compares the full-text index with the table it was built from, and throws when they differ.
  actual.exec("INSERT INTO city_search (city_search, rank) VALUES ('integrity-check', 1)");
}

Deno.test("the cities of the world: loaded, searched, joined, backed up, all as native SQLite has it", async (test) => {
  await using cluster = await ProcessCluster.start(3);
  const [first, second, third] = cluster.nodes as [NodeProcess, NodeProcess, NodeProcess];
  const file = `${cluster.folder}/cities.db`;
  strictEqual(writeCitiesDatabase(file), CITIES);

  await test.step("load takes the file through any node and the whole of it is there", async () => {
    const printed = await load(second.url, "cities", file);
    ok(/loaded into cities/.test(printed), printed);
    deepStrictEqual(await query(third, "cities", "SELECT count(*) FROM city"), [[CITIES]]);
  });

  const native = new DatabaseSync(file);
  await test.step("the full-text index is built through the cluster, in one large transaction", async () => {
    for (const sql of SEARCH) {
      const { status, body } = await first.request("POST", "/v1/databases/cities/execute", { sql });
      strictEqual(status, 200, JSON.stringify(body));
      native.exec(sql);
    }
  });

  await test.step("joins, window functions, recursion and search answer as native SQLite does, on every node", async () => {
    for (const sql of QUERIES) {
      const expected = nativeRows(native, sql);
      ok(expected.length > 0, sql);
      for (const node of cluster.nodes) deepStrictEqual(await query(node, "cities", sql), expected);
    }
  });

  await test.step("the backup of every node is the same, sound, and has the same content (promise 4)", async () => {
    const backups = await Promise.all(cluster.nodes.map((node) => node.backup("cities")));
    for (const [i, backup] of backups.entries()) {
      strictEqual(Buffer.compare(backup, backups[0]!), 0, `node ${i + 1} has the same bytes`);
    }
    // The bytes are the same, so that one file stands for all three.
    const path = `${cluster.folder}/backup.db`;
    await Deno.writeFile(path, backups[2]!);
    const restored = new DatabaseSync(path);
    deepStrictEqual(nativeRows(restored, "PRAGMA integrity_check"), [["ok"]]);
    assertSameContent(restored, native);
    for (const sql of QUERIES) deepStrictEqual(nativeRows(restored, sql), nativeRows(native, sql));
    restored.close();
  });

  await test.step("a script is loaded, too: built at once into a new database, in batches into one that has data", async () => {
    const script = `${cluster.folder}/part.sql`;
    const rows = nativeRows(native, "SELECT id, name, population FROM city ORDER BY id LIMIT 2000");
    const inserts = rows.map(([id, name, population]) =>
      `INSERT OR REPLACE INTO part VALUES (${id}, '${String(name).replaceAll("'", "''")}', ${population});`
    );
    const create = "CREATE TABLE IF NOT EXISTS part (id INTEGER PRIMARY KEY, name TEXT, population INTEGER);";
    await Deno.writeTextFile(script, ["BEGIN;", create, ...inserts, "COMMIT;"].join("\n"));
    for (const round of ["new", "with data"]) {
      await load(first.url, "part", script);
      for (const node of cluster.nodes) {
        deepStrictEqual(await query(node, "part", "SELECT * FROM part ORDER BY id"), rows, round);
      }
    }
    const [backup, ...others] = await Promise.all(cluster.nodes.map((node) => node.backup("part")));
    for (const other of others) strictEqual(Buffer.compare(other, backup!), 0);
    const path = `${cluster.folder}/part.db`;
    await Deno.writeFile(path, backup!);
    const restored = new DatabaseSync(path);
    deepStrictEqual(nativeRows(restored, "PRAGMA integrity_check"), [["ok"]]);
    deepStrictEqual(nativeRows(restored, "SELECT * FROM part ORDER BY id"), rows);
    restored.close();
  });
  native.close();
});
