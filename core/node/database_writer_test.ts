import { deepStrictEqual, rejects, strictEqual, throws } from "node:assert/strict";
import { WriterBench as Bench } from "../../tests/support/writer_bench.ts";
import { NodeError } from "../base/errors.ts";
import { LIMITS } from "../base/limits.ts";
import { packAnswers } from "../sql/packed_answers.ts";
import type { PendingWrite } from "./writer_host.ts";

Deno.test("DatabaseWriter gathers writes while a batch runs and starts the next one before the last is committed", async () => {
  const bench = new Bench();
  const first = bench.write("a");
  const rest = [bench.write("b"), bench.write("c")];
  deepStrictEqual(bench.names(0), ["a"]);
  bench.answer();
  deepStrictEqual(bench.names(1), ["b", "c"]);
  strictEqual(bench.sent[1]!.base, undefined, "the session goes on at the uncommitted tip");
  bench.answer();
  bench.commit();
  deepStrictEqual((await Promise.all([first, ...rest])).map(({ index }) => index), [1, 2, 2]);
});

Deno.test("DatabaseWriter answers nobody before the commit, not even a failed statement (promise 1)", async () => {
  const bench = new Bench();
  let answered = false;
  const failed = bench.write("bad").finally(() => (answered = true));
  failed.catch(() => {});
  const error = { code: "constraint_failed", message: "UNIQUE", details: {} } as const;
  bench.answer({ answers: packAnswers([{ ok: false, error }]), bodies: [] });
  await new Promise((resolve) => queueMicrotask(() => resolve(undefined)));
  strictEqual(answered, false);
  bench.commit();
  await rejects(failed, { code: "constraint_failed" });
  strictEqual(bench.confirmedCount, 1, "a batch without an entry shows nothing about leadership by itself");
});

Deno.test("DatabaseWriter runs the innocent requests of a lost session again and blames only the guilty (promise 7)", async () => {
  const bench = new Bench();
  const first = bench.write("x");
  const guilty = bench.write("guilty");
  const innocent = bench.write("innocent");
  bench.answer();
  const error = { code: "engine_failed", message: "lost", details: {} } as const;
  const failed = { ok: false, error } as const;
  bench.answer({ answers: packAnswers([failed, failed]), bodies: [], diedAt: 0 });
  await rejects(guilty, { code: "engine_failed" });
  deepStrictEqual(bench.names(2), ["innocent"]);
  strictEqual(bench.sent[2]!.base !== undefined, true, "in a new session");
  bench.answer();
  bench.commit();
  await Promise.all([first, innocent]);
});

Deno.test("DatabaseWriter.close() refuses what is not in the log and ignores the worker's late answer", async () => {
  const bench = new Bench();
  const running = bench.write("a");
  const waiting = bench.write("b");
  bench.writer.close(new NodeError("not_leader", "gone"));
  await rejects(running, { code: "not_leader" });
  await rejects(waiting, { code: "not_leader" });
  bench.answer();
  strictEqual(bench.proposed.length, 0);
  strictEqual(bench.closedSessions, 1);
});

Deno.test("DatabaseWriter gives up a session that is ahead of the log when a proposal is refused", async () => {
  const bench = new Bench();
  const refused = bench.write("a");
  bench.refusal = new NodeError("queue_full", "too much");
  bench.answer();
  await rejects(refused, { code: "queue_full" });
  strictEqual(bench.closedSessions, 1);
  bench.refusal = undefined;
  const next = bench.write("b");
  strictEqual(bench.sent[1]!.base !== undefined, true);
  bench.answer();
  bench.commit();
  await next;
});

Deno.test("DatabaseWriter tells the session where pages lie once they are in the log", () => {
  const bench = new Bench();
  const delta = { index: 1, pageCount: 1, pageNumbers: Uint32Array.of(1), positions: Float64Array.of(64) };
  for (const name of ["a", "b", "c"]) bench.write(name).catch(() => {});
  bench.answer();
  bench.writer.onLocated(delta);
  bench.answer({ bodies: [] });
  bench.write("d").catch(() => {});
  deepStrictEqual([bench.sent[2]!.located, bench.sent[2]!.locatedBatch], [[delta], 1]);
});

