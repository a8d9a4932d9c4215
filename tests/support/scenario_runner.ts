/**
 * Plays text scenarios on Raft cores. A scenario is a list of blocks: comments that tell the story, commands, a line
 * `----`, and what they led to. tests/scenarios/README.md lists the commands.
 */
import type { NodeId } from "../../core/base/ids.ts";
import { encodeMembership } from "../../core/raft/membership.ts";
import { type Entry, EntryType, type Message, type SnapshotMetadata } from "../../core/raft/message.ts";
import type { Output } from "../../core/raft/output.ts";
import type { RaftOptions } from "../../core/raft/options.ts";
import type { AssignableRole, MembershipChange } from "../../core/raft/plan_change.ts";
import { BENCH_OPTIONS } from "./raft_bench.ts";
import { logOf, membershipOf, MemoryLog, RaftNode } from "./raft_node.ts";
import { formatEntry, formatMessage, formatStatus } from "./scenario_format.ts";

/** Words of `change` that take or change a role. */
const ASSIGNED: Readonly<Record<string, AssignableRole>> = {
  learn: "learner",
  stand_by: "stand_by",
  spare: "spare",
};

export interface Block {
  readonly comments: readonly string[];
  readonly commands: readonly string[];
  readonly expected: readonly string[];
}

const SEPARATOR = "----";
const QUIET_EVENTS: ReadonlySet<string> = new Set(["became_follower", "campaign_started"]);

export function parseScenario(text: string): Block[] {
  return text.trim().split(/\n\n+/).map((block) => {
    const lines = block.split("\n");
    const at = lines.indexOf(SEPARATOR);
    const head = at < 0 ? lines : lines.slice(0, at);
    return {
      comments: head.filter((line) => line.startsWith("#")),
      commands: head.filter((line) => !line.startsWith("#") && line.trim() !== ""),
      expected: at < 0 ? [] : lines.slice(at + 1),
    };
  });
}

/** The scenario with what really happened in place of what was expected. */
export function playScenario(blocks: readonly Block[]): string {
  const player = new ScenarioPlayer();
  const played = blocks.map(({ comments, commands }) => {
    if (commands.length === 0) return comments.join("\n");
    const transcript = commands.flatMap((command) => player.command(command));
    const lines = transcript.length === 0 ? ["(nothing)"] : transcript;
    return [...comments, ...commands, SEPARATOR, ...lines].join("\n");
  });
  return played.join("\n\n") + "\n";
}

export class ScenarioPlayer {
  readonly #nodes = new Map<NodeId, RaftNode>();
  readonly #snapshots = new Map<NodeId, SnapshotMetadata>();
  #queue: Message[] = [];
  #lines: string[] = [];
  /** Within `settle` messages are not worth a line each. */
  #isQuiet = false;
  /** Links `from>to` that lose everything. */
  #cut = new Set<string>();
  #options: RaftOptions = { ...BENCH_OPTIONS, electionTicks: 4, appendBytesMax: 100_000 };
  /** Of all clocks; leases are measured in it. */
  #nowMs = 0;

  command(line: string): string[] {
    const [name = "", ...args] = line.trim().split(/\s+/);
    this.#lines = [];
    try {
      this.#run(name, args);
    } catch (error) {
      this.#lines.push(`throws ${error instanceof Error ? error.message : String(error)}`);
    }
    return this.#lines;
  }

