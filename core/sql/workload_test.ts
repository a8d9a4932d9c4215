import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { MemoryPages } from "../../tests/support/memory_pages.ts";
import { SeededRandom } from "../../tests/support/seeded_random.ts";
import { batchJob, job, queryJson, SqlDatabase } from "../../tests/support/sql_database.ts";
import type { SqlParameters } from "./values.ts";
import type { WriteJob } from "./writer_session.ts";

type Step = readonly [sql: string, parameters: readonly (string | number)[]];

const ROUNDS = 70;
const CHECKED_QUERIES = [
  "SELECT name, type FROM sqlite_schema WHERE name NOT LIKE 'walraft%' ORDER BY type, name",
  "SELECT * FROM item ORDER BY id",
  "SELECT * FROM log ORDER BY id",
  "SELECT kind, count(*), sum(n), max(length(body)) FROM item GROUP BY kind ORDER BY kind",
  "SELECT rowid FROM found WHERE found MATCH 'fox' ORDER BY rowid",
  "SELECT id, sum(n) OVER (ORDER BY id ROWS 3 PRECEDING) FROM item ORDER BY id LIMIT 50",
];

const SCHEMA = [
  "CREATE TABLE item(id INTEGER PRIMARY KEY, kind TEXT NOT NULL, n INTEGER UNIQUE, body TEXT)",
  "CREATE TABLE log(id INTEGER PRIMARY KEY AUTOINCREMENT, what TEXT, item REFERENCES item(id) ON DELETE SET NULL)",
  "CREATE INDEX item_kind ON item(kind, n)",
  "CREATE VIRTUAL TABLE found USING fts5(body)",
  "CREATE TRIGGER logged AFTER INSERT ON item BEGIN INSERT INTO log(what, item) VALUES ('add ' || new.kind, new.id); END",
];

/** One request. Many violate a constraint, some are large enough to spill a small cache, some change the schema. */
function randomRequest(random: SeededRandom, round: number): Step[] {
  const id = () => random.integer(1, 400);
  const kind = () => random.pick(["red", "green", "blue"]);
  const insert = (): Step => [
    "INSERT INTO item VALUES (?, ?, ?, printf('%.*c', ?, 'x'))",
    [id(), kind(), random.integer(1, 2_000), random.integer(0, 900)],
  ];
  const makers: (() => Step[])[] = [
    () => [insert()],
    () => Array.from({ length: random.integer(2, 12) }, insert),
    () => [["INSERT OR REPLACE INTO item VALUES (?, ?, ?, ?)", [
      id(),
      kind(),
      random.integer(1, 2_000),
      "fox ".repeat(random.integer(1, 40)),
    ]]],
    () => [["INSERT OR IGNORE INTO item SELECT id + 1000, kind, n + 5000, body FROM item WHERE kind = ?", [
      kind(),
    ]]],
    () => [["UPDATE item SET n = n + ?, body = body || ' fox' WHERE id BETWEEN ? AND ?", [
      random.integer(1, 9),
      id(),
      id() + 50,
    ]]],
    () => [["DELETE FROM item WHERE id % ? = 0", [random.integer(3, 9)]]],
    () => [["INSERT INTO found(body) SELECT body FROM item WHERE body LIKE '%fox%' LIMIT ?", [
      random.integer(1, 20),
    ]]],
    () => [["DELETE FROM found WHERE rowid % 3 = ?", [random.integer(0, 2)]]],
    () => [[`CREATE TABLE extra_${round}(a PRIMARY KEY, b) WITHOUT ROWID`, []], [
      `INSERT INTO extra_${round} SELECT id, body FROM item`,
      [],
    ]],
    () => [[`ALTER TABLE log ADD COLUMN c${round} DEFAULT ${round}`, []]],
    () => [["DROP TABLE IF EXISTS extra_" + random.integer(0, round), []]],
    () => [
      [
        "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT 400) INSERT OR IGNORE INTO item SELECT i + 3000, 'bulk', i + 9000, printf('%.600c', 'b') FROM c",
        [],
      ],
      ["UPDATE item SET body = body || 'z' WHERE kind = 'bulk'", []],
      ...(random.chance(0.5) ? [["INSERT INTO item VALUES (NULL, NULL, 1, 'fails')", []] as const] : []),
    ],
    () => [["UPDATE item SET n = 1 WHERE id > ?", [id()]]],
    () => [["VACUUM", []]],
    () => [["REINDEX", []]],
  ];
  return random.pick(makers)();
}

