/** The whole path of pages, from a statement into the log, to views, to the `.db` file and back, over a simulated disk. */
import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { View } from "../pages/database.ts";
import { SeededRandom } from "../../tests/support/seeded_random.ts";
import { SimDisk } from "../../tests/support/sim_disk.ts";
import { ManualClock } from "../../tests/support/manual_clock.ts";
import { StoreBench } from "../../tests/support/store_bench.ts";
import { PageIndex } from "../pages/page_index.ts";
import type { MessageFromWorker } from "./messages.ts";
import { unpackAnswers } from "./packed_answers.ts";
import { loadEngineModule } from "./wasm/load_engine.ts";
import { WorkerCore } from "./worker_core.ts";

const ALL = "SELECT id, v FROM t ORDER BY id";

async function openBench(seed = 1): Promise<StoreBench> {
  return await StoreBench.open(new SimDisk({ seed }));
}

Deno.test("a view shows what was published when it was opened, whatever is written later (promises 2, 3)", async () => {
  const bench = await openBench();
  await bench.write("CREATE TABLE t (id INTEGER PRIMARY KEY, v)", "INSERT INTO t VALUES (1, 'a')");
  await bench.commit();
  const view = bench.openView();
  await bench.write("UPDATE t SET v = 'b'");
  deepStrictEqual((await bench.read(view, ALL)).rows, [[1, "a"]], "not committed");
  await bench.commit();
  deepStrictEqual((await bench.read(view, ALL)).rows, [[1, "a"]], "committed later");
  const newer = bench.openView();
  deepStrictEqual((await bench.read(newer, ALL)).rows, [[1, "b"]]);
  deepStrictEqual((await bench.read(view, ALL)).rows, [[1, "a"]], "back again");
});

Deno.test("a checkpoint goes up to the oldest view, and reads go on as if nothing had happened (promise 3)", async () => {
  const bench = await openBench();
  await bench.write("CREATE TABLE t (id INTEGER PRIMARY KEY, v)", "INSERT INTO t VALUES (1, 'a')");
  await bench.commit();
  const old = bench.openView();
  await bench.write("UPDATE t SET v = 'b'");
  await bench.commit();
  await bench.checkpoint();
  strictEqual(bench.database.checkpoint.index, old.index);
  const now = bench.openView();
  deepStrictEqual((await bench.read(old, ALL)).rows, [[1, "a"]]);
  deepStrictEqual((await bench.read(now, ALL)).rows, [[1, "b"]]);
  old.close();
  await bench.write("INSERT INTO t VALUES (2, 'c')");
  await bench.commit();
  await bench.checkpoint();
  strictEqual(bench.database.checkpoint.index, now.index);
  deepStrictEqual((await bench.read(bench.openView(), ALL)).rows, [[1, "b"], [2, "c"]]);
});

Deno.test("a lost tail leaves nothing behind, in the next session or in any view (promise 2)", async () => {
  const bench = await openBench();
  await bench.write("CREATE TABLE t (id INTEGER PRIMARY KEY, v)", "INSERT INTO t VALUES (1, 'kept')");
  await bench.commit();
  await bench.write("INSERT INTO t VALUES (2, 'lost')");
  await bench.loseTail();
  await bench.write("INSERT INTO t VALUES (3, 'after')");
  await bench.commit();
  deepStrictEqual((await bench.read(bench.openView(), ALL)).rows, [[1, "kept"], [3, "after"]]);
});

