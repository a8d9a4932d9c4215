/**
 * Clusters of cores under drawn faults. Every run comes from one seed; a failure names it, and
 * `RAFT_SEED=<seed> deno test -A core/raft/raft_random_test.ts` repeats it. `RAFT_SEEDS=<count>` runs more of them.
 */
import { assert } from "../base/assert.ts";
import { RaftCluster } from "../../tests/support/raft_cluster.ts";

const STEPS = 1_500;

/** Seeds that show a fault the core once had, or that few seeds would show; each with what it finds. */
const REGRESSIONS: ReadonlyMap<number, string> = new Map([
  [351, "a removed voter whose removal is not committed is needed to win"],
  [5203, "the log is compacted below a tail whose memberships were not searched yet"],
  [205, "entries of older terms are not committed by counting"],
  [2307, "a joint election needs both majorities"],
]);

function runSeed(seed: number): RaftCluster {
  const cluster = new RaftCluster(seed);
  try {
    for (let step = 0; step < STEPS; step++) cluster.step();
    cluster.healAndFinish();
  } catch (cause) {
    throw new Error(`Seed ${seed}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
  return cluster;
}

const only = Deno.env.get("RAFT_SEED");

Deno.test("Raft keeps its promises under drawn faults (promise 1, promise 4, promise 5)", () => {
  if (only !== undefined) return void runSeed(Number(only));
  const totals = { reads: 0, leaseReads: 0, leaders: 0, commits: 0, changes: 0, spares: 0 };
  const count = Number(Deno.env.get("RAFT_SEEDS") ?? 600);
  for (let seed = 1; seed <= count; seed++) {
    const { checker, counts } = runSeed(seed);
    totals.reads += checker.readsServed;
    totals.leaseReads += checker.leaseReads;
    totals.leaders += checker.leadersSeen;
    totals.commits += checker.highestCommit;
    totals.changes += counts["changed"] ?? 0;
    totals.spares += counts["spare"] ?? 0;
  }
  if (Deno.env.get("RAFT_TOTALS") !== undefined) console.log(totals);
  // A run in which nothing happens would prove nothing.
  assert(totals.reads > count, () => `Only ${totals.reads} reads were served in ${count} runs`);
  assert(totals.leaseReads > count, () => `Only ${totals.leaseReads} reads under leases in ${count} runs`);
  assert(totals.leaders > 2 * count, () => `Only ${totals.leaders} leaders in ${count} runs`);
  assert(totals.commits > 20 * count, () => `Only ${totals.commits} entries committed in ${count} runs`);
  assert(totals.changes > count / 3, () => `Only ${totals.changes} changes of members in ${count} runs`);
  assert(totals.spares > count / 40, () => `Only ${totals.spares} of ${count} runs ended with a spare`);
});

for (const [seed, finds] of REGRESSIONS) {
  Deno.test(`Raft seed ${seed}: ${finds}`, () => void runSeed(seed));
}
