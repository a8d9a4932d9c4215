import type { Milliseconds } from "../../core/base/ids.ts";
import type { Clock } from "../../core/base/ports.ts";
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

/**
 * Frames in, bytes out, over one socket. Deadlines are numbers that the server's sweep compares, not timers; one that
 * has passed closes the socket. One read and one write may be under way at once.
 */
export class FrameStream {
  readonly #stream: ByteStream;
  readonly #clock: Clock;
  readonly #limits: FrameStreamLimits;
  readonly #budget: ByteBudget;
  readonly #reader = new FrameReader();
  readonly #chunk = new Uint8Array(CHUNK_BYTES);
  /** Bytes of the budget that are this connection's. */
  #held = 0;
  #isClosed = false;
  #readDeadlineMs: Milliseconds;
  #idleDeadlineMs: Milliseconds = Infinity;
  #writeDeadlineMs: Milliseconds = Infinity;

  constructor(stream: ByteStream, clock: Clock, limits: FrameStreamLimits, budget: ByteBudget) {
    this.#stream = stream;
    this.#clock = clock;
    this.#limits = limits;
    this.#budget = budget;
    this.#readDeadlineMs = clock.nowMs() + limits.readMsMax;
  }

  /** The word the connection opens with; undefined when the client leaves before. */
  async word(): Promise<DataView | undefined> {
    for (;;) {
      const word = this.#reader.takeWord();
      if (word !== undefined) {
        this.#release(FRAME_HEAD_BYTES);
        this.#readDeadlineMs = Infinity;
        return word;
      }
      if (!this.#take(await this.#read())) return undefined;
    }
  }

  /**
   * The next frame; undefined when the client has left. One call at a time; `release` it when it is served.
   *
   * @throws FrameError
   */
  async next(): Promise<Frame | undefined> {
    for (;;) {
      const frame = this.#reader.next();
      if (frame !== undefined) {
        this.#readDeadlineMs = Infinity;
        return frame;
      }
      this.#readDeadlineMs = this.#reader.isMidFrame
        ? this.#clock.nowMs() + this.#limits.readMsMax
        : Infinity;
      if (!this.#take(await this.#read())) return undefined;
    }
  }

  release(frame: Frame): void {
    this.#release(FRAME_HEAD_BYTES + frame.body.byteLength);
  }

  /** Says whether the client's next request is all that is waited for. */
  set isIdle(isIdle: boolean) {
    this.#idleDeadlineMs = isIdle ? this.#clock.nowMs() + this.#limits.idleMsMax : Infinity;
  }

  /** Writes all bytes. Rejects when the client is gone or does not take them in time. */
  async write(bytes: Uint8Array): Promise<void> {
    for (let offset = 0; offset < bytes.byteLength;) {
      this.#writeDeadlineMs = this.#clock.nowMs() + this.#limits.writeMsMax;
      offset += await this.#stream.write(offset === 0 ? bytes : bytes.subarray(offset));
    }
    this.#writeDeadlineMs = Infinity;
  }

  /** Called by the server's sweep. */
  expire(nowMs: Milliseconds): void {
    if (nowMs >= Math.min(this.#readDeadlineMs, this.#idleDeadlineMs, this.#writeDeadlineMs)) this.close();
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

  #read(): Promise<number | null> {
    // A broken socket is an ended one.
    return this.#stream.read(this.#chunk).catch(() => null);
  }

  /** @returns false at the end */
  #take(count: number | null): boolean {
    if (count === null || this.#isClosed) return false;
    this.#held += count;
    this.#budget.bytes += count;
    if (this.#budget.bytes > this.#budget.bytesMax) {
      throw new FrameError("Cannot receive the frame: the frames of all clients together are too large now");
    }
    this.#reader.push(this.#chunk.subarray(0, count));
    return true;
  }

  #release(bytes: number): void {
    const released = Math.min(bytes, this.#held);
    this.#held -= released;
    this.#budget.bytes -= released;
  }
}
