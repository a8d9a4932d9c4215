/** Carries out what `crash_plan.ts` has drawn: which node is ended when, and when it is started again. */
import type { CrashLoad } from "./crash_load.ts";
import type { RoundPlan } from "./crash_plan.ts";
import { eventually, type NodeProcess, type ProcessCluster } from "./process_cluster.ts";

/** Acknowledged writes that show that the others serve. */
const SERVING_WRITES = 10;
/** A checkpoint that does not come within these many writes is not waited for. */
const CHECKPOINT_WRITES_MAX = 300;
/** What a follower misses when it is away: the smallest log limit (16 MiB) lets go of it, so that it gets a snapshot. */
const AWAY_MEGABYTES = 14;

/** What the nodes say they did while they were being killed, as far as it shows what the rounds have covered. */
export type CoveredEvent =
  | "checkpoint_done"
  | "log_trimmed"
  | "log_tail_cut"
  | "log_truncated"
  | "snapshot_begun"
  | "snapshot_installed";
/** What no kill explains. */
const FORBIDDEN = [
  "fork_detected",
  "two_leaders",
  "log_damaged",
  "log_rebuilt",
  "append_malformed",
  "reply_malformed",
  "fatal",
];

export class CrashFaults {
  readonly #cluster: ProcessCluster;
  readonly #load: CrashLoad;
  #round = 0;
  #ended = false;
  kills = 0;
  readonly covered: Record<CoveredEvent, number> = {
    checkpoint_done: 0,
    log_trimmed: 0,
    log_tail_cut: 0,
    log_truncated: 0,
    snapshot_begun: 0,
    snapshot_installed: 0,
  };

  constructor(cluster: ProcessCluster, load: CrashLoad) {
    this.#cluster = cluster;
    this.#load = load;
  }

  /** One round; afterwards all nodes run. */
  async run(plan: RoundPlan, round: number): Promise<void> {
    this.#round = round;
    await this.#load.moreAcknowledged(plan.writesBefore);
    const victims = await this.#load.guard(this.#chooseVictims(plan));
    if (plan.atCheckpoint) await this.#checkpointBegins(victims[0] as NodeProcess);
    await delay(plan.delayMs);
    await this.#load.guard(this.#strike(plan, victims));
    if (plan.waitsForAll) await this.#load.guard(this.#cluster.ready());
    else await this.#load.moreAcknowledged(SERVING_WRITES);
  }

  /** For good: a round that is under way starts none of them again. */
  async end(): Promise<void> {
    this.#ended = true;
    await this.#killAll();
  }

  async #killAll(): Promise<void> {
    for (const node of this.#cluster.nodes) node.resume();
    await this.#kill(...this.#cluster.nodes);
  }

  async restartAll(): Promise<void> {
    await this.#killAll();
    for (const node of this.#cluster.nodes) this.#start(node);
  }

  /** A node that ends without being told to has found or made a fault. */
  failIfEnded(): void {
    for (const node of this.#cluster.nodes) {
      if (!node.endedByItself) continue;
      node.printed.then((printed) =>
        this.#load.fail(new Error(`${node.name} ended by itself; it printed:\n${printed}`))
      );
    }
  }

  /** The node to begin with is the first. */
  async #chooseVictims(plan: RoundPlan): Promise<NodeProcess[]> {
    const { nodes } = this.#cluster;
    const leader = await this.#cluster.leader();
    const others = nodes.filter((node) => node !== leader);
    const [follower, other] = plan.choice % 2 === 0 ? others : [...others].reverse();
    const all = [leader, follower as NodeProcess, other as NodeProcess];
    switch (plan.kind) {
      case "leader":
      case "voter":
      case "frozen":
      case "all":
        return all;
      case "follower":
        return [all[1], all[0], all[2]] as NodeProcess[];
      case "away":
        return [all[1], plan.choice % 4 < 2 ? all[0] : all[1]] as NodeProcess[];
      case "starting":
      case "two":
        // Two times of three the leader is one of them.
        return plan.choice % 3 === 0 ? [all[1], all[2]] as NodeProcess[] : all.slice(0, 2);
    }
  }

