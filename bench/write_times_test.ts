import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { writeTimes, writeTimesText } from "./write_times.ts";

/** Metrics of a leader after some writes of 28 ms. */
function leader(writes: number, sentBytes: number): string {
  const stages = ["parse", "queue", "sqlite", "log", "fsync", "network", "answer"];
  const seconds = stages.map((stage, i) =>
    `walraft_write_${stage}_seconds_total ${writes * (i + 1) / 1_000}`
  );
  return [
    `walraft_writes_total ${writes}`,
    ...seconds,
    `walraft_write_sqlite_worker_seconds_total ${writes * 2 / 1_000}`,
    `walraft_log_bytes_total ${writes * 300}`,
    `walraft_peer_sent_bytes_total ${sentBytes}`,
  ].join("\n");
}

const follower = (sentBytes: number): string =>
  `walraft_writes_total 0\nwalraft_peer_sent_bytes_total ${sentBytes}`;

Deno.test("writeTimes: the mean of the writes between two moments, and the bytes of all members", () => {
  const times = writeTimes([leader(10, 500), follower(5)], [leader(14, 900), follower(25)]);
  const round = (ms: number): number => Math.round(ms * 1e6) / 1e6;
  deepStrictEqual(times && { ...times, workerMs: round(times.workerMs), stagesMs: 0 }, {
    writes: 4,
    workerMs: 2,
    logBytes: 300,
    networkBytes: 105,
    stagesMs: 0,
  });
  deepStrictEqual(Object.entries(times!.stagesMs).map(([stage, ms]) => [stage, round(ms)]), [
    ["parse", 1],
    ["queue", 2],
    ["sqlite", 3],
    ["log", 4],
    ["fsync", 5],
    ["network", 6],
    ["answer", 7],
  ]);
  strictEqual(
    writeTimesText(times!, 30),
    "One write in ms: parse 1.000, queue 2.000, sqlite 3.000 (2.000 in the worker), log 4.000, fsync 5.000, " +
      "network 6.000, answer 7.000; together 28.000 of the 30.000 that the client waits on average. " +
      "300 bytes of log, 105 bytes between members",
  );
});

Deno.test("writeTimes: reads have no such times", () => {
  strictEqual(writeTimes([leader(10, 500)], [leader(10, 600)]), undefined);
});
