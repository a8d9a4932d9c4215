import type { Milliseconds, NodeId } from "../base/ids.ts";
import type { Clock, EventSink } from "../base/ports.ts";
import { hasAddresses, type Member, type Membership, traitsOf } from "../raft/membership.ts";
import type { NewMember } from "./service.ts";

export interface AnnouncementOptions {
  readonly clock: Clock;
  readonly events: EventSink;
  readonly nodeId: NodeId;
  /** What this process was started with. */
  readonly addresses: NewMember;
  readonly membership: () => Membership;
  readonly announce: (member: NewMember & { id: NodeId }, deadlineMs: Milliseconds) => Promise<unknown>;
}

const ANNOUNCE_MS_MAX = 30_000;

/** A member that was started with other addresses or traits than before tells the leader once it knows one. */
export class Announcement {
  readonly #options: AnnouncementOptions;
  #isDone = false;

  constructor(options: AnnouncementOptions) {
    this.#options = options;
  }

  /** To be called when a leader is known, as often as one likes. */
  attempt(): void {
    const { clock, events, nodeId, addresses, membership, announce } = this.#options;
    const self = membership().members.find(({ id }) => id === nodeId);
    if (this.#isDone || self === undefined) return;
    this.#isDone = true;
    if (hasAddresses(self, addresses) && hasTraits(self, addresses)) return;
    announce({ id: nodeId, ...addresses }, clock.nowMs() + ANNOUNCE_MS_MAX).catch((error) => {
      this.#isDone = false;
      events.event("addresses_not_announced", { reason: String(error) });
    });
  }
}

/** Traits that are not named stay as they are. */
function hasTraits(member: Member, { weight, failureDomain }: NewMember): boolean {
  const current = traitsOf(member);
  return (weight === undefined || weight === (current.weight ?? 0)) &&
    (failureDomain === undefined || failureDomain === (current.failureDomain ?? 0));
}
