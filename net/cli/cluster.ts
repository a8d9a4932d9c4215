import { type Client, connect } from "../client/mod.ts";
import type { ClusterOptions } from "./arguments.ts";
import { ChildNode } from "./child_node.ts";
import { nodeEnvironment, type PlannedNode, planNodes, planStart, type StartStep } from "./cluster_plan.ts";
import type { CommandContext } from "./command_context.ts";
import { EXIT } from "./usage_error.ts";

/** A cluster that is not ready after this has a problem that waiting does not solve. */
const READY_MS_MAX = 60_000;
const POLL_MS = 50;
/** Nodes close their files within a second; after this they are killed. */
const STOP_MS_MAX = 10_000;
/** With --restart: a node that cannot start must not be started in a tight loop. */
const RESTART_PAUSE_MS = 1_000;

/** Runs a development cluster until a signal arrives. Exit code 0 when it was stopped, 1 when it could not start. */
export async function runCluster(options: ClusterOptions, context: CommandContext): Promise<number> {
  const cluster = new DevelopmentCluster(options, context);
  try {
    await cluster.start();
    context.output.stdout(`ready ${cluster.urls.join(" ")}\n`);
    await untilAborted(context.signal);
  } catch (error) {
    if (!context.signal.aborted) throw error;
  } finally {
    await cluster.stop();
  }
  return EXIT.ok;
}

export class DevelopmentCluster {
  readonly #options: ClusterOptions;
  readonly #context: CommandContext;
  readonly #nodes: readonly PlannedNode[];
  readonly #children = new Map<string, ChildNode>();
  /** Loops that watch children; they end with them. */
  readonly #watching: Promise<void>[] = [];
  /** Aborted when the cluster stops, or cannot start. */
  readonly #stopping = new AbortController();
  /** Ended on purpose, so that nothing is to be reported. */
  readonly #expected = new Set<ChildNode>();
  #isStarting = true;

  constructor(options: ClusterOptions, context: CommandContext) {
    this.#options = options;
    this.#context = context;
    this.#nodes = planNodes(options);
  }

  get urls(): string[] {
    return this.#nodes.map((node) => node.url);
  }

