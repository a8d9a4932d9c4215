import { NodeError } from "../../core/base/errors.ts";
import type { Milliseconds } from "../../core/base/ids.ts";
import { ChunkedDecoder } from "./chunked_decoder.ts";
import { type ConnectionIo, ReadExpired } from "./connection_io.ts";
import type { BodyReader } from "./http_message.ts";

const PIECE_BYTES = 64 * 1024;

const CONTINUE = new TextEncoder().encode("HTTP/1.1 100 Continue\r\n\r\n");

/** Common to both framings: deadlines, the interim answer a careful client waits for, and the end. */
abstract class ConnectionBody implements BodyReader {
  protected readonly io: ConnectionIo;
  readonly #bodyMsMax: Milliseconds;
  readonly #onComplete: () => void;
  #mustInvite: boolean;
  #isComplete = false;

  /** @param mustInvite the client waits for `100 Continue` before it sends */
  constructor(io: ConnectionIo, bodyMsMax: Milliseconds, mustInvite: boolean, onComplete: () => void) {
    this.io = io;
    this.#bodyMsMax = bodyMsMax;
    this.#mustInvite = mustInvite;
    this.#onComplete = onComplete;
  }

  abstract get length(): number | undefined;
  /** Next piece, or null at the end of the body. */
  protected abstract next(): Promise<Uint8Array | null>;

  get isComplete(): boolean {
    return this.#isComplete;
  }

  async read(): Promise<Uint8Array | null> {
    if (this.#isComplete) return null;
    try {
      if (this.#mustInvite && this.io.start === this.io.end) await this.io.write(CONTINUE);
      this.#mustInvite = false;
      const piece = await this.next();
      if (piece === null) this.complete();
      return piece;
    } catch (error) {
      if (!(error instanceof ReadExpired)) throw error;
      throw new NodeError("request_timeout", "Cannot read the body: the client stopped sending", {
        limit: { name: "request_body_ms", value: this.#bodyMsMax },
      });
    } finally {
      this.io.enter("handling", Infinity);
    }
  }

  protected complete(): void {
    if (this.#isComplete) return;
    this.#isComplete = true;
    this.#onComplete();
  }

  protected startWaiting(): void {
    this.io.enter("body", this.#bodyMsMax);
  }
}

export class LengthBody extends ConnectionBody {
  readonly length: number;
  #remaining: number;
  #scratch: Uint8Array | undefined;

  constructor(
    io: ConnectionIo,
    length: number,
    bodyMsMax: Milliseconds,
    mustInvite: boolean,
    onComplete: () => void,
  ) {
    super(io, bodyMsMax, mustInvite, onComplete);
    this.length = length;
    this.#remaining = length;
  }

  protected override async next(): Promise<Uint8Array | null> {
    if (this.#remaining === 0) return null;
    const piece = this.io.start < this.io.end ? this.#takeBuffered() : await this.#readPiece();
    this.#remaining -= piece.length;
    if (this.#remaining === 0) this.complete();
    return piece;
  }

  #takeBuffered(): Uint8Array {
    const end = Math.min(this.io.end, this.io.start + this.#remaining);
    const piece = this.io.bytes.slice(this.io.start, end);
    this.io.start = end;
    return piece;
  }

  async #readPiece(): Promise<Uint8Array> {
    const scratch = this.#scratch ??= new Uint8Array(Math.min(PIECE_BYTES, this.#remaining));
    this.startWaiting();
    const count = await this.io.readDirect(scratch.subarray(0, Math.min(scratch.length, this.#remaining)));
    if (count === 0) throw endedEarly();
    return scratch.slice(0, count);
  }
}

export class ChunkedBody extends ConnectionBody {
  readonly length = undefined;
  readonly #decoder = new ChunkedDecoder();

  protected override async next(): Promise<Uint8Array | null> {
    for (;;) {
      const { next, dataStart, dataEnd } = this.#decoder.decode(this.io.bytes, this.io.start, this.io.end);
      const piece = this.io.bytes.slice(dataStart, dataEnd);
      this.io.start = next;
      if (piece.length > 0) return piece;
      if (this.#decoder.isDone) return null;
      this.startWaiting();
      await this.io.fill();
      if (this.io.start === this.io.end) throw endedEarly();
    }
  }
}

function endedEarly(): NodeError {
  return new NodeError("cancelled", "Cannot read the body: the connection ended before it was complete");
}
