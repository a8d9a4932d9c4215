import type { Milliseconds } from "../../core/base/ids.ts";
import { Deadline } from "../tcp/deadline.ts";

/** What a connection needs of a socket: `Deno.TcpConn` and `Deno.TlsConn` have it. */
export interface ByteStream {
  read(into: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<number>;
  closeWrite(): Promise<void>;
  close(): void;
}

/**
 * What a connection is doing, which decides what an expired deadline means: `head` and `body` interrupt the read, so
 * that an answer can still be sent; the others close the socket.
 */
export type Phase = "idle" | "head" | "body" | "handling" | "writing" | "lingering";

/** The client did not send in time. */
export class ReadExpired extends Error {}

const DONE = Promise.resolve();
const INITIAL_BUFFER_BYTES = 8 * 1024;

/**
 * Socket, read buffer and deadline of one connection. At most one read is under way; reads never reject: a broken
 * socket is an ended one. The server's sweep looks at the deadline.
 */
export class ConnectionIo {
  readonly #stream: ByteStream;
  readonly #bufferBytesMax: number;
  readonly #writeMsMax: Milliseconds;
  #bytes = new Uint8Array(INITIAL_BUFFER_BYTES);
  #reading: Promise<void> | undefined;
  #interrupt: ((reason: Error) => void) | undefined;
  #isClosed = false;
  #phase: Phase = "idle";
  readonly #deadline = new Deadline();

  /** Unconsumed bytes are `bytes` from `start` to `end`. */
  start = 0;
  end = 0;
  /** The client has sent everything it will send, or is gone. */
  hasEnded = false;
  /** Called once when `hasEnded` becomes true. */
  onEnded: (() => void) | undefined;

  constructor(stream: ByteStream, bufferBytesMax: number, writeMsMax: Milliseconds) {
    this.#stream = stream;
    this.#bufferBytesMax = bufferBytesMax;
    this.#writeMsMax = writeMsMax;
  }

  get bytes(): Uint8Array {
    return this.#bytes;
  }

  get phase(): Phase {
    return this.#phase;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** @param limitMs how long the phase may last; Infinity where another part keeps the time */
  enter(phase: Phase, limitMs: Milliseconds): void {
    this.#phase = phase;
    this.#deadline.set(limitMs);
  }

  /** Called by the server's sweep. */
  expire(nowMs: Milliseconds): void {
    if (!this.#deadline.hasPassed(nowMs)) return;
    this.#deadline.set(Infinity);
    if (this.#phase === "head" || this.#phase === "body") {
      this.#interrupt?.(new ReadExpired(`The ${this.#phase} did not arrive in time`));
    } else {
      this.close();
    }
  }

  /**
   * Waits for more bytes in the buffer, or for the end; compacts and grows the buffer as needed, so earlier views
   * are invalid afterwards. Rejects with ReadExpired.
   */
  fill(): Promise<void> {
    if (this.hasEnded) return DONE;
    if (this.#reading === undefined) {
      this.#makeRoom();
      this.#reading = this.#readIntoBuffer();
    }
    // Between two requests there is nobody to be told: the socket is closed, and the read ends.
    return this.#phase === "idle" ? this.#reading : this.#interruptible(this.#reading);
  }

  /** Starts a read into the free end of the buffer, if there is one, and moves nothing: notices a client that leaves. */
  readAhead(): void {
    if (this.hasEnded || this.#reading !== undefined || this.end === this.#bytes.length) return;
    this.#reading = this.#readIntoBuffer();
  }

  /** Reads past the buffer, which must be empty. 0 at the end. Rejects with ReadExpired. */
  async readDirect(into: Uint8Array): Promise<number> {
    if (this.hasEnded) return 0;
    let count = 0;
    this.#reading = this.#readOnce(into).then((bytes) => {
      count = bytes;
    });
    await this.#interruptible(this.#reading);
    return count;
  }

  /** Writes all bytes; each step must make progress within the write deadline. Rejects when the client is gone. */
  async write(bytes: Uint8Array): Promise<void> {
    let offset = 0;
    while (offset < bytes.length) {
      this.enter("writing", this.#writeMsMax);
      offset += await this.#stream.write(offset === 0 ? bytes : bytes.subarray(offset));
    }
  }

  /**
   * Ends a connection whose client may still be sending: an immediate close would make the kernel reset it, and the
   * client could lose the answer. Reads and drops a bounded number of bytes until the client closes, or `limitMs`.
   */
  async linger(limitMs: Milliseconds, bytesMax: number): Promise<void> {
    this.enter("lingering", limitMs);
    try {
      await this.#stream.closeWrite();
      await this.#reading;
      const scratch = new Uint8Array(4096);
      for (let dropped = 0; dropped < bytesMax && !this.hasEnded && !this.#isClosed;) {
        dropped += await this.#readOnce(scratch);
      }
    } catch {
      // Gone already.
    }
    this.close();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    try {
      this.#stream.close();
    } catch {
      // A socket the kernel has closed before.
    }
    this.#end();
  }

  #interruptible(work: Promise<void>): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      this.#interrupt = (reason) => {
        this.#interrupt = undefined;
        reject(reason);
      };
      work.then(() => {
        this.#interrupt = undefined;
        resolve();
      }, reject);
    });
  }

  #readIntoBuffer(): Promise<void> {
    return this.#stream.read(this.#bytes.subarray(this.end)).then(this.#filled, this.#broken);
  }

  /** Made once: two closures for each read would cost more than what they do. */
  readonly #filled = (count: number | null): void => {
    this.end += this.#arrived(count);
  };

  readonly #broken = (): void => {
    this.#arrived(null);
  };

  #readOnce(into: Uint8Array): Promise<number> {
    return this.#stream.read(into).then((count) => this.#arrived(count), () => this.#arrived(null));
  }

  #arrived(count: number | null): number {
    this.#reading = undefined;
    if (count !== null) return count;
    this.#end();
    return 0;
  }

  #end(): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    this.onEnded?.();
  }

  #makeRoom(): void {
    if (this.start === this.end) {
      this.start = this.end = 0;
    } else if (this.end === this.#bytes.length && this.start > 0) {
      this.#bytes.copyWithin(0, this.start, this.end);
      this.end -= this.start;
      this.start = 0;
    }
    if (this.end < this.#bytes.length) return;
    const grown = new Uint8Array(Math.min(this.#bytes.length * 2, this.#bufferBytesMax));
    grown.set(this.#bytes.subarray(0, this.end));
    this.#bytes = grown;
  }
}
