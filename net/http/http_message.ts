/** Requests and responses as plain values, so that the application is tested without a socket. */
import type { Milliseconds } from "../../core/base/ids.ts";
import type { CancelSignal } from "../../core/base/ports.ts";

/** A request body that is not in memory yet. */
export interface BodyReader {
  /** From `content-length`; undefined for a chunked body. */
  readonly length: number | undefined;
  /**
   * The next piece, which belongs to the caller, or null at the end. Rejects with NodeError: `request_timeout` when
   * the client stops sending, `bad_request` for broken framing, `cancelled` when the connection is lost.
   */
  read(): Promise<Uint8Array | null>;
}

export interface HttpRequest {
  /** Case as sent: methods are case-sensitive. */
  readonly method: string;
  /** Raw, starts with `/`, without the query string. */
  readonly path: string;
  /** Raw, without `?`; empty when there is none. */
  readonly query: string;
  /** Names in lower case; values without surrounding white space; list headers joined with `, `. */
  readonly headers: ReadonlyMap<string, string>;
  /** Bytes are valid until the response is there. Empty when the request has no body. */
  readonly body: Uint8Array | BodyReader;
  /** When its head was complete, on the clock of the server. */
  readonly arrivedMs?: Milliseconds;
  /** Aborted when the client disconnects before the response is there. */
  readonly signal: CancelSignal;
}

/** A response of unknown or large size. */
export interface StreamBody {
  /** Known length: sent as `content-length`, and held to. Else the body is sent in chunks. */
  readonly length: number | undefined;
  /** `return` is called when the client leaves early. */
  readonly chunks: AsyncIterator<Uint8Array>;
}

/** Pieces are sent in order. A string must be ASCII. */
export type ResponseBody = readonly (Uint8Array | string)[] | StreamBody;

export interface HttpResponse {
  readonly status: number;
  /** Whole header lines without line ends, such as `content-type: application/json`. Framing is the server's. */
  readonly headers: readonly string[];
  readonly body: ResponseBody;
  /** When the write it answers was committed, where that is known: the way from there to the socket is counted. */
  readonly committedMs?: Milliseconds | undefined;
}

export type HttpHandler = (request: HttpRequest) => Promise<HttpResponse>;

export function isStream(body: ResponseBody): body is StreamBody {
  return "chunks" in body;
}

/** Bytes of a body that is in memory. */
export function bodyLength(parts: readonly (Uint8Array | string)[]): number {
  let length = 0;
  for (const part of parts) length += part.length;
  return length;
}

/** Header of each answer that has no other media type. */
export const JSON_HEADER = "content-type: application/json";
export const TEXT_HEADER = "content-type: text/plain; charset=utf-8";
