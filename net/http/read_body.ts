import { NodeError } from "../../core/base/errors.ts";
import { LIMITS } from "../../core/base/limits.ts";
import { decodeJsonBody } from "../api/json_body.ts";
import { decodeMsgpackBody } from "../api/msgpack_decode.ts";
import { isMsgpack, mediaType } from "./answer_encoding.ts";
import type { BodyReader, HttpRequest } from "./http_message.ts";

/** Bytes that all bodies being read may hold together. */
export class BodyBudget {
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Throws NodeError queue_full. */
  take(bytes: number): void {
    if (this.#bytes + bytes > this.#bytesMax) {
      throw new NodeError("queue_full", "Cannot take the body: too many large bodies are on their way", {
        limit: { name: "request_bodies_bytes", value: this.#bytesMax },
      });
    }
    this.#bytes += bytes;
  }

  give(bytes: number): void {
    this.#bytes -= bytes;
  }
}

/**
 * Reads and parses a JSON or msgpack body. Throws NodeError: unsupported_media_type, body_too_large before reading
 * where the length is announced, bad_request, request_timeout, queue_full.
 *
 * The content type is required even for an empty body: a page in a browser can send a POST without one to any
 * address, loopback included, but may not name these types without asking first.
 */
export function readValue(
  request: HttpRequest,
  bytesMax: number,
  budget: BodyBudget,
): unknown | Promise<unknown> {
  const type = mediaType(request.headers.get("content-type"));
  if (type !== "application/json" && !isMsgpack(type)) {
    throw new NodeError(
      "unsupported_media_type",
      `Cannot read a body of type ${type === "" ? "none" : type.slice(0, 100)}: ` +
        "send content-type: application/json or application/msgpack",
    );
  }
  const encoding = request.headers.get("content-encoding");
  if (encoding !== undefined && encoding.toLowerCase() !== "identity") {
    throw new NodeError(
      "unsupported_media_type",
      "Cannot read a compressed body: send it without content-encoding",
    );
  }
  const decode = type === "application/json" ? decodeJsonBody : decodeMsgpackBody;
  if (request.body instanceof Uint8Array) {
    if (request.body.length > bytesMax) throw tooLarge(bytesMax);
    return decode(request.body, LIMITS.requestDepthMax);
  }
  return readAll(request.body, bytesMax, budget, (bytes) => decode(bytes, LIMITS.requestDepthMax));
}

/** Gathers a body of at most `bytesMax` bytes and hands it to `use`; the budget is given back afterwards. */
async function readAll<T>(
  body: BodyReader,
  bytesMax: number,
  budget: BodyBudget,
  use: (bytes: Uint8Array) => T,
): Promise<T> {
  if (body.length !== undefined && body.length > bytesMax) throw tooLarge(bytesMax);
  // Grows with what has arrived: an announced length alone must not cost memory.
  let held = 0;
  let bytes = new Uint8Array(0);
  let length = 0;
  try {
    for (;;) {
      const piece = await body.read();
      if (piece === null) return use(bytes.subarray(0, length));
      if (length + piece.length > bytesMax) throw tooLarge(bytesMax);
      if (length + piece.length > bytes.length) {
        const capacity = Math.min(Math.max(bytes.length * 2, length + piece.length), body.length ?? bytesMax);
        budget.take(capacity - held);
        held = capacity;
        const grown = new Uint8Array(capacity);
        grown.set(bytes.subarray(0, length));
        bytes = grown;
      }
      bytes.set(piece, length);
      length += piece.length;
    }
  } finally {
    budget.give(held);
  }
}

/** The pieces of an upload, as the node takes them. */
export async function* readPieces(
  body: Uint8Array | BodyReader,
  bytesMax: number,
): AsyncGenerator<Uint8Array> {
  if (body instanceof Uint8Array) {
    // A copy: the node may hand pieces to a worker, and this is a view into the buffer of the connection.
    if (body.length > 0) yield body.slice();
    return;
  }
  if (body.length !== undefined && body.length > bytesMax) throw tooLarge(bytesMax);
  let length = 0;
  for (;;) {
    const piece = await body.read();
    if (piece === null) return;
    length += piece.length;
    if (length > bytesMax) throw tooLarge(bytesMax);
    yield piece;
  }
}

function tooLarge(bytesMax: number): NodeError {
  return new NodeError("body_too_large", `Cannot take the body: it is larger than ${bytesMax} bytes`, {
    limit: { name: "request_body_bytes", value: bytesMax },
  });
}
