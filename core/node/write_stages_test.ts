import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { WriteStages } from "./write_stages.ts";

/** Stages whose clock shows what the test sets. */
class Bench {
  nowMs = 0;
  readonly stages = new WriteStages(() => this.nowMs);

  at(nowMs: number, what: () => void): void {
    this.nowMs = nowMs;
    what();
  }
}

const NOTHING = { writes: 0, queueMs: 0, sqliteMs: 0, workerMs: 0, logMs: 0, fsyncMs: 0, networkMs: 0 };

Deno.test("WriteStages: each stage of a batch has the time it took, once for each of its writes", () => {
  const bench = new Bench();
  const { stages } = bench;
  const batch = stages.proposed(7, { queuedMs: [1, 3], startedMs: 5, ranMs: 15, workerMs: 8 });
  bench.at(17, () => stages.appended(7));
  bench.at(20, () => stages.synced(7));
  deepStrictEqual(stages.totals, NOTHING, "nothing counts before the commit");
  strictEqual(batch.committedMs, undefined);
  bench.at(26, () => stages.committed(7));
  strictEqual(batch.committedMs, 26);
  deepStrictEqual(stages.totals, {
    writes: 2,
    queueMs: 4 + 2,
    sqliteMs: 2 * 10,
    workerMs: 2 * 8,
    logMs: 2 * 2,
    fsyncMs: 2 * 3,
    networkMs: 2 * 6,
  });
});

Deno.test("WriteStages: batches on their way at the same time are told apart by their index", () => {
  const bench = new Bench();
  const { stages } = bench;
  stages.proposed(7, { queuedMs: [0], startedMs: 0, ranMs: 0, workerMs: 0 });
  bench.at(10, () => stages.appended(7));
  stages.proposed(9, { queuedMs: [10], startedMs: 10, ranMs: 10, workerMs: 0 });
  bench.at(30, () => stages.appended(9));
  // A sync that began before the second append.
  bench.at(100, () => stages.synced(7));
  bench.at(150, () => stages.synced(8));
  bench.at(200, () => stages.committed(8));
  deepStrictEqual(stages.totals, { ...NOTHING, writes: 1, logMs: 10, fsyncMs: 90, networkMs: 100 });
  bench.at(300, () => stages.synced(9));
  bench.at(300, () => stages.committed(9));
  deepStrictEqual(stages.totals, { ...NOTHING, writes: 2, logMs: 30, fsyncMs: 360, networkMs: 100 });
});

Deno.test("WriteStages: a majority that is faster than the own disk ends the wait for it", () => {
  const bench = new Bench();
  const { stages } = bench;
  stages.proposed(1, { queuedMs: [0], startedMs: 0, ranMs: 0, workerMs: 0 });
  bench.at(1, () => stages.appended(1));
  bench.at(4, () => stages.committed(1));
  bench.at(9, () => stages.synced(1));
  deepStrictEqual(stages.totals, { ...NOTHING, writes: 1, logMs: 1, fsyncMs: 3 });
});

Deno.test("WriteStages: what was on its way when leadership was lost never counts", () => {
  const bench = new Bench();
  const { stages } = bench;
  const lost = stages.proposed(1, { queuedMs: [0], startedMs: 0, ranMs: 0, workerMs: 0 });
  stages.forget();
  bench.at(5, () => stages.committed(1));
  strictEqual(lost.committedMs, undefined);
  deepStrictEqual(stages.totals, NOTHING);
});
