import type { Clock, EventSink, PeerAddress, Random } from "../../core/base/ports.ts";
import type { Frame } from "../wire/frame.ts";
import { DiallerHandshake, HandshakeRefused, type Identity } from "../wire/handshake.ts";
import { type Channel, NONCE_BYTES } from "../wire/hello.ts";
import { type CloseReason, Connection } from "./connection.ts";
import { dial } from "./dial.ts";
import { openConnection } from "./open_connection.ts";
import { backoffMs } from "./reconnect.ts";
import type { SendQueue } from "./send_queue.ts";
import { closeSocket } from "./socket.ts";
import type { PeerTiming } from "./timing.ts";
import type { Traffic } from "./traffic.ts";

export interface DialledChannelOptions {
  readonly peer: PeerAddress;
  readonly channel: Channel;
  readonly identity: Identity;
  readonly secret: string | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly events: EventSink;
  readonly timing: PeerTiming;
  readonly traffic: Traffic;
  /** Outlives the connections: what waits in it while a dial is under way is sent when it succeeds. */
  readonly queue: SendQueue;
  readonly onFrame: (frame: Frame) => void;
  /** A connection stands. */
  readonly onUp: () => void;
  /** A connection was lost, or an attempt failed: what was queued will not be sent. Not called by `close()`. */
  readonly onDown: () => void;
}

type State =
  | { readonly kind: "dialling"; readonly abort: AbortController }
  | {
    readonly kind: "open";
    readonly connection: Connection;
    readonly version: number;
    readonly sinceMs: number;
  }
  | { readonly kind: "waiting"; readonly cancel: () => void }
  | { readonly kind: "closed" };

/** Keeps one connection to one peer: dials, opens, and dials again when it is lost. */
export class DialledChannel {
  readonly #options: DialledChannelOptions;
  #state: State = { kind: "closed" };
  /** Attempts that failed in a row; short-lived connections count as failed. */
  #failures = 0;
  /** The last trouble told: the same one is not told again until a connection stood. */
  #toldTrouble = "";

  /** Dials at once. */
  constructor(options: DialledChannelOptions) {
    this.#options = options;
    this.#dial();
  }

  /** Of the protocol, on the open connection; undefined while there is none. */
  get version(): number | undefined {
    return this.#state.kind === "open" ? this.#state.version : undefined;
  }

  /** Whether queued frames have a chance to leave soon: not while waiting for the next attempt. */
  get isDiallingOrOpen(): boolean {
    return this.#state.kind === "dialling" || this.#state.kind === "open";
  }

  /** Sees to the writing of what was pushed to the queue. */
  flush(): void {
    if (this.#state.kind === "open") this.#state.connection.flush();
  }

  /** There is a sign of life of the peer: a wait between attempts is cut short. */
  hurry(): void {
    if (this.#state.kind !== "waiting") return;
    this.#state.cancel();
    this.#dial();
  }

  close(): void {
    const state = this.#state;
    this.#state = { kind: "closed" };
    if (state.kind === "dialling") state.abort.abort();
    else if (state.kind === "open") state.connection.close();
    else if (state.kind === "waiting") state.cancel();
    this.#options.queue.clear();
  }

  #dial(): void {
    const abort = new AbortController();
    this.#state = { kind: "dialling", abort };
    void this.#attempt(abort.signal);
  }

  async #attempt(signal: AbortSignal): Promise<void> {
    const { peer, channel, identity, secret, clock, random, timing } = this.#options;
    let socket: Deno.TcpConn;
    let version: number;
    try {
      socket = await dial(peer.raftAddress, clock, timing, signal);
      const close = () => closeSocket(socket);
      if (signal.aborted) return close();
      signal.addEventListener("abort", close, { once: true });
      const nonce = random.bytes(NONCE_BYTES);
      const handshake = new DiallerHandshake({ identity, targetId: peer.id, channel, secret, nonce });
      ({ version } = await openConnection(socket, handshake, clock, timing));
      signal.removeEventListener("abort", close);
    } catch (error) {
      if (!signal.aborted) this.#onFailed(error);
      return;
    }
    if (signal.aborted) closeSocket(socket);
    else this.#onOpen(socket, version);
  }

  #onOpen(socket: Deno.TcpConn, version: number): void {
    const { peer, channel, queue, clock, timing, traffic, events, onFrame, onUp } = this.#options;
    this.#toldTrouble = "";
    events.event("peer_connected", { peer: peer.id, channel });
    const onClosed = (reason: CloseReason) => this.#onClosed(reason);
    const common = { socket, queue, clock, timing, traffic };
    const connection = new Connection({ ...common, isDialler: true, onFrame, onClosed });
    this.#state = { kind: "open", connection, version, sinceMs: clock.nowMs() };
    onUp();
  }

  #onClosed(reason: CloseReason): void {
    const state = this.#state;
    if (state.kind !== "open") return;
    const { peer, channel, clock, timing, events } = this.#options;
    const text = reason.kind === "closed" ? "" : reason.text;
    events.event("peer_connection_lost", { peer: peer.id, channel, kind: reason.kind, text });
    const lastedMs = clock.nowMs() - state.sinceMs;
    this.#failures = lastedMs >= timing.stableMs ? 1 : this.#failures + 1;
    this.#wait();
  }

  #onFailed(error: unknown): void {
    const { peer, channel, events } = this.#options;
    const text = error instanceof Error ? error.message : String(error);
    if (text !== this.#toldTrouble) {
      this.#toldTrouble = text;
      const facts = { peer: peer.id, channel, address: peer.raftAddress, text };
      if (error instanceof HandshakeRefused) {
        events.event("peer_refused", { ...facts, code: error.code, byPeer: error.byPeer });
      } else events.event("peer_unreachable", facts);
    }
    this.#failures += 1;
    this.#wait();
  }

  #wait(): void {
    const { clock, random, timing, queue, onDown } = this.#options;
    const cancel = clock.after(backoffMs(this.#failures, timing, random), () => this.#dial());
    this.#state = { kind: "waiting", cancel };
    queue.clear();
    onDown();
  }
}
