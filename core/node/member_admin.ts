import { NodeError } from "../base/errors.ts";
import type { LogIndex, Milliseconds, NodeId } from "../base/ids.ts";
import type { Clock, EventSink } from "../base/ports.ts";
import { addressesOf, hasAddresses, type Member, type Membership, roleOf } from "../raft/membership.ts";
import type { ChangeRefusal, MembershipChange } from "../raft/plan_change.ts";
import type { Driver } from "./driver.ts";
import { newLife, planMemberChange, traitChange } from "./member_plan.ts";
import type { MemberChange, MemberStatus, NewMember } from "./service.ts";
import { chooseSuccessor } from "./succession.ts";

export interface MemberAdminOptions {
  readonly driver: Driver;
  readonly clock: Clock;
  readonly events: EventSink;
  /** The newest one this node knows, for answers; on the leader that in force. */
  readonly membership: () => Membership;
  /** Length of a tick of the Raft core. */
  readonly tickMs: Milliseconds;
  /** Resolves when everything in the log now is committed. */
  readonly barrier: (deadlineMs: Milliseconds) => Promise<LogIndex>;
}

/** A learner this close to the tip is promoted: the rest arrives while the change is being committed. */
const PROMOTION_LAG_MAX = 256;
/** And only when it answered just now: a majority may need a member as soon as it has a vote. */
const PROMOTION_SILENT_TICKS_MAX = 3;
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
   * Adds a member in the role it names; who is to vote begins as a learner. A member that had the same address is an
   * earlier life of the same machine whose disk is gone: it leaves in the same step, because a node without its log must
   * not vote under its old id, and its role and traits are inherited where none are named.
   */
  async add(member: NewMember, deadlineMs: Milliseconds): Promise<{ id: NodeId; membership: Membership }> {
    const added = await this.#change((membership) => [newLife(membership, member)], deadlineMs);
    const id = added[0] as NodeId;
    this.#options.events.event("member_added", { id, ...facts(member) });
    return { id, membership: this.#options.driver.raft.membership };
  }

  /**
   * A leader that is to go hands over first and refuses with `not_leader`, so that the request is repeated at its successor:
   * the cluster is never without a leader for it, and the answer does not come over a connection that is being closed.
   */
  async remove(id: NodeId, deadlineMs: Milliseconds): Promise<void> {
    await this.#giveWay(id, deadlineMs);
    await this.#change(() => [{ kind: "remove", id }], deadlineMs);
    this.#options.events.event("member_removed", { id });
  }

  /**
   * Gives a member another role, weight or failure domain. To lose its vote a leader gives way as in `remove`. Who is to
   * vote becomes a learner, and this waits until it has been promoted.
   */
  async changeMember(id: NodeId, change: MemberChange, deadlineMs: Milliseconds): Promise<void> {
    if (change.role !== undefined && change.role !== "voter") await this.#giveWay(id, deadlineMs);
    await this.#change((membership) => planMemberChange(membership, id, change), deadlineMs);
    if (change.role === "voter") await this.#promoted(id, deadlineMs);
    this.#options.events.event("member_changed", { id, ...facts(change) });
  }

  /** A member that started with other addresses or traits than before. */
  async announced(id: NodeId, member: NewMember, deadlineMs: Milliseconds): Promise<void> {
    await this.#change((membership) => {
      const known = membership.members.find((other) => other.id === id);
      const moved = known === undefined || !hasAddresses(known, member);
      return [
        ...(moved ? [{ kind: "set_addresses" as const, id, ...addressesOf(member) }] : []),
        ...(known === undefined ? [] : traitChange(known, member)),
      ];
    }, deadlineMs);
  }

  async #giveWay(id: NodeId, deadlineMs: Milliseconds): Promise<void> {
    const { driver } = this.#options;
    if (driver.role !== "leader" || driver.leader !== id) return;
    if (driver.raft.membership.voters.length === 1) return;
    await this.transfer(undefined, deadlineMs);
    throw new NodeError("not_leader", `Member ${id} led and has handed over; nothing was logged`);
  }

  /** Waits until a learner has its vote. */
  async #promoted(id: NodeId, deadlineMs: Milliseconds): Promise<void> {
    const { driver, clock, barrier } = this.#options;
    for (;;) {
      if (driver.role !== "leader") {
        throw new NodeError(
          "not_leader",
          `Cannot wait for the vote of member ${id}: this node does not lead`,
        );
      }
      const role = roleOf(driver.raft.membership, id);
      if (role === "voter") return void await barrier(deadlineMs);
      if (role !== "learner") {
        throw new NodeError(
          "membership_change_refused",
          `Member ${id} got no vote: it was meanwhile ${role === undefined ? "removed" : `made a ${role}`}`,
        );
      }
      if (clock.nowMs() + CHANGE_RETRY_MS > deadlineMs) {
        throw new NodeError(
          "commit_unknown",
          `Member ${id} has not caught up in time; it is a learner and gets its vote as soon as it has`,
        );
      }
      await sleep(clock, CHANGE_RETRY_MS);
    }
  }

  /** Resolves when another node leads. */
  async transfer(to: NodeId | undefined, deadlineMs: Milliseconds): Promise<{ leaderId: NodeId }> {
    const { driver, clock } = this.#options;
    if (driver.role !== "leader") {
      throw new NodeError("not_leader", "Cannot hand leadership over: this node does not lead");
    }
    const self = driver.leader;
    const target = to ?? this.#successor();
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
      driver.raft.membership.learners.includes(follower.id) && follower.match > 0 &&
      follower.ticksSinceContact <= PROMOTION_SILENT_TICKS_MAX &&
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
    const { driver, tickMs, membership: current } = this.#options;
    const membership = current();
    const leads = driver.role === "leader";
    const progress = new Map(driver.raft.status().progress.map((follower) => [follower.id, follower]));
    const tip = driver.raft.lastIndex;
    return membership.members.map((member): MemberStatus => {
      const isLeader = member.id === driver.leader;
      const follower = progress.get(member.id);
      const known = leads && (isLeader || follower !== undefined);
      const isFed = known && follower?.state !== "spare";
      const matchIndex = !isFed ? undefined : isLeader ? tip : follower?.match;
      return {
        ...member,
        // Who leaves with a joint configuration still has its vote.
        role: isLeader ? "leader" : roleOf(membership, member.id) ?? "voter",
        weight: member.weight ?? 0,
        failureDomain: member.failureDomain ?? 0,
        matchIndex,
        lag: matchIndex === undefined ? undefined : tip - matchIndex,
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
      const changes = plan(driver.raft.membership);
      if (changes.length === 0) {
        // What makes it unnecessary may not be committed yet.
        await this.#options.barrier(deadlineMs);
        return [];
      }
      const proposed = driver.raft.proposeMembership(changes);
      driver.schedule();
      if (proposed.refused === undefined) {
        await this.#options.barrier(deadlineMs);
        return proposed.added;
      }
      const waits = proposed.refused === "change_pending" || proposed.refused === "term_not_committed";
      if (!waits) throw refusal(proposed.refused, changes);
      if (clock.nowMs() + CHANGE_RETRY_MS > deadlineMs) throw refusal(proposed.refused, changes);
      await sleep(clock, CHANGE_RETRY_MS);
    }
  }

  #successor(): NodeId | undefined {
    const { raft, leader } = this.#options.driver;
    const { members, voters } = raft.membership;
    const member = (id: NodeId): Member | undefined => members.find((each) => each.id === id);
    const candidates = raft.status().progress
      .filter(({ id, recentActive }) => recentActive && voters.includes(id))
      .map(({ id, match }) => ({ ...member(id), id, match }));
    return chooseSuccessor(candidates, {
      tip: raft.lastIndex,
      failureDomain: member(leader)?.failureDomain ?? 0,
    });
  }
}

