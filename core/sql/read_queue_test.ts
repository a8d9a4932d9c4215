import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { QueryCosts, type ReadLane, ReadQueue } from "./read_queue.ts";

Deno.test("QueryCosts: a query is unknown, then short or long; one slow run outweighs many fast ones", () => {
  const costs = new QueryCosts();
  strictEqual(costs.laneOf("a"), "unknown");
  costs.record("a", 0.01);
  strictEqual(costs.laneOf("a"), "short");
  costs.record("a", 100);
  for (let i = 0; i < 50; i++) costs.record("a", 0.01);
  strictEqual(costs.laneOf("a"), "long");
  for (let i = 0; i < 100; i++) costs.record("a", 0.01);
  strictEqual(costs.laneOf("a"), "short");
});

Deno.test("QueryCosts remembers a bounded number of texts of bounded length, the ones that are used", () => {
  const costs = new QueryCosts();
  costs.record("x".repeat(1_001), 0.01);
  strictEqual(costs.laneOf("x".repeat(1_001)), "unknown");
  for (let i = 0; i < 1_500; i++) {
    costs.record("used", 0.01);
    costs.record(`query ${i}`, 0.01);
  }
  deepStrictEqual([costs.laneOf("used"), costs.laneOf("query 0"), costs.laneOf("query 1499")], [
    "short",
    "unknown",
    "short",
  ]);
});

Deno.test("ReadQueue keeps the order of each lane, and puts back in front", () => {
  const queue = new ReadQueue<{ lane: ReadLane; job: { jobId: number } }>();
  const read = (jobId: number, lane: ReadLane) => ({ lane, job: { jobId } });
  for (let i = 1; i <= 3; i++) {
    queue.push(read(i, "short"));
    queue.push(read(10 + i, "long"));
  }
  const taken = queue.take("short", 2);
  queue.putBack(taken);
  deepStrictEqual(
    queue.takeWhere(({ job }) => job.jobId === 12 || job.jobId === 3).map(({ job }) => job.jobId),
    [3, 12],
  );
  deepStrictEqual(queue.take("short", 9).map(({ job }) => job.jobId), [1, 2]);
  deepStrictEqual([queue.length, queue.lengthOf("long")], [2, 2]);
});
