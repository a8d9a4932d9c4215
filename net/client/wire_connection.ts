import { FrameReader } from "../dqlite/frame_reader.ts";
import { encodeHandshake } from "../dqlite/handshake.ts";
import type { Request } from "../dqlite/request.ts";
import { writeRequest } from "../dqlite/request_codec.ts";
import type { Response, RowsResponse } from "../dqlite/response.ts";
import { decodeResponse } from "../dqlite/response_codec.ts";
import type { Tuple } from "../wire/tuple.ts";
import { TupleWriter } from "../wire/tuple_writer.ts";
import { WalraftError } from "./walraft_error.ts";

/** A socket as the client needs it: what `Deno.connect` gives. */
export interface WireSocket {
  read(into: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<number>;
  close(): void;
}

/** An answer: one message, or all parts of a result as one. */
export type WireAnswer = Exclude<Response, RowsResponse> | {
  readonly kind: "rows";
  readonly columns: readonly string[];
  readonly rows: readonly Tuple[];
};

const CHUNK_BYTES = 64 * 1024;

/** One connection of the dqlite protocol. Requests of one `ask` go out together and are answered in order. */
export class WireConnection {
  readonly address: string;
  readonly #socket: WireSocket;
  readonly #reader = new FrameReader();
  readonly #writer = new TupleWriter();
  #chunk = new Uint8Array(CHUNK_BYTES);
  #isBroken = false;

  constructor(address: string, socket: WireSocket) {
    this.address = address;
    this.#socket = socket;
    this.#writer.bytes(encodeHandshake("one"));
  }

  /** Of no use any more: it broke in the middle, and what is read next would be of another request. */
  get isBroken(): boolean {
    return this.#isBroken;
  }

  /** @throws WalraftError `network_error`; whether anything was executed is not known then */
  async ask(...requests: Request[]): Promise<WireAnswer[]> {
    try {
      for (const request of requests) writeRequest(this.#writer, request);
      // At the same time: the answers to the first of many requests may fill the socket before the last is sent.
      const [answers] = await Promise.all([this.#answers(requests.length), this.#send(this.#writer.take())]);
      return answers;
    } catch (cause) {
      this.close();
      throw new WalraftError({
        code: "network_error",
        message: `The connection to ${this.address} broke`,
        retry: "with_key",
        mayHaveCommitted: true,
        cause,
      });
    }
  }

  close(): void {
    if (this.#isBroken) return;
    this.#isBroken = true;
    try {
      this.#socket.close();
    } catch {
      // The system has closed it before.
    }
  }

  async #send(bytes: Uint8Array): Promise<void> {
    for (let sent = 0; sent < bytes.byteLength;) sent += await this.#socket.write(bytes.subarray(sent));
  }

  async #answers(count: number): Promise<WireAnswer[]> {
    const answers: WireAnswer[] = [];
    while (answers.length < count) answers.push(await this.#answer());
    return answers;
  }

  async #answer(): Promise<WireAnswer> {
    const first = await this.#response();
    if (first.kind !== "rows") return first;
    const rows = [...first.rows];
    for (let part = first; !part.isLast;) {
      const next = await this.#response();
      // A failure in the middle takes the place of the next part.
      if (next.kind !== "rows") return next;
      for (const row of next.rows) rows.push(row);
      part = next;
    }
    return { kind: "rows", columns: first.columns, rows };
  }

  async #response(): Promise<Response> {
    for (;;) {
      const frame = this.#reader.next();
      if (frame !== undefined) return decodeResponse(frame);
      const count = await this.#socket.read(this.#chunk);
      if (count === null) throw new Error("The server has closed the connection");
      this.#reader.push(this.#chunk.subarray(0, count));
    }
  }
}
