import type { Milliseconds } from "../../core/base/ids.ts";
import { LIMITS } from "../../core/base/limits.ts";
import type { Clock, EventSink } from "../../core/base/ports.ts";
import type { NodeService } from "../../core/node/service.ts";
import { type ConnectionContext, DqliteConnection } from "./connection.ts";
import { type ByteBudget, FrameStream, type FrameStreamLimits } from "./frame_stream.ts";

/** How often deadlines are compared. A deadline is late by at most this. */
const SWEEP_MS = 250;
/** After `accept` failed, usually for want of file descriptors. */
const ACCEPT_RETRY_MS = 100;

type ServerLimits = FrameStreamLimits & { readonly connectionCountMax: number };

export interface DqliteServerOptions {
  readonly hostname: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly node: NodeService;
  /** Default true. */
  readonly createDatabases?: boolean;
  readonly clock: Clock;
  readonly events: EventSink;
  readonly limits?: Partial<ServerLimits>;
}

const DEFAULT_LIMITS: ServerLimits = {
  idleMsMax: LIMITS.dqliteIdleMsMax,
  readMsMax: LIMITS.requestBodyMsMax,
  writeMsMax: LIMITS.responseWriteMsMax,
  connectionCountMax: LIMITS.dqliteConnectionCountMax,
};

/** Serves the dqlite protocol, with a bound on everything a client can make it wait for or hold. */
export class DqliteServer implements ConnectionContext {
  readonly node: NodeService;
  readonly metadata = { weight: 0 };
  readonly createDatabases: boolean;
  readonly answers: ByteBudget = { bytes: 0, bytesMax: LIMITS.responsesBytesMax };
  readonly #frames: ByteBudget = { bytes: 0, bytesMax: LIMITS.requestBodiesBytesMax };
  readonly #clock: Clock;
  readonly #events: EventSink;
  readonly #limits: ServerLimits;
  readonly #listener: Deno.TcpListener;
  readonly #connections = new Set<DqliteConnection>();
  readonly #accepting: Promise<void>;
  #cancelSweep: () => void = () => {};
  #endPause: () => void = () => {};
  #isStopping = false;
  #onEmpty: (() => void) | undefined;

  /** Listens at once. Throws what `Deno.listen` throws, such as Deno.errors.AddrInUse. */
  constructor(options: DqliteServerOptions) {
    this.node = options.node;
    this.createDatabases = options.createDatabases ?? true;
    this.#clock = options.clock;
    this.#events = options.events;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#listener = Deno.listen({ hostname: options.hostname, port: options.port });
    this.#sweep();
    this.#accepting = this.#acceptAll();
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Bytes of frames that are not served yet, of all clients. */
  get frameBytes(): number {
    return this.#frames.bytes;
  }

  /** Stops accepting, lets requests under way finish, and closes what is left after `drainMs`. */
  async stop(drainMs: Milliseconds): Promise<void> {
    if (!this.#isStopping) {
      this.#isStopping = true;
      this.#endPause();
      this.#listener.close();
      for (const connection of this.#connections) connection.drain();
    }
    let cancel = () => {};
    const deadline = new Promise<void>((resolve) => {
      cancel = this.#clock.after(drainMs, () => {
        for (const { stream } of this.#connections) stream.close();
        resolve();
      });
    });
    const empty = new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
    });
    this.#signalIfEmpty();
    await this.#accepting;
    await Promise.race([empty, deadline]);
    cancel();
    this.#cancelSweep();
  }

  onFailure(error: unknown): void {
    const text = error instanceof Error ? error.stack ?? error.message : String(error);
    this.#events.event("wire_request_failed", { error: text });
  }

  async #acceptAll(): Promise<void> {
    while (!this.#isStopping) {
      try {
        this.#admit(await this.#listener.accept());
      } catch (error) {
        if (this.#isStopping) return;
        this.#events.event("wire_accept_failed", { error: String(error) });
        await this.#pause();
      }
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#clock.after(ACCEPT_RETRY_MS, resolve);
      this.#endPause = () => {
        cancel();
        resolve();
      };
    });
  }

  #admit(socket: Deno.TcpConn): void {
    if (this.#connections.size >= this.#limits.connectionCountMax) return socket.close();
    try {
      socket.setNoDelay(true);
      // A client that vanished without a word holds a transaction and a place.
      socket.setKeepAlive(true);
    } catch {
      // Reset by the client before it was accepted; the first read will say so.
    }
    const stream = new FrameStream(socket, this.#clock, this.#limits, this.#frames);
    const connection = new DqliteConnection(stream, this);
    this.#connections.add(connection);
    void connection.run().then(() => {
      this.#connections.delete(connection);
      this.#signalIfEmpty();
    });
  }

  #sweep(): void {
    const nowMs = this.#clock.nowMs();
    for (const { stream } of this.#connections) stream.expire(nowMs);
    this.#cancelSweep = this.#clock.after(SWEEP_MS, () => this.#sweep());
  }

  #signalIfEmpty(): void {
    if (this.#connections.size === 0) this.#onEmpty?.();
  }
}
