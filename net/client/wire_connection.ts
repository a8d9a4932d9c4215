import { CALL_BYTES_MAX, type Outcome } from "../dqlite/call.ts";
import { FrameReader } from "../dqlite/frame_reader.ts";
import { encodeHandshake } from "../dqlite/handshake.ts";
import type { Request } from "../dqlite/request.ts";
import { writeRequest } from "../dqlite/request_codec.ts";
import type { Response, RowsResponse } from "../dqlite/response.ts";
import { decodeResponse } from "../dqlite/response_codec.ts";
import type { Tuple } from "../wire/tuple.ts";
import { TupleError } from "../wire/tuple_error.ts";
import { TupleWriter } from "../wire/tuple_writer.ts";
import { invalidArgument, WalraftError } from "./walraft_error.ts";

/** A socket as the client needs it: what `Deno.connect` gives. */
export interface WireSocket {
  read(into: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<number>;
  close(): void;
}

/** All parts of a result as one. */
export interface WireRows {
  readonly kind: "rows";
  readonly columns: readonly string[];
  readonly rows: readonly Tuple[];
}

/** What one statement of a call did; without columns there are no rows. */
export interface WireOutcome extends Outcome {
  readonly columns: readonly string[];
  readonly rows: readonly Tuple[];
}

/** The whole answer to a read or write call of walraft. */
export interface WireCallAnswer {
  readonly kind: "call";
  readonly index: number;
  readonly ageMs: number | undefined;
  readonly isReplayed: boolean;
  readonly outcomes: readonly WireOutcome[];
}

/** An answer: one message, or all messages of a result or call as one. */
export type WireAnswer = Exclude<Response, RowsResponse> | WireRows | WireCallAnswer;

const CHUNK_BYTES = 64 * 1024;

/** An Interrupt was sent, and the server has answered it: nothing is under way any more. */
class Interrupted extends Error {}

/** A message instead of what was to come: a Failure. */
class Replaced extends Error {
  constructor(readonly answer: Exclude<Response, RowsResponse>) {
    super(`The answer ends with ${answer.kind}`);
  }
}

/** One connection of the dqlite protocol. Requests of one `ask` go out together and are answered in order. */
export class WireConnection {
  readonly address: string;
  readonly #socket: WireSocket;
  readonly #answerBytesMax: number;
  readonly #reader = new FrameReader();
  readonly #chunk = new Uint8Array(CHUNK_BYTES);
  #sending: Promise<void> = Promise.resolve();
  #answerBytes = 0;
  #hasOpened = false;
  #isAsking = false;
  #isInterrupted = false;
  #isBroken = false;

  /** @param answerBytesMax of one answer; a larger one breaks the connection */
  constructor(address: string, socket: WireSocket, answerBytesMax = Infinity) {
    this.address = address;
    this.#socket = socket;
    this.#answerBytesMax = answerBytesMax;
  }

  /** Of no use any more: it broke in the middle, and what is read next would be of another request. */
  get isBroken(): boolean {
    return this.#isBroken;
  }