  /** Resolves when a leader serves, every node is ready and all of them vote. Throws when that takes too long. */
  async start(): Promise<void> {
    const { signal } = this.#context;
    const stop = () => this.#stopping.abort(new Error("Stopped while starting"));
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop);
    try {
      signal.throwIfAborted();
      await Deno.mkdir(this.#options.dataDirectory, { recursive: true });
      const running: PlannedNode[] = [];
      for (const stage of planStart(this.#nodes, hasData)) {
        for (const step of stage) {
          this.#startNode(step);
          running.push(step.node);
        }
        await this.#untilReady(running);
      }
      this.#isStarting = false;
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  /** Name of the node that serves clients at this HOST:PORT. Throws Error when there is none. */
  nameOf(httpAddress: string): string {
    return this.#planned((node) => node.httpAddress === httpAddress, httpAddress).name;
  }

  /** Ends a node at once, as a power cut would, and resolves when its process is gone. */
  async kill(name: string): Promise<void> {
    const child = this.#children.get(name);
    if (child === undefined || child.hasExited) throw new Error(`Cannot kill ${name}: it is not running`);
    this.#expected.add(child);
    child.kill("SIGKILL");
    await child.ended;
  }

  /** Starts a node that has ended on its data, and resolves when all nodes are ready. */
  async startAgain(name: string): Promise<void> {
    const node = this.#planned((each) => each.name === name, name);
    if (this.#children.get(name)?.hasExited === false) throw new Error(`Cannot start ${name}: it is running`);
    this.#startNode({ node, startArgs: [] });
    await this.#untilReady(this.#nodes);
  }

  #planned(fits: (node: PlannedNode) => boolean, label: string): PlannedNode {
    const node = this.#nodes.find(fits);
    if (node === undefined) throw new Error(`There is no node ${label} in this cluster`);
    return node;
  }

  /** SIGTERM to all, SIGKILL to those that do not end in time. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error("Stopped"));
    const children = [...this.#children.values()];
    for (const child of children) child.kill("SIGTERM");
    const timer = setTimeout(() => {
      for (const child of children) {
        if (child.hasExited) continue;
        this.#say(
          `${child.node.name} (pid ${child.pid}) did not stop within ${STOP_MS_MAX} ms and is killed`,
        );
        child.kill("SIGKILL");
      }
    }, STOP_MS_MAX);
    await Promise.all(children.map((child) => child.ended));
    clearTimeout(timer);
    await Promise.all(this.#watching);
  }

  #say(text: string): void {
    this.#context.output.stderr(`${text}\n`);
  }

  #startNode(step: StartStep): void {
    const { node, startArgs } = step;
    const command = [...this.#context.selfCommand, ...node.serveArgs, ...startArgs];
    const environment = nodeEnvironment(this.#context.environment, this.#options.tuning);
    const nameWidth = Math.max(...this.#nodes.map((each) => each.name.length));
    const child = new ChildNode(node, command, environment, this.#context.output, nameWidth);
    this.#children.set(node.name, child);
    this.#context.output.stdout(
      `${node.name} pid ${child.pid} ${node.url} raft ${node.raftAddress} data ${node.dataDirectory}\n`,
    );
    this.#watching.push(this.#watch(child));
  }

  /** Reports the end of a node that nobody asked for. */
  async #watch(child: ChildNode): Promise<void> {
    await child.ended;
    // While the cluster starts, the wait for readiness reports it.
    if (this.#stopping.signal.aborted || this.#isStarting || this.#expected.has(child)) return;
    const { node } = child;
    if (!this.#options.restart) {
      this.#say(`${describeEnd(child)}; it is not started again (--restart would)`);
      return;
    }
    this.#say(`${describeEnd(child)} and is started again`);
    await sleep(RESTART_PAUSE_MS, this.#stopping.signal);
    if (!this.#stopping.signal.aborted) this.#startNode({ node, startArgs: [] });
  }

  async #untilReady(nodes: readonly PlannedNode[]): Promise<void> {
    const { token } = this.#options.tuning;
    const client = connect(nodes.map((node) => node.url), {
      timeoutMs: 2_000,
      ...(token === undefined ? {} : { token }),
    });
    const deadline = performance.now() + READY_MS_MAX;
    const { signal } = this.#stopping;
    while (!await this.#isReady(client, nodes)) {
      signal.throwIfAborted();
      const ended = nodes.map((node) => this.#children.get(node.name)).find((child) => child?.hasExited);
      if (ended !== undefined) {
        await ended.ended;
        throw new Error(`${describeEnd(ended)} while the cluster was starting; its lines above say why`);
      }
      if (performance.now() > deadline) {
        throw new Error(
          `Cannot start the cluster: it is not ready after ${READY_MS_MAX} ms; the lines above say why`,
        );
      }
      await sleep(POLL_MS, signal);
    }
  }

  /** A leader is known, each node says that it is ready, and none of them is still a learner. */
  async #isReady(client: Client, nodes: readonly PlannedNode[]): Promise<boolean> {
    const { signal } = this.#stopping;
    try {
      for (const node of nodes) {
        const limit = AbortSignal.any([signal, AbortSignal.timeout(2_000)]);
        const response = await fetch(`${node.url}/readyz`, { signal: limit });
        await response.body?.cancel();
        if (!response.ok) return false;
      }
      const { leaderId, members } = await client.cluster({ signal });
      const voting = new Set(
        members.filter((member) => member.role !== "learner").map((member) => member.httpAddress),
      );
      return leaderId !== undefined && nodes.every((node) => voting.has(node.httpAddress));
    } catch {
      return false;
    }
  }
}

function describeEnd(child: ChildNode): string {
  return `${child.node.name} (pid ${child.pid}) ended with ${child.exitReason}`;
}

/** A node that has been started before: its first act is to write this file. */
function hasData(node: PlannedNode): boolean {
  try {
    return Deno.statSync(`${node.dataDirectory}/node.json`).isFile;
  } catch {
    return false;
  }
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
  });
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
