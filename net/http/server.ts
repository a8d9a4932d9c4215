import { NodeError } from "../../core/base/errors.ts";
import type { Milliseconds } from "../../core/base/ids.ts";
import { LIMITS } from "../../core/base/limits.ts";
import type { Clock, EventSink } from "../../core/base/ports.ts";
import { Acceptor, type ServedConnection } from "../tcp/acceptor.ts";
import { listen } from "../tcp/listen.ts";
import { type ConnectionContext, type ConnectionLimits, HttpConnection, LINGER_MS } from "./connection.ts";
import { ConnectionIo } from "./connection_io.ts";
import { errorResponse } from "./error_response.ts";
import type { HttpHandler } from "./http_message.ts";
import type { HttpMetrics } from "./metrics.ts";
import { writeResponse } from "./response_writer.ts";

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
  readonly #address: Deno.NetAddr;
  readonly #acceptor: Acceptor;
  #refusing = 0;
  date = "";

  /** Listens at once. @throws NodeError bad_request when the address cannot be had */
  constructor(options: HttpServerOptions) {
    this.handler = options.handler;
    this.clock = options.clock;
    this.metrics = options.metrics;
    this.limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#events = options.events;
    const listener = listen(options.hostname, options.port, "--http");
    this.#address = listener.addr;
    this.#acceptor = new Acceptor({
      listener,
      clock: this.clock,
      open: (socket) => this.#open(socket),
      onAcceptFailed: (error) => this.#events?.event("http_accept_failed", { error: String(error) }),
      onSweep: () => {
        this.date = new Date(this.clock.wallMs()).toUTCString();
      },
    });
  }

  get hostname(): string {
    return this.#address.hostname;
  }

  get port(): number {
    return this.#address.port;
  }

  /** See Acceptor.stop(). */
  async stop(drainMs: Milliseconds): Promise<void> {
    await this.#acceptor.stop(drainMs);
  }

  onFailure(error: unknown): void {
    const text = error instanceof Error ? error.stack ?? error.message : String(error);
    this.#events?.event("http_request_failed", { error: text });
  }

  #open(socket: Deno.TcpConn): ServedConnection | undefined {
    const { metrics, limits } = this;
    const io = new ConnectionIo(socket, limits.headBytesMax, limits.writeMsMax);
    if (metrics.connections >= limits.connectionCountMax) return this.#refused(io);
    const connection = new HttpConnection(io, this);
    const run = async (): Promise<void> => {
      metrics.connections++;
      await connection.run();
      metrics.connections--;
    };
    return {
      run,
      drain: () => connection.drain(),
      close: () => io.close(),
      expire: (nowMs) => io.expire(nowMs),
    };
  }

  /** A client over the limit is told so, as long as not too many are. */
  #refused(io: ConnectionIo): ServedConnection | undefined {
    this.metrics.connectionsRefused++;
    if (this.#refusing >= REFUSALS_AT_ONCE_MAX) return undefined;
    const close = (): void => io.close();
    return { run: () => this.#refuse(io), drain: close, close, expire: (nowMs) => io.expire(nowMs) };
  }

  async #refuse(io: ConnectionIo): Promise<void> {
    this.#refusing++;
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
    this.#refusing--;
  }
}
