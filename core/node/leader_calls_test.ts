import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { NodeError } from "../base/errors.ts";
import { LeaderCalls } from "./leader_calls.ts";

class Bench {
  now = 0;
  leads = false;
  leaderId = 0;
  readonly calls: string[] = [];
  remoteError: NodeError | undefined;
  readonly leaderCalls = new LeaderCalls({
    clock: {
      nowMs: () => this.now,
      wallMs: () => 0,
      after: (delayMs, callback) => {
        queueMicrotask(() => {
          this.now += delayMs;
          this.onSleep();
          callback();
        });
        return () => {};
      },
    },
    leads: () => this.leads,
    leader: () => this.leaderId,
    leaderHttpAddress: () => "127.0.0.1:4002",
  });
  onSleep: () => void = () => {};

  run(): Promise<string> {
    return this.leaderCalls.run(
      1_000,
      () => Promise.resolve("here"),
      (leader) => {
        this.calls.push(`at ${leader}`);
        return this.remoteError === undefined
          ? Promise.resolve(`at ${leader}`)
          : Promise.reject(this.remoteError);
      },
    );
  }
}

Deno.test("LeaderCalls runs here on the leader and passes on once elsewhere", async () => {
  const bench = new Bench();
  bench.leaderId = 2;
  strictEqual(await bench.run(), "at 2");
  bench.leads = true;
  strictEqual(await bench.run(), "here");
});

Deno.test("LeaderCalls tries again while nothing happened, and follows a leader change", async () => {
  const bench = new Bench();
  bench.leaderId = 2;
  bench.remoteError = new NodeError("not_leader", "not me");
  bench.onSleep = () => {
    bench.leaderId = 3;
    bench.remoteError = undefined;
  };
  strictEqual(await bench.run(), "at 3");
  deepStrictEqual(bench.calls, ["at 2", "at 3"]);
});

Deno.test("LeaderCalls never repeats what may have happened (promise 5), and names the leader", async () => {
  const bench = new Bench();
  bench.leaderId = 2;
  bench.remoteError = new NodeError("commit_unknown", "connection lost");
  await rejects(bench.run(), { code: "commit_unknown", details: { leader: "127.0.0.1:4002" } });
  strictEqual(bench.calls.length, 1);
});

Deno.test("LeaderCalls gives up at the deadline when nobody leads", async () => {
  const bench = new Bench();
  await rejects(bench.run(), { code: "no_leader" });
});

Deno.test("LeaderCalls asks the next leader when the one asked is stopping", async () => {
  const bench = new Bench();
  bench.leaderId = 2;
  bench.remoteError = new NodeError("stopping", "nothing was logged");
  bench.onSleep = () => {
    bench.leaderId = 3;
    bench.remoteError = undefined;
  };
  strictEqual(await bench.run(), "at 3");
});

Deno.test("LeaderCalls.stop() ends every wait for a leader", async () => {
  const bench = new Bench();
  const waiting = bench.run();
  bench.leaderCalls.stop();
  await rejects(waiting, { code: "stopping" });
  strictEqual(bench.now <= 20, true, "at once, not at the deadline");
});
