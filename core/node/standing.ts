import { NodeError } from "../base/errors.ts";
import type { LogIndex, Milliseconds, NodeId } from "../base/ids.ts";
import type { Clock } from "../base/ports.ts";

export interface StandingOptions {
  readonly clock: Clock;
  readonly nodeId: NodeId;
  /** The members this node knows. */
  readonly members: () => readonly { readonly id: NodeId }[];
  /** Asks a member. Rejects with NodeError when it cannot be reached or does not lead. */
  readonly ask: (member: NodeId) => Promise<StandingAnswer>;
  readonly onFatal: (error: Error) => void;
}

export interface StandingAnswer {
  readonly isMember: boolean;
  /** The commit index at which that was so. */
  readonly index: LogIndex;
}

/** Far longer than elections take, and the pause between two questions. */
const SILENCE_MS = 5_000;

/**
 * A member that was removed while it could not be reached never hears of it: nobody sends it anything any more. So a node
 * that knows no leader for long asks the others in turn whether it still belongs to them. Ids are never given twice: what a
 * leader says has been removed never comes back, and the node ends itself.
 */
export class Standing {
  readonly #options: StandingOptions;
  #askAtMs: Milliseconds | undefined;
  #turn = 0;

  constructor(options: StandingOptions) {
    this.#options = options;
  }

  /** With every tick. @param leader 0 when unknown */
  sweep(leader: NodeId): void {
    const { clock, nodeId, members } = this.#options;
    const nowMs = clock.nowMs();
    if (leader !== 0) this.#askAtMs = undefined;
    else this.#askAtMs ??= nowMs + SILENCE_MS;
    if (this.#askAtMs === undefined || nowMs < this.#askAtMs) return;
    this.#askAtMs = nowMs + SILENCE_MS;
    const others = members().filter(({ id }) => id !== nodeId);
    const asked = others[this.#turn++ % others.length];
    if (asked !== undefined) void this.#ask(asked.id);
  }

  async #ask(member: NodeId): Promise<void> {
    const { ask, nodeId, onFatal } = this.#options;
    try {
      const { isMember, index } = await ask(member);
      if (isMember) return;
      onFatal(
        new Error(
          `Member ${nodeId} was removed from the cluster at or before index ${index}, says leader ${member}: ` +
            "this process ends. To bring the machine back, start it with an empty data folder and --join",
        ),
      );
    } catch (error) {
      // Not the leader, or out of reach: the next one is asked.
      if (!(error instanceof NodeError)) onFatal(error as Error);
    }
  }
}
