import { assert } from "../../core/base/assert.ts";
import { HandshakeRefused, ListenerHandshake, type Opening } from "../wire/handshake.ts";
import { NONCE_BYTES } from "../wire/hello.ts";
import { listen } from "../tcp/listen.ts";
import { parseAddress } from "./address.ts";
import type { TransportContext } from "./context.ts";
import { openConnection } from "./open_connection.ts";
import { closeSocket } from "./socket.ts";

/** Pause after a failed accept: the process is out of file handles, and trying at once would only burn the CPU. */
const ACCEPT_PAUSE_MS = 100;
/** The same trouble with strangers is told at most this often: they must not fill the log. */
const TELL_MS = 1_000;

export interface ListenerOptions {
  readonly context: TransportContext;
  /** Opened connections there are already. */
  readonly openedCount: () => number;
  readonly onOpened: (socket: Deno.TcpConn, opening: Opening) => void;
}

/** Accepts sockets and opens them. What is not opened yet is bounded in count, bytes and time. */
export class Listener {
  readonly #options: ListenerOptions;
  readonly #unopened = new Set<Deno.TcpConn>();
  #listener: Deno.TcpListener | undefined;
  #acceptLoop: Promise<void> = Promise.resolve();
  #isClosed = false;
  #endPause = () => {};
  #toldMs = -Infinity;

  constructor(options: ListenerOptions) {
    this.#options = options;
  }

  /**
   * @returns the port, which the system chose when that of `address` is 0
   * @throws NodeError bad_request for a malformed address, or one that cannot be had
   */
  listen(address: string): number {
    assert(this.#listener === undefined, "Cannot listen twice");
    const { hostname, port } = parseAddress(address);
    this.#listener = listen(hostname, port, "--raft");
    this.#acceptLoop = this.#accept(this.#listener);
    return this.#listener.addr.port;
  }

  async close(): Promise<void> {
    if (!this.#isClosed) {
      this.#isClosed = true;
      this.#listener?.close();
      this.#endPause();
      for (const socket of this.#unopened) closeSocket(socket);
    }
    await this.#acceptLoop;
  }

  async #accept(listener: Deno.TcpListener): Promise<void> {
    while (!this.#isClosed) {
      let socket: Deno.TcpConn;
      try {
        socket = await listener.accept();
      } catch (error) {
        if (!this.#isClosed) await this.#pause(error);
        continue;
      }
      if (this.#isClosed) closeSocket(socket);
      else this.#admit(socket);
    }
  }

  #admit(socket: Deno.TcpConn): void {
    const { context, openedCount } = this.#options;
    const { unopenedConnectionsMax, connectionsMax } = context.bounds;
    const count = this.#unopened.size;
    if (count >= unopenedConnectionsMax || count + openedCount() >= connectionsMax) {
      closeSocket(socket);
      this.#tell("peer_listener_full", { unopened: count, opened: openedCount() });
      return;
    }
    this.#unopened.add(socket);
    void this.#open(socket);
  }

  async #open(socket: Deno.TcpConn): Promise<void> {
    const { context, onOpened } = this.#options;
    const { identity, secret, random, clock, timing } = context;
    let opening: Opening;
    try {
      socket.setNoDelay(true);
      const handshake = new ListenerHandshake({ identity, secret, nonce: random.bytes(NONCE_BYTES) });
      opening = await openConnection(socket, handshake, clock, timing);
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      const code = error instanceof HandshakeRefused ? { code: error.code } : {};
      if (!this.#isClosed) this.#tell("peer_not_accepted", { ...code, text });
      return;
    } finally {
      this.#unopened.delete(socket);
    }
    if (this.#isClosed) closeSocket(socket);
    else onOpened(socket, opening);
  }

  #pause(error: unknown): Promise<void> {
    const { clock } = this.#options.context;
    this.#tell("peer_accept_failed", { text: error instanceof Error ? error.message : String(error) });
    return new Promise((resolve) => {
      const cancel = clock.after(ACCEPT_PAUSE_MS, resolve);
      this.#endPause = () => {
        cancel();
        resolve();
      };
    });
  }

  #tell(name: string, facts: Record<string, unknown>): void {
    const { clock, events } = this.#options.context;
    const nowMs = clock.nowMs();
    if (nowMs - this.#toldMs < TELL_MS) return;
    this.#toldMs = nowMs;
    events.event(name, facts);
  }
}
