import { NodeError } from "../../core/base/errors.ts";
import type { Milliseconds, NodeId } from "../../core/base/ids.ts";
import type { MemoryLink } from "../support/memory_transport.ts";
import { SeededRandom } from "../support/seeded_random.ts";
import type { SimDisk } from "../support/sim_disk.ts";
import type { Machine, SimCluster } from "./sim_cluster.ts";
import { draw, type Fault, type Plan, spoilsDisks } from "./swarm.ts";

/** Operations of the disk within which a power failure is set off. */
const CRASH_WITHIN_OPERATIONS = 150;
const PAGE_BYTES = 4_096;
const HOUR_MS = 3_600_000;
/** How often a fault picks the leader on purpose: most of what can go wrong goes wrong there. */
const LEADER_CHANCE = 0.3;

/** What goes wrong, and how it ends: every fault but bit rot heals by itself after a while. */
export class Faults {
  readonly #cluster: SimCluster;
  readonly #random: SeededRandom;
  readonly #plan: Plan;
  readonly #onAdmin: (what: string, action: Promise<unknown>) => void;
  /** One machine's disk spoils, no other: what nobody else has cannot be brought back. */
  readonly #spoiledSlot: number;
  /** What ends a fault that lasts, with its time. */
  #endings: { readonly atMs: Milliseconds; readonly end: () => void }[] = [];
  #isHealing = false;
  readonly counts = new Map<string, number>();
  onFault: (fault: Fault, slot: number) => void = () => {};

