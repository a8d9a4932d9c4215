import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { WriterBench } from "../../tests/support/writer_bench.ts";
import { NodeError } from "../base/errors.ts";
import { LIMITS } from "../base/limits.ts";
import { packAnswers } from "../sql/packed_answers.ts";
import type { Transaction } from "./service.ts";

const STATEMENT = { sql: "s", parameters: [] };
const OPTIONS = { format: "json", rowShape: "arrays", timeoutMs: 1_000 } as const;

async function opened(): Promise<{ bench: WriterBench; transaction: Transaction }> {
  const bench = new WriterBench();
  const begun = bench.begin();
  bench.answerStep();
  return { bench, transaction: await begun };
}

/** Lets everything run that waits for nothing else. */
async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}

async function answered(bench: WriterBench, transaction: Transaction): Promise<void> {
  const done = transaction.run(STATEMENT, OPTIONS);
  bench.answerStep();
  await settle();
  bench.commit();
  await done;
}

Deno.test("OpenTransaction has the writer for itself, in the order of the queue", async () => {
  const bench = new WriterBench();
  const running = bench.write("a");
  const begun = bench.begin();
  const rest = [bench.write("b"), bench.begin(), bench.write("c")];
  deepStrictEqual([bench.sent.length, bench.steps.length], [1, 0]);
  bench.answer();
  deepStrictEqual(bench.stepKinds, ["begin"]);
  strictEqual(bench.steps[0]!.base, undefined, "in the session there is");
  bench.answerStep();
  const transaction = await begun;
  await answered(bench, transaction);
  deepStrictEqual([bench.sent.length, bench.writer.pendingCount, bench.writer.isIdle], [1, 4, false]);
  const committed = transaction.commit(1_000);
  bench.answerStep();
  deepStrictEqual(bench.names(1), ["b"], "not what stands behind the next transaction");
  strictEqual(bench.proposed.length, 2);
  await settle();
  bench.commit();
  deepStrictEqual(await committed, { index: 2 });
  bench.answer();
  deepStrictEqual(bench.stepKinds, ["begin", "run", "commit", "begin"]);
  bench.answerStep();
  const second = await rest[1] as Transaction;
  const rolledBack = second.rollback();
  bench.answerStep();
  await rolledBack;
  deepStrictEqual(bench.names(2), ["c"]);
  bench.answer();
  bench.commit();
  await Promise.all([running, rest[0], rest[2]]);
});

Deno.test("OpenTransaction shows nothing, errors included, before what it saw is confirmed (promises 1, 2)", async () => {
  const { bench, transaction } = await opened();
  let isAnswered = false;
  const failed = transaction.run(STATEMENT, OPTIONS).finally(() => (isAnswered = true));
  failed.catch(() => {});
  const error = { code: "constraint_failed", message: "UNIQUE", details: {} } as const;
  bench.answerStep({ answers: packAnswers([{ ok: false, error }]) });
  await settle();
  deepStrictEqual([isAnswered, bench.confirmedCount], [false, 1]);
  bench.commit();
  await rejects(failed, { code: "constraint_failed" });
  strictEqual(transaction.isOpen, true);
  await answered(bench, transaction);
  strictEqual(bench.confirmedCount, 1, "once is enough: the state is that of its beginning");
});

Deno.test("OpenTransaction.rollback() stops the statement that runs, then rolls back", async () => {
  const { bench, transaction } = await opened();
  const running = transaction.run(STATEMENT, OPTIONS);
  const rolledBack = transaction.rollback();
  strictEqual(transaction.isOpen, false);
  deepStrictEqual([bench.stopped, bench.stepKinds], [[bench.steps[1]!.batchNumber], ["begin", "run"]]);
  bench.answerStep();
  await rejects(running, { code: "sql_error" });
  deepStrictEqual(bench.stepKinds, ["begin", "run", "rollback"]);
  strictEqual(bench.writer.isIdle, false);
  bench.answerStep();
  await rolledBack;
  deepStrictEqual([bench.writer.isIdle, bench.proposed.length], [true, 0]);
});

Deno.test("OpenTransaction: a signal stops the statement it was given with, and no other", async () => {
  const { bench, transaction } = await opened();
  const controller = new AbortController();
  const stopped = transaction.run(STATEMENT, { ...OPTIONS, signal: controller.signal });
  controller.abort();
  deepStrictEqual(bench.stopped, [bench.steps[1]!.batchNumber]);
  const error = { code: "cancelled", message: "stopped", details: {} } as const;
  bench.answerStep({ answers: packAnswers([{ ok: false, error }]) });
  await settle();
  bench.commit();
  await rejects(stopped, { code: "cancelled" });
  strictEqual(transaction.isOpen, true);
  await rejects(transaction.run(STATEMENT, { ...OPTIONS, signal: controller.signal }), { code: "cancelled" });
  const late = new AbortController();
  const done = transaction.run(STATEMENT, { ...OPTIONS, signal: late.signal });
  bench.answerStep();
  await done;
  const next = transaction.run(STATEMENT, OPTIONS);
  late.abort();
  strictEqual(bench.stopped.length, 1);
  bench.answerStep();
  await next;
});

