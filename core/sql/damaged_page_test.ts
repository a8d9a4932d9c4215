/** A page that is not what was written any more, met by a query, a write and a checkpoint (promise 6). */
import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { ManualClock } from "../../tests/support/manual_clock.ts";
import { SimDisk, type SimOperation } from "../../tests/support/sim_disk.ts";
import { StoreBench } from "../../tests/support/store_bench.ts";
import { crc32 } from "../codec/crc32.ts";
import { readCheckpointMeta } from "../pages/checkpoint_meta.ts";
import type { MessageFromWorker, PageDamaged } from "./messages.ts";
import { unpackAnswers } from "./packed_answers.ts";
import { SqlPool } from "./pool.ts";

const PAGE = 4_096;
const COUNT = "SELECT count(*), sum(length(v)) FROM t";
const SCAN = "SELECT id FROM t WHERE v = x'00'";
const DAMAGED = { code: "data_damaged", retry: "safe" };

/** A table of about 100 pages. */
async function fill(disk: SimDisk): Promise<StoreBench> {
  const bench = await StoreBench.open(disk, PAGE);
  await bench.write("CREATE TABLE t (id INTEGER PRIMARY KEY, v)");
  await bench.write(
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) " +
      "INSERT INTO t SELECT i, zeroblob(3000) FROM n",
  );
  await bench.commit();
  return bench;
}

/** The same in the `.db` file, opened anew: nothing is cached. */
async function fillFile(): Promise<StoreBench> {
  const bench = await fill(new SimDisk({ seed: 1 }));
  await bench.checkpoint();
  await bench.close();
  return await StoreBench.open(bench.disk, PAGE);
}

/** File and offset of a byte that the newest version of a page has in the log. */
function placeInLog(bench: StoreBench, pageNumber: number, offset: number): [string, number] {
  const position = bench.database.pages.locate(pageNumber, Infinity);
  ok(position !== undefined);
  const segment = bench.log.segments().list.findLast(({ startPosition }) => startPosition <= position)!;
  return [segment.path, position - segment.startPosition + offset];
}

Deno.test("a query that needs a damaged page of the .db file fails with data_damaged and reports it; the others go on", async () => {
  const bench = await fillFile();
  const view = bench.openView();
  const sound = bench.disk.contentOf("db/main.db").slice(49 * PAGE, 50 * PAGE);
  bench.disk.flipBit("db/main.db", 49 * PAGE + 100, 3);
  await rejects(bench.read(view, SCAN), DAMAGED);
  deepStrictEqual(bench.takeDamage(), [
    { place: "file", path: "db/main.db", pageNumber: 50, at: view.index, expected: crc32(sound) },
  ]);
  deepStrictEqual((await bench.read(view, "SELECT max(id) FROM t")).rows, [[100]]);
  await rejects(bench.read(view, SCAN), DAMAGED);
  strictEqual(bench.takeDamage().length, 1);
  bench.disk.flipBit("db/main.db", 49 * PAGE + 100, 3);
  deepStrictEqual((await bench.read(view, SCAN)).rows, [], "repaired");
  deepStrictEqual(bench.takeDamage(), []);
});

Deno.test("a query that needs a damaged page of the log fails in the same way", async () => {
  const filled = await fill(new SimDisk({ seed: 1 }));
  const bench = await StoreBench.open(filled.disk, PAGE);
  const view = bench.openView();
  bench.disk.flipBit(...placeInLog(bench, 50, 4_095), 0);
  await rejects(bench.read(view, SCAN), DAMAGED);
  const [damage] = bench.takeDamage();
  deepStrictEqual([damage?.place, damage?.pageNumber, damage?.at], ["log", 50, view.index]);
});

for (const pageNumber of [1, 50]) {
  Deno.test(`a write that needs damaged page ${pageNumber} replicates nothing of its batch and reports it (promise 5)`, async () => {
    const bench = await fillFile();
    bench.disk.flipBit("db/main.db", (pageNumber - 1) * PAGE + 200, 1);
    const tip = bench.log.lastIndex();
    const { answers, bodies, diedAt } = await bench.write(
      "INSERT INTO t VALUES (1000, 'before')",
      "UPDATE t SET v = 'new' WHERE length(v) = 3000",
      "INSERT INTO t VALUES (1001, 'after')",
    );
    strictEqual(diedAt, pageNumber === 1 ? -1 : 1);
    strictEqual(bodies.length, 0);
    strictEqual(bench.log.lastIndex(), tip);
    const culprit = unpackAnswers(answers)[1]!;
    strictEqual(culprit.ok ? undefined : culprit.error.code, "data_damaged");
    const [damage] = bench.takeDamage();
    deepStrictEqual([damage?.place, damage?.pageNumber, damage?.at], ["file", pageNumber, Infinity]);

    bench.disk.flipBit("db/main.db", (pageNumber - 1) * PAGE + 200, 1);
    const again = await bench.write("INSERT INTO t VALUES (1000, 'after the repair')");
    deepStrictEqual([again.diedAt, unpackAnswers(again.answers)[0]!.ok], [undefined, true]);
    await bench.commit();
    deepStrictEqual((await bench.read(bench.openView(), COUNT)).rows, [[101, 300_016]]);
  });
}

