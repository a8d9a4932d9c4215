import { NodeError } from "../../core/base/errors.ts";
import type { Milliseconds } from "../../core/base/ids.ts";
import { LIMITS } from "../../core/base/limits.ts";
import type { Clock, EventSink } from "../../core/base/ports.ts";
import { type ConnectionContext, type ConnectionLimits, HttpConnection, LINGER_MS } from "./connection.ts";
import { ConnectionIo } from "./connection_io.ts";
import { errorResponse } from "./error_response.ts";
import type { HttpHandler } from "./http_message.ts";
import type { HttpMetrics } from "./metrics.ts";
import { writeResponse } from "./response_writer.ts";

/** How often deadlines are compared. A deadline is late by at most this. */
const SWEEP_MS = 250;

/** After `accept` failed, usually for want of file descriptors. */
const ACCEPT_RETRY_MS = 100;

/** Clients over the connection limit that are being told so; beyond this they are closed without a word. */
const REFUSALS_AT_ONCE_MAX = 64;

export interface HttpServerLimits extends ConnectionLimits {
  readonly connectionCountMax: number;
}

export interface HttpServerOptions {
  readonly hostname: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly handler: HttpHandler;
  readonly clock: Clock;
  readonly metrics: HttpMetrics;
  readonly events?: EventSink;
  readonly limits?: Partial<HttpServerLimits>;
}

const DEFAULT_LIMITS: HttpServerLimits = {
  headBytesMax: LIMITS.requestHeadBytesMax,
  headMsMax: LIMITS.requestHeadMsMax,
  bodyMsMax: LIMITS.requestBodyMsMax,
  idleMsMax: LIMITS.connectionIdleMsMax,
  writeMsMax: LIMITS.responseWriteMsMax,
  responsesBytesMax: LIMITS.responsesBytesMax,
  connectionCountMax: LIMITS.connectionCountMax,
};

/** An HTTP/1.1 server with a bound on everything a client can make it wait for or hold. */
export class HttpServer implements ConnectionContext {
  readonly handler: HttpHandler;
  readonly clock: Clock;
  readonly metrics: HttpMetrics;
  readonly limits: HttpServerLimits;
  readonly #events: EventSink | undefined;
  readonly #listener: Deno.TcpListener;
  readonly #connections = new Set<HttpConnection>();
  readonly #refused = new Set<ConnectionIo>();
  readonly #accepting: Promise<void>;
  #cancelSweep: () => void = () => {};
  #cancelRetry: () => void = () => {};
  #isStopping = false;
  #onEmpty: (() => void) | undefined;
  date = "";

  /** Listens at once. Throws what `Deno.listen` throws, such as Deno.errors.AddrInUse. */
  constructor(options: HttpServerOptions) {
    this.handler = options.handler;
    this.clock = options.clock;
    this.metrics = options.metrics;
    this.limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#events = options.events;
    this.#listener = Deno.listen({ hostname: options.hostname, port: options.port });
    this.#sweep();
    this.#accepting = this.#acceptAll();
  }

  get hostname(): string {
    return this.#listener.addr.hostname;
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  /**
   * Stops accepting, closes idle connections, lets requests under way finish, and closes what is left after
   * `drainMs`. Resolves when every connection is closed; a handler that ignores its signal may still run then.
   */
  async stop(drainMs: Milliseconds): Promise<void> {
    if (!this.#isStopping) {
      this.#isStopping = true;
      this.#cancelRetry();
      this.#listener.close();
      for (const connection of this.#connections) connection.drain();
      for (const io of this.#refused) io.close();
    }
    let cancel = () => {};
    const deadline = new Promise<void>((resolve) => {
      cancel = this.clock.after(drainMs, () => {
        for (const connection of this.#connections) connection.io.close();
        resolve();
      });
    });
    await this.#accepting;
    await Promise.race([this.#untilEmpty(), deadline]);
    cancel();
    this.#cancelSweep();
  }

  onFailure(error: unknown): void {
    const text = error instanceof Error ? error.stack ?? error.message : String(error);
    this.#events?.event("http_request_failed", { error: text });
  }

  async #acceptAll(): Promise<void> {
    while (!this.#isStopping) {
      try {
        this.#admit(await this.#listener.accept());
      } catch (error) {
        if (this.#isStopping) return;
        this.#events?.event("http_accept_failed", { error: String(error) });
        await this.#pause(ACCEPT_RETRY_MS);
      }
    }
  }

  #pause(delayMs: Milliseconds): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.clock.after(delayMs, resolve);
      this.#cancelRetry = () => {
        cancel();
        resolve();
      };
    });
  }

  #admit(stream: Deno.TcpConn): void {
    const io = new ConnectionIo(stream, this.clock, this.limits.headBytesMax, this.limits.writeMsMax);
    try {
      stream.setNoDelay(true);
      stream.setKeepAlive(true);
    } catch {
      // Reset by the client before it was accepted; the first read will say so.
    }
    if (this.#connections.size >= this.limits.connectionCountMax) {
      void this.#refuse(io);
      return;
    }
    const connection = new HttpConnection(io, this);
    this.#connections.add(connection);
    this.metrics.connections++;
    void connection.run().then(() => {
      this.#connections.delete(connection);
      this.metrics.connections--;
      this.#signalIfEmpty();
    });
  }

  async #refuse(io: ConnectionIo): Promise<void> {
    this.metrics.connectionsRefused++;
    if (this.#refused.size >= REFUSALS_AT_ONCE_MAX) return io.close();
    this.#refused.add(io);
    try {
      const error = new NodeError(
        "too_many_connections",
        "Cannot serve the connection: the node has too many",
        {
          limit: { name: "connections", value: this.limits.connectionCountMax },
        },
      );
      await writeResponse(io, errorResponse(error, "json"), { isHead: false, closes: true, date: this.date });
      await io.linger(LINGER_MS, this.limits.headBytesMax);
    } catch {
      io.close();
    }
    this.#refused.delete(io);
    this.#signalIfEmpty();
  }

  #sweep(): void {
    const nowMs = this.clock.nowMs();
    this.date = new Date(this.clock.wallMs()).toUTCString();
    for (const connection of this.#connections) connection.io.expire(nowMs);
    for (const io of this.#refused) io.expire(nowMs);
    this.#cancelSweep = this.clock.after(SWEEP_MS, () => this.#sweep());
  }

  #untilEmpty(): Promise<void> {
    return new Promise((resolve) => {
      this.#onEmpty = resolve;
      this.#signalIfEmpty();
    });
  }

  #signalIfEmpty(): void {
    if (this.#connections.size === 0 && this.#refused.size === 0) this.#onEmpty?.();
  }
}