Deno.test("OpenTransaction: a rollback during the commit comes too late when that succeeds", async () => {
  const { bench, transaction } = await opened();
  const committed = transaction.commit(1_000);
  const rolledBack = transaction.rollback();
  bench.answerStep();
  await rolledBack;
  await settle();
  bench.commit();
  deepStrictEqual(await committed, { index: 1 });
  deepStrictEqual(bench.stepKinds, ["begin", "commit"]);
});

Deno.test("OpenTransaction: a refused proposal loses the commit and the session that is ahead of the log", async () => {
  const { bench, transaction } = await opened();
  const committed = transaction.commit(1_000);
  const next = bench.write("next");
  bench.refusal = new NodeError("disk_full", "full");
  bench.answerStep();
  await rejects(committed, { code: "disk_full" });
  deepStrictEqual([bench.closedSessions, transaction.isOpen], [1, false]);
  bench.refusal = undefined;
  strictEqual(bench.sent[0]!.base !== undefined, true, "in a new session");
  bench.answer();
  bench.commit();
  await next;
});

Deno.test("OpenTransaction: a lost worker ends it; one that had not begun begins again (promise 7)", async () => {
  const { bench, transaction } = await opened();
  const running = transaction.run(STATEMENT, OPTIONS);
  const begun = bench.begin();
  bench.writer.onWorkerLost(false);
  await rejects(running, { code: "engine_failed" });
  await rejects(transaction.commit(1_000), { code: "engine_failed" });
  await transaction.rollback();
  deepStrictEqual(bench.stepKinds, ["begin", "run", "begin"]);
  bench.writer.onWorkerLost(false);
  deepStrictEqual(bench.stepKinds, ["begin", "run", "begin", "begin"]);
  strictEqual(bench.steps[3]!.base !== undefined, true, "in a new session");
  bench.answerStep({ batchNumber: bench.steps[2]!.batchNumber });
  bench.answerStep();
  strictEqual((await begun).isOpen, true);
  const blamed = new WriterBench();
  const refused = blamed.begin();
  blamed.writer.onWorkerLost(true);
  await rejects(refused, { code: "engine_failed" });
});

Deno.test("OpenTransaction: closing the writer ends it with the reason; late results find nobody", async () => {
  const { bench, transaction } = await opened();
  const committed = transaction.commit(1_000);
  bench.writer.close(new NodeError("not_leader", "gone"));
  await rejects(committed, { code: "not_leader" });
  bench.answerStep();
  deepStrictEqual([bench.proposed.length, bench.closedSessions], [0, 1]);
  await rejects(transaction.run(STATEMENT, OPTIONS), { code: "not_leader" });
});

Deno.test("OpenTransaction: limits count idle time between statements, and all of it", async () => {
  const { bench, transaction } = await opened();
  const slow = transaction.run(STATEMENT, OPTIONS);
  bench.nowMs += LIMITS.transactionIdleMsMax;
  bench.writer.expire(bench.nowMs);
  bench.answerStep();
  await settle();
  bench.commit();
  await slow;
  bench.nowMs += LIMITS.transactionIdleMsMax - 1;
  bench.writer.expire(bench.nowMs);
  strictEqual(transaction.isOpen, true);
  bench.nowMs += 1;
  bench.writer.expire(bench.nowMs);
  strictEqual(transaction.isOpen, false);
  deepStrictEqual(bench.stepKinds, ["begin", "run", "rollback"]);
  bench.answerStep();
  strictEqual(bench.writer.isIdle, true);

  const other = await opened();
  const stuck = other.transaction.run(STATEMENT, OPTIONS);
  other.bench.nowMs += LIMITS.transactionMsMax;
  other.bench.writer.expire(other.bench.nowMs);
  strictEqual(other.bench.stopped.length, 1);
  other.bench.answerStep();
  await rejects(stuck, (error: NodeError) => error.details.limit?.name === "transactionMsMax");
  strictEqual(other.bench.steps.at(-1)!.step.kind, "rollback");
});

Deno.test("OpenTransaction: one whose beginning comes too late is refused and rolled back", async () => {
  const bench = new WriterBench();
  const begun = bench.begin(300);
  bench.nowMs = 300;
  bench.writer.expire(bench.nowMs);
  await rejects(begun, { code: "timeout" });
  bench.answerStep();
  deepStrictEqual(bench.stepKinds, ["begin", "rollback"]);
  bench.answerStep();
  ok(bench.writer.isIdle);
});

Deno.test("OpenTransaction: a checkpoint meanwhile is told to its session, which stays", async () => {
  const { bench, transaction } = await opened();
  bench.writer.onCheckpoint();
  strictEqual(bench.closedSessions, 0);
  await answered(bench, transaction);
  deepStrictEqual([bench.steps[1]!.rebase !== undefined, bench.steps[1]!.base], [true, undefined]);
  bench.writer.close(new NodeError("stopping", "x"));
});

Deno.test("OpenTransaction: a rollback that fails costs the session", async () => {
  const { bench, transaction } = await opened();
  const rolledBack = transaction.rollback();
  const error = { code: "sql_error", message: "?", details: {} } as const;
  bench.answerStep({ answers: packAnswers([{ ok: false, error }]), isOpen: true });
  await rolledBack;
  deepStrictEqual([bench.closedSessions, bench.writer.isIdle], [1, true]);
});
