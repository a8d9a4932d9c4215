/**
 * A whole cluster in one thread, every part of it real but the clock, the disks, the network and chance: those follow
 * from one seed. A machine has an address and a disk; what runs on it may change its member id when the disk is new.
 */
import { setImmediate } from "node:timers";
import { NodeError } from "../../core/base/errors.ts";
import type { Milliseconds, NodeId } from "../../core/base/ids.ts";
import type { Node } from "../../core/node/node.ts";
import { openNode, type OpenNodeOptions } from "../../core/node/open_node.ts";
import { PromiseChecker } from "./check_promises.ts";
import { type Life, LifeClock, LifeDisk } from "./life.ts";
import { type ManualClock, MemoryNetwork, type MemoryTransport } from "../support/memory_transport.ts";
import { Gate, metric, SHORT_WORK, startWorker } from "../support/node_cluster.ts";
import { type Plan, spoilsDisks } from "./swarm.ts";
import type { SeededRandom } from "../support/seeded_random.ts";
import { SimCrash, SimDisk } from "../support/sim_disk.ts";

/** One step of the clock: shorter than every period of a node. */
export const STEP_MS = 5;
const RAFT_PORT = 7_000;
const SYNCS_PER_STEP = 8;

/** How a disk behaves: the chance that the oldest sync under way ends in a step. */
export type DiskMood = "fast" | "slow" | "stalled";
const SYNC_CHANCE: Record<DiskMood, number> = { fast: 0.95, slow: 0.2, stalled: 0 };

export interface Machine {
  readonly slot: number;
  disk: SimDisk;
  mood: DiskMood;
  isPaused: boolean;
  /** How fast its monotonic clock goes. */
  readonly clockRate: number;
  /** Difference of its wall clock. */
  wallSkewMs: Milliseconds;
  node: Node | undefined;
  transport: MemoryTransport | undefined;
  memberId: NodeId;
  /** What runs now, or is being started. Grows with every start. */
  life: number;
  isUp: boolean;
  /** Why the process that runs now ended itself. */
  fatal: Error | undefined;
}

export class SimCluster {
  readonly network = new MemoryNetwork();
  readonly machines: Machine[] = [];
  /** Names of what happened on the nodes, for the trace and for statistics. */
  readonly events = new Map<string, number>();
  onEvent: (slot: number, name: string, facts: Record<string, unknown>) => void = () => {};
  /** A member grants its vote to a candidate just now. */
  onVote: (voter: NodeId, candidate: NodeId) => void = () => {};
  readonly #random: SeededRandom;
  readonly #plan: Plan;
  /** By term, to see that there is one at most. */
  readonly #leaders = new Map<number, NodeId>();
  #violation: Error | undefined;

  constructor(random: SeededRandom, plan: Plan) {
    this.#random = random;
    this.#plan = plan;
    const promises = new PromiseChecker(spoilsDisks(plan.faults));
    this.network.onSend = (message) => {
      try {
        promises.onSend(message);
        if (message.kind === "vote_reply" && message.granted && !message.preVote) {
          this.onVote(message.from, message.to);
        }
      } catch (error) {
        // Thrown where the node would take it for a failure of its own.
        this.#violation ??= error as Error;
      }
    };
  }

  get clock(): ManualClock {
    return this.network.clock;
  }

  get up(): Machine[] {
    return this.machines.filter(({ isUp }) => isUp);
  }

  /** Machines that believe they lead, the newest term first. */
  get leaders(): Machine[] {
    const leads = ({ node }: Machine): boolean => node !== undefined && metric(node, "is_leader") === 1;
    const term = ({ node }: Machine): number => node === undefined ? 0 : metric(node, "raft_term");
    return this.up.filter(leads).sort((a, b) => term(b) - term(a));
  }

  /** Every machine votes and has what any of them knows to be committed on its disk. */
  get isWhole(): boolean {
    const { machines, up } = this;
    const values = (name: string): number[] =>
      up.flatMap(({ node }) => node === undefined ? [] : [metric(node, name)]);
    const committed = Math.max(...values("commit_index"));
    return up.length === machines.length && values("voters").every((count) => count === machines.length) &&
      values("log_synced_index").every((index) => index >= committed);
  }

  addMachine(): Machine {
    const machine: Machine = {
      slot: this.machines.length + 1,
      disk: this.#newDisk(),
      mood: "fast",
      isPaused: false,
      clockRate: this.#plan.leaseMs === 0 ? 1 : this.#random.integer(96, 104) / 100,
      wallSkewMs: 0,
      node: undefined,
      transport: undefined,
      memberId: 0,
      life: 0,
      isUp: false,
      fatal: undefined,
    };
    this.machines.push(machine);
    return machine;
  }