  #run(name: string, args: string[]): void {
    const first = args[0] ?? "";
    switch (name) {
      case "nodes":
        return this.#makeNodes(args);
      case "node":
        return this.#addNode(Number(first), new MemoryLog(), 0);
      case "settle":
        return this.#quietly(() => this.#settle(first !== "untold"));
      case "elect":
        return this.#quietly(() => {
          this.#onNode("campaign", this.#node(first), []);
          this.#settle(true);
        });
      case "deliver":
        return this.#deliver(args);
      case "drop":
        return this.#say(`dropped ${this.#take(args).length}`);
      case "duplicate":
        return void (this.#queue = this.#queue.flatMap((each) =>
          matches(each, args) ? [each, { ...each }] : [each]
        ));
      case "messages":
        return this.#queue.forEach((message) => this.#say(formatMessage(message)));
      case "pass":
        return void (this.#nowMs += Number(first));
      case "cut":
        return this.#isolate(args.map(Number));
      case "heal":
        return this.#cut.clear();
      case "state":
        return this.#state(args);
      default:
        return this.#onNode(name, this.#node(first), args.slice(1));
    }
  }

  #onNode(name: string, node: RaftNode, args: string[]): void {
    const first = args[0] ?? "";
    const { raft } = node;
    switch (name) {
      case "tick":
        for (let i = 0; i < Number(args[0] ?? 1); i++) {
          node.raft.tick();
          node.run();
        }
        return;
      case "persist":
        node.sync(first === "" ? undefined : Number(first));
        break;
      case "campaign":
        raft.campaign();
        break;
      case "propose":
        this.#propose(node, args);
        break;
      case "change":
        this.#change(node, args.join(" "));
        break;
      case "transfer":
        raft.transferLeadership(Number(first));
        break;
      case "read":
        raft.readIndex(Number(first));
        break;
      case "forget":
        raft.forgetLeader();
        break;
      case "crash":
        node.crash({ hardStates: Number(args[0] ?? 0), appends: Number(args[1] ?? 0), entries: 0 });
        this.#snapshots.delete(node.id);
        return;
      case "restart":
        node.restart();
        break;
      case "compact":
        return node.compact(node.baseAt(Number(first), encodeMembership));
      case "install":
        node.install(this.#snapshots.get(node.id)!);
        break;
      case "damage":
        return this.#damage(node, Number(first));
      default:
        throw new Error(`Unknown command ${name}`);
    }
    node.run();
  }

  /** `nodes 1,2,3 learners=4 log1=1,1,2 term1=3 inflight=2 election=4 lease=200` */
  #makeNodes(args: string[]): void {
    const ids = (text: string) => text.split(",").filter((each) => each !== "").map(Number);
    const named = new Map(args.slice(1).map((arg) => arg.split("=") as [string, string]));
    const voters = ids(args[0] ?? "");
    const learners = ids(named.get("learners") ?? "");
    this.#options = {
      ...this.#options,
      appendsInFlightMax: Number(named.get("inflight") ?? this.#options.appendsInFlightMax),
      electionTicks: Number(named.get("election") ?? this.#options.electionTicks),
      appendBytesMax: Number(named.get("bytes") ?? this.#options.appendBytesMax),
      lease: {
        ms: Number(named.get("lease") ?? 0),
        nowMs: () => this.#nowMs,
        mayHavePromised: false,
      },
    };
    const standBys = ids(named.get("stand_bys") ?? "");
    const spares = ids(named.get("spares") ?? "");
    const membership = membershipOf(voters, learners, standBys, spares);
    for (const id of membership.members.map((member) => member.id)) {
      const log = logOf(membership, ids(named.get(`log${id}`) ?? ""));
      const term = Number(named.get(`term${id}`) ?? log.termAt(log.lastIndex()));
      this.#addNode(id, log, term);
    }
  }

  #addNode(id: NodeId, log: MemoryLog, term: number): void {
    const disk = { hardState: { term, vote: 0 }, log, commitIndex: Math.min(1, log.lastIndex()) };
    const node = new RaftNode({ ...this.#options, id }, disk, () => 0, {
      send: (message) => this.#onSend(message),
      onOutput: (_, output) => this.#onOutput(node, output),
    });
    this.#nodes.set(id, node);
  }

  #node(id: string): RaftNode {
    const node = this.#nodes.get(Number(id));
    if (node === undefined) throw new Error(`There is no node ${id}`);
    return node;
  }

  #say(line: string): void {
    this.#lines.push(line);
  }

  #onSend(message: Message): void {
    const lost = this.#cut.has(`${message.from}>${message.to}`);
    if (!lost) this.#queue.push(message);
    if (!this.#isQuiet) this.#say(`${formatMessage(message)}${lost ? " (lost)" : ""}`);
  }

  #onOutput(node: RaftNode, output: Output): void {
    const { id } = node;
    for (const { name, facts } of output.events) {
      if (this.#isQuiet && QUIET_EVENTS.has(name)) continue;
      const texts = Object.entries(facts).map(([key, value]) => ` ${key}=${String(value)}`);
      this.#say(`${id} ${name}${texts.join("")}`);
    }
    if (output.hardState !== undefined && !this.#isQuiet) {
      this.#say(`${id} writes term ${output.hardState.term} vote ${output.hardState.vote}`);
    }
    if (output.entries.length > 0 && !this.#isQuiet) {
      this.#say(`${id} appends ${output.entries.map(formatEntry).join(" ")}`);
    }
    if (output.commitIndex > (this.#published.get(`${id}/${node.life}`) ?? 1)) {
      this.#published.set(`${id}/${node.life}`, output.commitIndex);
      this.#say(`${id} publishes ${output.commitIndex}`);
    }
    for (const { context, index, rejected } of output.readStates) {
      this.#say(`${id} read ${context} ${rejected ? "refused" : `at ${index}`}`);
    }
    if (output.snapshot !== undefined) this.#snapshots.set(id, output.snapshot);
  }

  readonly #published = new Map<string, number>();

  /** The last word may be `last`: of all that match only the newest one. */
  #take(words: string[]): Message[] {
    const onlyLast = words.at(-1) === "last";
    const filter = onlyLast ? words.slice(0, -1) : words;
    const found = this.#queue.filter((message) => matches(message, filter));
    const taken = new Set(onlyLast ? found.slice(-1) : found);
    this.#queue = this.#queue.filter((message) => !taken.has(message));
    return [...taken];
  }

  #deliver(filter: string[]): void {
    for (const message of this.#take(filter)) {
      if (!this.#isQuiet) this.#say(`=> ${formatMessage(message)}`);
      const node = this.#nodes.get(message.to);
      if (!node?.alive) continue;
      node.raft.step(message);
      node.run();
    }
  }

  #quietly(act: () => void): void {
    this.#isQuiet = true;
    try {
      act();
    } finally {
      this.#isQuiet = false;
    }
  }

  /** Everything is delivered and written until nobody has anything to say. */
  /** @param tells as drivers do, leaders tell of commits of which no entries have told for a while */
  #settle(tells: boolean): void {
    for (let round = 0; round < 100; round++) {
      for (const node of this.#nodes.values()) {
        if (!node.alive) continue;
        node.run();
        node.sync();
        node.run();
      }
      if (this.#queue.length === 0 && !(tells && this.#tellNews())) return;
      this.#deliver([]);
    }
    throw new Error("The nodes do not come to rest");
  }

  #tellNews(): boolean {
    const leader = [...this.#nodes.values()].find(({ alive, raft }) => alive && raft.hasCommitNews);
    leader?.raft.greet();
    leader?.run();
    return leader !== undefined;
  }

  #propose(node: RaftNode, texts: string[]): void {
    for (const text of texts) {
      const proposed = node.raft.propose(new TextEncoder().encode(text));
      if ("refused" in proposed) this.#say(`refused: ${proposed.refused}`);
    }
  }

  /** `promote 4, remove 1`, or `add` */
  #change(node: RaftNode, text: string): void {
    const changes = text.split(",").map((each): MembershipChange => {
      const [kind, id] = each.trim().split(" ");
      if (kind === "add") {
        const host = `new${node.raft.membership.nextNodeId}`;
        return { kind: "add", raftAddress: `${host}:1`, httpAddress: `${host}:2` };
      }
      if (kind !== undefined && Object.hasOwn(ASSIGNED, kind)) {
        return { kind: "assign", id: Number(id), role: ASSIGNED[kind] as AssignableRole };
      }
      if (kind !== "promote" && kind !== "remove") throw new Error(`No change ${kind}`);
      return { kind, id: Number(id) };
    });
    const proposed = node.raft.proposeMembership(changes.length === 1 ? changes[0]! : changes);
    if (proposed.refused !== undefined) this.#say(`refused: ${proposed.refused}`);
  }

  #isolate(ids: readonly NodeId[]): void {
    const side = new Set(ids);
    for (const from of this.#nodes.keys()) {
      for (const to of this.#nodes.keys()) {
        if (side.has(from) !== side.has(to)) this.#cut.add(`${from}>${to}`);
      }
    }
    this.#queue = this.#queue.filter(({ from, to }) => !this.#cut.has(`${from}>${to}`));
  }

  /** As if the log had been written wrongly from the entry on; checksums are the log's business, not Raft's. */
  #damage(node: RaftNode, index: number): void {
    const spoil = (entry: Entry): Entry =>
      entry.index < index || entry.type !== EntryType.data ? entry : { ...entry, hash: entry.hash ^ 1 };
    node.log.list = node.log.list.map(spoil);
    node.disk.log.list = node.disk.log.list.map(spoil);
  }

  #state(args: string[]): void {
    const asked = args.map(Number);
    for (const node of this.#nodes.values()) {
      if (asked.length === 0 || asked.includes(node.id)) this.#say(formatStatus(node));
    }
  }
}

/** A filter is any of `1>2`, `1>`, `>2`, and a kind of message. */
function matches(message: Message, filter: readonly string[]): boolean {
  return filter.every((word) => {
    const link = /^(\d*)>(\d*)$/.exec(word);
    if (link === null) return message.kind === word;
    const [, from, to] = link;
    return (from === "" || message.from === Number(from)) && (to === "" || message.to === Number(to));
  });
}
