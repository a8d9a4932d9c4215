import { assert } from "../../core/base/assert.ts";
import { NodeError } from "../../core/base/errors.ts";
import type { Milliseconds, NodeId } from "../../core/base/ids.ts";
import type {
  Clock,
  EventSink,
  PeerAddress,
  Random,
  Transport,
  TransportHandler,
} from "../../core/base/ports.ts";
import type { Message } from "../../core/raft/message.ts";
import type { Identity } from "../wire/handshake.ts";
import { PEER_BOUNDS, type PeerBounds } from "./bounds.ts";
import type { TransportContext } from "./context.ts";
import { Inbound } from "./inbound.ts";
import { Listener } from "./listener.ts";
import { PeerLink } from "./peer_link.ts";
import { PEER_TIMING, type PeerTiming } from "./timing.ts";
import { Traffic } from "./traffic.ts";

export interface TcpTransportOptions {
  readonly identity: Identity;
  /** The cluster secret, the same at every member, or none at any. */
  readonly secret?: string | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly events: EventSink;
  readonly handler: TransportHandler;
  readonly timing?: Partial<PeerTiming>;
  readonly bounds?: Partial<PeerBounds>;
}

/**
 * Messages and calls between members over TCP. Each member dials every other one twice, for what it sends itself:
 * Raft messages on one connection, calls on the other. README.md has the picture and the codes of failed calls.
 */
export class TcpTransport implements Transport {
  readonly traffic = new Traffic();
  readonly #context: TransportContext;
  readonly #links = new Map<NodeId, PeerLink>();
  readonly #inbound: Inbound;
  readonly #listener: Listener;
  #isClosed = false;

  /** @throws NodeError bad_request for an empty secret, which would protect nothing */
  constructor(options: TcpTransportOptions) {
    const { identity, secret, clock, random, events, handler } = options;
    checkSecret(secret);
    assert(identity.nodeId > 0 && identity.clusterId !== "", "A transport belongs to a member of a cluster");
    const timing = { ...PEER_TIMING, ...options.timing };
    const bounds = { ...PEER_BOUNDS, ...options.bounds };
    const { traffic } = this;
    this.#context = { identity, secret, clock, random, events, handler, timing, bounds, traffic };
    this.#inbound = new Inbound(this.#context, (peer) => this.#links.get(peer)?.hurry());
    this.#listener = new Listener({
      context: this.#context,
      openedCount: () => this.#inbound.count,
      onOpened: (socket, opening) => this.#inbound.add(socket, opening),
    });
  }

  /**
   * Begins to accept the connections of others; once.
   *
   * @param address `HOST:PORT`; port 0 lets the system choose
   * @returns the port
   * @throws NodeError bad_request for a malformed address, or one that cannot be had
   */
  listen(address: string): number {
    return this.#listener.listen(address);
  }

  /** Bytes that wait for all peers together: grows when one does not keep up. */
  get queuedBytes(): number {
    let bytes = 0;
    for (const link of this.#links.values()) bytes += link.queuedBytes;
    return bytes;
  }

  /** To a member that is not among the peers the message is dropped without a word: only peers are reported. */
  send(message: Message): void {
    const { nodeId } = this.#context.identity;
    assert(message.from === nodeId, () => `Cannot send a message of ${message.from} from member ${nodeId}`);
    this.#links.get(message.to)?.send(message);
  }

  call(to: NodeId, method: string, body: Uint8Array, timeoutMs: Milliseconds): Promise<Uint8Array> {
    if (this.#isClosed) {
      return Promise.reject(
        new NodeError("stopping", `Cannot call ${method} of member ${to}: this node is stopping`),
      );
    }
    const link = this.#links.get(to);
    if (link === undefined) {
      const text = `Cannot call ${method} of member ${to}: it is not among the peers of this node`;
      return Promise.reject(new NodeError("no_leader", text));
    }
    return link.call(method, body, timeoutMs);
  }

  setPeers(peers: readonly PeerAddress[]): void {
    if (this.#isClosed) return;
    const wanted = new Map(peers.map((peer) => [peer.id, peer]));
    wanted.delete(this.#context.identity.nodeId);
    for (const [id, link] of [...this.#links]) {
      const peer = wanted.get(id);
      if (peer?.raftAddress === link.address.raftAddress) continue;
      this.#links.delete(id);
      link.close("no_leader", peer === undefined ? "it is no peer any more" : "its address changed");
      if (peer === undefined) this.#inbound.remove(id);
    }
    for (const [id, peer] of wanted) {
      if (!this.#links.has(id)) this.#links.set(id, new PeerLink(peer, this.#context));
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const link of this.#links.values()) link.close("stopping", "this node is stopping");
    this.#links.clear();
    this.#inbound.close();
    await this.#listener.close();
  }
}

/** An empty secret is a mistake in a configuration, and would be accepted by any other empty one. */
export function checkSecret(secret: string | undefined): void {
  if (secret === "") {
    throw new NodeError("bad_request", "Cannot use an empty cluster secret: leave it out or give it a value");
  }
}
