/**
 * Whole nodes in one thread: the real Raft core, log, page store and SQLite over simulated disks, a network in memory, and a
 * clock that the test moves. SQL workers answer in tasks of their own, as threads would, and can be held up.
 */
import { setImmediate } from "node:timers";
import type { NodeId } from "../../core/base/ids.ts";
import type { Clock, Disk } from "../../core/base/ports.ts";
import type { Node } from "../../core/node/node.ts";
import { openNode, type OpenNodeOptions } from "../../core/node/open_node.ts";
import type { NewMember, QueryRequest, WriteAnswer, WriteRequest } from "../../core/node/service.ts";
import type { SessionLimits } from "../../core/sql/session_limits.ts";
import type { MessageToWorker } from "../../core/sql/messages.ts";
import type { EngineModule } from "../../core/sql/engine.ts";
import { OpenReaders } from "../../core/sql/open_readers.ts";
import { OpenWriters } from "../../core/sql/open_writers.ts";
import { loadEngineModule } from "../../core/sql/wasm/load_engine.ts";
import { WorkerCore } from "../../core/sql/worker_core.ts";
import type { SqlWorker, StartSqlWorker } from "../../core/sql/worker_slot.ts";
import { MemoryNetwork } from "./memory_transport.ts";
import { SeededRandom } from "./seeded_random.ts";
import { SimDisk } from "./sim_disk.ts";

const MODULE = loadEngineModule();
export const SHORT_WORK = shortWork(MODULE);

/** Short reads and writes on the thread of the test. */
export function shortWork(module: EngineModule): NonNullable<OpenNodeOptions["shortWork"]> {
  return {
    loadReaders: () => Promise.resolve((options) => new OpenReaders({ ...options, module })),
    loadWriters: () => Promise.resolve((options) => new OpenWriters({ ...options, module })),
    cacheKib: 1024,
  };
}
/** One step of the clock: shorter than every period of a node. */
const STEP_MS = 5;
/** Ten minutes of the nodes' time: a condition that is not met by then never will be. */
const STEPS_MAX = 120_000;

/** Lets workers pass, or holds up the next message they take. */
export class Gate {
  #opened: Promise<void> = Promise.resolve();
  #open: () => void = () => {};

  hold(): void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#opened = promise;
    this.#open = resolve;
  }

  release(): void {
    this.#open();
  }

  get opened(): Promise<void> {
    return this.#opened;
  }
}

export interface Member {
  readonly id: NodeId;
  readonly disk: SimDisk;
  node: Node;
  readonly writerGate: Gate;
  readonly readerGate: Gate;
  readonly fatal: Error[];
  /** Ends what runs now: from then on it reaches nobody. */
  kill: () => void;
}

type Shell = Omit<Member, "node">;
/** Where SQL workers run, and what each of their messages waits for. */
interface WorkerSite {
  readonly id: NodeId;
  readonly disk: Disk;
  readonly writerGate: Pick<Gate, "opened">;
  readonly readerGate: Pick<Gate, "opened">;
}

export type NodeTuning = Partial<
  Pick<
    OpenNodeOptions,
    | "checkpointBytes"
    | "checkpointAgeMs"
    | "retainMs"
    | "logBytesMax"
    | "createDatabases"
    | "appendBytesMax"
    | "leaseMs"
  >
>;

export class NodeCluster {
  readonly network = new MemoryNetwork();
  readonly members: Member[] = [];
  /** What members say of themselves at their next start. */
  readonly wanted = new Map<NodeId, Partial<NewMember>>();
  readonly events: { readonly name: string; readonly facts: Record<string, unknown> }[] = [];
  readonly #random: SeededRandom;
  readonly #tuning: NodeTuning;

  constructor(seed: number, tuning: NodeTuning = {}) {
    this.#random = new SeededRandom(seed);
    this.#tuning = tuning;
  }

  /** A cluster whose first member leads and whose members all vote. */
  static async start(size: number, tuning: NodeTuning = {}, seed = 1): Promise<NodeCluster> {
    const cluster = new NodeCluster(seed, tuning);
    for (let id = 1; id <= size; id++) await cluster.add(id);
    await cluster.until(() =>
      cluster.members.every(({ node }) => node.isReady()) &&
      metric(cluster.member(1).node, "voters") === size
    );
    return cluster;
  }

  member(id: NodeId): Member {
    return this.members.find((member) => member.id === id) as Member;
  }

  node(id: NodeId): Node {
    return this.member(id).node;
  }

  /** The member that leads and knows it, at the highest term. */
  get leader(): Member | undefined {
    return this.members.filter(({ node }) => metric(node, "is_leader") === 1)
      .sort((a, b) => metric(b.node, "raft_term") - metric(a.node, "raft_term"))[0];
  }

