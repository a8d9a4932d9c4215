import { NodeError } from "../../core/base/errors.ts";
import type { Milliseconds } from "../../core/base/ids.ts";
import type { CancelSignal, Clock } from "../../core/base/ports.ts";
import { type ConnectionIo, ReadExpired } from "./connection_io.ts";
import { errorResponse } from "./error_response.ts";
import { findHeadEnd, HeadRefused, parseHead, type RequestHead } from "./head_parser.ts";
import {
  bodyLength,
  type BodyReader,
  type HttpHandler,
  type HttpRequest,
  type HttpResponse,
  isStream,
} from "./http_message.ts";
import type { HttpMetrics } from "./metrics.ts";
import { ChunkedBody, LengthBody } from "./request_body.ts";
import { writeResponse } from "./response_writer.ts";

/** Bounds of one connection; defaults are in core/base/limits.ts. */
export interface ConnectionLimits {
  readonly headBytesMax: number;
  readonly headMsMax: Milliseconds;
  readonly bodyMsMax: Milliseconds;
  readonly idleMsMax: Milliseconds;
  readonly writeMsMax: Milliseconds;
  readonly responsesBytesMax: number;
}

/** What all connections of a server share. */
export interface ConnectionContext {
  readonly handler: HttpHandler;
  readonly clock: Clock;
  readonly metrics: HttpMetrics;
  readonly limits: ConnectionLimits;
  /** Value of the date header. */
  readonly date: string;
  /** A defect the client cannot be told about any more. */
  onFailure(error: unknown): void;
}

/** How long, and for how many bytes, a refused client may go on sending before its socket is closed. */
export const LINGER_MS = 2_000;
const LINGER_BYTES = 256 * 1024;

const NO_BODY = new Uint8Array(0);

/** Serves the requests of one connection in order, one at a time. */
export class HttpConnection {
  readonly io: ConnectionIo;
  readonly #context: ConnectionContext;
  #isDraining = false;
  /** The head of the newest request was complete. */
  #arrivedMs: Milliseconds = 0;

  constructor(io: ConnectionIo, context: ConnectionContext) {
    this.io = io;
    this.#context = context;
  }

  /** Ends when the connection is closed; never rejects. */
  async run(): Promise<void> {
    try {
      while (await this.#serveOne() && !this.#isDraining);
    } catch {
      // The client left in the middle of an answer, or was too slow to take it.
    }
    this.io.close();
  }

  /** Closes now when no request is under way, else after its response. */
  drain(): void {
    this.#isDraining = true;
    if (this.io.phase === "idle") this.io.close();
  }

  /** Returns whether the connection goes on. */
  async #serveOne(): Promise<boolean> {
    let head: RequestHead | undefined;
    try {
      head = await this.#readHead();
    } catch (error) {
      return await this.#refuse(error);
    }
    if (head === undefined) return false;
    const request = this.#openRequest(head);
    const response = await this.#handle(request);
    this.io.onEnded = undefined;
    const closes = head.wantsClose || this.#isDraining || !request.isBodyRead;
    await this.#send(response, head.method === "HEAD", closes);
    if (!closes) return true;
    if (!request.isBodyRead) await this.io.linger(LINGER_MS, LINGER_BYTES);
    return false;
  }

