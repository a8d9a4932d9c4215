/**
 * A load generator for HTTP/1.1 over plain sockets: each connection sends one prepared request, waits for the whole
 * response and goes on. `fetch` would cost more than most servers it could measure.
 */

export interface LoadOptions {
  readonly hostname: string;
  readonly port: number;
  readonly connections: number;
  readonly durationMs: number;
  /** Sent before measuring starts. */
  readonly warmupMs?: number;
  /** Bytes of a request: the same each time, or one made for the connection and its nth request. */
  readonly request: Uint8Array | ((connection: number, sequence: number) => Uint8Array);
}

export interface LoadResult {
  /** Successful ones while it was measured. */
  readonly requests: number;
  /** Successful ones, those before measuring included. */
  readonly requestsInAll: number;
  readonly seconds: number;
  readonly requestsPerSecond: number;
  /** Of the successful ones. */
  readonly latency: LatencyHistogram;
  /** Responses by status, and broken connections under 0. */
  readonly statuses: ReadonlyMap<number, number>;
  /** Everything but status 200 and 201. */
  readonly failures: number;
  /** Body of the first failure, to see what went wrong. */
  readonly firstFailure: string | undefined;
}

export interface LatencySummary {
  readonly count: number;
  readonly meanMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
}

/** Counts latencies in steps of a twentieth of their size, from 1 µs to 1,000 s: no sample is kept. */
export class LatencyHistogram {
  readonly #counts = new Uint32Array(430);
  #count = 0;
  #sumMs = 0;
  #maxMs = 0;