  /** @param wanted the role and traits it is started with, and further addresses */
  async add(id: NodeId, wanted: Partial<NewMember> = {}): Promise<Member> {
    this.wanted.set(id, wanted);
    const disk = new SimDisk({ seed: this.#random.word() });
    const gates = { writerGate: new Gate(), readerGate: new Gate() };
    const shell: Shell = { id, disk, ...gates, fatal: [], kill: () => {} };
    const member = Object.assign(shell, { node: await this.finish(this.#open(shell)) });
    this.members.push(member);
    return member;
  }

  /** The power fails and comes back. */
  async restart(id: NodeId): Promise<void> {
    this.crash(id);
    await this.boot(id);
  }

  /** Starts a node whose process has ended. */
  async boot(id: NodeId): Promise<void> {
    const member = this.member(id);
    member.node = await this.finish(this.#open(member));
  }

  /** The process ends without a word. What it still does reaches neither the disk nor anybody else. */
  crash(id: NodeId): void {
    this.member(id).kill();
    this.member(id).disk.crash();
  }

  #open(shell: Shell): Promise<Node> {
    const { id, disk, fatal } = shell;
    let isAlive = true;
    const { clock } = this.network;
    const address = (of: NodeId): string => `127.0.0.1:${7_000 + of}`;
    return openNode({
      disk,
      clock,
      random: this.#random.fork(),
      events: {
        event: (name, facts) => void (isAlive && this.events.push({ name, facts: { node: id, ...facts } })),
      },
      addresses: {
        raftAddress: address(id),
        httpAddress: `127.0.0.1:${8_000 + id}`,
        ...this.wanted.get(id),
      },
      firstStart: id === 1 ? { kind: "bootstrap" } : { kind: "join", raftAddresses: [address(1)] },
      openTransport: (identity, handler) => {
        const transport = this.network.join(identity.nodeId, handler);
        shell.kill = () => {
          isAlive = false;
          void transport.close();
        };
        return transport;
      },
      callOnce: (to, method, body) => this.node(Number(to.split(":")[1]) - 7_000).onCall(0, method, body),
      startWorker: startWorker(shell, clock),
      shortWork: SHORT_WORK,
      readerCount: 2,
      endOfTurn: queueMicrotask,
      electionTimeoutMs: 500,
      heartbeatMs: 50,
      checkpointBytes: 1024 * 1024 * 1024,
      checkpointAgeMs: 300_000,
      retainMs: 0,
      logBytesMax: 1024 * 1024 * 1024,
      createDatabases: true,
      ...this.#tuning,
      onFatal: (error) => {
        if (isAlive) fatal.push(error);
      },
    });
  }

  /** Moves the clock until the condition holds. */
  async until(condition: () => boolean): Promise<void> {
    for (let step = 0; !condition(); step++) {
      if (step === STEPS_MAX) throw new Error("The condition was not met");
      await this.advance(STEP_MS);
    }
  }

  /** Moves the clock until the promise is settled. */
  async finish<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    promise.then(() => (isSettled = true), () => (isSettled = true));
    await this.until(() => isSettled);
    return await promise;
  }

  async advance(milliseconds: number): Promise<void> {
    for (let passed = 0; passed < milliseconds; passed += STEP_MS) {
      this.network.clock.advance(STEP_MS);
      await new Promise<void>((resolve) => void setImmediate(resolve));
    }
  }

  write(id: NodeId, sql: string, options: Partial<WriteRequest> = {}): Promise<WriteAnswer> {
    return this.node(id).write({
      database: "main",
      kind: "execute",
      statements: [{ sql, parameters: [] }],
      timeoutMs: 10_000,
      format: "json",
      rowShape: "arrays",
      ...options,
    });
  }

  /** Rows of a query; linearizable unless said otherwise. */
  async rows(id: NodeId, sql: string, options: Partial<QueryRequest> = {}): Promise<unknown[][]> {
    const answer = await this.finish(
      this.node(id).query({
        database: "main",
        sql,
        parameters: [],
        level: "linearizable",
        timeoutMs: 10_000,
        format: "json",
        rowShape: "arrays",
        ...options,
      }),
    );
    return (JSON.parse(`{${new TextDecoder().decode(answer.fields.bytes)}}`) as { rows: unknown[][] }).rows;
  }

  /** Stops every node; what failed for good makes the test fail. */
  async close(): Promise<void> {
    await this.finish(Promise.all(this.members.map(({ node }) => node.stop())));
    for (const { id, fatal } of this.members) {
      if (fatal.length > 0) throw new Error(`Node ${id} failed for good`, { cause: fatal[0] });
    }
  }
}

export function metric(node: Node, name: string): number {
  return node.metrics().find((one) => one.name === name)?.value ?? NaN;
}

/** SQL workers on the same thread: messages cross as copies, in tasks of their own. */
export function startWorker(
  site: WorkerSite,
  clock: Clock,
  limits: Partial<SessionLimits> = {},
  module: EngineModule = MODULE,
): StartSqlWorker {
  return ({ name, cancel, onMessage, onDied }): SqlWorker => {
    const gate = name === "writer" ? site.writerGate : site.readerGate;
    let isAlive = true;
    const core = new WorkerCore({
      module,
      disk: site.disk,
      clock,
      limits,
      random: new SeededRandom(site.id),
      cancel,
      post: (message) => {
        const copy = structuredClone(message);
        setImmediate(() => isAlive && onMessage(copy));
      },
    });
    setImmediate(() => isAlive && onMessage({ kind: "ready" }));
    let work = Promise.resolve();
    return {
      post: (message: MessageToWorker): void => {
        const copy = structuredClone(message);
        work = work.then(() => gate.opened).then(() => {
          if (isAlive) return core.handle(copy);
        }).catch((error) => {
          if (isAlive) onDied(`failed: ${error}`);
        });
      },
      terminate: () => {
        isAlive = false;
      },
    };
  };
}
