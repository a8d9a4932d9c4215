import type { Milliseconds } from "../../core/base/ids.ts";
import type { Clock } from "../../core/base/ports.ts";

/** What is served on an accepted socket. */
export interface ServedConnection {
  /** Ends when the connection is closed; never rejects. */
  run(): Promise<void>;
  /** Closes now when no request is under way, else after its answer. */
  drain(): void;
  close(): void;
  /** Closes when its deadline has passed. */
  expire(nowMs: Milliseconds): void;
}

export interface AcceptorOptions {
  readonly listener: Deno.TcpListener;
  readonly clock: Clock;
  /** Undefined refuses the socket, which is closed. */
  readonly open: (socket: Deno.TcpConn) => ServedConnection | undefined;
  readonly onAcceptFailed: (error: unknown) => void;
  /** With every look at the deadlines. */
  readonly onSweep?: (nowMs: Milliseconds) => void;
}

/** How often deadlines are looked at: they pass late by up to twice this. */
const SWEEP_MS = 250;
/** After `accept` failed, usually for want of file descriptors. */
const ACCEPT_RETRY_MS = 100;

/** Accepts sockets, compares the deadlines of all connections with one timer, and drains them at the end. */
export class Acceptor {
  readonly #options: AcceptorOptions;
  readonly #connections = new Set<ServedConnection>();
  readonly #accepting: Promise<void>;
  #cancelSweep: () => void = () => {};
  #endPause: () => void = () => {};
  #isStopping = false;
  #onEmpty: (() => void) | undefined;

  /** Begins at once; `open` is not called before the constructor has returned. */
  constructor(options: AcceptorOptions) {
    this.#options = options;
    this.#sweep();
    this.#accepting = this.#acceptAll();
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /**
   * Stops accepting, closes idle connections, lets requests under way finish, and closes what is left after `drainMs`.
   * Resolves when every connection is closed; a handler that ignores its signal may still run then.
   */
  async stop(drainMs: Milliseconds): Promise<void> {
    const { listener, clock } = this.#options;
    if (!this.#isStopping) {
      this.#isStopping = true;
      this.#endPause();
      listener.close();
      for (const connection of this.#connections) connection.drain();
    }
    let cancel = () => {};
    const deadline = new Promise<void>((resolve) => {
      cancel = clock.after(drainMs, () => {
        for (const connection of this.#connections) connection.close();
        resolve();
      });
    });
    await this.#accepting;
    await Promise.race([this.#untilEmpty(), deadline]);
    cancel();
    this.#cancelSweep();
  }

  async #acceptAll(): Promise<void> {
    const { listener, onAcceptFailed } = this.#options;
    while (!this.#isStopping) {
      try {
        this.#admit(await listener.accept());
      } catch (error) {
        if (this.#isStopping) return;
        onAcceptFailed(error);
        await this.#pause();
      }
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after(ACCEPT_RETRY_MS, resolve);
      this.#endPause = () => {
        cancel();
        resolve();
      };
    });
  }

  #admit(socket: Deno.TcpConn): void {
    try {
      socket.setNoDelay(true);
      // A client that vanished without a word holds a place, and perhaps a transaction.
      socket.setKeepAlive(true);
    } catch {
      // Reset by the client before it was accepted; the first read will say so.
    }
    const connection = this.#options.open(socket);
    if (connection === undefined) return socket.close();
    this.#connections.add(connection);
    void connection.run().then(() => {
      this.#connections.delete(connection);
      this.#signalIfEmpty();
    });
  }

  #sweep(): void {
    const { clock, onSweep } = this.#options;
    const nowMs = clock.nowMs();
    onSweep?.(nowMs);
    for (const connection of this.#connections) connection.expire(nowMs);
    this.#cancelSweep = clock.after(SWEEP_MS, () => this.#sweep());
  }

  #untilEmpty(): Promise<void> {
    return new Promise((resolve) => {
      this.#onEmpty = resolve;
      this.#signalIfEmpty();
    });
  }

  #signalIfEmpty(): void {
    if (this.#connections.size === 0) this.#onEmpty?.();
  }
}