Deno.test("a checkpoint that meets a damaged page of the log records nothing, and is made after the repair", async () => {
  const bench = await fillFile();
  const before = readCheckpointMeta(bench.disk, "main");
  await bench.write("UPDATE t SET v = zeroblob(3001) WHERE id > 50");
  await bench.commit();
  const place = placeInLog(bench, 80, 17);
  bench.disk.flipBit(...place, 7);
  await rejects(bench.checkpoint(), DAMAGED);
  const [damage] = bench.takeDamage();
  const index = bench.store.publishedIndex;
  deepStrictEqual([damage?.place, damage?.pageNumber, damage?.at], ["log", 80, index]);
  deepStrictEqual(readCheckpointMeta(bench.disk, "main"), { ...before, copiedThrough: index });
  // The copy was cut short in the middle: what it overwrote is read from the log.
  deepStrictEqual((await bench.read(bench.openView(), "SELECT count(*) FROM t WHERE id <= 50")).rows, [[50]]);
  bench.disk.flipBit(...place, 7);
  await bench.checkpoint();
  strictEqual(bench.database.checkpoint.index, index);
  deepStrictEqual((await bench.read(bench.openView(), COUNT)).rows, [[100, 300_050]]);
});

Deno.test("a checkpoint that a full disk ends is no reason to end the process", async () => {
  const bench = await fill(new SimDisk({ seed: 1 }));
  bench.disk.capacityBytes = bench.disk.usedBytes + 50 * PAGE;
  await rejects(bench.checkpoint(), { code: "disk_full" });
  deepStrictEqual((await bench.read(bench.openView(), COUNT)).rows, [[100, 300_000]]);
  bench.disk.capacityBytes = Infinity;
  await bench.checkpoint();
  const reopened = await StoreBench.open(bench.disk, PAGE);
  deepStrictEqual((await reopened.read(reopened.openView(), COUNT)).rows, [[100, 300_000]]);
});

/** Shrinks, grows and changes the table of `fillFile`. */
const CHANGES = [
  "DELETE FROM t WHERE id BETWEEN 20 AND 60",
  "VACUUM",
  "INSERT INTO t SELECT id + 1000, zeroblob(2000) FROM t WHERE id < 40",
  "UPDATE t SET v = zeroblob(2999) WHERE id % 7 = 0",
];

Deno.test("a power failure at any operation of a checkpoint leaves all data readable, each page checked (promise 3)", async () => {
  const bench = await fillFile();
  for (const sql of CHANGES) await bench.write(sql);
  await bench.commit();
  const expected = await bench.read(bench.openView(), COUNT);
  const operations: SimOperation[] = [];
  await bench.close();
  const whole = bench.disk.clone(1);
  const counted = await StoreBench.open(whole, PAGE);
  whole.onOperation = (operation) => operations.push(operation);
  await counted.checkpoint();
  const first = operations[0]!.number;
  // Every operation that is not one more page, and some of those.
  const chosen = operations.filter(({ kind, path }, i) =>
    kind !== "write" || path !== "db/main.db" || i % 10 === 0
  );
  ok(chosen.length > 20, `${chosen.length} operations`);
  for (const { number } of chosen) {
    const disk = bench.disk.clone(number);
    const crashing = await StoreBench.open(disk, PAGE);
    disk.crashAtOperation(disk.operationCount + 1 + number - first);
    await rejects(crashing.checkpoint());
    disk.crash();
    const reopened = await StoreBench.open(disk, PAGE);
    for (const repeat of ["after the crash", "after the repeat"]) {
      const view = reopened.openView();
      deepStrictEqual(await reopened.read(view, COUNT), expected, `${repeat}, operation ${number}`);
      deepStrictEqual((await reopened.read(view, "PRAGMA integrity_check")).rows, [["ok"]]);
      view.close();
      await reopened.checkpoint();
      strictEqual(reopened.database.checkpoint.hasSums, true);
    }
    deepStrictEqual(reopened.takeDamage(), []);
  }
});

Deno.test("SqlPool hands the report of a damaged page on", () => {
  const reports: PageDamaged[] = [];
  const workers: ((message: MessageFromWorker) => void)[] = [];
  const pool = new SqlPool({
    readerCount: 2,
    endOfTurn: (callback) => callback(),
    clock: new ManualClock(),
    events: { event: () => {} },
    start: ({ onMessage }) => {
      workers.push(onMessage);
      return { post: () => {}, terminate: () => {} };
    },
    segments: () => ({ version: 1, list: [] }),
    fileOf: ({ name }) => `db/${name}.db`,
    onTransactionResults: () => {},
    onWriteResults: () => {},
    onWriterLost: () => {},
    onFatal: (message) => ok(false, message),
    onPageDamaged: (report) => reports.push(report),
  });
  const damage = { place: "file", path: "db/main.db", pageNumber: 3, at: 9, expected: 1 } as const;
  const report = { kind: "page_damaged", databaseId: 2, damage } as const;
  pool.warm();
  for (const answer of workers) answer(report);
  deepStrictEqual(reports, [report, report]);
  pool.stop();
});