Deno.test("a request that kills the instance is named, nothing of its batch counts, the next session is sound (promise 7)", async () => {
  const bench = await openBench();
  await bench.write("CREATE TABLE t (id INTEGER PRIMARY KEY, v)");
  await bench.commit();
  // Each view adds to the depth of the expression where no check of the text can see it.
  const views = Array.from(
    { length: 60 },
    (_, i) =>
      `CREATE VIEW v${i} AS SELECT ${Array(900).fill("x").join("+")} AS x FROM ${
        i === 0 ? "(SELECT 1 AS x)" : `v${i - 1}`
      }`,
  );
  await bench.write(...views);
  await bench.commit();
  const tip = bench.log.lastIndex();
  const results = await bench.write(
    "INSERT INTO t VALUES (1, 'innocent')",
    "INSERT INTO t SELECT 2, x FROM v59",
  );
  if (results.diedAt === undefined) {
    // SQLite refused it by itself: the instance lives, and only that request failed.
    strictEqual(unpackAnswers(results.answers)[1]!.ok, false);
  } else {
    deepStrictEqual([results.diedAt, results.bodies.length], [1, 0]);
    strictEqual(bench.log.lastIndex(), tip);
    await bench.write("INSERT INTO t VALUES (1, 'innocent')");
  }
  await bench.commit();
  deepStrictEqual((await bench.read(bench.openView(), ALL)).rows, [[1, "innocent"]]);
  const check = await bench.read(bench.openView(), "PRAGMA integrity_check");
  deepStrictEqual(check.rows, [["ok"]]);
});

interface Expected {
  readonly view: View;
  readonly rows: unknown;
}

/** One random history: the same statements on native SQLite say what every view must show. */
class History {
  readonly #random: SeededRandom;
  #bench: StoreBench;
  readonly #native = new DatabaseSync(":memory:");
  #views: Expected[] = [];
  /** Statements that are not committed; the native twin runs them at the commit. */
  #pending: string[] = [];

  constructor(random: SeededRandom, bench: StoreBench) {
    this.#random = random;
    this.#bench = bench;
  }

  async run(steps: number): Promise<void> {
    await this.#write("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); CREATE INDEX tv ON t (v)".split(";"));
    await this.#commit();
    for (let i = 0; i < steps; i++) await this.#step();
    await this.#commit();
    await this.#checkViews();
    const check = await this.#bench.read(this.#bench.openView(), "PRAGMA integrity_check");
    deepStrictEqual(check.rows, [["ok"]]);
  }

  async #step(): Promise<void> {
    const draw = this.#random.next();
    if (draw < 0.5) await this.#write(this.#statements());
    else if (draw < 0.68) await this.#commit();
    else if (draw < 0.76) await this.#openView();
    else if (draw < 0.82) this.#views.shift()?.view.close();
    else if (draw < 0.9) await this.#bench.checkpoint();
    else if (draw < 0.94) this.#bench.dropSession();
    else if (draw < 0.97) await this.#loseTail();
    else await this.#restart();
    if (this.#random.next() < 0.3) await this.#checkViews();
  }

  #statements(): string[] {
    const id = 1 + Math.floor(this.#random.next() * 200);
    const size = Math.floor(this.#random.next() * 3_000);
    return [
      `INSERT INTO t VALUES (${id}, '${"x".repeat(size)}') ON CONFLICT DO UPDATE SET v = v || '${id}'`,
      `DELETE FROM t WHERE id % 7 = ${id % 7}`,
      `INSERT INTO t SELECT id + 1000, v FROM t WHERE id < 1000 ON CONFLICT DO NOTHING`,
      `INSERT INTO t VALUES (1, 'taken'), (1, 'twice')`,
      "VACUUM",
    ].filter(() => this.#random.next() < 0.35);
  }

  async #write(statements: readonly string[]): Promise<void> {
    if (statements.length === 0) return;
    await this.#bench.write(...statements);
    this.#pending.push(...statements);
  }

  async #commit(): Promise<void> {
    await this.#bench.commit();
    for (const sql of this.#pending) {
      try {
        this.#native.exec(sql);
      } catch {
        // It failed in the session as well: it changed nothing.
      }
    }
    this.#pending = [];
  }

