import { CALL_VERSION } from "../dqlite/call.ts";
import { WalraftError } from "./walraft_error.ts";
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
  readonly waiting: Set<() => void>;
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
      const idle = node.idle.pop();
      if (idle !== undefined) {
        this.#busy.add(idle);
        return idle;
      }
      if (node.count < this.#options.connectionsMax) break;
      await wakened(node.waiting, signal);
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
    this.#busy.delete(connection);
    if (this.#isClosed) connection.close();
    if (connection.isBroken) return this.#release(node);
    node.idle.push(connection);
    wake(node.waiting);
  }

  /**
   * A connection outside of the pool, to be closed by the caller.
   *
   * @throws WalraftError `network_error`, `invalid_answer` when the server is not one of walraft
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
    // Closed meanwhile: nobody would close this one.
    if (this.#isClosed) connection.close();
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
    for (const url of this.#nodes.keys()) this.drop(url);
    for (const connection of this.#busy) connection.close();
  }

  #nodeOf(url: string): Node {
    let node = this.#nodes.get(url);
    if (node === undefined) this.#nodes.set(url, node = { idle: [], waiting: new Set(), count: 0 });
    return node;
  }

  #release(node: Node): void {
    node.count--;
    wake(node.waiting);
  }
}

function wake(waiting: Set<() => void>): void {
  for (const first of waiting) {
    waiting.delete(first);
    return first();
  }
}

/** Resolves when a connection may be free, or the signal has fired. */
function wakened(waiting: Set<() => void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      // The turn that came too late belongs to the next in line.
      if (!waiting.delete(end) && signal.aborted) wake(waiting);
      signal.removeEventListener("abort", end);
      resolve();
    };
    waiting.add(end);
    signal.addEventListener("abort", end);
  });
}

function notSent(code: "network_error" | "invalid_answer", message: string, cause: unknown): WalraftError {
  const retry = code === "network_error" ? "safe" : "never";
  return new WalraftError({ code, message, retry, mayHaveCommitted: false, cause });
}
