import type { NodeId } from "../base/ids.ts";
import type { Clock, Random } from "../base/ports.ts";
import type { Raft } from "../raft/raft.ts";
import type { Driver } from "./driver.ts";
import { campaignPauseMs } from "./succession.ts";

export interface VacancyOptions {
  readonly raft: Raft;
  readonly driver: Driver;
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
    const { raft, driver, clock, random, nodeId: self } = this.#options;
    if (lost !== driver.leader || this.#isStopped) return;
    raft.forgetLeader();
    driver.schedule();
    const { voters, members } = raft.membership;
    const heirs = members.filter(({ id }) => voters.includes(id));
    // The connection may be gone, and a leader with a lease may not. All wait equally long, or turns would overlap.
    const pauseMs = raft.allFreeAfterMs +
      campaignPauseMs(heirs, { lost, self, term: driver.term }, random.next());
    clock.after(pauseMs, () => {
      // The driver may not have looked since: who has the first turn hardly waits.
      if (this.#isStopped || raft.status().leader !== 0) return;
      raft.campaign();
      driver.schedule();
    });
  }

  stop(): void {
    this.#isStopped = true;
  }
}
