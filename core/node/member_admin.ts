import { NodeError } from "../base/errors.ts";
import type { LogIndex, Milliseconds, NodeId } from "../base/ids.ts";
import type { Clock, EventSink } from "../base/ports.ts";
import type { Membership } from "../raft/membership.ts";
import type { ChangeRefusal, MembershipChange } from "../raft/plan_change.ts";
import type { Driver } from "./driver.ts";
import type { MemberStatus, NewMember } from "./service.ts";

export interface MemberAdminOptions {
  readonly driver: Driver;
  readonly clock: Clock;
  readonly events: EventSink;
  /** Length of a tick of the Raft core. */
  readonly tickMs: Milliseconds;
  /** Resolves when everything in the log now is committed. */
  readonly barrier: (deadlineMs: Milliseconds) => Promise<LogIndex>;
}

/** A learner this close to the tip is promoted: the rest arrives while the change is being committed. */
const PROMOTION_LAG_MAX = 256;
/** Pause before a change that met another one is tried again. */
const CHANGE_RETRY_MS = 50;

/** Changes of members and of leadership, on the leader. */
export class MemberAdmin {
  readonly #options: MemberAdminOptions;
  #promoting = false;

  constructor(options: MemberAdminOptions) {
    this.#options = options;
  }

  /**
   * Adds a learner. A member that had the same address is an earlier life of the same machine whose disk is gone: it
   * leaves in the same step, because a node without its log must not vote under its old id.
   */
  async add(member: NewMember, deadlineMs: Milliseconds): Promise<{ id: NodeId; membership: Membership }> {
    const added = await this.#change((membership) => {
      const replaces = membership.members
        .filter((other) => other.raftAddress === member.raftAddress)
        .map((other) => other.id);
      return [{ kind: "add", ...member, replaces }];
    }, deadlineMs);
    const id = added[0] as NodeId;
    this.#options.events.event("member_added", { id, ...member });
    return { id, membership: this.#options.driver.raft.membership };
  }

  /**
   * A leader that is to go hands over first and refuses with `not_leader`, so that the request is repeated at its successor:
   * the cluster is never without a leader for it, and the answer does not come over a connection that is being closed.
   */
  async remove(id: NodeId, deadlineMs: Milliseconds): Promise<void> {
    const { driver } = this.#options;
    if (driver.role === "leader" && driver.leader === id && driver.raft.membership.voters.length > 1) {
      await this.transfer(undefined, deadlineMs);
      throw new NodeError("not_leader", `Member ${id} led and has handed over; nothing was logged`);
    }
    await this.#change(() => [{ kind: "remove", id }], deadlineMs);
    this.#options.events.event("member_removed", { id });
  }

  /** A member that started with other addresses than before. */
  async setAddresses(id: NodeId, member: NewMember, deadlineMs: Milliseconds): Promise<void> {
    await this.#change(() => [{ kind: "set_addresses", id, ...member }], deadlineMs);
  }

  /** Resolves when another node leads. */
  async transfer(to: NodeId | undefined, deadlineMs: Milliseconds): Promise<{ leaderId: NodeId }> {
    const { driver, clock } = this.#options;
    if (driver.role !== "leader") {
      throw new NodeError("not_leader", "Cannot hand leadership over: this node does not lead");
    }
    const self = driver.leader;
    const target = to ?? this.#mostCaughtUp();
    if (target === undefined) {
      throw new NodeError(
        "membership_change_refused",
        "Cannot hand leadership over: there is no other voter",
      );
    }
    if (target === self) return { leaderId: self };
    if (!driver.raft.membership.voters.includes(target)) {
      throw new NodeError(
        "member_not_found",
        `Cannot hand leadership to member ${target}: it is not a voter`,
      );
    }
    driver.raft.transferLeadership(target);
    driver.schedule();
    while (driver.leader === self || driver.leader === 0) {
      if (clock.nowMs() >= deadlineMs) {
        throw new NodeError(
          "timeout",
          `Member ${target} did not take over leadership in time; nothing changed`,
        );
      }
      await sleep(clock, 10);
    }
    return { leaderId: driver.leader };
  }

  /** Promotes learners that have caught up; called with every tick on the leader. */
  sweep(): void {
    const { driver, clock, events } = this.#options;
    if (this.#promoting || driver.role !== "leader") return;
    const status = driver.raft.status();
    const ready = status.progress.find((follower) =>
      driver.raft.membership.learners.includes(follower.id) && follower.recentActive && follower.match > 0 &&
      follower.match + PROMOTION_LAG_MAX >= driver.raft.lastIndex
    );
    if (ready === undefined) return;
    this.#promoting = true;
    this.#change(() => [{ kind: "promote", id: ready.id }], clock.nowMs() + 5_000).then(
      () => events.event("member_promoted", { id: ready.id }),
      (error) => events.event("promotion_failed", { id: ready.id, reason: String(error) }),
    ).finally(() => {
      this.#promoting = false;
    });
  }

  /** Members as this node sees them; progress is known to the leader only. */
  members(): MemberStatus[] {
    const { driver, tickMs } = this.#options;
    const membership = driver.raft.membership;
    const leads = driver.role === "leader";
    const progress = new Map(driver.raft.status().progress.map((follower) => [follower.id, follower]));
    const tip = driver.raft.lastIndex;
    return membership.members.map((member): MemberStatus => {
      const isLeader = member.id === driver.leader;
      const follower = progress.get(member.id);
      const known = leads && (isLeader || follower !== undefined);
      const matchIndex = isLeader ? tip : follower?.match;
      return {
        ...member,
        role: isLeader ? "leader" : membership.voters.includes(member.id) ? "voter" : "learner",
        matchIndex: known ? matchIndex : undefined,
        lag: known && matchIndex !== undefined ? tip - matchIndex : undefined,
        lastContactMs: !known ? undefined : isLeader ? 0 : (follower?.ticksSinceContact ?? 0) * tickMs,
      };
    });
  }

  /** Makes one change at a time; waits for the one before. Returns the ids of new members. */
  async #change(
    plan: (membership: Membership) => readonly MembershipChange[],
    deadlineMs: Milliseconds,
  ): Promise<readonly NodeId[]> {
    const { driver, clock } = this.#options;
    for (;;) {
      if (driver.role !== "leader") {
        throw new NodeError(
          "not_leader",
          "Cannot change members: this node does not lead; nothing was logged",
        );
      }
      const proposed = driver.raft.proposeMembership(plan(driver.raft.membership));
      driver.schedule();
      if (proposed.refused === undefined) {
        await this.#options.barrier(deadlineMs);
        return proposed.added;
      }
      const waits = proposed.refused === "change_pending" || proposed.refused === "term_not_committed";
      if (!waits) throw refusal(proposed.refused);
      if (clock.nowMs() + CHANGE_RETRY_MS > deadlineMs) throw refusal(proposed.refused);
      await sleep(clock, CHANGE_RETRY_MS);
    }
  }

  #mostCaughtUp(): NodeId | undefined {
    const { raft } = this.#options.driver;
    let best: { id: NodeId; match: LogIndex } | undefined;
    for (const follower of raft.status().progress) {
      if (!raft.membership.voters.includes(follower.id) || !follower.recentActive) continue;
      if (best === undefined || follower.match > best.match) best = follower;
    }
    return best?.id;
  }
}

function refusal(reason: ChangeRefusal | "not_leader" | "transferring" | "term_not_committed"): NodeError {
  switch (reason) {
    case "member_not_found":
      return new NodeError("member_not_found", "Cannot change members: there is no member of that id");
    case "not_leader":
    case "transferring":
      return new NodeError("not_leader", "Cannot change members: leadership is moving; nothing was logged");
    case "change_pending":
    case "term_not_committed":
      return new NodeError(
        "timeout",
        "Cannot change members: another change was not finished in time; nothing was logged",
      );
    default:
      return new NodeError(
        "membership_change_refused",
        `Cannot change members: ${reason.replaceAll("_", " ")}`,
      );
  }
}

function sleep(clock: Clock, delayMs: Milliseconds): Promise<void> {
  return new Promise((resolve) => {
    clock.after(delayMs, resolve);
  });
}
