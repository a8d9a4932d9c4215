import type { ConnectionIo } from "./connection_io.ts";
import { bodyLength, type HttpResponse, isStream, type StreamBody } from "./http_message.ts";

const STATUS_TEXT: Readonly<Record<number, string>> = {
  200: "OK",
  201: "Created",
  204: "No Content",
  400: "Bad Request",
  401: "Unauthorized",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  409: "Conflict",
  410: "Gone",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  417: "Expectation Failed",
  422: "Unprocessable Content",
  431: "Request Header Fields Too Large",
  499: "Client Closed Request",
  500: "Internal Server Error",
  501: "Not Implemented",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  505: "HTTP Version Not Supported",
  507: "Insufficient Storage",
};

/** Responses up to this size are copied behind their head and leave with one write. */
const ONE_WRITE_BYTES = 64 * 1024;

const HEAD_ENCODER = new TextEncoder();

export interface ResponseFacts {
  readonly isHead: boolean;
  readonly closes: boolean;
  /** The value of the date header; see RFC 9110 section 6.6.1. */
  readonly date: string;
}

/** The stream of a response broke off; the client must see it as broken, so the connection has to go. */
export class StreamFailed extends Error {}

/** Sends a response. Rejects when the client is gone, or with StreamFailed. */
export function writeResponse(
  io: ConnectionIo,
  response: HttpResponse,
  facts: ResponseFacts,
): Promise<void> {
  const { body } = response;
  return isStream(body) ? writeStream(io, response, body, facts) : writeParts(io, response, body, facts);
}

async function writeStream(
  io: ConnectionIo,
  response: HttpResponse,
  body: StreamBody,
  facts: ResponseFacts,
): Promise<void> {
  const head = HEAD_ENCODER.encode(formatHead(response, body.length, facts));
  try {
    await io.write(head);
    if (facts.isHead) return;
    if (body.length === undefined) await writeChunked(io, body);
    else await writeExactly(io, body, body.length);
  } finally {
    await body.chunks.return?.();
  }
}

/** Response head with its empty line. */
function formatHead(response: HttpResponse, length: number | undefined, facts: ResponseFacts): string {
  const reason = STATUS_TEXT[response.status] ?? "";
  let head = `HTTP/1.1 ${response.status} ${reason}\r\ndate: ${facts.date}\r\n`;
  for (const line of response.headers) head += line + "\r\n";
  if (facts.closes) head += "connection: close\r\n";
  if (length === undefined) return head + "transfer-encoding: chunked\r\n\r\n";
  return response.status === 204 ? head + "\r\n" : head + "content-length: " + length + "\r\n\r\n";
}

function writeParts(
  io: ConnectionIo,
  response: HttpResponse,
  parts: readonly (Uint8Array | string)[],
  facts: ResponseFacts,
): Promise<void> {
  const length = bodyLength(parts);
  const head = formatHead(response, length, facts);
  const sent = facts.isHead ? [] : parts;
  if (head.length + length <= ONE_WRITE_BYTES) return io.write(join(head, sent, length));
  return writeEach(io, head, sent);
}

async function writeEach(
  io: ConnectionIo,
  head: string,
  sent: readonly (Uint8Array | string)[],
): Promise<void> {
  await io.write(HEAD_ENCODER.encode(head));
  for (const part of sent) await io.write(typeof part === "string" ? HEAD_ENCODER.encode(part) : part);
}

/** Strings beside each other are encoded together: a call of the encoder costs more than the bytes do. */
function join(head: string, parts: readonly (Uint8Array | string)[], length: number): Uint8Array {
  const bytes = new Uint8Array(head.length + length);
  let text = head;
  let at = 0;
  const flush = (): void => {
    if (text === "") return;
    HEAD_ENCODER.encodeInto(text, at === 0 ? bytes : bytes.subarray(at));
    at += text.length;
    text = "";
  };
  for (const part of parts) {
    if (typeof part === "string") {
      text += part;
      continue;
    }
    flush();
    bytes.set(part, at);
    at += part.length;
  }
  flush();
  return parts.length === 0 ? bytes.subarray(0, at) : bytes;
}

/** A stream that yields another number of bytes than announced would shift every later response: it is cut off. */
async function writeExactly(io: ConnectionIo, body: StreamBody, length: number): Promise<void> {
  let remaining = length;
  for (;;) {
    const chunk = await nextChunk(io, body);
    if (chunk === undefined) break;
    remaining -= chunk.length;
    if (remaining < 0) throw new StreamFailed(`The stream has more than the ${length} bytes announced`);
    await io.write(chunk);
  }
  if (remaining > 0) {
    throw new StreamFailed(`The stream ended ${remaining} bytes before its announced length`);
  }
}

async function writeChunked(io: ConnectionIo, body: StreamBody): Promise<void> {
  for (;;) {
    const chunk = await nextChunk(io, body);
    if (chunk === undefined) break;
    // A chunk of length 0 would end the body.
    if (chunk.length === 0) continue;
    await io.write(HEAD_ENCODER.encode(chunk.length.toString(16) + "\r\n"));
    await io.write(chunk);
    await io.write(HEAD_ENCODER.encode("\r\n"));
  }
  await io.write(HEAD_ENCODER.encode("0\r\n\r\n"));
}

/** While the source works the client is not to blame: no deadline of the connection runs. */
async function nextChunk(io: ConnectionIo, body: StreamBody): Promise<Uint8Array | undefined> {
  io.enter("handling", Infinity);
  try {
    const result = await body.chunks.next();
    return result.done === true ? undefined : result.value;
  } catch (error) {
    throw new StreamFailed("The source of the stream failed", { cause: error });
  }
}
