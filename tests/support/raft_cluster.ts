/** A cluster of Raft cores under faults, all drawn from one seed: the same seed is the same run. */
import { assert } from "../../core/base/assert.ts";
import type { NodeId } from "../../core/base/ids.ts";
import { encodeMembership, isSpare, type Membership } from "../../core/raft/membership.ts";
import type { Entry, Message, SnapshotMetadata } from "../../core/raft/message.ts";
import type { RaftOptions } from "../../core/raft/options.ts";
import type { MembershipChange } from "../../core/raft/plan_change.ts";
import { RaftChecker } from "./raft_checker.ts";
import { CHURN_FAULTS, type Faults, MIXED_FAULTS } from "./raft_faults.ts";
import { firstEntry, membershipOf, MemoryLog, RaftNode, testChainHash } from "./raft_node.ts";
import { SeededRandom } from "./seeded_random.ts";

const MESSAGES_MAX = 300;
const MEMBERS_MAX = 6;
const NODES_MAX = 9;
/** What a step takes of the time that leases are measured in. */
const STEP_MS = 2;

interface Install {
  readonly snapshot: SnapshotMetadata;
  readonly life: number;
}

export class RaftCluster {
  readonly nodes = new Map<NodeId, RaftNode>();
  readonly checker = new RaftChecker();
  readonly random: SeededRandom;
  readonly #faults: [keyof Faults, number][];
  readonly #options: Omit<RaftOptions, "id">;
  /** 0: nobody has leases in this run. */
  readonly #leaseMs: number;
  /** What concerns leases, so that runs without them stay as they were. */
  readonly #leaseRandom: SeededRandom;
  #nowMs = 0;
  #messages: Message[] = [];
  /** Links `from>to` that carry nothing. */
  readonly #cut = new Set<string>();
  readonly #installs = new Map<NodeId, Install>();
  readonly #reads = new Map<number, NodeId>();
  #nextContext = 1;
  #nextValue = 1;
  readonly counts: Record<string, number> = {};

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    const { random } = this;
    const churn = random.chance(0.5);
    const faults = churn ? CHURN_FAULTS : MIXED_FAULTS;
    // Each run has its own mix: some are calm, some lose a third of everything.
    const scale = (name: string) =>
      ["tick", "deliver", "sync"].includes(name) ? 0.5 + random.next() : random.next() * 2;
    let sum = 0;
    this.#faults = Object.entries(faults).map(([name, weight]) => {
      sum += weight * scale(name);
      return [name as keyof Faults, sum];
    });
    const heartbeatTicks = random.integer(1, 2);
    this.#options = {
      electionTicks: heartbeatTicks + random.integer(2, 6),
      heartbeatTicks,
      appendBytesMax: random.integer(1, 40),
      appendsInFlightMax: random.integer(1, 4),
      appendBytesInFlightMax: random.integer(1, 80),
      uncommittedBytesMax: random.integer(20, 200),
      chainHash: testChainHash,
    };
    this.#leaseRandom = new SeededRandom(seed + 2 ** 20);
    this.#leaseMs = this.#leaseRandom.pick([0, 0, 100, 200, 500]);
    const voters = Array.from(
      { length: random.pick(churn ? [3, 3, 4, 5] : [1, 2, 3, 3, 4, 5]) },
      (_, at) => at + 1,
    );
    const first = firstEntry(membershipOf(voters));
    for (const id of voters) this.#addNode(id, first);
  }

  #addNode(id: NodeId, first?: Entry): void {
    const log = new MemoryLog();
    if (first !== undefined) log.append([first]);
    const disk = { hardState: { term: first?.term ?? 0, vote: 0 }, log, commitIndex: log.lastIndex() };
    const random = this.random.fork();
    const options = { id, ...this.#options, ...this.#lease(false) };
    const node = new RaftNode(options, disk, () => random.next(), {
      send: (message) => {
        this.checker.onSend(node, message);
        this.#send(message);
      },
      onOutput: (_, output) => {
        this.checker.onOutput(node, output);
        for (const { context } of output.readStates) this.#reads.delete(context);
        if (output.snapshot !== undefined) {
          this.#installs.set(id, { snapshot: output.snapshot, life: node.life });
        }
      },
    });
    this.nodes.set(id, node);
  }

  /** Some members have leases off; clocks begin anywhere and differ in how fast they go. */
  #lease(mayHavePromised: boolean): Pick<RaftOptions, "lease"> {
    if (this.#leaseMs === 0) return {};
    const random = this.#leaseRandom;
    const [beginMs, rate] = [random.integer(0, 1_000), 0.95 + 0.1 * random.next()];
    const ms = random.chance(0.9) ? this.#leaseMs : 0;
    return { lease: { ms, mayHavePromised, nowMs: () => beginMs + this.#nowMs * rate } };
  }

  #send(message: Message): void {
    if (this.#cut.has(`${message.from}>${message.to}`)) return;
    this.#messages.push(message);
    if (this.#messages.length > MESSAGES_MAX) this.#takeMessage(0);
  }

  #takeMessage(at: number): Message | undefined {
    const last = this.#messages.pop();
    if (last === undefined || at === this.#messages.length) return last;
    const taken = this.#messages[at];
    this.#messages[at] = last;
    return taken;
  }

  step(): void {
    const { random } = this;
    this.#nowMs += STEP_MS;
    if (this.#leaseMs > 0 && this.#leaseRandom.chance(0.01)) this.#desert();
    const drawn = random.next() * this.#faults.at(-1)![1];
    const [name] = this.#faults.find(([, upTo]) => drawn < upTo)!;
    this.counts[name] = (this.counts[name] ?? 0) + 1;
    this.#act(name);
  }

  #act(name: keyof Faults): void {
    const { random } = this;
    const node = this.#anyAlive();
    switch (name) {
      case "tick":
        return this.#input(node, (raft) => raft.tick());
      case "deliver":
        return this.#deliver(this.#takeMessage(random.integer(0, this.#messages.length - 1)));
      case "drop":
        return void this.#takeMessage(random.integer(0, this.#messages.length - 1));
      case "duplicate":
        return this.#deliver(this.#messages[random.integer(0, this.#messages.length - 1)]);
      case "sync":
        if (node === undefined) return;
        node.run();
        node.sync(random.integer(1, Math.max(1, node.outstanding.length)));
        return this.#maybeRun(node);
      case "propose":
        return this.#propose(this.#leader() ?? node);
      case "read":
        return this.#read(random.chance(0.5) ? this.#leader() ?? node : node);
      case "crash":
        return this.#crash(node);
      case "restart":
        return this.#restartOne();
      case "cut":
        return this.#partition();
      case "heal":
        return this.#cut.clear();
      case "change":
        return this.#change(this.#leader());
      case "transfer":
        return this.#input(this.#leader(), (raft) => {
          const { voters } = raft.membership;
          if (voters.length > 0) raft.transferLeadership(random.pick(voters));
        });
      case "compact":
        return this.#compact(node);
      case "snapshot":
        return this.#install(node);
      case "hint":
        return this.#hint(node);
    }
  }

  #anyAlive(): RaftNode | undefined {
    const alive = [...this.nodes.values()].filter((node) => node.alive);
    return alive.length === 0 ? undefined : this.random.pick(alive);
  }

  /** Any that believes to lead: there may be an old one, too. */
  #leader(): RaftNode | undefined {
    const leaders = [...this.nodes.values()].filter((node) => node.alive && node.raft.role === "leader");
    return leaders.length === 0 ? undefined : this.random.pick(leaders);
  }

  #input(node: RaftNode | undefined, act: (raft: RaftNode["raft"]) => void): void {
    if (node === undefined) return;
    act(node.raft);
    this.#maybeRun(node);
  }

  /** Drivers gather inputs before they take an output. */
  #maybeRun(node: RaftNode): void {
    if (this.random.chance(0.7)) node.run();
  }

  #deliver(message: Message | undefined): void {
    if (message === undefined || this.#cut.has(`${message.from}>${message.to}`)) return;
    const node = this.nodes.get(message.to);
    if (node?.alive) this.#input(node, (raft) => raft.step(message));
  }

  #propose(node: RaftNode | undefined): void {
    const count = this.random.integer(1, 3);
    this.#input(node, (raft) => {
      for (let i = 0; i < count; i++) raft.propose(this.#nextData());
    });
  }

  #nextData(): Uint8Array {
    const data = new Uint8Array(this.random.integer(3, 12));
    new DataView(data.buffer).setUint16(0, this.#nextValue++);
    return data;
  }

  #read(node: RaftNode | undefined): void {
    if (node === undefined) return;
    if (this.#readNow(node) && this.#leaseRandom.chance(0.5)) return this.#maybeRun(node);
    const context = this.#nextContext++;
    this.checker.readBegins(context);
    this.#reads.set(context, node.id);
    // Of many reads a round asks only as many members as it needs.
    const count = this.random.chance(0.3) ? 5 : 1;
    this.#input(node, (raft) => raft.readIndex(context, count));
  }

  #crash(node: RaftNode | undefined): void {
    if (node === undefined) return;
    const { random } = this;
    node.crash({
      hardStates: random.integer(0, 3),
      appends: random.integer(0, 3),
      entries: random.integer(0, 3),
    });
    this.#installs.delete(node.id);
    const lost = [...this.#reads].filter(([, id]) => id === node.id).map(([context]) => context);
    this.checker.forgetReads(lost);
    for (const context of lost) this.#reads.delete(context);
    // What it sent may still be on the way.
    if (random.chance(0.3)) this.#messages = this.#messages.filter(({ from }) => from !== node.id);
  }

  #restartOne(): void {
    const dead = [...this.nodes.values()].filter((node) => !node.alive);
    if (dead.length === 0) return;
    const node = this.random.pick(dead);
    node.options = { ...node.options, ...this.#lease(true) };
    node.restart();
    this.#maybeRun(node);
  }

  #partition(): void {
    const { random } = this;
    const ids = [...this.nodes.keys()];
    const oneWay = random.chance(0.3);
    const side = new Set(ids.filter(() => random.chance(0.4)));
    // Cutting off the leader is what makes an old one.
    const leader = this.#leader()?.id;
    if (leader !== undefined && random.chance(0.5)) {
      this.#cut.clear();
      side.clear();
      side.add(leader);
      if (ids.length > 3 && random.chance(0.5)) side.add(random.pick(ids));
    }
    for (const from of ids) {
      for (const to of ids) {
        if (side.has(from) && !side.has(to)) this.#cut.add(`${from}>${to}`);
        if (!oneWay && !side.has(from) && side.has(to)) this.#cut.add(`${from}>${to}`);
      }
    }
    if (random.chance(0.6)) this.#pause(side);
  }

  /** Time passes for all but these: whoever leads there finds out late that it does not any more. */
  #pause(paused: ReadonlySet<NodeId>): void {
    for (let tick = 0; tick < 3 * this.#options.electionTicks; tick++) {
      for (const node of this.nodes.values()) {
        this.#nowMs += STEP_MS;
        if (!node.alive || paused.has(node.id)) continue;
        this.#input(node, (raft) => raft.tick());
        for (let i = 0; i < 3; i++) {
          this.#deliver(this.#takeMessage(this.random.integer(0, this.#messages.length - 1)));
        }
        if (this.random.chance(0.7)) node.sync();
      }
    }
  }

  /** Connections to a leader close although it lives, some members start again, and the others elect another one at once. */
  #desert(): void {
    const random = this.#leaseRandom;
    const leader = [...this.nodes.values()].find(({ alive, raft }) => alive && raft.leaseLeftMs > 0);
    if (leader === undefined) return;
    const others = [...this.nodes.values()].filter((node) => node !== leader && node.alive);
    for (const { id } of others) {
      for (const link of [`${id}>${leader.id}`, `${leader.id}>${id}`]) this.#cut.add(link);
    }
    for (const node of others) {
      if (random.chance(0.3)) {
        this.#crash(node);
        node.options = { ...node.options, ...this.#lease(true) };
        node.restart();
      }
      node.raft.forgetLeader();
      if (random.chance(0.5)) node.raft.campaign();
      node.run();
    }
    for (let i = 0; i < 80 && others.length > 0; i++) {
      const node = random.pick(others);
      this.#deliver(this.#takeMessage(random.integer(0, this.#messages.length - 1)));
      if (node.raft.role === "leader" && random.chance(0.2)) node.raft.propose(this.#nextData());
      node.run();
      node.sync();
      this.#readNow(leader);
    }
  }

  #readNow(node: RaftNode): boolean {
    const index = node.raft.readNow();
    if (index !== undefined) this.checker.readNow(node, index);
    return index !== undefined;
  }

  #change(node: RaftNode | undefined): void {
    if (node === undefined) return;
    const { random } = this;
    const count = random.pick([1, 1, 2, 3]);
    const changes: MembershipChange[] = [];
    for (let i = 0; i < count; i++) changes.push(this.#anyChange(node.raft.membership));
    const proposed = node.raft.proposeMembership(changes.length === 1 ? changes[0]! : changes);
    if (proposed.refused === undefined) {
      // An id is given out again when its entry was lost before it was committed: nobody runs under it then.
      for (const id of proposed.added) if (!this.nodes.has(id)) this.#addNode(id);
      this.counts["changed"] = (this.counts["changed"] ?? 0) + 1;
    }
    this.#maybeRun(node);
  }

  #anyChange(membership: Membership): MembershipChange {
    const { random } = this;
    const id = random.pick(membership.members).id;
    const mayAdd = membership.members.length < MEMBERS_MAX && this.nodes.size < NODES_MAX;
    if (mayAdd && random.chance(0.4)) {
      const port = this.#nextValue++;
      return { kind: "add", raftAddress: `host:${port}`, httpAddress: `http:${port}` };
    }
    if (membership.learners.length > 0 && random.chance(0.6)) {
      return { kind: "promote", id: random.pick(membership.learners) };
    }
    if (random.chance(0.4)) return { kind: "remove", id };
    return { kind: "assign", id, role: random.pick(["learner", "stand_by", "spare"] as const) };
  }

  #compact(node: RaftNode | undefined): void {
    if (node === undefined) return;
    node.run();
    const last = Math.min(node.publishedIndex, node.disk.log.lastIndex());
    const index = this.random.integer(Math.max(node.log.firstIndex(), last - 5), last);
    if (index > last || this.#installs.has(node.id)) return;
    node.compact(node.baseAt(index, encodeMembership));
  }

  #install(node: RaftNode | undefined): void {
    const install = node === undefined ? undefined : this.#installs.get(node.id);
    if (node === undefined || install === undefined) return;
    this.#installs.delete(node.id);
    assert(install.life === node.life, "A snapshot outlived its node");
    if (this.random.chance(0.2)) this.#input(node, (raft) => raft.snapshotFailed());
    else {
      node.install(install.snapshot);
      this.#maybeRun(node);
    }
  }

  #hint(node: RaftNode | undefined): void {
    const { random } = this;
    const other = random.pick([...this.nodes.keys()]);
    this.#input(
      node,
      random.pick([
        (raft) => raft.campaign(),
        (raft) => raft.forgetLeader(),
        (raft) => raft.reportUnreachable(other),
        (raft) => raft.snapshotReported(other, false),
        (raft) => raft.snapshotReported(other, true),
      ]),
    );
  }

  /** Ends all faults; throws unless the members then agree on a leader and commit something new. */
  healAndFinish(ticksMax = 150): void {
    this.#cut.clear();
    for (const node of this.nodes.values()) if (!node.alive) node.restart();
    // Nobody has a promise left to keep.
    this.#nowMs += 1_000;
    let proposed: number | undefined;
    for (let tick = 0; tick < ticksMax; tick++) {
      this.#nowMs += 10 * STEP_MS;
      for (const node of this.nodes.values()) {
        node.raft.tick();
        node.run();
      }
      this.#settle();
      const leader = this.#currentLeader();
      if (leader === undefined) continue;
      if (proposed === undefined || leader.log.termAt(proposed) !== leader.raft.term) {
        const result = leader.raft.propose(this.#nextData());
        if ("index" in result) proposed = result.index;
        leader.run();
        this.#settle();
      }
      if (proposed !== undefined && this.#allPublished(leader, proposed)) {
        return this.#leavesSparesAlone(leader);
      }
    }
    throw new Error(`No progress after healing: ${this.describe()}`);
  }

  #currentLeader(): RaftNode | undefined {
    const leaders = [...this.nodes.values()].filter((node) => node.raft.role === "leader");
    return leaders.sort((a, b) => b.raft.term - a.raft.term)[0];
  }

  #allPublished(leader: RaftNode, index: number): boolean {
    const { membership } = leader.raft;
    return membership.votersOutgoing.length === 0 &&
      membership.members.every(({ id }) =>
        isSpare(membership, id) || this.nodes.get(id)!.publishedIndex >= index
      );
  }

  /** A spare is sent heartbeats, whatever is written. */
  #leavesSparesAlone(leader: RaftNode): void {
    const { raft } = leader;
    if (raft.membership.spares.length > 0) this.counts["spare"] = (this.counts["spare"] ?? 0) + 1;
    raft.propose(this.#nextData());
    raft.tick();
    leader.run();
    for (const { kind, from, to } of this.#messages) {
      if (from !== leader.id || !isSpare(raft.membership, to)) continue;
      assert(kind === "heartbeat", () => `Spare ${to} was sent ${kind}: ${this.describe()}`);
    }
  }

  #settle(): void {
    for (let round = 0; round < 2_000; round++) {
      for (const id of [...this.#installs.keys()]) {
        const { snapshot } = this.#installs.get(id)!;
        this.#installs.delete(id);
        this.nodes.get(id)!.install(snapshot);
      }
      const messages = this.#messages;
      this.#messages = [];
      for (const message of messages) this.nodes.get(message.to)?.raft.step(message);
      for (const node of this.nodes.values()) {
        node.run();
        node.sync();
        node.run();
      }
      if (this.#messages.length === 0 && this.#installs.size === 0) return;
    }
    throw new Error(`Messages without end: ${this.describe()}`);
  }

  describe(): string {
    const lines = [...this.nodes.values()].map((node) =>
      `${node.id}: ${JSON.stringify(node.raft.status())} ${JSON.stringify(node.raft.membership)} ` +
      `log ${node.log.firstIndex()}..${node.log.lastIndex()}`
    );
    return `${lines.join("\n")}\nmessages ${JSON.stringify(this.#messages.slice(0, 5))}`;
  }
}