  /** Undefined when the client closes between requests, or in the middle of a head. */
  async #readHead(): Promise<RequestHead | undefined> {
    const { io } = this;
    const { headBytesMax, headMsMax, idleMsMax } = this.#context.limits;
    if (io.start === io.end) {
      io.enter("idle", idleMsMax);
      await io.fill();
      if (io.start === io.end) return undefined;
    }
    io.enter("head", headMsMax);
    if (io.end - io.start >= 2 && io.bytes[io.start] === 0x0d && io.bytes[io.start + 1] === 0x0a) {
      io.start += 2;
    }
    let scanned = 0;
    for (;;) {
      const { end, resume } = findHeadEnd(io.bytes, io.start + scanned, io.end);
      if (end >= 0) {
        if (end - io.start > headBytesMax) throw headTooLarge(headBytesMax);
        this.#arrivedMs = this.#context.clock.nowMs();
        const head = parseHead(io.bytes, io.start, end);
        io.start = end;
        return head;
      }
      if (io.end - io.start >= headBytesMax) throw headTooLarge(headBytesMax);
      scanned = resume - io.start;
      const before = io.end - io.start;
      await io.fill();
      if (io.end - io.start === before) return undefined;
    }
  }

  #openRequest(head: RequestHead): ConnectionRequest {
    const { io } = this;
    const request = new ConnectionRequest(head, this.#arrivedMs);
    io.onEnded = () => request.abort();
    if (head.framing !== "chunked" && head.framing <= io.end - io.start) {
      const end = io.start + head.framing;
      if (head.framing > 0) request.body = io.bytes.subarray(io.start, end);
      io.start = end;
      request.isBodyRead = true;
    } else {
      const onComplete = () => {
        request.isBodyRead = true;
        io.readAhead();
      };
      const { bodyMsMax } = this.#context.limits;
      request.body = head.framing === "chunked"
        ? new ChunkedBody(io, bodyMsMax, head.expectsContinue, onComplete)
        : new LengthBody(io, head.framing, bodyMsMax, head.expectsContinue, onComplete);
    }
    return request;
  }

  async #handle(request: ConnectionRequest): Promise<HttpResponse> {
    const { metrics, limits, handler } = this.#context;
    this.io.enter("handling", Infinity);
    if (metrics.responseBytesPending > limits.responsesBytesMax) {
      return errorResponse(responsesFull(limits), "json");
    }
    const answer = handler(request);
    // The read that the next request needs anyway, started now, notices when the client leaves.
    if (request.isBodyRead) this.io.readAhead();
    try {
      return await answer;
    } catch (error) {
      this.#context.onFailure(error);
      return errorResponse(
        new NodeError("internal", "Cannot serve the request: see the log of the node"),
        "json",
      );
    }
  }

  async #send(response: HttpResponse, isHead: boolean, closes: boolean): Promise<void> {
    const { metrics, clock } = this.#context;
    const bytes = isStream(response.body) ? 0 : bodyLength(response.body);
    metrics.responseBytesPending += bytes;
    try {
      const written = writeResponse(this.io, response, { isHead, closes, date: this.#context.date });
      // The socket has the first bytes, of small answers all; when the client takes them is its affair.
      if (response.committedMs !== undefined) metrics.writeAnswerMs += clock.nowMs() - response.committedMs;
      await written;
    } finally {
      metrics.responseBytesPending -= bytes;
    }
  }

  /** Answers a head that cannot be served, then closes: where the next request would start is not known. */
  async #refuse(error: unknown): Promise<false> {
    if (error instanceof ReadExpired) {
      const { headMsMax } = this.#context.limits;
      await this.#sendRefusal(
        errorResponse(
          new NodeError("request_timeout", "Cannot read the request: its head did not arrive in time", {
            limit: { name: "request_head_ms", value: headMsMax },
          }),
          "json",
        ),
      );
      return false;
    }
    if (!(error instanceof HeadRefused)) throw error;
    const refused = new NodeError("bad_request", `Cannot read the request: ${error.message}`);
    await this.#sendRefusal({ ...errorResponse(refused, "json"), status: error.status });
    return false;
  }

  async #sendRefusal(response: HttpResponse): Promise<void> {
    this.#context.metrics.countRefusal(response.status);
    await this.#send(response, false, true);
    await this.io.linger(LINGER_MS, LINGER_BYTES);
  }
}

/** Its own signal: an AbortController for each request would cost more than parsing it. */
class ConnectionRequest implements HttpRequest, CancelSignal {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly arrivedMs: Milliseconds;
  body: Uint8Array | BodyReader = NO_BODY;
  isBodyRead = false;
  aborted = false;
  #listeners: (() => void)[] = [];

  constructor(head: RequestHead, arrivedMs: Milliseconds) {
    this.arrivedMs = arrivedMs;
    this.method = head.method;
    this.path = head.path;
    this.query = head.query;
    this.headers = head.headers;
  }

  get signal(): CancelSignal {
    return this;
  }

  addEventListener(_type: "abort", listener: () => void): void {
    this.#listeners.push(listener);
  }

  removeEventListener(_type: "abort", listener: () => void): void {
    this.#listeners = this.#listeners.filter((other) => other !== listener);
  }

  abort(): void {
    if (this.aborted) return;
    this.aborted = true;
    for (const listener of this.#listeners) listener();
  }
}

function headTooLarge(headBytesMax: number): HeadRefused {
  return new HeadRefused(431, `The request line and headers are longer than ${headBytesMax} bytes`);
}

function responsesFull(limits: ConnectionLimits): NodeError {
  return new NodeError("queue_full", "Cannot take the request: too many answers wait for slow clients", {
    limit: { name: "responses_bytes", value: limits.responsesBytesMax },
  });
}