/** The same request natively, as one transaction. False when it failed. */
function runNatively(native: DatabaseSync, steps: readonly Step[]): boolean {
  const isAlone = steps.length === 1;
  try {
    if (!isAlone) native.exec("BEGIN IMMEDIATE");
    for (const [sql, parameters] of steps) native.prepare(sql).run(...parameters);
    if (!isAlone) native.exec("COMMIT");
    return true;
  } catch {
    if (!isAlone) native.exec("ROLLBACK");
    return false;
  }
}

function toJob(steps: readonly Step[]): WriteJob {
  if (steps.length === 1) return job(steps[0]![0], steps[0]![1]);
  return batchJob(steps.map(([sql, parameters]): [string, SqlParameters] => [sql, parameters]));
}

function nativeRows(native: DatabaseSync, sql: string): unknown[][] {
  return native.prepare(sql).all().map((row) => Object.values(row));
}

/** Opens the bytes as a file in native SQLite; the file is gone afterwards. */
function withNativeFile<T>(bytes: Uint8Array, use: (native: DatabaseSync) => T): T {
  const folder = Deno.makeTempDirSync();
  try {
    Deno.writeFileSync(`${folder}/copy.db`, bytes);
    const native = new DatabaseSync(`${folder}/copy.db`);
    try {
      return use(native);
    } finally {
      native.close();
    }
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

for (const seed of [1, 2, 3]) {
  Deno.test(`a random workload has the results of native SQLite, seed ${seed} (promises 2, 4, 5)`, async () => {
    const random = new SeededRandom(seed);
    const native = new DatabaseSync(":memory:");
    const pages = new MemoryPages(random.pick([512, 1024, 4096]));
    // A cache of a few pages makes SQLite spill in the middle of transactions; a small WAL makes it checkpoint often.
    const limits = { cacheKib: 32, walBytesMax: 100_000 };
    const database = await SqlDatabase.open({ pages, seed, limits });
    // A second store that is given the same frames, as a follower is.
    const follower = new MemoryPages(pages.pageSize);
    const reader = await database.openReader();
    const expected = new Map<number, unknown[][][]>();

    for (let round = 0; round < ROUNDS; round += 1) {
      const requests = round === 0
        ? [SCHEMA.map((sql): Step => [sql, []])]
        : Array.from({ length: random.integer(1, 6) }, () => randomRequest(random, round));
      const succeeded = requests.map((steps) => runNatively(native, steps));
      const batch = database.runBatch(requests.map(toJob));
      if (batch.pages.length > 0) follower.append(pages.tip, batch.pages, batch.pageCount);
      const problems = batch.results.map((result) => result.ok ? "" : result.error.message);
      assert.deepEqual(
        batch.results.map((result) => result.ok),
        succeeded,
        `${problems} ${JSON.stringify(requests)}`,
      );
      expected.set(pages.tip, CHECKED_QUERIES.map((sql) => nativeRows(native, sql)));
      if (random.chance(0.1)) await database.reopenWriter();
    }

    for (const index of [...expected.keys()].sort(() => random.next() - 0.5)) {
      const found = CHECKED_QUERIES.map((sql) => queryJson(reader, sql, [], index).rows);
      assert.deepEqual(found, expected.get(index), `at index ${index}`);
      if (random.chance(0.2)) {
        assert.deepEqual(queryJson(reader, "PRAGMA integrity_check", [], index).rows, [["ok"]]);
      }
    }
    const file = pages.toFile(pages.tip);
    assert.deepEqual(follower.toFile(pages.tip), file);
    withNativeFile(file, (copy) => {
      assert.deepEqual(nativeRows(copy, "PRAGMA integrity_check"), [["ok"]]);
      for (const sql of CHECKED_QUERIES) assert.deepEqual(nativeRows(copy, sql), nativeRows(native, sql));
    });
    native.close();
    database.close();
  });
}
