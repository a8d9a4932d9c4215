import { type ErrorCode, NodeError } from "../../core/base/errors.ts";
import type { Milliseconds } from "../../core/base/ids.ts";
import type { PeerAddress } from "../../core/base/ports.ts";
import type { Message } from "../../core/raft/message.ts";
import { encodeMessage, messageBytes } from "../wire/message_codec.ts";
import { WireError } from "../wire/wire_error.ts";
import { CallClient } from "./call_client.ts";
import type { TransportContext } from "./context.ts";
import { DialledChannel, type DialledChannelOptions } from "./dialled_channel.ts";
import type { Frame } from "../wire/frame.ts";
import type { Channel } from "../wire/hello.ts";
import { type Lane, SendQueue } from "./send_queue.ts";

/** Everything this node sends to one peer: a connection for Raft messages, and one for calls that may be large. */
export class PeerLink {
  readonly address: PeerAddress;
  readonly #context: TransportContext;
  readonly #raftQueue: SendQueue;
  readonly #callQueue: SendQueue;
  readonly #raft: DialledChannel;
  readonly #calls: CallClient;
  readonly #call: DialledChannel;
  #isClosed = false;
  /** When `onUnreachable` was last said. */
  #toldUnreachableMs = -Infinity;

  /** Dials at once. */
  constructor(address: PeerAddress, context: TransportContext) {
    this.address = address;
    this.#context = context;
    const { bounds, clock } = context;
    this.#callQueue = new SendQueue(bounds.queueBytesMax, bounds.queueReserveBytes);
    this.#raftQueue = new SendQueue(bounds.queueBytesMax, bounds.queueReserveBytes);
    this.#calls = new CallClient({
      peer: address.id,
      queue: this.#callQueue,
      clock,
      callsMax: bounds.callsMax,
      onQueued: () => this.#call.flush(),
    });
    this.#raft = this.#channel("raft", this.#raftQueue, {
      onFrame: refuseFrame,
      onUp: () => context.handler.onConnected(address.id),
      onDown: () => this.#tellUnreachable(),
    });
    this.#call = this.#channel("call", this.#callQueue, {
      onFrame: (frame) => this.#calls.onFrame(frame),
      onUp: () => {},
      onDown: () => this.#calls.failAll("no_leader", "the connection was lost"),
    });
  }

  /** Bytes that wait for the peer. */
  get queuedBytes(): number {
    return this.#raftQueue.bytes + this.#callQueue.bytes;
  }

  /** Fire and forget. Without a connection or room the message is dropped and the peer reported unreachable. */
  send(message: Message): void {
    const lane: Lane = message.kind === "append" || message.kind === "snapshot" ? "bulk" : "urgent";
    const { version } = this.#raft;
    if (version === undefined || !this.#raftQueue.hasRoom(messageBytes(message), lane)) {
      this.#tellUnreachable();
      return;
    }
    const frame = encodeMessage(message, version);
    const slot = message.kind === "heartbeat" ? { slot: "heartbeat" } : {};
    if (this.#raftQueue.push({ frame, lane, ...slot })) this.#raft.flush();
    else this.#tellUnreachable();
  }

  call(method: string, body: Uint8Array, timeoutMs: Milliseconds): Promise<Uint8Array> {
    if (!this.#call.isDiallingOrOpen) {
      const text =
        `Cannot call ${method} of member ${this.address.id}: there is no connection to it; try another member`;
      return Promise.reject(new NodeError("no_leader", text));
    }
    return this.#calls.call(method, body, timeoutMs);
  }

  /** The peer gave a sign of life. */
  hurry(): void {
    this.#raft.hurry();
    this.#call.hurry();
  }

  /** @param unwrittenCode for calls that never left */
  close(unwrittenCode: ErrorCode, reason: string): void {
    this.#isClosed = true;
    this.#raft.close();
    this.#call.close();
    this.#calls.failAll(unwrittenCode, reason);
  }

  #channel(
    channel: Channel,
    queue: SendQueue,
    heard: Pick<DialledChannelOptions, "onFrame" | "onUp" | "onDown">,
  ): DialledChannel {
    return new DialledChannel({ ...this.#context, peer: this.address, channel, queue, ...heard });
  }

  /** Said in a task of its own: the core that is sending right now must not be entered from below. */
  #tellUnreachable(): void {
    const { clock, timing, handler } = this.#context;
    const nowMs = clock.nowMs();
    if (this.#isClosed || nowMs - this.#toldUnreachableMs < timing.unreachableMs) return;
    this.#toldUnreachableMs = nowMs;
    queueMicrotask(() => {
      if (!this.#isClosed) handler.onUnreachable(this.address.id);
    });
  }
}

/** Messages go one way on channel `raft`: from who dialled. */
function refuseFrame(frame: Frame): void {
  throw new WireError(`Cannot accept a frame of kind ${frame.kind} from the listening side of channel raft`);
}
