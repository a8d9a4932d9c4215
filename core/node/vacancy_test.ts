import { deepStrictEqual } from "node:assert/strict";
import { ManualClock } from "../../tests/support/manual_clock.ts";
import { Vacancy } from "./vacancy.ts";

const MEMBERSHIP = {
  voters: [1, 2, 3],
  votersOutgoing: [],
  learners: [],
  standBys: [],
  spares: [],
  members: [1, 2, 3].map((id) => ({ id, raftAddress: `127.0.0.1:${id}`, httpAddress: `127.0.0.1:8${id}` })),
  nextNodeId: 4,
};

/** Member 2 of three, whose leader was member 1, in term 5. */
class Bench {
  readonly clock = new ManualClock();
  leader = 0;
  readonly campaignsMs: number[] = [];
  readonly raft = {
    term: 5,
    membership: MEMBERSHIP,
    allFreeAfterMs: 0,
    forgetLeader: () => {},
    campaign: () => void this.campaignsMs.push(this.clock.nowMs()),
    status: () => ({
      role: "follower" as const,
      term: this.raft.term,
      leader: this.leader,
      commitIndex: 9,
      membershipPending: false,
      transferTarget: 0,
      progress: [],
    }),
  };
  readonly vacancy = new Vacancy({
    raft: this.raft,
    driver: { leader: 1, term: 5, schedule: () => {} },
    clock: this.clock,
    random: { next: () => 0, bytes: (count) => new Uint8Array(count) },
    nodeId: 2,
  });

  constructor() {
    this.vacancy.onGone(1);
  }

  /** In steps as small as turns are apart. */
  after(milliseconds: number): void {
    for (let passed = 0; passed < milliseconds; passed += 5) this.clock.advance(5);
  }
}

Deno.test("Vacancy: whose turn comes campaigns once, unless there is a leader by then", () => {
  const alone = new Bench();
  alone.after(2_000);
  deepStrictEqual(alone.campaignsMs.length, 1);
  const late = new Bench();
  late.leader = 3;
  late.after(2_000);
  deepStrictEqual(late.campaignsMs, []);
});

Deno.test("Vacancy: who has voted for another one does not campaign against it before that had its time", () => {
  const bench = new Bench();
  bench.raft.term = 6;
  bench.after(200);
  deepStrictEqual(bench.campaignsMs, []);
  // The other one has not made it.
  bench.after(200);
  deepStrictEqual(bench.campaignsMs.length, 1);

  const won = new Bench();
  won.raft.term = 6;
  won.after(200);
  won.leader = 3;
  won.after(2_000);
  deepStrictEqual(won.campaignsMs, []);
});
