import type { Clock } from "../../core/base/ports.ts";
import { type AppOptions, createApp } from "../../net/http/app.ts";
import {
  bodyLength,
  type HttpHandler,
  type HttpRequest,
  type HttpResponse,
  isStream,
} from "../../net/http/http_message.ts";
import { HttpMetrics } from "../../net/http/metrics.ts";
import { HttpServer, type HttpServerLimits } from "../../net/http/server.ts";
import { FakeNodeService } from "./fake_node_service.ts";

/** Longest a test waits for something that must happen. Only a failing test takes this long. */
const WAIT_MS = 5_000;

/** A clock that stands still until a test moves it. */
export class FixtureClock implements Clock {
  #nowMs = 0;
  #timers = new Map<number, { readonly dueMs: number; readonly callback: () => void }>();
  #sequence = 0;

  nowMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return Date.UTC(2026, 0, 2, 3, 4, 5) + this.#nowMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    const id = this.#sequence++;
    this.#timers.set(id, { dueMs: this.#nowMs + delayMs, callback });
    return () => this.#timers.delete(id);
  }

  /** Fires due timers in order, those included that timers set. */
  advance(milliseconds: number): void {
    const endMs = this.#nowMs + milliseconds;
    for (;;) {
      const due = [...this.#timers].filter(([, timer]) => timer.dueMs <= endMs);
      const [next] = due.sort(([a, x], [b, y]) => x.dueMs - y.dueMs || a - b);
      if (next === undefined) break;
      this.#timers.delete(next[0]);
      this.#nowMs = Math.max(this.#nowMs, next[1].dueMs);
      next[1].callback();
    }
    this.#nowMs = endMs;
  }
}

