import type { Milliseconds } from "../../core/base/ids.ts";
import { LIMITS } from "../../core/base/limits.ts";
import type { Clock, EventSink } from "../../core/base/ports.ts";
import type { NodeService } from "../../core/node/service.ts";
import { Acceptor, type ServedConnection } from "../tcp/acceptor.ts";
import { listen } from "../tcp/listen.ts";
import { type ConnectionContext, DqliteConnection } from "./connection.ts";
import { type ByteBudget, FrameStream, type FrameStreamLimits } from "./frame_stream.ts";

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
  readonly createDatabases: boolean;
  readonly answers: ByteBudget = { bytes: 0, bytesMax: LIMITS.responsesBytesMax };
  readonly #frames: ByteBudget = { bytes: 0, bytesMax: LIMITS.requestBodiesBytesMax };
  readonly #events: EventSink;
  readonly #limits: ServerLimits;
  readonly #port: number;
  readonly #acceptor: Acceptor;

  /** Listens at once. @throws NodeError bad_request when the address cannot be had */
  constructor(options: DqliteServerOptions) {
    this.node = options.node;
    this.createDatabases = options.createDatabases ?? true;
    this.#events = options.events;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    const listener = listen(options.hostname, options.port, "--wire");
    this.#port = listener.addr.port;
    this.#acceptor = new Acceptor({
      listener,
      clock: options.clock,
      open: (socket) => this.#open(socket),
      onAcceptFailed: (error) => this.#events.event("wire_accept_failed", { error: String(error) }),
    });
  }

  get port(): number {
    return this.#port;
  }

  get connectionCount(): number {
    return this.#acceptor.connectionCount;
  }

  /** Bytes of frames that are not served yet, of all clients. */
  get frameBytes(): number {
    return this.#frames.bytes;
  }

  /** See Acceptor.stop(). */
  async stop(drainMs: Milliseconds): Promise<void> {
    await this.#acceptor.stop(drainMs);
  }

  onFailure(error: unknown): void {
    const text = error instanceof Error ? error.stack ?? error.message : String(error);
    this.#events.event("wire_request_failed", { error: text });
  }

  #open(socket: Deno.TcpConn): ServedConnection | undefined {
    if (this.connectionCount >= this.#limits.connectionCountMax) return undefined;
    const stream = new FrameStream(socket, this.#limits, this.#frames);
    const connection = new DqliteConnection(stream, this);
    return {
      run: () => connection.run(),
      drain: () => connection.drain(),
      close: () => stream.close(),
      expire: (nowMs) => stream.expire(nowMs),
    };
  }
}