  constructor(
    cluster: SimCluster,
    random: SeededRandom,
    plan: Plan,
    onAdmin: (what: string, action: Promise<unknown>) => void,
  ) {
    this.#cluster = cluster;
    this.#random = random;
    this.#plan = plan;
    this.#onAdmin = onAdmin;
    this.#spoiledSlot = random.integer(1, plan.machines);
    // Of its own, so that what else happens to a seed does not depend on it.
    const voters = new SeededRandom(plan.steps);
    cluster.onVote = (voter, candidate) => {
      if (this.#isHealing || !voters.chance(plan.crashAfterVoteChance)) return;
      // Without the candidate its term is still to be won.
      this.#crashAtEndOfStep(voters.chance(0.5) ? [voter] : [voter, candidate]);
    };
  }

  step(): void {
    this.#endDue();
    if (!this.#random.chance(this.#plan.faultChance)) return;
    const fault = draw(this.#random, this.#plan.faults);
    const leader = this.#random.chance(LEADER_CHANCE) ? this.#cluster.leaders[0] : undefined;
    const machine = leader ?? this.#random.pick(this.#cluster.machines);
    if (fault === undefined || !machine.isUp) return;
    this.counts.set(fault, (this.counts.get(fault) ?? 0) + 1);
    this.onFault(fault, machine.slot);
    this.#begin(fault, machine);
  }

  /** Everything that lasts ends now. */
  healAll(): void {
    this.#isHealing = true;
    for (const { end } of this.#endings.splice(0)) end();
    const { machines, network } = this.#cluster;
    for (const machine of machines) {
      machine.mood = "fast";
      machine.isPaused = false;
      machine.disk.capacityBytes = Infinity;
      machine.disk.crashAtOperation(undefined);
      machine.disk.failNextSyncs(0);
      machine.disk.spoilNextWrite(undefined);
      for (const other of machines) {
        network.link(machine.memberId, other.memberId).cut = false;
      }
    }
  }

  #begin(fault: Fault, machine: Machine): void {
    const random = this.#random;
    const { machines } = this.#cluster;
    switch (fault) {
      case "crash":
        return this.#cluster.kill(machine);
      case "crash_at_operation":
        return machine.disk.crashAtOperation(
          machine.disk.operationCount + random.integer(1, CRASH_WITHIN_OPERATIONS),
        );
      case "crash_all":
        for (const each of machines) this.#cluster.kill(each);
        return;
      case "isolate":
        return this.#isolate(machine);
      case "pause":
        return this.#pause(machine);
      case "cut_one_way":
        return this.#cut([this.#link(machine, random.pick(machines))]);
      case "drop":
      case "delay":
      case "duplicate":
        return this.#disturb(fault, machine, random.pick(machines));
      case "slow_disk":
      case "stalled_disk":
        machine.mood = fault === "slow_disk" ? "slow" : "stalled";
        return this.#after(random.integer(100, 2_000), () => (machine.mood = "fast"));
      case "sync_failure":
        return machine.disk.failNextSyncs(1);
      case "disk_full":
        machine.disk.capacityBytes = machine.disk.usedBytes + random.integer(0, 100_000);
        return this.#after(random.integer(500, 4_000), () => (machine.disk.capacityBytes = Infinity));
      case "bit_rot":
        return this.#rot();
      case "misdirected_write":
      case "lost_write":
        return this.#spoilWrite(fault);
      case "clock_jump":
        machine.wallSkewMs = random.integer(-HOUR_MS, HOUR_MS);
        return;
      default:
        return this.#administer(fault, machine);
    }
  }

  #administer(fault: Fault, machine: Machine): void {
    const { node } = machine;
    if (node === undefined) return;
    switch (fault) {
      case "transfer":
        return this.#onAdmin("transfer", node.transferLeadership(undefined, 2_000));
      case "wipe": {
        // Only while every machine has a vote and everything: what a majority loses is lost.
        if (!this.#cluster.isWhole) return;
        return this.#cluster.wipe(machine);
      }
      case "change_role": {
        const role = this.#random.pick(["voter", "voter", "stand_by", "spare"] as const);
        const member = this.#random.pick(this.#cluster.machines).memberId;
        const change = {
          role,
          weight: this.#random.integer(0, 2),
          failureDomain: this.#random.integer(0, 1),
        };
        // What a machine without its disk has lost must not become a majority of those that still vote.
        if (this.#cluster.machines.some(({ memberId }) => memberId === 0)) return;
        return this.#onAdmin(`change_role to ${role}`, node.changeMember(member, change, 2_000));
      }
      case "add_member":
        if (this.#cluster.machines.length < this.#plan.machines + 2) this.#cluster.addMachine();
        return;
      case "remove_member": {
        const { machines, up } = this.#cluster;
        const last = machines.at(-1) as Machine;
        if (machines.length <= this.#plan.machines || up.length < machines.length || last === machine) return;
        this.#onAdmin(
          "remove",
          node.removeMember(last.memberId, 2_000).then(() => {
            this.#cluster.kill(last);
            machines.splice(machines.indexOf(last), 1);
          }),
        );
        return;
      }
    }
  }

  #link(from: Machine, to: Machine): MemoryLink {
    return this.#cluster.network.link(from.memberId, to.memberId);
  }

  /** From everybody at once, and for everybody it ends at once. */
  #isolate(machine: Machine): void {
    const others = this.#cluster.machines.filter((other) => other !== machine);
    this.#cut(others.flatMap((other) => [this.#link(machine, other), this.#link(other, machine)]));
    if (this.#plan.leaseMs === 0) return;
    // Closed connections, too: the others elect at once.
    for (const other of others) this.#cluster.network.disconnect(machine.memberId, other.memberId);
  }

  /** A process that is suspended, or a machine: a leader does not notice that others have elected another one. */
  #pause(machine: Machine): void {
    machine.isPaused = true;
    const ms = this.#random.integer(500, 3_000);
    const others = this.#cluster.machines.filter((other) => other !== machine);
    this.#cut(others.flatMap((other) => [this.#link(machine, other), this.#link(other, machine)]), ms);
    this.#after(ms, () => (machine.isPaused = false));
  }

  #cut(links: readonly MemoryLink[], ms = this.#random.integer(200, 4_000)): void {
    for (const link of links) link.cut = true;
    this.#after(ms, () => {
      for (const link of links) link.cut = false;
    });
  }

