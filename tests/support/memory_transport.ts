/**
 * A network in one process, for tests of what uses a Transport: every link's delay, loss, repetition and cut is set by
 * the test, and nothing happens until its clock is advanced. Messages pass through the real codec.
 */
import { assert } from "../../core/base/assert.ts";
import { fromErrorRecord, NodeError, toErrorRecord } from "../../core/base/errors.ts";
import type { Milliseconds, NodeId } from "../../core/base/ids.ts";
import { LIMITS } from "../../core/base/limits.ts";
import type { Clock, PeerAddress, Transport, TransportHandler } from "../../core/base/ports.ts";
import type { Message } from "../../core/raft/message.ts";
import { frameBytes } from "../../net/wire/frame.ts";
import { readFrames } from "../../net/wire/frame_reader.ts";
import { decodeMessage, encodeMessage } from "../../net/wire/message_codec.ts";

/** Time stands still until `advance`. */
export class ManualClock implements Clock {
  #nowMs = 0;
  #timers: { readonly atMs: number; readonly order: number; readonly callback: () => void }[] = [];
  #order = 0;

  nowMs(): Milliseconds {
    return this.#nowMs;
  }

  wallMs(): Milliseconds {
    return 1_700_000_000_000 + this.#nowMs;
  }

  after(delayMs: Milliseconds, callback: () => void): () => void {
    const timer = { atMs: this.#nowMs + Math.max(delayMs, 0), order: ++this.#order, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Runs what is due on the way, in order of time, then of registration. */
  advance(byMs: Milliseconds): void {
    const endMs = this.#nowMs + byMs;
    while (true) {
      this.#timers.sort((left, right) => left.atMs - right.atMs || left.order - right.order);
      const next = this.#timers[0];
      if (next === undefined || next.atMs > endMs) break;
      this.#timers.shift();
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.callback();
    }
    this.#nowMs = endMs;
  }

  /** Timers that wait: 0 after everything was closed, or something leaks. */
  get timerCount(): number {
    return this.#timers.length;
  }
}

/** One direction between two members. The test sets the fields at any time; they act on what is sent from then on. */
export interface MemoryLink {
  delayMs: Milliseconds;
  /** Whether to lose this message. Calls are not lost: their connection would send again. */
  drop: (message: Message) => boolean;
  /** Whether to deliver this message twice. */
  duplicate: (message: Message) => boolean;
  /** Nothing passes, and nobody is told: what is under way is lost, too. */
  cut: boolean;
}

export class MemoryNetwork {
  readonly clock: ManualClock;
  /** Sees every message as it leaves, also those that are lost. */
  onSend: (message: Message) => void = () => {};
  readonly #members = new Map<NodeId, MemoryTransport>();
  readonly #links = new Map<string, MemoryLink>();

  constructor(clock = new ManualClock()) {
    this.clock = clock;
  }

  /** A member that is up from now on; one of the same id must have been closed before. */
  join(id: NodeId, handler: TransportHandler): MemoryTransport {
    assert(!this.#members.has(id), () => `Cannot join as member ${id}: it is up`);
    const transport = new MemoryTransport(this, id, handler);
    this.#members.set(id, transport);
    for (const other of this.#members.values()) other.onPeerThere(id);
    return transport;
  }

  link(from: NodeId, to: NodeId): MemoryLink {
    const key = `${from} ${to}`;
    const link = this.#links.get(key) ??
      { delayMs: 0, drop: () => false, duplicate: () => false, cut: false };
    this.#links.set(key, link);
    return link;
  }

  /** Cuts or heals every link between the two groups, in both directions. */
  partition(left: readonly NodeId[], right: readonly NodeId[], cut = true): void {
    for (const a of left) {
      for (const b of right) {
        this.link(a, b).cut = cut;
        this.link(b, a).cut = cut;
      }
    }
  }

  /** The transport of a member that is up and can be reached from `from`. */
  reach(from: NodeId, to: NodeId): MemoryTransport | undefined {
    return this.link(from, to).cut ? undefined : this.#members.get(to);
  }

  /** Runs `then` at the other end after the delay of the link, unless the link is cut by then. */
  carry(from: NodeId, to: NodeId, then: (receiver: MemoryTransport) => void): void {
    this.clock.after(this.link(from, to).delayMs, () => {
      const receiver = this.reach(from, to);
      if (receiver !== undefined) then(receiver);
    });
  }

  /** The connections between two members that are up are closed, as by a firewall between them. */
  disconnect(left: NodeId, right: NodeId): void {
    this.#members.get(left)?.onPeerGone(right);
    this.#members.get(right)?.onPeerGone(left);
  }

  leave(id: NodeId): void {
    this.#members.delete(id);
    for (const other of this.#members.values()) other.onPeerGone(id);
  }
}

interface PendingCall {
  readonly to: NodeId;
  readonly reject: (error: NodeError) => void;
}

export class MemoryTransport implements Transport {
  readonly #network: MemoryNetwork;
  readonly #id: NodeId;
  readonly #handler: TransportHandler;
  #peers = new Set<NodeId>();
  readonly #pending = new Set<PendingCall>();
  #isClosed = false;
  readonly traffic = { sentBytes: 0, receivedBytes: 0 };

  constructor(network: MemoryNetwork, id: NodeId, handler: TransportHandler) {
    this.#network = network;
    this.#id = id;
    this.#handler = handler;
  }

  send(message: Message): void {
    assert(
      message.from === this.#id,
      () => `Cannot send a message of ${message.from} from member ${this.#id}`,
    );
    if (this.#isClosed || !this.#peers.has(message.to)) return;
    this.#network.onSend(message);
    if (this.#network.reach(this.#id, message.to) === undefined) {
      queueMicrotask(() => {
        if (!this.#isClosed) this.#handler.onUnreachable(message.to);
      });
      return;
    }
    const link = this.#network.link(this.#id, message.to);
    if (link.drop(message)) return;
    const bytes = frameBytes(encodeMessage(message));
    for (let copies = link.duplicate(message) ? 2 : 1; copies > 0; copies--) {
      this.traffic.sentBytes += bytes.length;
      this.#network.carry(this.#id, message.to, (receiver) => receiver.receive(bytes));
    }
  }

  call(to: NodeId, method: string, body: Uint8Array, timeoutMs: Milliseconds): Promise<Uint8Array> {
    const what = `Cannot call ${method} of member ${to}`;
    if (this.#isClosed) return Promise.reject(new NodeError("stopping", `${what}: this node is stopping`));
    if (!this.#peers.has(to) || this.#network.reach(this.#id, to) === undefined) {
      return Promise.reject(new NodeError("no_leader", `${what}: there is no connection to it`));
    }
    const sent = body.slice();
    this.traffic.sentBytes += sent.length;
    return new Promise((resolve, reject) => {
      const pending: PendingCall = { to, reject: (error) => finish(() => reject(error)) };
      const cancel = this.#network.clock.after(timeoutMs, () =>
        pending.reject(
          new NodeError(
            "commit_unknown",
            `No answer to call ${method} of member ${to} within ${timeoutMs} ms`,
          ),
        ));
      const finish = (settle: () => void) => {
        if (!this.#pending.delete(pending)) return;
        cancel();
        settle();
      };
      this.#pending.add(pending);
      this.#network.carry(this.#id, to, (receiver) => {
        receiver.serve(this.#id, method, sent).then(
          (answer) => {
            receiver.traffic.sentBytes += answer.length;
            this.#network.carry(to, this.#id, () => {
              this.traffic.receivedBytes += answer.length;
              finish(() => resolve(answer));
            });
          },
          (error) => {
            const record = toErrorRecord(error);
            this.#network.carry(to, this.#id, () => pending.reject(fromErrorRecord(record)));
          },
        );
      });
    });
  }

  setPeers(peers: readonly PeerAddress[]): void {
    const before = this.#peers;
    this.#peers = new Set(peers.map((peer) => peer.id));
    for (const id of this.#peers) if (!before.has(id)) this.onPeerThere(id);
    for (const { to, reject } of [...this.#pending]) {
      if (!this.#peers.has(to)) reject(new NodeError("commit_unknown", `Member ${to} is no peer any more`));
    }
  }

  close(): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    this.#isClosed = true;
    this.#network.leave(this.#id);
    for (const { reject } of [...this.#pending]) {
      reject(new NodeError("commit_unknown", "This node is stopping"));
    }
    return Promise.resolve();
  }

  receive(bytes: Uint8Array): void {
    this.traffic.receivedBytes += bytes.length;
    for (const frame of readFrames(bytes, LIMITS.peerFrameBytesMax)) {
      this.#handler.onMessage(decodeMessage(frame));
    }
  }

  serve(from: NodeId, method: string, body: Uint8Array): Promise<Uint8Array> {
    this.traffic.receivedBytes += body.length;
    return this.#handler.onCall(from, method, body);
  }

  /** The peer came up, or is one from now on. */
  onPeerThere(peer: NodeId): void {
    this.#network.clock.after(0, () => {
      const isReached = this.#peers.has(peer) && this.#network.reach(this.#id, peer) !== undefined;
      if (isReached && !this.#isClosed) this.#handler.onConnected(peer);
    });
  }

  /** The other side of the connections to `peer` is closed. */
  onPeerGone(peer: NodeId): void {
    for (const { to, reject } of [...this.#pending]) {
      if (to === peer) reject(new NodeError("commit_unknown", `The connection to member ${peer} was lost`));
    }
    if (!this.#peers.has(peer)) return;
    this.#network.clock.after(0, () => {
      if (!this.#isClosed) this.#handler.onDisconnected(peer);
    });
  }
}
