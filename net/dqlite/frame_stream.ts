import type { Milliseconds } from "../../core/base/ids.ts";
import { Deadline } from "../tcp/deadline.ts";
import { type Frame, FRAME_HEAD_BYTES, FrameError } from "./frame.ts";
import { FrameReader } from "./frame_reader.ts";

/** What a connection needs of a socket: `Deno.TcpConn` has it. */
export interface ByteStream {
  read(into: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<number>;
  close(): void;
}

/** Bytes that all connections of a server hold together. */
export interface ByteBudget {
  bytes: number;
  readonly bytesMax: number;
}

export interface FrameStreamLimits {
  /** Between two requests. */
  readonly idleMsMax: Milliseconds;
  /** For the opening word, and between two reads inside a frame. */
  readonly readMsMax: Milliseconds;
  /** Between two steps of an answer. */
  readonly writeMsMax: Milliseconds;
}

const CHUNK_BYTES = 16 * 1024;

/** The client is gone, or does not take its answer. */
export class SendError extends Error {
  override name = "SendError";
}

/**
 * Frames in, bytes out, over one socket. The server's sweep looks at the deadlines; one that has passed closes the socket.
 * One read and one write may be under way at once.
 */
export class FrameStream {
  readonly #stream: ByteStream;
  readonly #limits: FrameStreamLimits;
  readonly #budget: ByteBudget;
  readonly #reader = new FrameReader();
  readonly #chunk = new Uint8Array(CHUNK_BYTES);
  /** Bytes of the budget that are this connection's. */
  #held = 0;
  #isClosed = false;
  #refusal: FrameError | undefined;
  readonly #reading = new Deadline();
  readonly #idle = new Deadline();
  readonly #writing = new Deadline();

  constructor(stream: ByteStream, limits: FrameStreamLimits, budget: ByteBudget) {
    this.#stream = stream;
    this.#limits = limits;
    this.#budget = budget;
    this.#reading.set(limits.readMsMax);
  }

  /** The word the connection opens with; undefined when the client leaves before. */
  word(): Promise<DataView | undefined> {
    return this.#received(this.#takeWord);
  }

  /**
   * The next frame; undefined when the client has left, and when what it sent is none (`refusal`). One call at a time;
   * `release` it when it is served. Never rejects: perhaps nobody waits for it yet.
   */
  next(): Promise<Frame | undefined> {
    return this.#received(this.#takeFrame);
  }

  /** Why there is no next frame; undefined while there may be one, and when the client has left. */
  get refusal(): FrameError | undefined {
    return this.#refusal;
  }

  release(frame: Frame): void {
    this.#release(FRAME_HEAD_BYTES + frame.body.byteLength);
  }

  /** Says whether the client's next request is all that is waited for. */
  set isIdle(isIdle: boolean) {
    this.#idle.set(isIdle ? this.#limits.idleMsMax : Infinity);
  }

  /**
   * Writes all bytes.
   *
   * @throws SendError when the client is gone or does not take them in time
   */
  async write(bytes: Uint8Array): Promise<void> {
    try {
      for (let offset = 0; offset < bytes.byteLength;) {
        this.#writing.set(this.#limits.writeMsMax);
        offset += await this.#stream.write(offset === 0 ? bytes : bytes.subarray(offset));
      }
    } catch (cause) {
      throw new SendError("The client is gone, or does not take its answer", { cause });
    }
    this.#writing.set(Infinity);
  }

  /** Called by the server's sweep. */
  expire(nowMs: Milliseconds): void {
    const deadlines = [this.#reading, this.#idle, this.#writing];
    if (deadlines.some((deadline) => deadline.hasPassed(nowMs))) this.close();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#release(this.#held);
    try {
      this.#stream.close();
    } catch {
      // The system has closed it before.
    }
  }

  readonly #takeWord = (): DataView | undefined => {
    const word = this.#reader.takeWord();
    if (word === undefined) return undefined;
    this.#release(FRAME_HEAD_BYTES);
    this.#reading.set(Infinity);
    return word;
  };

  readonly #takeFrame = (): Frame | undefined => {
    const frame = this.#reader.next();
    const isMidFrame = frame === undefined && this.#reader.isMidFrame;
    this.#reading.set(isMidFrame ? this.#limits.readMsMax : Infinity);
    return frame;
  };

  /** Reads until `take` finds what it looks for. */
  async #received<T>(take: () => T | undefined): Promise<T | undefined> {
    try {
      for (;;) {
        const found = take();
        if (found !== undefined) return found;
        if (!this.#take(await this.#stream.read(this.#chunk))) return undefined;
      }
    } catch (error) {
      // A broken socket is an ended one.
      if (error instanceof FrameError) this.#refusal = error;
      return undefined;
    }
  }

  /** @returns false at the end */
  #take(count: number | null): boolean {
    if (count === null || this.#isClosed) return false;
    this.#held += count;
    this.#budget.bytes += count;
    if (this.#budget.bytes > this.#budget.bytesMax) {
      throw new FrameError("Cannot receive the frame: the frames of all clients together are too large now");
    }
    this.#reader.push(this.#chunk, count);
    return true;
  }

  #release(bytes: number): void {
    const released = Math.min(bytes, this.#held);
    this.#held -= released;
    this.#budget.bytes -= released;
  }
}
