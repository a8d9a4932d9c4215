import { NodeError } from "../base/errors.ts";
import type { LogIndex, NodeId } from "../base/ids.ts";
import { decodeMembership, isSpare, type Membership } from "../raft/membership.ts";
import type { Raft } from "../raft/raft.ts";

/** What a leader tells its spares. */
export interface MembershipNews {
  /** The leader's commit index. */
  readonly index: LogIndex;
  /** The encoded membership in force there. */
  readonly membership: Uint8Array;
}

export interface ToldMembershipOptions {
  readonly raft: Pick<Raft, "commitIndex" | "membership">;
  readonly nodeId: NodeId;
  /** The membership this node goes by is another one now. */
  readonly onChange: (membership: Membership) => void;
}

/**
 * A spare does not receive the log, so its own log does not tell who belongs to the cluster, or even that it is a spare:
 * leaders tell it. What they say counts until the log has come as far, which it does when the node gets another role. Lost
 * with the process: the next leader that is heard says it again.
 */
export class ToldMembership {
  readonly #options: ToldMembershipOptions;
  #told: { readonly index: LogIndex; readonly membership: Membership } | undefined;

  constructor(options: ToldMembershipOptions) {
    this.#options = options;
  }

  /** @throws Error when the membership is of a format this version does not know */
  hear({ index, membership: bytes }: MembershipNews): void {
    const { raft, nodeId, onChange } = this.#options;
    if (index <= raft.commitIndex || index < (this.#told?.index ?? 0)) return;
    const membership = decodeMembership(bytes);
    if (!isSpare(membership, nodeId)) return;
    this.#told = { index, membership };
    onChange(membership);
  }

  /** With every tick: what was told is forgotten when the log has come as far. */
  sweep(): void {
    const { raft, onChange } = this.#options;
    if (this.#told === undefined || this.#told.index > raft.commitIndex) return;
    this.#told = undefined;
    onChange(raft.membership);
  }

  /** The newest membership this node knows. */
  get current(): Membership {
    const { raft } = this.#options;
    return this.#told !== undefined && this.#told.index > raft.commitIndex
      ? this.#told.membership
      : raft.membership;
  }

  /** The databases here are as old as the last entry received, or missing: nothing can be read from them. */
  get isSpare(): boolean {
    return isSpare(this.current, this.#options.nodeId);
  }
}

/** What a spare answers where forwarding makes no sense. @param leader its HTTP address, for clients that follow it */
export function leftToLeader(what: string, leader: string | undefined): NodeError {
  const message = `Cannot ${what}: this member is a spare and holds no databases; ask the leader`;
  return new NodeError("not_leader", message, leader === undefined ? {} : { leader });
}