  /**
   * One call at a time.
   *
   * @throws WalraftError `network_error`: whether anything was executed is not known then; `cancelled` after `interrupt()`;
   * `invalid_argument`, `body_too_large` before anything is sent
   */
  async ask(...requests: Request[]): Promise<WireAnswer[]> {
    const bytes = this.#encode(requests);
    this.#isAsking = true;
    try {
      this.#sending = this.#send(bytes);
      // At the same time: the answers to the first of many requests may fill the socket before the last is sent.
      const [answers] = await Promise.all([this.#answers(requests.length), this.#sending]);
      // It was complete before the server heard of the Interrupt.
      while (this.#isInterrupted) await this.#response();
      return answers;
    } catch (cause) {
      if (cause instanceof Interrupted) throw this.#error("cancelled", "The call was interrupted", cause);
      this.close();
      if (cause instanceof WalraftError) throw cause;
      throw this.#error("network_error", `The connection to ${this.address} broke`, cause);
    } finally {
      this.#isAsking = false;
    }
  }

  /**
   * Tells the server that the answer is not wanted: it stops a query, but no write. The `ask` under way ends once the
   * server has said that it knows; the connection is as before then.
   */
  async interrupt(): Promise<void> {
    if (!this.#isAsking || this.#isInterrupted || this.#isBroken) return;
    this.#isInterrupted = true;
    try {
      await this.#sending;
      await this.#send(this.#encode([{ kind: "interrupt", databaseId: 0 }]));
    } catch {
      this.close();
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

  #encode(requests: readonly Request[]): Uint8Array {
    const writer = new TupleWriter();
    if (!this.#hasOpened) writer.bytes(encodeHandshake("one"));
    try {
      for (const request of requests) writeRequest(writer, request);
    } catch (cause) {
      if (!(cause instanceof TupleError)) throw cause;
      throw invalidArgument(`Cannot send the call over the dqlite protocol: ${cause.message}`, cause);
    }
    const isCall = requests.some(({ kind }) => kind === "read" || kind === "write");
    if (isCall && writer.length > CALL_BYTES_MAX) {
      const message =
        `Cannot send a call of ${writer.length} bytes: the limit is ${CALL_BYTES_MAX}; send smaller batches`;
      throw new WalraftError({ code: "body_too_large", message, retry: "never", mayHaveCommitted: false });
    }
    this.#hasOpened = true;
    return writer.take();
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
    this.#answerBytes = 0;
    const first = await this.#response();
    try {
      if (first.kind === "rows") return await this.#rows(first);
      if (first.kind !== "head") return first;
      const { index, ageMs, isReplayed } = first;
      const outcomes: WireOutcome[] = [];
      while (outcomes.length < first.outcomes) {
        for (const outcome of outcomesOf(await this.#response())) {
          const result = outcome.types.length === 0 ? NO_ROWS : await this.#rows(await this.#response());
          outcomes.push({ ...outcome, columns: result.columns, rows: result.rows });
        }
      }
      return { kind: "call", index, ageMs, isReplayed, outcomes };
    } catch (error) {
      if (error instanceof Replaced) return error.answer;
      throw error;
    }
  }

  async #rows(first: Response): Promise<WireRows> {
    const rows: Tuple[] = [];
    for (let part = first;; part = this.#received() ?? await this.#response()) {
      // A failure in the middle takes the place of the next part.
      if (part.kind !== "rows") throw new Replaced(part);
      for (const row of part.rows) rows.push(row);
      if (part.isLast) return { kind: "rows", columns: part.columns, rows };
    }
  }

  async #response(): Promise<Response> {
    for (;;) {
      const response = this.#received();
      if (response !== undefined) return response;
      const count = await this.#socket.read(this.#chunk);
      if (count === null) throw new Error("The server has closed the connection");
      this.#answerBytes += count;
      if (this.#answerBytes > this.#answerBytesMax) {
        const text = `The answer of ${this.address} is larger than ${this.#answerBytesMax} bytes`;
        throw this.#error("invalid_answer", text);
      }
      this.#reader.push(this.#chunk.subarray(0, count));
    }
  }

  /** The next message if it has arrived. Messages come many at a time: asking here first spares a promise for each. */
  #received(): Response | undefined {
    const frame = this.#reader.next();
    if (frame === undefined) return undefined;
    const response = decodeResponse(frame);
    if (!this.#isInterrupted || response.kind !== "empty") return response;
    this.#isInterrupted = false;
    throw new Interrupted();
  }

  #error(code: "network_error" | "invalid_answer" | "cancelled", message: string, cause?: unknown) {
    // Asked again, the server would send the same.
    const retry = code === "invalid_answer" ? "never" : "with_key";
    return new WalraftError({ code, message, retry, mayHaveCommitted: true, cause });
  }
}

const NO_ROWS = { columns: [], rows: [] } as const;

function outcomesOf(response: Response): readonly Outcome[] {
  if (response.kind === "outcome") return response.outcomes;
  if (response.kind === "failure") throw new Replaced(response);
  throw new Error(`The server sent ${response.kind} instead of an outcome`);
}