/** Fails instead of hanging. */
export async function within<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const expired = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Waited too long for ${what}`)), WAIT_MS);
  });
  try {
    return await Promise.race([promise, expired]);
  } finally {
    clearTimeout(timer);
  }
}

/** Repeats `act` between turns of the event loop until `done`. */
export async function until(done: () => boolean, what: string, act: () => void = () => {}): Promise<void> {
  const end = Date.now() + WAIT_MS;
  while (!done()) {
    if (Date.now() > end) throw new Error(`Waited too long for ${what}`);
    act();
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** An application over a fake node, called without sockets. */
export function appFixture(options: Partial<AppOptions> = {}) {
  const node = new FakeNodeService();
  const clock = new FixtureClock();
  const metrics = new HttpMetrics();
  const app = createApp(node, { clock, metrics, version: "1.2.3", ...options });
  return { node, clock, metrics, app };
}

export interface RequestParts {
  readonly method?: string;
  /** Path and query. */
  readonly target?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array | HttpRequest["body"];
  readonly signal?: AbortSignal;
}

/** A request as the server would hand it over. A string body is JSON. */
export function request(parts: RequestParts): HttpRequest {
  const [path, query] = (parts.target ?? "/").split("?", 2);
  const headers = new Map(Object.entries({ host: "127.0.0.1:4001", ...parts.headers }));
  const isText = typeof parts.body === "string";
  if (isText && !headers.has("content-type")) headers.set("content-type", "application/json");
  return {
    method: parts.method ?? (parts.body === undefined ? "GET" : "POST"),
    path: path ?? "/",
    query: query ?? "",
    headers,
    body: isText
      ? new TextEncoder().encode(parts.body as string)
      : (parts.body as HttpRequest["body"]) ?? new Uint8Array(0),
    signal: parts.signal ?? new AbortController().signal,
  };
}

/** The whole body of a response. */
export async function bodyBytes(response: HttpResponse): Promise<Uint8Array> {
  const body = response.body;
  const parts: (Uint8Array | string)[] = [];
  if (isStream(body)) {
    for (let next = await body.chunks.next(); !next.done; next = await body.chunks.next()) {
      parts.push(next.value);
    }
  } else {
    parts.push(...body);
  }
  const bytes = new Uint8Array(bodyLength(parts));
  let at = 0;
  for (const part of parts) {
    bytes.set(typeof part === "string" ? new TextEncoder().encode(part) : part, at);
    at += part.length;
  }
  return bytes;
}

export async function bodyText(response: HttpResponse): Promise<string> {
  return new TextDecoder().decode(await bodyBytes(response));
}

export function headerOf(response: HttpResponse, name: string): string | undefined {
  const line = response.headers.find((each) => each.startsWith(`${name}: `));
  return line?.slice(name.length + 2);
}

/** A server on loopback with a clock that stands still. Call `close` at the end. */
export function serverFixture(handler?: HttpHandler, limits: Partial<HttpServerLimits> = {}) {
  const { node, clock, metrics, app } = appFixture();
  const failures: string[] = [];
  const server = new HttpServer({
    hostname: "127.0.0.1",
    port: 0,
    handler: handler ?? app,
    clock,
    metrics,
    limits,
    events: { event: (name, facts) => failures.push(`${name} ${JSON.stringify(facts)}`) },
  });
  const clients: RawClient[] = [];
  return {
    node,
    clock,
    metrics,
    server,
    failures,
    async connect(): Promise<RawClient> {
      const client = await RawClient.connect(server.port);
      clients.push(client);
      return client;
    },
    async close(): Promise<void> {
      for (const client of clients) client.close();
      const stopped = server.stop(0);
      clock.advance(1);
      await within(stopped, "the server to stop");
    },
  };
}

export interface RawResponse {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** A client that sends exactly the bytes it is told to. */
export class RawClient {
  readonly #conn: Deno.TcpConn;
  #received = new Uint8Array(0);
  #isClosed = false;

  constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
  }

  static async connect(port: number): Promise<RawClient> {
    return new RawClient(await Deno.connect({ hostname: "127.0.0.1", port }));
  }

  async send(data: string | Uint8Array): Promise<void> {
    const bytes = typeof data === "string" ? Uint8Array.from(data, (c) => c.charCodeAt(0)) : data;
    for (let sent = 0; sent < bytes.length;) sent += await this.#conn.write(bytes.subarray(sent));
  }

  async endWriting(): Promise<void> {
    await this.#conn.closeWrite();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#conn.close();
  }

  /** Bytes received and not yet taken by `response`. */
  get pending(): string {
    return new TextDecoder().decode(this.#received);
  }

  /** Reads once; false at the end. */
  async read(): Promise<boolean> {
    const into = new Uint8Array(64 * 1024);
    const count = await within(this.#conn.read(into).catch(() => null), "bytes from the server");
    if (count === null) return false;
    const all = new Uint8Array(this.#received.length + count);
    all.set(this.#received);
    all.set(into.subarray(0, count), this.#received.length);
    this.#received = all;
    return true;
  }

  /** Reads until the server closes; everything not yet taken. */
  async rest(): Promise<string> {
    while (await this.read());
    return this.pending;
  }

  /** The next response. Chunked bodies come with their framing removed. */
  async response(isHead = false): Promise<RawResponse> {
    let end = -1;
    while ((end = this.pending.indexOf("\r\n\r\n")) < 0) {
      if (!await this.read()) throw new Error(`Closed during a response: ${JSON.stringify(this.pending)}`);
    }
    const [statusLine, ...lines] = this.pending.slice(0, end).split("\r\n");
    const headers = new Map(lines.map((line) => {
      const colon = line.indexOf(": ");
      return [line.slice(0, colon), line.slice(colon + 2)] as const;
    }));
    this.#received = this.#received.subarray(end + 4);
    const length = isHead ? "0" : headers.get("content-length");
    const body = length === undefined ? await this.#chunks() : await this.#take(Number(length));
    return { status: Number(statusLine?.split(" ")[1]), headers, body };
  }

  async #take(count: number): Promise<string> {
    while (this.#received.length < count) {
      if (!await this.read()) throw new Error("Closed during a body");
    }
    const text = new TextDecoder().decode(this.#received.subarray(0, count));
    this.#received = this.#received.subarray(count);
    return text;
  }

  async #chunks(): Promise<string> {
    let body = "";
    for (;;) {
      let end = -1;
      while ((end = this.pending.indexOf("\r\n")) < 0) {
        if (!await this.read()) throw new Error("Closed during a chunked body");
      }
      const size = parseInt(await this.#take(end + 2), 16);
      const chunk = await this.#take(size + 2);
      if (size === 0) return body;
      body += chunk.slice(0, -2);
    }
  }
}