  /** Starts what the disk holds. Fails quietly when the power goes again meanwhile. */
  async boot(machine: Machine): Promise<void> {
    const life = ++machine.life;
    machine.fatal = undefined;
    try {
      const node = await openNode(this.#options(machine, life));
      if (machine.life !== life) return;
      machine.node = node;
      machine.isUp = true;
    } catch (error) {
      if (machine.life !== life) return;
      machine.fatal = error instanceof Error ? error : new Error(String(error));
    }
  }

  /** The power fails and is back at once; the process is gone. */
  kill(machine: Machine): void {
    machine.life++;
    machine.isUp = false;
    machine.isPaused = false;
    machine.node = undefined;
    void machine.transport?.close();
    machine.transport = undefined;
    machine.disk.crash();
    machine.disk.crashAtOperation(undefined);
  }

  /** The machine gets a new, empty disk. */
  wipe(machine: Machine): void {
    this.kill(machine);
    machine.disk = this.#newDisk();
    machine.memberId = 0;
  }

  /** One step of the clock for everybody. */
  async step(): Promise<void> {
    this.clock.advance(STEP_MS);
    for (const machine of this.machines) this.#completeSyncs(machine);
    await new Promise<void>((resolve) => void setImmediate(resolve));
    this.#checkLeaders();
    if (this.#violation !== undefined) throw this.#violation;
  }

  async stopAll(): Promise<void> {
    for (const machine of this.machines) this.kill(machine);
    for (let i = 0; i < 5; i++) await new Promise<void>((resolve) => void setImmediate(resolve));
  }

  #completeSyncs({ disk, mood, isPaused }: Machine): void {
    for (let i = 0; i < SYNCS_PER_STEP && !disk.isDown && !isPaused; i++) {
      if (!this.#random.chance(SYNC_CHANCE[mood])) return;
      try {
        if (!disk.completeSync()) return;
      } catch (error) {
        // The power failed at the very moment the sync ended: nobody has heard of it.
        if (!(error instanceof SimCrash)) throw error;
      }
    }
  }

  #newDisk(): SimDisk {
    return new SimDisk({ seed: this.#random.word(), syncMode: "manual", unitBytes: 512 });
  }

  /** Raft's first rule: one leader per term. */
  #checkLeaders(): void {
    for (const { node, memberId, isUp } of this.machines) {
      if (!isUp || node === undefined || metric(node, "is_leader") !== 1) continue;
      const term = metric(node, "raft_term");
      const known = this.#leaders.get(term);
      if (known !== undefined && known !== memberId) {
        throw new Error(`Members ${known} and ${memberId} both lead in term ${term}`);
      }
      this.#leaders.set(term, memberId);
    }
  }

  #options(machine: Machine, life: number): OpenNodeOptions {
    const thisLife: Life = {
      get isOver() {
        return machine.life !== life;
      },
      get isPaused() {
        return machine.isPaused && machine.life === life;
      },
    };
    const clock = new LifeClock(this.clock, thisLife, () => machine.wallSkewMs, machine.clockRate);
    const disk = new LifeDisk(machine.disk, thisLife);
    const shell = {
      id: machine.slot,
      disk,
      writerGate: new Gate(),
      readerGate: new Gate(),
    };
    const others = this.machines.filter((other) => other !== machine).map(({ slot }) => addressOf(slot));
    return {
      disk,
      clock,
      random: this.#random.fork(),
      events: {
        event: (name, facts) => {
          if (thisLife.isOver) return;
          this.events.set(name, (this.events.get(name) ?? 0) + 1);
          this.onEvent(machine.slot, name, facts);
        },
      },
      addresses: { raftAddress: addressOf(machine.slot), httpAddress: `127.0.0.1:${8_000 + machine.slot}` },
      firstStart: machine.slot === 1 && life === 1
        ? { kind: "bootstrap" }
        : { kind: "join", raftAddresses: others },
      openTransport: (identity, handler) => {
        if (thisLife.isOver) throw new SimCrash("This process has ended");
        machine.memberId = identity.nodeId;
        machine.transport = this.network.join(identity.nodeId, handler);
        return machine.transport;
      },
      callOnce: (to, method, body, timeoutMs) =>
        Promise.race([this.#callOnce(machine, to, method, body), this.#timeout(to, timeoutMs)]),
      startWorker: startWorker(shell, clock, { entryBytesMax: this.#plan.entryBytesMax }),
      shortWork: SHORT_WORK,
      readerCount: 2,
      endOfTurn: queueMicrotask,
      electionTimeoutMs: 500,
      heartbeatMs: 50,
      checkpointBytes: 1024 * 1024,
      checkpointAgeMs: 5_000,
      retainMs: 0,
      logBytesMax: 1024 * 1024 * 1024,
      createDatabases: true,
      ...this.#plan.tuning,
      ...this.#lease(),
      onFatal: (error) => {
        if (!thisLife.isOver) machine.fatal ??= error;
      },
    };
  }

  /** Now and then a machine is started without. */
  #lease(): Pick<OpenNodeOptions, "leaseMs"> {
    const { leaseMs } = this.#plan;
    return leaseMs === 0 ? {} : { leaseMs: this.#random.chance(0.9) ? leaseMs : 0 };
  }

  #timeout(to: string, timeoutMs: Milliseconds): Promise<never> {
    return new Promise((_, reject) =>
      void this.clock.after(timeoutMs, () => reject(new NodeError("commit_unknown", `No answer from ${to}`)))
    );
  }

  /** Over the wire as every call: delivered unless a link is cut. */
  async #callOnce(from: Machine, to: string, method: string, body: Uint8Array): Promise<Uint8Array> {
    const target = this.machines.find(({ slot }) => addressOf(slot) === to);
    const isReached = target?.isUp && target.node !== undefined &&
      (from.memberId === 0 || !this.network.link(from.memberId, target.memberId).cut);
    if (!isReached || target.node === undefined) throw new NodeError("no_leader", `Cannot reach ${to}`);
    const life = target.life;
    const answer = await target.node.onCall(0, method, body);
    if (target.life !== life) throw new NodeError("commit_unknown", `The connection to ${to} was lost`);
    return answer;
  }
}

export function addressOf(slot: number): string {
  return `127.0.0.1:${RAFT_PORT + slot}`;
}