Deno.test("DatabaseWriter refuses beyond its bound and drops writes that waited past their time", async () => {
  const bench = new Bench();
  bench.write("running").catch(() => {});
  const waiting = Array.from({ length: LIMITS.writeQueueLengthMax }, () => bench.write("w"));
  const settled = Promise.allSettled(waiting);
  await rejects(bench.write("one more"), { code: "queue_full" });
  bench.nowMs = 2_000;
  bench.writer.expire(bench.nowMs);
  const results = await settled;
  strictEqual(
    results.every((result) => result.status === "rejected" && result.reason.code === "timeout"),
    true,
  );
  strictEqual(bench.writer.pendingCount, 1, "only the one that runs");
  throws(() => {
    bench.writer.close(new NodeError("stopping", "x"));
    bench.writer.add({} as PendingWrite);
  }, /is closed/);
});

Deno.test("DatabaseWriter: a lost worker fails the batch it ran and starts over one that only waited (promise 7)", async () => {
  const bench = new Bench();
  const running = bench.write("a");
  bench.writer.onWorkerLost(true);
  await rejects(running, { code: "engine_failed" });
  const innocent = bench.write("b");
  bench.writer.onWorkerLost(false);
  deepStrictEqual(bench.names(2), ["b"]);
  strictEqual(bench.sent[2]!.base !== undefined, true, "in a new session");
  bench.answer();
  bench.commit();
  await innocent;
});

Deno.test("DatabaseWriter: results of the batch before a lost worker find nobody", async () => {
  const bench = new Bench();
  const write = bench.write("a");
  bench.writer.onWorkerLost(false);
  bench.answer({ batchNumber: bench.sent[0]!.batchNumber });
  strictEqual(bench.proposed.length, 0);
  bench.answer();
  bench.commit();
  await write;
});

Deno.test("DatabaseWriter: the parts of a batch that got in before a refusal are void, and its session goes", async () => {
  const bench = new Bench();
  const refused = bench.write("large");
  const refusing = bench.proposed;
  Object.defineProperty(refusing, "push", {
    value: (body: Uint8Array) => {
      bench.refusal = new NodeError("queue_full", "too much");
      return Array.prototype.push.call(refusing, body);
    },
  });
  bench.answer({ bodies: [new Uint8Array([1]), new Uint8Array([2])] });
  await rejects(refused, { code: "queue_full" });
  deepStrictEqual([bench.proposed.length, bench.closedSessions], [1, 1]);
  // The part in the log is no transaction: it locates nothing for the next session.
  bench.refusal = undefined;
  bench.write("next").catch(() => {});
  deepStrictEqual([bench.sent[1]!.located, bench.sent[1]!.locatedBatch], [[], bench.sent[0]!.batchNumber]);
});

Deno.test("DatabaseWriter: a statement may not run longer than its request has left", () => {
  const bench = new Bench();
  bench.write("running").catch(() => {});
  bench.write("waiting").catch(() => {});
  bench.nowMs = 400;
  bench.answer();
  deepStrictEqual(bench.sent.map(({ requests }) => requests[0]!.runMsMax), [1_000, 600]);
});

Deno.test("DatabaseWriter times a batch from the queue to its results, for writes that succeeded", async () => {
  const bench = new Bench();
  const first = bench.write("first");
  bench.nowMs = 3;
  const waiting = [bench.write("good"), bench.write("bad")];
  bench.nowMs = 10;
  bench.answer({ runMs: 6 });
  bench.nowMs = 30;
  const ok = { ok: true, value: { format: "json", count: 1, bytes: new Uint8Array(0) } } as const;
  const error = { code: "constraint_failed", message: "UNIQUE", details: {} } as const;
  bench.answer({ runMs: 15, answers: packAnswers([ok, { ok: false, error }]) });
  bench.nowMs = 31;
  bench.stages.committed(2);
  bench.commit();
  deepStrictEqual((await Promise.allSettled([first, ...waiting])).map(({ status }) => status), [
    "fulfilled",
    "fulfilled",
    "rejected",
  ]);
  const { writes, queueMs, sqliteMs, workerMs } = bench.stages.totals;
  deepStrictEqual({ writes, queueMs, sqliteMs, workerMs }, {
    writes: 2,
    queueMs: 0 + 7,
    sqliteMs: 10 + 20,
    workerMs: 6 + 15,
  });
});

