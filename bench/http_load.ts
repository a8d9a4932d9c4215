/**
 * A load generator for HTTP/1.1 over plain sockets: each connection sends one prepared request, waits for the whole
 * response and goes on. It shares the processors with what it measures, so it has callbacks and one buffer for each
 * connection instead of promises: 14 µs a call where `Deno.connect` took 21, and `fetch` many times as much.
 */
import { connect, type Socket } from "node:net";

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

/** One connection after the other until the run is over: a server may close one, or break it. */
async function runConnection(options: LoadOptions, run: LoadRun, id: number): Promise<void> {
  let sequence = 0;
  const next = (): Uint8Array =>
    typeof options.request === "function" ? options.request(id, sequence++) : options.request;
  while (goesOn(run)) {
    const failure = await new Promise<string | undefined>((resolve) => {
      new LoadConnection(options, run, next, resolve);
    });
    if (failure === undefined) continue;
    count(run, 0, performance.now());
    run.firstFailure ??= failure;
    // A server that refuses connections must not be asked in a tight loop.
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** On a slow machine a run lasts until there is something to report. */
function goesOn(run: LoadRun): boolean {
  return performance.now() < run.endMs || run.statuses.size === 0;
}

function count(run: LoadRun, status: number, sentMs: number): void {
  if (sentMs >= run.startMs) run.statuses.set(status, (run.statuses.get(status) ?? 0) + 1);
}

/** One keep-alive connection that reads responses with a content-length. */
class LoadConnection {
  readonly #run: LoadRun;
  readonly #next: () => Uint8Array;
  readonly #onEnd: (failure: string | undefined) => void;
  readonly #socket: Socket;
  #sentMs = 0;
  /** What has come of the response, as far as it is kept: a whole head, and all of a failure. */
  #kept: Uint8Array = NOTHING;
  #status = 0;
  /** Bytes of the response that are still to come; undefined while its head is not complete. */
  #missing: number | undefined;

  /** @param onEnd hears what broke the connection, or undefined when it ended in order; the first call counts */
  constructor(
    { hostname, port }: LoadOptions,
    run: LoadRun,
    next: () => Uint8Array,
    onEnd: (failure: string | undefined) => void,
  ) {
    this.#run = run;
    this.#next = next;
    this.#onEnd = onEnd;
    const onread = {
      buffer: new Uint8Array(64 * 1024),
      callback: (length: number, buffer: Uint8Array): boolean => this.#onBytes(buffer.subarray(0, length)),
    };
    const socket = this.#socket = connect({ host: hostname, port, noDelay: true, onread });
    socket.on("connect", () => this.#send());
    socket.on("error", (error) => onEnd(error.message));
    socket.on("close", () => onEnd("The server closed the connection during a response"));
  }

  #send(): void {
    const request = this.#next();
    this.#sentMs = performance.now();
    this.#socket.write(request);
  }

  #onBytes(bytes: Uint8Array): boolean {
    try {
      if (this.#missing === undefined) this.#onHead(bytes);
      else this.#onBody(bytes);
      if ((this.#missing ?? 0) < 0) throw new Error("The server sent more than one response");
    } catch (error) {
      this.#end(String(error));
    }
    return true;
  }

  #onHead(bytes: Uint8Array): void {
    const head = this.#kept.length === 0 ? bytes : joined(this.#kept, bytes);
    const bodyStart = headEnd(head, head.length);
    if (bodyStart < 0) {
      this.#kept = head.slice();
      return;
    }
    this.#status = (digit(head, 9) * 10 + digit(head, 10)) * 10 + digit(head, 11);
    this.#missing = contentLength(head, bodyStart) + bodyStart - head.length;
    if (this.#status >= 400) this.#kept = head.slice();
    if (this.#missing === 0) this.#onResponse();
  }

  #onBody(bytes: Uint8Array): void {
    this.#missing = (this.#missing as number) - bytes.length;
    if (this.#status >= 400) this.#kept = joined(this.#kept, bytes);
    if (this.#missing === 0) this.#onResponse();
  }

  #onResponse(): void {
    const run = this.#run;
    const sentMs = this.#sentMs;
    count(run, this.#status, sentMs);
    let closes = false;
    if (this.#status < 400) {
      run.requestsInAll++;
      if (sentMs >= run.startMs) run.latency.record(performance.now() - sentMs);
    } else {
      // Successful answers of a benchmark never close; looking costs time only where something failed.
      const text = decoder.decode(this.#kept);
      closes = /\r\nconnection: close\r\n/i.test(text);
      run.firstFailure ??= text.slice(text.indexOf("\r\n\r\n") + 4);
    }
    this.#kept = NOTHING;
    this.#missing = undefined;
    if (closes || !goesOn(run)) this.#end(undefined);
    else this.#send();
  }

  #end(failure: string | undefined): void {
    this.#onEnd(failure);
    this.#socket.destroy();
  }
}

const NOTHING = new Uint8Array(0);

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const whole = new Uint8Array(first.length + second.length);
  whole.set(first);
  whole.set(second, first.length);
  return whole;
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
