import type { Milliseconds, NodeId, Term } from "../base/ids.ts";
import type { Clock, Random } from "../base/ports.ts";
import type { Raft } from "../raft/raft.ts";
import type { Driver } from "./driver.ts";
import { campaignPauseMs } from "./succession.ts";

/** An election that somebody else has begun takes two syncs and a few messages; beyond this it has failed. */
const ELECTION_MS = 250;

export interface VacancyOptions {
  readonly raft: Pick<
    Raft,
    "forgetLeader" | "campaign" | "term" | "membership" | "allFreeAfterMs" | "status"
  >;
  readonly driver: Pick<Driver, "leader" | "term" | "schedule">;
  readonly clock: Clock;
  readonly random: Random;
  readonly nodeId: NodeId;
}

/**
 * The leader's process is gone: no need to wait for the election timeout. Each follower lets go of the leader at once, so
 * that it may vote, and campaigns when it is its turn.
 */
export class Vacancy {
  readonly #options: VacancyOptions;
  #isStopped = false;

  constructor(options: VacancyOptions) {
    this.#options = options;
  }

  /** The process of this member is gone; nothing is done about one that did not lead. */
  onGone(lost: NodeId): void {
    const { raft, driver, random, nodeId: self } = this.#options;
    if (lost !== driver.leader || this.#isStopped) return;
    raft.forgetLeader();
    driver.schedule();
    const { voters, members } = raft.membership;
    const heirs = members.filter(({ id }) => voters.includes(id));
    // The connection may be gone, and a leader with a lease may not. All wait equally long, or turns would overlap.
    const pauseMs = raft.allFreeAfterMs +
      campaignPauseMs(heirs, { lost, self, term: driver.term }, random.next());
    this.#waitForTurn(raft.term, pauseMs);
  }

  /**
   * Campaigns after the pause, unless somebody else has begun meanwhile: this node has voted in a newer term then. Another
   * campaign would depose the winner, who may lead already without this node having heard of it; so it gets its time.
   */
  #waitForTurn(term: Term, pauseMs: Milliseconds): void {
    const { raft, driver, clock } = this.#options;
    clock.after(pauseMs, () => {
      // The driver may not have looked since: who has the first turn hardly waits.
      if (this.#isStopped || raft.status().leader !== 0) return;
      if (raft.term !== term) return this.#waitForTurn(raft.term, ELECTION_MS);
      raft.campaign();
      driver.schedule();
    });
  }

  stop(): void {
    this.#isStopped = true;
  }
}
