import { CALL_VERSION } from "../dqlite/call.ts";
import { invalidArgument, WalraftError } from "./walraft_error.ts";
import { WireConnection, type WireSocket } from "./wire_connection.ts";

/** Opens a socket. */
export type WireDial = (host: string, port: number) => Promise<WireSocket>;

export interface WirePoolOptions {
  /** To one node. */
  readonly connectionsMax: number;
  readonly answerBytesMax: number;
  readonly dial: WireDial;
}

interface Node {
  readonly idle: WireConnection[];
  /** Calls in line. One is handed a connection, or nothing when it may open one. */
  readonly waiting: Set<(connection?: WireConnection) => void>;
  count: number;
}

/** Connections to nodes, ready for calls. A call has one to itself; further calls to the same node wait. */
export class WirePool {
  readonly #options: WirePoolOptions;
  readonly #nodes = new Map<string, Node>();
  readonly #busy = new Set<WireConnection>();
  #isClosed = false;

  constructor(options: WirePoolOptions) {
    this.#options = options;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /**
   * @param url `http://HOST:PORT`: as the rest of the client names nodes
   * @param signal ends the waiting, with its reason
   */
  async take(url: string, signal: AbortSignal): Promise<WireConnection> {
    const node = this.#nodeOf(url);
    for (;;) {
      signal.throwIfAborted();
      this.#mustBeOpen();
      const idle = node.idle.pop();
      if (idle !== undefined) {
        this.#busy.add(idle);
        return idle;
      }
      if (node.count < this.#options.connectionsMax) break;
      const handed = await inLine(node.waiting, signal);
      if (handed === undefined) continue;
      if (!signal.aborted) return handed;
      // It came at the very moment the call was given up.
      this.give(url, handed);
    }
    node.count++;
    try {
      const connection = await this.open(url);
      this.#busy.add(connection);
      return connection;
    } catch (error) {
      this.#release(node);
      throw error;
    }
  }

  /** Every connection taken comes back, of use or not. */
  give(url: string, connection: WireConnection): void {
    const node = this.#nodeOf(url);
    if (this.#isClosed) connection.close();
    const [next] = connection.isBroken ? [] : node.waiting;
    // Handed over at once: a call that comes later must not overtake those in line.
    if (next !== undefined) return next(connection);
    this.#busy.delete(connection);
    if (connection.isBroken) this.#release(node);
    else node.idle.push(connection);
  }

  /**
   * A connection outside of the pool, to be closed by the caller.
   *
   * @throws WalraftError `network_error`; `invalid_answer` when the server is not one of walraft; `invalid_argument` when
   * the pool is closed
   */
  async open(url: string): Promise<WireConnection> {
    const { hostname, port } = new URL(url);
    const address = `${hostname}:${port === "" ? 80 : port}`;
    let socket: WireSocket;
    try {
      socket = await this.#options.dial(hostname.replace(/^\[|\]$/g, ""), Number(port === "" ? 80 : port));
    } catch (cause) {
      throw notSent("network_error", `Cannot reach ${address}: ${String(cause)}`, cause);
    }
    const connection = new WireConnection(address, socket, this.#options.answerBytesMax);
    if (this.#isClosed) connection.close();
    this.#mustBeOpen();
    const [answer] = await connection.ask({ kind: "hello", version: CALL_VERSION });
    if (answer?.kind === "greeting" && answer.version === CALL_VERSION) return connection;
    connection.close();
    const text = `Cannot call ${address}: it does not know walraft's calls; is it dqlite, or an older node?`;
    throw notSent("invalid_answer", text, answer);
  }

  /** Forgets idle connections to a node that is of no use now: the next call opens one, or learns that it cannot. */
  drop(url: string): void {
    const node = this.#nodeOf(url);
    for (const connection of node.idle.splice(0)) {
      connection.close();
      this.#release(node);
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const [url, { waiting }] of this.#nodes) {
      this.drop(url);
      for (const end of waiting) end();
    }
    for (const connection of this.#busy) connection.close();
  }

  #mustBeOpen(): void {
    if (this.#isClosed) throw invalidArgument("Cannot call: the client is closed");
  }

  #nodeOf(url: string): Node {
    let node = this.#nodes.get(url);
    if (node === undefined) this.#nodes.set(url, node = { idle: [], waiting: new Set(), count: 0 });
    return node;
  }

  #release(node: Node): void {
    node.count--;
    const [next] = node.waiting;
    next?.();
  }
}

/** Resolves with a connection, or without one when another may be opened or the signal has fired. */
function inLine(waiting: Node["waiting"], signal: AbortSignal): Promise<WireConnection | undefined> {
  return new Promise((resolve) => {
    const end = (connection?: WireConnection) => {
      waiting.delete(end);
      signal.removeEventListener("abort", leave);
      resolve(connection);
    };
    const leave = () => end();
    waiting.add(end);
    signal.addEventListener("abort", leave);
  });
}

function notSent(code: "network_error" | "invalid_answer", message: string, cause: unknown): WalraftError {
  const retry = code === "network_error" ? "safe" : "never";
  return new WalraftError({ code, message, retry, mayHaveCommitted: false, cause });
}
