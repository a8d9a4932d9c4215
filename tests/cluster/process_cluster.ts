/** Nodes as real processes on loopback, each with a data folder of its own. */
import { fail } from "node:assert/strict";
import { V8_FLAGS } from "../../net/cli/self_command.ts";
import { freePorts } from "../support/free_ports.ts";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;
const CONDITION_MS_MAX = 60_000;

export interface JsonAnswer {
  readonly status: number;
  // deno-lint-ignore no-explicit-any walraft/no-any -- answers of a foreign process, looked at field by field in tests
  readonly body: any;
}

/** One `walraft serve`. Ports are chosen once and kept over restarts. */
export class NodeProcess {
  readonly name: string;
  readonly dataFolder: string;
  /** May be changed before a start. */
  httpPort: number;
  readonly raftPort: number;
  /** Address announced to peers when it differs from where it listens: a proxy, for example. */
  announcedRaftPort: number | undefined;
  #firstStart: readonly string[];
  readonly extra: string[];
  #child: Deno.ChildProcess | undefined;
  /** By itself: a signal to it would throw. */
  #hasEnded = false;
  #output: Promise<string> = Promise.resolve("");

  constructor(name: string, dataFolder: string, firstStart: readonly string[], extra: readonly string[]) {
    this.name = name;
    this.dataFolder = dataFolder;
    this.#firstStart = firstStart;
    this.extra = [...extra];
    this.httpPort = freePorts(2);
    this.raftPort = this.httpPort + 1;
  }

  get url(): string {
    return `http://127.0.0.1:${this.httpPort}`;
  }

  get isRunning(): boolean {
    return this.#child !== undefined;
  }

  /** It runs no more although nobody ended it. */
  get endedByItself(): boolean {
    return this.#child !== undefined && this.#hasEnded;
  }

  /** What the last process printed, once it has ended. */
  get printed(): Promise<string> {
    return this.#output;
  }

  /** Its input is a pipe then, which the system closes when this process dies, however it dies. */
  get #endsWithParent(): boolean {
    return this.extra.includes("--exit-with-parent");
  }

  get processId(): number {
    return this.#child?.pid ?? fail(`${this.name} does not run`);
  }

  start(): void {
    const announced = this.announcedRaftPort === undefined
      ? []
      : ["--advertise-raft", `127.0.0.1:${this.announcedRaftPort}`];
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        V8_FLAGS,
        MAIN,
        "serve",
        "--data",
        this.dataFolder,
        "--http",
        `127.0.0.1:${this.httpPort}`,
        "--raft",
        `127.0.0.1:${this.raftPort}`,
        ...announced,
        ...this.#firstStart,
        ...this.extra,
      ],
      stdin: this.#endsWithParent ? "piped" : "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    this.#child = child;
    this.#hasEnded = false;
    child.status.then(() => {
      if (this.#child === child) this.#hasEnded = true;
    });
    this.#output = new Response(child.stderr).text();
  }

  /** Starts with an empty folder as a new member, whatever it was before. */
  restartAsJoiner(member: NodeProcess): void {
    this.#firstStart = ["--join", `127.0.0.1:${member.raftPort}`];
    this.start();
  }

  /** kill -9, and waits until the process is gone. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  async stop(): Promise<void> {
    await this.#end("SIGTERM");
  }

  pause(): void {
    this.#signal("SIGSTOP");
  }

  resume(): void {
    this.#signal("SIGCONT");
  }

  /** Exit code and what it printed, once it has ended by itself; one that goes on is killed, and the test fails. */
  async ended(): Promise<{ code: number; output: string }> {
    const child = this.#child ?? fail(`${this.name} does not run`);
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      child.kill("SIGKILL");
    }, CONDITION_MS_MAX);
    const { code } = await child.status;
    clearTimeout(timer);
    this.#child = undefined;
    if (this.#endsWithParent) await child.stdin.close().catch(() => {});
    const output = await this.#output;
    if (isLate) fail(`${this.name} did not end by itself; it printed: ${output}`);
    return { code, output };
  }

  #signal(signal: Deno.Signal): void {
    if (!this.#hasEnded) this.#child?.kill(signal);
  }

  async #end(signal: Deno.Signal): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    this.#signal(signal);
    await child.status;
    this.#child = undefined;
    if (this.#endsWithParent) await child.stdin.close().catch(() => {});
    await this.#output;
  }

  async request(
    method: string,
    path: string,
    body?: unknown,
    headers: HeadersInit = {},
  ): Promise<JsonAnswer> {
    const raw = body instanceof Uint8Array;
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: { ...(body === undefined || raw ? {} : { "content-type": "application/json" }), ...headers },
      ...(body === undefined ? {} : { body: raw ? body as BodyInit : JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: text.startsWith("{") ? JSON.parse(text) : text };
  }

  execute(sql: string, params: unknown = [], headers: HeadersInit = {}): Promise<JsonAnswer> {
    return this.request("POST", "/v1/databases/main/execute", { sql, params }, headers);
  }

  query(sql: string, options: Record<string, unknown> = {}): Promise<JsonAnswer> {
    return this.request("POST", "/v1/databases/main/query", { sql, ...options });
  }

  async backup(database = "main"): Promise<Uint8Array> {
    const response = await fetch(`${this.url}/v1/databases/${database}/backup`);
    const bytes = new Uint8Array(await response.arrayBuffer());
    if (response.status !== 200) fail(`backup from ${this.name}: ${new TextDecoder().decode(bytes)}`);
    return bytes;
  }
}