Deno.test("DatabaseWriter does not time a batch that changed nothing", async () => {
  const bench = new Bench();
  const write = bench.write("nothing");
  bench.answer({ bodies: [] });
  bench.stages.committed(1);
  bench.commit();
  await write;
  strictEqual(bench.stages.totals.writes, 0);
});

Deno.test("DatabaseWriter runs again, in a new session, what a batch could not finish, and answers the rest (promise 5)", async () => {
  const bench = new Bench();
  const first = bench.write("first");
  const rest = [bench.write("done"), bench.write("long"), bench.write("refused")];
  bench.answer();
  const error = { code: "constraint_failed", message: "UNIQUE", details: {} } as const;
  const given = { code: "cancelled", message: "", details: {} } as const;
  const done = { ok: true, value: { format: "json", count: 1, bytes: new Uint8Array(0) } } as const;
  const answers = packAnswers([done, { ok: false, error: given }, { ok: false, error }]);
  bench.answer({ answers, unfinished: [1] });
  deepStrictEqual(bench.names(2), ["long"]);
  strictEqual(bench.sent[2]!.base !== undefined, true, "in a new session");
  strictEqual(bench.proposed.length, 2, "what was done is in the log before");
  bench.answer();
  bench.commit();
  deepStrictEqual((await Promise.all([first, rest[0], rest[1]])).map((answer) => answer?.index), [1, 2, 3]);
  await rejects(rest[2]!, { code: "constraint_failed" });
});

Deno.test("DatabaseWriter opens a new session where the next batch runs elsewhere", () => {
  const bench = new Bench();
  void bench.write("a");
  bench.answer();
  void bench.write("b");
  strictEqual(bench.sent[1]!.base, undefined);
  bench.answer();
  bench.placement = "moved";
  void bench.write("c");
  strictEqual(bench.sent[2]!.base !== undefined, true);
  strictEqual(bench.closedSessions, 0, "who decides where it runs has closed the old one");
});

Deno.test("DatabaseWriter tells a session on the same thread of a checkpoint at once; another idle one is closed", () => {
  const bench = new Bench();
  void bench.write("a");
  bench.answer();
  bench.isSessionHere = true;
  bench.writer.onCheckpoint();
  deepStrictEqual(bench.told.map(({ rebase }) => rebase !== undefined), [true]);
  void bench.write("b");
  deepStrictEqual([bench.sent[1]!.base, bench.sent[1]!.rebase], [undefined, undefined]);
  bench.answer();
  bench.isSessionHere = false;
  bench.writer.onCheckpoint();
  strictEqual(bench.closedSessions, 1);
});

Deno.test("DatabaseWriter starts nothing else while it brings the log up to date for a transaction", async () => {
  const bench = new Bench();
  const first = bench.write("first");
  const begun = bench.begin();
  const behind = bench.write("behind");
  behind.catch(() => {});
  bench.placement = "moved";
  // Entries that are published meanwhile make every writer look for work.
  bench.onRefusalToOpen = () => bench.writer.pump();
  bench.answer();
  deepStrictEqual([bench.stepKinds, bench.sent.length], [["begin"], 1]);
  bench.answerStep();
  bench.commit();
  await Promise.all([first, begun]);
  bench.writer.close(new NodeError("not_leader", "gone"));
});

Deno.test("DatabaseWriter refuses a transaction when bringing the log up to date has ended it", async () => {
  const bench = new Bench();
  bench.onRefusalToOpen = () => bench.writer.close(new NodeError("not_leader", "gone"));
  await rejects(bench.begin(), { code: "not_leader" });
  strictEqual(bench.steps.length, 0);
});

Deno.test("DatabaseWriter opens a new session after one that died behind a batch, which counts", async () => {
  const bench = new Bench();
  const first = bench.write("a");
  bench.answer({ isSessionLost: true });
  const second = bench.write("b");
  strictEqual(bench.sent[1]!.base !== undefined, true);
  bench.answer();
  bench.commit();
  deepStrictEqual((await Promise.all([first, second])).map(({ index }) => index), [1, 2]);
});
