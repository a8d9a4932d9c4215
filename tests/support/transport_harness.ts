/** Members on one transport implementation whose time is in the hands of the test. */
import { equal, fail } from "node:assert/strict";
import { assert, mustHave } from "../../core/base/assert.ts";
import type { NodeId } from "../../core/base/ids.ts";
import type { PeerAddress, Random, Transport, TransportHandler } from "../../core/base/ports.ts";
import { TcpTransport, type TcpTransportOptions } from "../../net/peer/tcp_transport.ts";
import type { TransportHarness } from "../contracts/transport_contract.ts";
import { ManualClock, MemoryNetwork } from "./memory_transport.ts";

const STEPS_MAX = 5_000;

/** A macrotask: sockets and promises get their turn. */
const turn = () => new Promise<void>((resolve) => setTimeout(resolve, 0));

export const TEST_RANDOM: Random = {
  next: () => 0.5,
  bytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
};

export interface NotedEvent {
  readonly name: string;
  readonly facts: Record<string, unknown>;
}

abstract class ClockedHarness implements TransportHarness {
  readonly clock = new ManualClock();
  readonly transports = new Map<NodeId, Transport>();

  abstract start(id: NodeId, handler: TransportHandler): Promise<Transport>;
  abstract addressOf(id: NodeId): string;

  connect(id: NodeId, peers: readonly NodeId[]): void {
    const addresses = peers.map((peer): PeerAddress => ({ id: peer, raftAddress: this.addressOf(peer) }));
    mustHave(this.transports.get(id), "transport").setPeers(addresses);
  }

  /** @param stepMs how far time moves before each look */
  async until(what: string, condition: () => boolean, stepMs = 1): Promise<void> {
    for (let step = 0; step < STEPS_MAX; step++) {
      if (condition()) return;
      this.clock.advance(stepMs);
      await turn();
    }
    fail(`It did not happen that ${what}`);
  }

  async pass(ms: number): Promise<void> {
    this.clock.advance(ms);
    await turn();
  }

  async close(): Promise<void> {
    for (const transport of this.transports.values()) await transport.close();
    await turn();
    this.clock.advance(60_000);
    equal(this.clock.timerCount, 0, "timers are left");
  }
}

export class MemoryHarness extends ClockedHarness {
  readonly network = new MemoryNetwork(this.clock);

  override start(id: NodeId, handler: TransportHandler): Promise<Transport> {
    const transport = this.network.join(id, handler);
    this.transports.set(id, transport);
    return Promise.resolve(transport);
  }

  override addressOf(id: NodeId): string {
    return `member-${id}:1`;
  }
}

export class TcpHarness extends ClockedHarness {
  /** What all members told, in order. */
  readonly events: NotedEvent[] = [];
  readonly #ports = new Map<NodeId, number>();
  readonly #options: Partial<TcpTransportOptions>;

  constructor(options: Partial<TcpTransportOptions> = {}) {
    super();
    this.#options = options;
  }

  /** @param options what this member has different from the others */
  override start(
    id: NodeId,
    handler: TransportHandler,
    options: Partial<TcpTransportOptions> = {},
  ): Promise<TcpTransport> {
    const transport = new TcpTransport({
      identity: { clusterId: "blue", nodeId: id },
      clock: this.clock,
      random: TEST_RANDOM,
      events: { event: (name, facts) => void this.events.push({ name, facts }) },
      handler,
      ...this.#options,
      ...options,
    });
    // A member that comes back must be found where it was.
    const port = transport.listen(`127.0.0.1:${this.#ports.get(id) ?? 0}`);
    this.#ports.set(id, port);
    this.transports.set(id, transport);
    return Promise.resolve(transport);
  }

  tcp(id: NodeId): TcpTransport {
    const transport = this.transports.get(id);
    assert(transport instanceof TcpTransport, () => `Member ${id} was not started`);
    return transport;
  }

  portOf(id: NodeId): number {
    return mustHave(this.#ports.get(id), "port");
  }

  /** Lets `id` be found at a port that is not its own: a proxy, or a test that plays the member. */
  setPort(id: NodeId, port: number): void {
    this.#ports.set(id, port);
  }

  override addressOf(id: NodeId): string {
    return `127.0.0.1:${this.portOf(id)}`;
  }

  eventsNamed(name: string): NotedEvent[] {
    return this.events.filter((event) => event.name === name);
  }
}
