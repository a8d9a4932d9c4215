import type { NodeId } from "../base/ids.ts";
import type { Clock, PeerAddress } from "../base/ports.ts";
import { decodeMembership } from "../raft/membership.ts";
import type { Driver } from "./driver.ts";
import type { MembershipNews } from "./told_membership.ts";

export interface IntroductionsOptions {
  readonly clock: Clock;
  readonly driver: Driver;
  /** What this node says of itself. */
  readonly self: PeerAddress;
  /** @param news for spares: what others learn from their logs */
  readonly call: (to: NodeId, self: PeerAddress, news: MembershipNews | undefined) => Promise<unknown>;
  /** The peers changed: connections must follow. */
  readonly onChange: () => void;
}

/** Silent members are told who leads or campaigns at this pace, and spares who belongs to the cluster. */
const REPEAT_MS = 1_000;
/** Members that were heard of but are in no membership here yet; more than a few at once would be a mistake. */
const KNOWN_MAX = 16;

/**
 * A member that was away may never have heard of the one that leads now, or that asks for its vote: it gets its messages
 * and has no address for the answers, so the leader can never learn what it lacks, and the candidate cannot be elected. A
 * leader therefore introduces itself to members that are silent, and a candidate to all voters, by a call, whose answer
 * comes back over the same connection. Spares, which do not receive the log, are told in the same way what is in force.
 */
export class Introductions {
  readonly #options: IntroductionsOptions;
  readonly #known = new Map<NodeId, PeerAddress>();
  #nextMs = 0;

  constructor(options: IntroductionsOptions) {
    this.#options = options;
  }

  /** Another member said that it leads or campaigns. */
  heard(peer: PeerAddress): void {
    if (this.#known.get(peer.id)?.raftAddress === peer.raftAddress) return;
    this.#known.delete(peer.id);
    this.#known.set(peer.id, peer);
    const [oldest] = this.#known.keys();
    if (this.#known.size > KNOWN_MAX) this.#known.delete(oldest as NodeId);
    this.#options.onChange();
  }

  /** The peers of the membership and those that have introduced themselves. */
  withKnown(members: readonly PeerAddress[]): PeerAddress[] {
    for (const { id } of members) this.#known.delete(id);
    return [...members, ...this.#known.values()];
  }

  /** Called with every tick. */
  sweep(): void {
    const { clock, driver } = this.#options;
    if (driver.role === "follower" || clock.nowMs() < this.#nextMs) return;
    this.#nextMs = clock.nowMs() + REPEAT_MS;
    if (driver.role === "leader") this.#asLeader();
    else this.#asCandidate();
  }

  #asCandidate(): void {
    const { driver, self, call } = this.#options;
    const { voters, votersOutgoing } = driver.raft.membership;
    for (const id of new Set([...voters, ...votersOutgoing])) {
      if (id !== self.id) call(id, self, undefined).catch(() => {});
    }
  }

  #asLeader(): void {
    const { driver: { raft }, self, call } = this.#options;
    const committed = raft.membership.spares.length > 0 ? raft.committedMembership() : undefined;
    const spares = committed === undefined ? [] : decodeMembership(committed).spares;
    for (const { id, recentActive } of raft.status().progress) {
      const news = committed !== undefined && spares.includes(id)
        ? { index: raft.commitIndex, membership: committed }
        : undefined;
      if (news !== undefined || !recentActive) call(id, self, news).catch(() => {});
    }
  }
}