export class ProcessCluster {
  readonly folder: string;
  readonly nodes: NodeProcess[] = [];
  readonly #extra: readonly string[];

  constructor(folder: string, extra: readonly string[]) {
    this.folder = folder;
    this.#extra = extra;
  }

  /** Starts `size` nodes and waits until all are voters and ready. */
  static async start(size: number, extra: readonly string[] = []): Promise<ProcessCluster> {
    const cluster = new ProcessCluster(await Deno.makeTempDir({ prefix: "walraft-test-" }), extra);
    for (let i = 0; i < size; i++) cluster.addNode();
    for (const node of cluster.nodes) node.start();
    await cluster.ready();
    return cluster;
  }

  /** A further node; it is not started. */
  addNode(): NodeProcess {
    const [first] = this.nodes;
    const firstStart = first === undefined ? ["--bootstrap"] : ["--join", `127.0.0.1:${first.raftPort}`];
    const name = `node-${this.nodes.length + 1}`;
    const node = new NodeProcess(name, `${this.folder}/${name}`, firstStart, this.#extra);
    this.nodes.push(node);
    return node;
  }

  get running(): NodeProcess[] {
    return this.nodes.filter((node) => node.isRunning);
  }

  async ready(): Promise<void> {
    await eventually("all running nodes are ready voters", async () => {
      for (const node of this.running) {
        const { status } = await node.request("GET", "/readyz");
        if (status !== 200) return false;
      }
      const [any] = this.running;
      const { body } = await any!.request("GET", "/v1/cluster");
      const voters = body.members.filter((member: { role: string }) => member.role !== "learner");
      return voters.length >= this.running.length && body.leader_id !== undefined && body.leader_id !== null;
    });
  }

  /** The running node that leads, as a majority sees it. */
  async leader(): Promise<NodeProcess> {
    let found: NodeProcess | undefined;
    await eventually("somebody leads", async () => {
      for (const node of this.running) {
        const { body } = await node.request("GET", "/v1/cluster");
        if (body.role === "leader") {
          found = node;
          return true;
        }
      }
      return false;
    });
    return found ?? fail("no leader");
  }

  async followers(): Promise<NodeProcess[]> {
    const leader = await this.leader();
    return this.running.filter((node) => node !== leader);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of this.nodes) {
      node.resume();
      await node.kill();
    }
    await Deno.remove(this.folder, { recursive: true });
  }
}

/** Waits for a condition; a request that fails counts as "not yet". */
export async function eventually(what: string, condition: () => Promise<boolean>): Promise<void> {
  const untilMs = performance.now() + CONDITION_MS_MAX;
  let last: unknown;
  while (performance.now() < untilMs) {
    try {
      if (await condition()) return;
      last = "not yet";
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  fail(`Gave up waiting until ${what}: ${String(last)}`);
}
