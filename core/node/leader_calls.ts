import { NodeError } from "../base/errors.ts";
import type { Milliseconds, NodeId } from "../base/ids.ts";
import type { Clock } from "../base/ports.ts";

export interface LeaderCallsHost {
  readonly clock: Clock;
  readonly leads: () => boolean;
  /** 0 when unknown. */
  readonly leader: () => NodeId;
  readonly leaderHttpAddress: () => string | undefined;
}

/** How long to wait before looking for a leader again. */
const RETRY_MS = 20;

/**
 * Runs an operation where it can be run: here when this node leads, else at the leader, over the peer connection. A
 * request is passed on once; the other side never passes it further. An answer that says nothing happened is tried again
 * until the deadline, because elections end.
 */
export class LeaderCalls {
  readonly #host: LeaderCallsHost;
  readonly #sleepers = new Set<() => void>();
  #stopped = false;

  constructor(host: LeaderCallsHost) {
    this.#host = host;
  }

  async run<T>(
    deadlineMs: Milliseconds,
    local: () => Promise<T>,
    remote: (leader: NodeId, timeoutMs: Milliseconds) => Promise<T>,
  ): Promise<T> {
    const { clock } = this.#host;
    let last: NodeError | undefined;
    for (;;) {
      try {
        if (this.#host.leads()) return await local();
        const leader = this.#host.leader();
        if (leader !== 0) return await atLeader(remote(leader, Math.max(1, deadlineMs - clock.nowMs())));
        last ??= new NodeError("no_leader", "No leader is known; nothing was logged; try again");
      } catch (error) {
        if (!(error instanceof NodeError)) throw error;
        if (error.code !== "not_leader" && error.code !== "no_leader") throw this.#withLeader(error);
        last = error;
      }
      if (clock.nowMs() + RETRY_MS >= deadlineMs) throw this.#withLeader(last);
      await this.#sleep();
      if (this.#stopped) throw new NodeError("stopping", "The node is stopping; nothing was logged");
    }
  }

  /** Ends every wait for a leader. */
  stop(): void {
    this.#stopped = true;
    this.wake();
  }

  /** A leader is known now: look at once. */
  wake(): void {
    for (const wake of [...this.#sleepers]) wake();
  }

  #sleep(): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        cancel();
        this.#sleepers.delete(wake);
        resolve();
      };
      const cancel = this.#host.clock.after(RETRY_MS, wake);
      this.#sleepers.add(wake);
    });
  }

  #withLeader(error: NodeError): NodeError {
    const leader = this.#host.leaderHttpAddress();
    if (leader === undefined || error.details.leader !== undefined) return error;
    return new NodeError(error.code, error.message, { ...error.details, leader }, { cause: error });
  }
}

/** A leader that is shutting down logged nothing, and the next one can be asked. */
async function atLeader<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (!(error instanceof NodeError) || error.code !== "stopping") throw error;
    throw new NodeError("not_leader", error.message, error.details, { cause: error });
  }
}
