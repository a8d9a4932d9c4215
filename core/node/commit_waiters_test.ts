import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { NodeError } from "../base/errors.ts";
import { CommitWaiters } from "./commit_waiters.ts";

const unknown = (): NodeError => new NodeError("commit_unknown", "no news");

Deno.test("CommitWaiters resolves a write when its entry is committed, in any order of waiting", async () => {
  const waiters = new CommitWaiters();
  const done: number[] = [];
  const waits = [7, 5, 6].map((index) =>
    waiters.wait(index, 2, Infinity, unknown).then((at) => done.push(at))
  );
  waiters.published(6, () => 2);
  await Promise.resolve();
  await Promise.resolve();
  deepStrictEqual(done.toSorted(), [5, 6]);
  waiters.published(7, () => 2);
  await Promise.all(waits);
  strictEqual(waiters.size, 0);
});

Deno.test("CommitWaiters says `not_leader` only when another entry was committed in its place (promise 5)", async () => {
  const waiters = new CommitWaiters();
  const lost = waiters.wait(5, 2, Infinity, unknown);
  waiters.published(4, () => 3);
  strictEqual(waiters.size, 1, "a newer term alone decides nothing");
  waiters.published(5, () => 3);
  await rejects(lost, { code: "not_leader" });
});

Deno.test("CommitWaiters: what a snapshot stands for may have been committed or not (promise 5)", async () => {
  const waiters = new CommitWaiters();
  const lost = waiters.wait(5, 2, Infinity, unknown);
  waiters.published(9, () => undefined);
  await rejects(lost, { code: "commit_unknown" });
});

Deno.test("CommitWaiters.expire() leaves the fate open (promise 5)", async () => {
  const waiters = new CommitWaiters();
  const late = waiters.wait(5, 2, 100, unknown);
  const early = waiters.wait(6, 2, 300, unknown);
  waiters.expire(200);
  await rejects(late, { code: "commit_unknown" });
  waiters.published(6, () => 2);
  strictEqual(await early, 6);
});

Deno.test("CommitWaiters.rejectAll() also refuses who comes later: nobody would ever be told", async () => {
  const waiters = new CommitWaiters();
  const unknown = () => new NodeError("commit_unknown", "stopped");
  const before = waiters.wait(1, 1, Infinity, unknown);
  waiters.rejectAll();
  await rejects(before, { code: "commit_unknown" });
  await rejects(waiters.wait(2, 1, Infinity, unknown), { code: "commit_unknown" });
  strictEqual(waiters.size, 0);
});