  async #openView(): Promise<void> {
    await this.#commit();
    this.#views.push({ view: this.#bench.openView(), rows: this.#rows() });
  }

  async #loseTail(): Promise<void> {
    this.#pending = [];
    await this.#bench.loseTail();
  }

  /** Power fails between two moments of rest; views do not outlive it. */
  async #restart(): Promise<void> {
    await this.#commit();
    const { disk } = this.#bench;
    disk.crash();
    this.#bench = await StoreBench.open(disk);
    this.#views = [];
  }

  async #checkViews(): Promise<void> {
    for (const { view, rows } of this.#views) deepStrictEqual((await this.#bench.read(view, ALL)).rows, rows);
    if (this.#pending.length > 0) return;
    const now = this.#bench.openView();
    deepStrictEqual((await this.#bench.read(now, ALL)).rows, this.#rows());
    now.close();
  }

  #rows(): unknown {
    return this.#native.prepare(ALL).all().map((row) => [row.id, row.v]);
  }
}

Deno.test("random histories of writes, views, checkpoints, lost tails and restarts agree with native SQLite (promises 2, 3, 4)", async () => {
  for (let seed = 1; seed <= 25; seed++) {
    const bench = await openBench(seed);
    try {
      await new History(new SeededRandom(seed), bench).run(60);
    } catch (error) {
      ok(false, `seed ${seed}: ${error instanceof Error ? error.stack : error}`);
    }
  }
});

Deno.test("a view of a database without pages is empty, and a missing table is a clear error", async () => {
  const bench = await openBench();
  void bench.database;
  await bench.commit();
  const view = bench.openView();
  deepStrictEqual((await bench.read(view, "SELECT 1 AS one")).rows, [[1]]);
  await rejects(bench.read(view, ALL), { code: "sql_error", message: /no such table: t/ });
});

/** A worker for which each look at the time takes 10 ms, and how it finds an empty database. */
function slowWorker() {
  const answers: MessageFromWorker[] = [];
  const clock = new ManualClock();
  const core = new WorkerCore({
    module: loadEngineModule(),
    disk: new SimDisk({ seed: 1 }),
    clock: {
      nowMs: () => {
        clock.advance(10);
        return clock.nowMs();
      },
      wallMs: () => clock.wallMs(),
      after: (delayMs, callback) => clock.after(delayMs, callback),
    },
    random: new SeededRandom(1),
    cancel: new Int32Array(new SharedArrayBuffer(8)),
    post: (message) => answers.push(message),
  });
  const pages = new PageIndex().export(Infinity);
  const base = { databaseId: 1, pageSize: 512, file: undefined, filePageCount: 0, pages };
  return { answers, clock, core, base };
}

Deno.test("a query that waited behind others past its time limit is refused, not run (promise 5)", async () => {
  const { answers, core, base } = slowWorker();
  const job = (jobId: number, runMsMax: number) => ({
    jobId,
    databaseId: 1,
    viewIndex: 0,
    sql: "SELECT 1",
    parameters: [],
    format: "json" as const,
    rowShape: "arrays" as const,
    runMsMax,
  });
  await core.handle({
    kind: "read",
    jobs: [job(1, 1_000), job(2, 9.5), job(3, 1_000)],
    updates: [{ databaseId: 1, base, deltas: [], oldestView: 0 }],
  });
  const outcomes = answers.flatMap((answer) =>
    answer.kind === "read_results" ? unpackAnswers(answer.answers) : []
  )
    .map((outcome) => outcome.ok ? "ok" : outcome.error.code);
  deepStrictEqual(outcomes, ["ok", "timeout", "ok"]);
});

Deno.test("a batch comes back with the time it took", async () => {
  const { answers, clock, core, base } = slowWorker();
  const request = {
    kind: "execute",
    statements: [{ sql: "CREATE TABLE t (id)", parameters: [] }],
    format: "json",
    rowShape: "arrays",
    runMsMax: 1_000_000,
  } as const;
  const before = clock.nowMs();
  const batch = { databaseId: 1, batchNumber: 1, located: [], locatedBatch: 0, base };
  await core.handle({ kind: "write", jobId: 1, requests: [request], ...batch });
  const [results] = answers;
  ok(results?.kind === "write_results" && results.bodies.length === 1, JSON.stringify(results));
  strictEqual(results.runMs, clock.nowMs() - before - 10, "from its first look at the time to its last");
});
