import assert from "node:assert/strict";
import { ENGINE_NAMES, type EngineName } from "../../core/sql/engine.ts";
import { ReaderSession } from "../../core/sql/reader_session.ts";
import { loadEngineModule } from "../../core/sql/wasm/load_engine.ts";
import { type WriteJob, WriterSession } from "../../core/sql/writer_session.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { MemoryPages } from "../support/memory_pages.ts";
import { SeededRandom } from "../support/seeded_random.ts";
import { batchJob, job, queryJson } from "../support/sql_database.ts";

/** Nodes of one cluster may run different engines: each goes on with the pages of the other. */

const ports = {
  clock: new ManualClock(),
  random: new SeededRandom(1),
  cancel: { isCancelled: () => false },
};

async function write(pages: MemoryPages, engine: EngineName, jobs: readonly WriteJob[]): Promise<void> {
  const writer = await WriterSession.open({
    ...ports,
    module: loadEngineModule(engine),
    pageSize: pages.pageSize,
    source: pages.source(),
  });
  const batch = writer.runBatch(jobs, 1);
  for (const result of batch.results) assert.ok(result.ok, result.ok ? "" : result.error.message);
  pages.append(pages.tip + 1, batch.pages, batch.pageCount);
  writer.close();
}

async function read(pages: MemoryPages, engine: EngineName, sql: string): Promise<unknown[][]> {
  const reader = await ReaderSession.open({
    ...ports,
    module: loadEngineModule(engine),
    source: pages.source(),
  });
  const { rows } = queryJson(reader, sql, [], pages.tip);
  reader.close();
  return rows!;
}

const ROUNDS = 12;
const QUERIES = [
  "PRAGMA integrity_check",
  "SELECT name, sql FROM sqlite_schema ORDER BY name",
  "SELECT id, kind, n, hex(data), body FROM item ORDER BY id",
  "SELECT kind, count(*), sum(n) FROM item GROUP BY kind ORDER BY kind",
  "SELECT rowid FROM found WHERE found MATCH 'fox' ORDER BY rowid",
  "SELECT id FROM item WHERE upper_kind = 'RED' ORDER BY n DESC, id",
];

Deno.test("engines take turns at writing one database, and both read the same at every index", async () => {
  const pages = new MemoryPages();
  const random = new SeededRandom(7);
  await write(pages, "sqlite-wasm", [batchJob([
    "CREATE TABLE item(id INTEGER PRIMARY KEY, kind TEXT, n REAL, data BLOB, body TEXT, " +
    "upper_kind AS (upper(kind)))",
    "CREATE INDEX item_upper ON item(upper_kind, n)",
    "CREATE VIRTUAL TABLE found USING fts5(body)",
    "CREATE TRIGGER finds AFTER INSERT ON item BEGIN INSERT INTO found VALUES (new.body); END",
  ])]);
  for (let round = 0; round < ROUNDS; round += 1) {
    const kinds = ["red", "green", "blué", "\u{1f98a}"];
    const insert = (): WriteJob =>
      job("INSERT INTO item(kind, n, data, body) VALUES (?, ?, zeroblob(?), ?)", [
        random.pick(kinds),
        random.next() * 1e6,
        random.integer(0, 9_000),
        random.pick(["the quick fox", "a slow snail", ""]),
      ]);
    const changes = [
      job("UPDATE item SET n = -n, kind = ? WHERE id % 3 = 1", [random.pick(kinds)]),
      job("DELETE FROM item WHERE id % 7 = ?", [random.integer(0, 6)]),
      job(`ALTER TABLE item ADD COLUMN c${round}`),
      job("VACUUM"),
      job("INSERT INTO found(found) VALUES ('optimize')"),
    ];
    await write(pages, ENGINE_NAMES[round % ENGINE_NAMES.length]!, [
      ...Array.from({ length: 20 }, insert),
      random.pick(changes),
    ]);
    const [first, ...others] = await Promise.all(
      ENGINE_NAMES.map((engine) => Promise.all(QUERIES.map((sql) => read(pages, engine, sql)))),
    );
    assert.deepEqual(first![0], [["ok"]]);
    for (const other of others) assert.deepEqual(other, first);
  }
  assert.ok((await read(pages, "wa-sqlite", "SELECT * FROM item")).length > 100);
});

Deno.test("an idempotency key stored by one engine is known to the other", async () => {
  const pages = new MemoryPages();
  await write(pages, "sqlite-wasm", [job("CREATE TABLE t(a)")]);
  const insert = { ...job("INSERT INTO t VALUES (1) RETURNING a"), idempotencyKey: "once" };
  for (const engine of ENGINE_NAMES) {
    const writer = await WriterSession.open({
      ...ports,
      module: loadEngineModule(engine),
      pageSize: pages.pageSize,
      source: pages.source(),
    });
    const batch = writer.runBatch([insert], 1);
    if (batch.pages.length > 0) pages.append(pages.tip + 1, batch.pages, batch.pageCount);
    writer.close();
  }
  assert.deepEqual(await read(pages, "wa-sqlite", "SELECT count(*) FROM t"), [[1]]);
});

Deno.test("sqlite-wasm: R-Tree and mathematical functions are there; a node with wa-sqlite says what it lacks", async () => {
  const pages = new MemoryPages();
  await write(pages, "sqlite-wasm", [batchJob([
    "CREATE TABLE t(a)",
    "INSERT INTO t VALUES (1)",
    "CREATE VIRTUAL TABLE places USING rtree(id, x0, x1, y0, y1)",
    "INSERT INTO places VALUES (1, 0, 2, 0, 2), (2, 5, 6, 5, 6)",
    "CREATE VIEW roots AS SELECT sqrt(a + 3) AS root FROM t",
  ])]);
  const near = "SELECT id FROM places WHERE x0 < 3 AND y1 < 3";
  assert.deepEqual(await read(pages, "sqlite-wasm", near), [[1]]);
  assert.deepEqual(await read(pages, "sqlite-wasm", "SELECT root FROM roots"), [[2]]);
  await assert.rejects(() => read(pages, "wa-sqlite", near), /no such module: rtree/);
  await assert.rejects(() => read(pages, "wa-sqlite", "SELECT root FROM roots"), /no such function: sqrt/);
  await assert.rejects(() => write(pages, "wa-sqlite", [job("DROP TABLE places")]), /no such module: rtree/);
  assert.deepEqual(await read(pages, "wa-sqlite", "SELECT a FROM t"), [[1]]);
  assert.deepEqual(await read(pages, "wa-sqlite", "PRAGMA integrity_check"), [["ok"]]);
});

Deno.test("sqlite-wasm: local time is UTC, on every day of the calendar", async () => {
  const pages = new MemoryPages();
  await write(pages, "sqlite-wasm", [job("CREATE TABLE t(a)")]);
  const differing = "WITH RECURSIVE day(s) AS (SELECT 0 UNION ALL SELECT s + 86399 FROM day LIMIT 24000) " +
    "SELECT count(*), max(s) FROM day " +
    "WHERE datetime(s, 'unixepoch', 'localtime') <> datetime(s, 'unixepoch')";
  assert.deepEqual(await read(pages, "sqlite-wasm", differing), [[0, null]]);
  const before1970 = "SELECT datetime(-1, 'unixepoch', 'localtime')";
  assert.deepEqual(await read(pages, "sqlite-wasm", before1970), [["1969-12-31 23:59:59"]]);
});