function refusal(
  reason: ChangeRefusal | "not_leader" | "transferring" | "term_not_committed",
  changes: readonly MembershipChange[],
): NodeError {
  const ids = changes.flatMap((change) => change.kind === "add" ? [] : [change.id]);
  const what = ids.length === 0 ? "Cannot add a member" : `Cannot change member ${ids[0]}`;
  switch (reason) {
    case "member_not_found":
      return new NodeError("member_not_found", `${what}: the cluster has no member of that id`);
    case "not_leader":
    case "transferring":
      return new NodeError("not_leader", `${what}: leadership is moving; nothing was logged`);
    case "change_pending":
    case "term_not_committed":
      return new NodeError(
        "timeout",
        `${what}: another change was not finished in time; nothing was logged`,
      );
    case "no_voter_left":
      return new NodeError(
        "membership_change_refused",
        `${what}: nobody would have a vote; give another member one first`,
      );
    default:
      return new NodeError(
        "membership_change_refused",
        `${what}: ${reason.replaceAll("_", " ")}`,
      );
  }
}

/** For events, which may be written as JSON: that has no numbers of 64 bits. */
function facts(of: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(of).map(([name, value]) => [name, typeof value === "bigint" ? String(value) : value]),
  );
}

function sleep(clock: Clock, delayMs: Milliseconds): Promise<void> {
  return new Promise((resolve) => {
    clock.after(delayMs, resolve);
  });
}