  record(milliseconds: number): void {
    const bucket = Math.max(0, Math.ceil(Math.log(Math.max(milliseconds, 0.001) * 1000) / LOG_STEP));
    const at = Math.min(bucket, this.#counts.length - 1);
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.#count++;
    this.#sumMs += milliseconds;
    if (milliseconds > this.#maxMs) this.#maxMs = milliseconds;
  }

  get count(): number {
    return this.#count;
  }

  get meanMs(): number {
    return this.#count === 0 ? 0 : this.#sumMs / this.#count;
  }

  get maxMs(): number {
    return this.#maxMs;
  }

  /** Upper bound of the bucket that holds the `fraction` quantile, at most the largest value recorded. */
  quantileMs(fraction: number): number {
    let left = Math.ceil(this.#count * fraction);
    for (let at = 0; at < this.#counts.length; at++) {
      left -= this.#counts[at] ?? 0;
      if (left <= 0) return Math.min(Math.exp(at * LOG_STEP) / 1000, this.#maxMs);
    }
    return this.#maxMs;
  }

  summary(): LatencySummary {
    return {
      count: this.#count,
      meanMs: this.meanMs,
      p50Ms: this.quantileMs(0.5),
      p99Ms: this.quantileMs(0.99),
      p999Ms: this.quantileMs(0.999),
    };
  }
}

const LOG_STEP = Math.log(1.05);

/** A request as bytes, with keep-alive implied. */
export function prepareRequest(
  method: string,
  path: string,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): Uint8Array {
  const bytes = new TextEncoder().encode(body);
  let head = `${method} ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\n`;
  if (body !== "") head += `content-type: application/json\r\ncontent-length: ${bytes.length}\r\n`;
  for (const [name, value] of Object.entries(headers)) head += `${name}: ${value}\r\n`;
  const headBytes = new TextEncoder().encode(head + "\r\n");
  const whole = new Uint8Array(headBytes.length + bytes.length);
  whole.set(headBytes);
  whole.set(bytes, headBytes.length);
  return whole;
}

/** Runs the load and waits for its end. A connection that breaks is counted once and opened again. */
export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const startMs = performance.now() + (options.warmupMs ?? 0);
  const run: LoadRun = {
    startMs,
    endMs: startMs + options.durationMs,
    latency: new LatencyHistogram(),
    statuses: new Map(),
    requestsInAll: 0,
    firstFailure: undefined,
  };
  await Promise.all(Array.from({ length: options.connections }, (_, id) => runConnection(options, run, id)));
  const seconds = (performance.now() - startMs) / 1000;
  let failures = 0;
  for (const [status, count] of run.statuses) if (status !== 200 && status !== 201) failures += count;
  return {
    requests: run.latency.count,
    requestsInAll: run.requestsInAll,
    seconds,
    requestsPerSecond: run.latency.count / seconds,
    latency: run.latency,
    statuses: run.statuses,
    failures,
    firstFailure: run.firstFailure,
  };
}

interface LoadRun {
  readonly startMs: number;
  readonly endMs: number;
  readonly latency: LatencyHistogram;
  readonly statuses: Map<number, number>;
  requestsInAll: number;
  firstFailure: string | undefined;
}

async function runConnection(options: LoadOptions, run: LoadRun, id: number): Promise<void> {
  let sequence = 0;
  while (goesOn(run)) {
    let socket: LoadSocket | undefined;
    try {
      socket = await LoadSocket.open(options.hostname, options.port);
      while (goesOn(run)) {
        const bytes = typeof options.request === "function"
          ? options.request(id, sequence++)
          : options.request;
        const sentMs = performance.now();
        const response = await socket.exchange(bytes);
        count(run, response.status, sentMs);
        if (response.status < 400) {
          run.requestsInAll++;
          if (sentMs >= run.startMs) run.latency.record(performance.now() - sentMs);
        } else run.firstFailure ??= response.body();
        if (response.closes) break;
      }
    } catch (error) {
      count(run, 0, performance.now());
      run.firstFailure ??= String(error);
      // A server that refuses connections must not be asked in a tight loop.
      await new Promise((resolve) => setTimeout(resolve, 20));
    } finally {
      socket?.close();
    }
  }
}

/** On a slow machine a run lasts until there is something to report. */
function goesOn(run: LoadRun): boolean {
  return performance.now() < run.endMs || run.statuses.size === 0;
}

function count(run: LoadRun, status: number, sentMs: number): void {
  if (sentMs >= run.startMs) run.statuses.set(status, (run.statuses.get(status) ?? 0) + 1);
}

interface LoadResponse {
  readonly status: number;
  readonly closes: boolean;
  /** Only valid until the next exchange. */
  body(): string;
}

/** One keep-alive connection that reads responses with a content-length. */
class LoadSocket {
  readonly #conn: Deno.TcpConn;
  #buffer = new Uint8Array(16 * 1024);

  constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
  }

  static async open(hostname: string, port: number): Promise<LoadSocket> {
    const conn = await Deno.connect({ hostname, port });
    conn.setNoDelay(true);
    return new LoadSocket(conn);
  }

  close(): void {
    this.#conn.close();
  }

  async exchange(request: Uint8Array): Promise<LoadResponse> {
    // Waiting for the answer begins before the request is out: a turn of the event loop less for each call.
    const answer = this.#read();
    answer.catch(() => {});
    for (let sent = 0; sent < request.length;) sent += await this.#conn.write(request.subarray(sent));
    return await answer;
  }

  async #read(): Promise<LoadResponse> {
    let length = 0;
    let bodyStart = -1;
    let end = Infinity;
    while (length < end) {
      if (length === this.#buffer.length) this.#grow(length + 1);
      const read = await this.#conn.read(this.#buffer.subarray(length));
      if (read === null) throw new Error("The server closed the connection during a response");
      length += read;
      if (bodyStart >= 0) continue;
      bodyStart = headEnd(this.#buffer, length);
      if (bodyStart < 0) continue;
      end = bodyStart + contentLength(this.#buffer, bodyStart);
      if (end > this.#buffer.length) this.#grow(end);
    }
    const head = this.#buffer.subarray(0, bodyStart);
    const body = this.#buffer.subarray(bodyStart, end);
    const status = (digit(head, 9) * 10 + digit(head, 10)) * 10 + digit(head, 11);
    return {
      status,
      // Successful answers of a benchmark never close; looking costs time only where something failed.
      closes: status >= 400 && /\r\nconnection: close\r\n/i.test(decoder.decode(head)),
      body: () => decoder.decode(body),
    };
  }

  #grow(size: number): void {
    const grown = new Uint8Array(Math.max(size, this.#buffer.length * 2));
    grown.set(this.#buffer);
    this.#buffer = grown;
  }
}

const decoder = new TextDecoder();
const NAME = new TextEncoder().encode("content-length:");

function digit(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0x30) - 0x30;
}

/** Position behind the empty line, or -1. */
function headEnd(bytes: Uint8Array, length: number): number {
  for (let lf = bytes.indexOf(0x0a); lf >= 0 && lf < length; lf = bytes.indexOf(0x0a, lf + 1)) {
    if (bytes[lf + 1] === 0x0d && bytes[lf + 2] === 0x0a && lf + 2 < length) return lf + 3;
  }
  return -1;
}

function contentLength(bytes: Uint8Array, headLength: number): number {
  for (
    let line = bytes.indexOf(0x0a) + 1;
    line > 0 && line < headLength;
    line = bytes.indexOf(0x0a, line) + 1
  ) {
    let at = 0;
    while (at < NAME.length && ((bytes[line + at] ?? 0) | 0x20) === ((NAME[at] ?? 0) | 0x20)) at++;
    if (at < NAME.length) continue;
    let value = 0;
    for (let i = line + at; bytes[i] !== 0x0d && i < headLength; i++) {
      if (bytes[i] !== 0x20) value = value * 10 + digit(bytes, i);
    }
    return value;
  }
  throw new Error("The response has no content-length");
}