  #disturb(fault: "drop" | "delay" | "duplicate", machine: Machine, other: Machine): void {
    const random = this.#random.fork();
    const link = this.#link(machine, other);
    const chance = random.pick([0.1, 0.5]);
    if (fault === "drop") link.drop = () => random.chance(chance);
    else if (fault === "duplicate") link.duplicate = () => random.chance(chance);
    // Each message has a delay of its own: they overtake each other.
    else Object.defineProperty(link, "delayMs", { get: () => random.integer(0, 120), configurable: true });
    this.#after(this.#random.integer(200, 4_000), () => {
      link.drop = () => false;
      link.duplicate = () => false;
      Object.defineProperty(link, "delayMs", { value: 0, writable: true, configurable: true });
    });
  }

  /** One bit of a durable file; never of `raft/state` or `node.json`, which nobody else has. */
  #rot(): void {
    const disk = this.#spoiledDisk();
    if (disk === undefined) return;
    const files = [
      ...disk.list("raft/log").slice(0, -1).map((name) => `raft/log/${name}`),
      ...disk.list("db").filter((name) => /\.(db|sum)$/.test(name)).map((name) => `db/${name}`),
    ];
    if (files.length === 0) return;
    const path = this.#random.pick(files);
    const size = disk.contentOf(path).length;
    if (size > 0) disk.flipBit(path, this.#random.integer(0, size - 1), this.#random.integer(0, 7));
  }

  #spoiledDisk(): SimDisk | undefined {
    const machine = this.#cluster.machines.find(({ slot }) => slot === this.#spoiledSlot);
    return machine === undefined || !machine.isUp || machine.disk.isDown ? undefined : machine.disk;
  }

  /** The next write of a checkpoint goes to another place of the file, or nowhere, and nobody is told. */
  #spoilWrite(fault: "misdirected_write" | "lost_write"): void {
    const random = this.#random.fork();
    this.#spoiledDisk()?.spoilNextWrite((path, offset, size) => {
      if (!/^db\/.*\.db$/.test(path)) return offset;
      const places = Math.floor(size / PAGE_BYTES);
      return fault === "lost_write" || places === 0 ? undefined : random.integer(0, places - 1) * PAGE_BYTES;
    });
  }

  #crashAtEndOfStep(members: readonly NodeId[]): void {
    this.counts.set("crash_after_vote", (this.counts.get("crash_after_vote") ?? 0) + 1);
    this.#after(0, () => {
      for (const machine of this.#cluster.machines) {
        if (machine.isUp && members.includes(machine.memberId)) this.#cluster.kill(machine);
      }
    });
  }

  #after(ms: Milliseconds, end: () => void): void {
    this.#endings.push({ atMs: this.#cluster.clock.nowMs() + ms, end });
  }

  #endDue(): void {
    const nowMs = this.#cluster.clock.nowMs();
    for (const ending of this.#endings) if (ending.atMs <= nowMs) ending.end();
    this.#endings = this.#endings.filter(({ atMs }) => atMs > nowMs);
  }
}

/** Whether a process has ended itself because it does not belong to the cluster any more. */
export function wasRemoved(error: Error | undefined): boolean {
  return error !== undefined && /^Member \d+ was removed from the cluster/.test(error.message);
}

/** Whether a process may end itself for this reason in a simulation that injects faults. */
export function isExpected(error: Error, plan: Plan): boolean {
  if (error.name === "SimCrash") return true;
  const { faults } = plan;
  // Its supervisor starts it again.
  if (/^Cannot join a cluster/.test(error.message)) return true;
  if (faults.remove_member > 0 && wasRemoved(error)) return true;
  if (faults.sync_failure > 0 && /Input\/output error/.test(error.message)) return true;
  // Damage in the log that is met before the scrubber has found it ends the process; the next start repairs it.
  if (spoilsDisks(plan.faults) && error.name === "DamageError") return true;
  return error instanceof NodeError && error.code === "disk_full" && faults.disk_full > 0;
}