  async #strike(plan: RoundPlan, victims: readonly NodeProcess[]): Promise<void> {
    const [first, second] = victims as [NodeProcess, NodeProcess];
    switch (plan.kind) {
      case "leader":
      case "follower":
        await this.#kill(first);
        return await this.#startAgain(plan, first);
      case "two":
        await this.#kill(first, second);
        return await this.#startInTurn(plan, [first, second]);
      case "all":
        await this.#kill(...victims);
        return await this.#startInTurn(plan, victims);
      case "starting":
        return await this.#killWhileStarting(plan, first);
      case "voter":
        return await this.#killVoter(plan, victims);
      case "away":
        return await this.#killDuringCatchUp(plan, first, second);
      case "frozen":
        return await this.#freeze(plan, first);
    }
  }

  async #startAgain(plan: RoundPlan, node: NodeProcess): Promise<void> {
    if (plan.restart === "after_failover") await this.#load.moreAcknowledged(SERVING_WRITES);
    if (plan.restart === "after_pause") await delay(plan.downMs);
    this.#start(node);
  }

  /** Without a majority nothing is acknowledged, so only time can pass between the starts. */
  async #startInTurn(plan: RoundPlan, nodes: readonly NodeProcess[]): Promise<void> {
    const order = plan.choice % 5 < 2 ? nodes : [...nodes].reverse();
    for (const node of order) {
      if (plan.restart !== "at_once") await delay(plan.downMs / nodes.length);
      this.#start(node);
    }
  }

  async #killWhileStarting(plan: RoundPlan, node: NodeProcess): Promise<void> {
    await this.#kill(node);
    for (const startingMs of plan.startingMs) {
      this.#start(node);
      await delay(startingMs);
      await this.#kill(node);
    }
    await this.#startAgain(plan, node);
  }

  async #killVoter(plan: RoundPlan, [leader, ...others]: readonly NodeProcess[]): Promise<void> {
    const first = leader as NodeProcess;
    const watches = others.map((node) => new FolderWatch(`${node.dataFolder}/raft`, node));
    try {
      await this.#kill(first);
      // Votes come within milliseconds; where they were there before the watch, the election is over by now.
      const voted = Promise.race(watches.map((watch) => watch.changed));
      const voter = await this.#load.moreAcknowledged(SERVING_WRITES, voted) ?? others[0] as NodeProcess;
      await this.#kill(voter);
      await this.#startInTurn(plan, [first, voter]);
    } finally {
      for (const watch of watches) watch.close();
    }
  }

  async #killDuringCatchUp(plan: RoundPlan, follower: NodeProcess, victim: NodeProcess): Promise<void> {
    await this.#kill(follower);
    await this.#load.growLog(AWAY_MEGABYTES);
    this.#start(follower);
    await delay(plan.startingMs[0] as number);
    await this.#kill(victim);
    await this.#startAgain({ ...plan, restart: "after_pause" }, victim);
  }

  /** A leader that does not know that another one was elected wakes up with writes and reads under way. */
  async #freeze(plan: RoundPlan, leader: NodeProcess): Promise<void> {
    leader.pause();
    await eventually("another node leads", async () => {
      for (const node of this.#cluster.nodes) {
        if (node === leader) continue;
        const { body } = await node.request("GET", "/v1/cluster");
        if (body.role === "leader") return true;
      }
      return false;
    });
    await delay(plan.downMs);
    if (plan.choice % 3 !== 0) return leader.resume();
    await this.#kill(leader);
    this.#start(leader);
  }

  async #checkpointBegins(node: NodeProcess): Promise<void> {
    const watch = new FolderWatch(`${node.dataFolder}/db`, node);
    try {
      await this.#load.moreAcknowledged(CHECKPOINT_WRITES_MAX, watch.changed);
    } finally {
      watch.close();
    }
  }

  #start(node: NodeProcess): void {
    if (!this.#ended) node.start();
  }

  /** All at the same moment. What they printed goes into a file beside their folders. */
  async #kill(...nodes: readonly NodeProcess[]): Promise<void> {
    this.kills += nodes.filter((node) => node.isRunning).length;
    await Promise.all(nodes.map((node) => node.kill()));
    for (const node of nodes) {
      const printed = await node.printed;
      const text = `${printed}--- killed in round ${this.#round}\n`;
      await Deno.writeTextFile(`${this.#cluster.folder}/${node.name}.log`, text, { append: true });
      this.#lookThrough(node, printed);
    }
  }

  #lookThrough(node: NodeProcess, printed: string): void {
    for (const line of printed.split("\n")) {
      const name = line.split(" ")[1] ?? "";
      if (name in this.covered) this.covered[name as CoveredEvent]++;
      if (FORBIDDEN.includes(name)) this.#load.fail(new Error(`${node.name} said: ${line}`));
    }
  }
}

/** Notices the first change of a file in a folder, at any depth. */
class FolderWatch {
  readonly changed: Promise<NodeProcess>;
  readonly #watcher: Deno.FsWatcher;

  constructor(folder: string, node: NodeProcess) {
    this.#watcher = Deno.watchFs(folder);
    this.changed = this.#first(node);
  }

  async #first(node: NodeProcess): Promise<NodeProcess> {
    for await (const { kind } of this.#watcher) if (kind !== "access") return node;
    // Closed: nobody waits any more.
    return await new Promise(() => {});
  }

  close(): void {
    this.#watcher[Symbol.dispose]();
  }
}

/** Only to draw the moment of a fault; nothing is expected to have happened by then. */
function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
