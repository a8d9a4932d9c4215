/** A node of one that speaks the dqlite protocol: everything real but the disk, which is in memory. */
import { setImmediate } from "node:timers";
import { SystemClock } from "../../core/host/system_clock.ts";
import { openNode } from "../../core/node/open_node.ts";
import type { Node } from "../../core/node/node.ts";
import type { EngineName } from "../../core/sql/engine.ts";
import { loadEngineModule } from "../../core/sql/wasm/load_engine.ts";
import { DqliteServer, type DqliteServerOptions } from "../../net/dqlite/server.ts";
import { freePorts } from "../support/free_ports.ts";
import { MemoryNetwork } from "../support/memory_transport.ts";
import { shortWork, startWorker } from "../support/node_cluster.ts";
import { SeededRandom } from "../support/seeded_random.ts";
import { SimDisk } from "../support/sim_disk.ts";
import { WireClient } from "./wire_client.ts";

export class WireNode {
  readonly node: Node;
  readonly server: DqliteServer;
  /** The port of HTTP that the node announces, for a test that serves it. */
  readonly httpPort: number;
  /** What was reported as a defect. */
  readonly failures: string[] = [];
  readonly #clients: WireClient[] = [];

  constructor(node: Node, options: Partial<DqliteServerOptions> = {}, httpPort = 0) {
    this.node = node;
    this.httpPort = httpPort;
    this.server = new DqliteServer({
      hostname: "127.0.0.1",
      port: 0,
      node,
      clock: new SystemClock(),
      events: { event: (name, facts) => void this.failures.push(`${name} ${JSON.stringify(facts)}`) },
      ...options,
    });
  }

  static async start(
    options: Partial<DqliteServerOptions> = {},
    engine: EngineName = "sqlite-wasm",
  ): Promise<WireNode> {
    const clock = new SystemClock();
    const httpPort = freePorts(2);
    const port = httpPort + 1;
    const disk = new SimDisk({ seed: 1 });
    const network = new MemoryNetwork();
    const node = await openNode({
      disk,
      clock,
      random: new SeededRandom(1),
      events: { event: () => {} },
      addresses: {
        raftAddress: "127.0.0.1:7001",
        httpAddress: `127.0.0.1:${httpPort}`,
        wireAddress: `127.0.0.1:${port}`,
      },
      firstStart: { kind: "bootstrap" },
      openTransport: (identity, handler) => network.join(identity.nodeId, handler),
      callOnce: () => Promise.reject(new Error("A node of one calls nobody")),
      startWorker: startWorker(
        { id: 2, disk, writerGate: SOCKETS_FIRST, readerGate: SOCKETS_FIRST },
        clock,
        {},
        loadEngineModule(engine),
      ),
      shortWork: shortWork(loadEngineModule(engine)),
      readerCount: 1,
      endOfTurn: queueMicrotask,
      // A machine that stands still for a moment must not cost the only member its leadership.
      electionTimeoutMs: 60_000,
      heartbeatMs: 50,
      checkpointBytes: 1024 * 1024 * 1024,
      checkpointAgeMs: 300_000,
      retainMs: 0,
      logBytesMax: 1024 * 1024 * 1024,
      createDatabases: true,
      onFatal: (error) => {
        throw error;
      },
    });
    return new WireNode(node, { port, ...options }, httpPort);
  }

  /** As the node announces it. */
  get address(): string {
    return `127.0.0.1:${this.server.port}`;
  }

  /** A connection after its opening word. */
  async connect(): Promise<WireClient> {
    const client = await WireClient.connect(this.server.port);
    this.#clients.push(client);
    return client;
  }

  /** A connection with a database open. */
  async open(name = "test.db"): Promise<WireClient> {
    const client = await this.connect();
    await client.ask({ kind: "open", name, flags: 0, vfs: "volatile" });
    return client;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.close();
    await this.server.stop(1_000);
    await this.node.stop();
  }
}

/** Between two messages of a worker the sockets have their turn: an Interrupt may be waiting there. */
const SOCKETS_FIRST = {
  get opened(): Promise<void> {
    return new Promise((resolve) => void setImmediate(resolve));
  },
};
