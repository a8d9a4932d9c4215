import type { Clock } from "../../core/base/ports.ts";
import { LIMITS } from "../../core/base/limits.ts";
import { encodeControl } from "../wire/control.ts";
import { encodeFrame, type Frame, FrameKind } from "../wire/frame.ts";
import { FrameReader } from "../wire/frame_reader.ts";
import { WireError } from "../wire/wire_error.ts";
import { Gatherer } from "./gather.ts";
import type { Lane, SendQueue } from "./send_queue.ts";
import { closeSocket, writeAll } from "./socket.ts";
import type { PeerTiming } from "./timing.ts";
import type { Traffic } from "./traffic.ts";
import type { EncodedFrame } from "../wire/frame.ts";

/** Frames joined into one write, and so the longest an urgent frame waits for others; a larger frame goes alone. */
const WRITE_BYTES_MAX = 256 * 1024;

/** Why a connection ended. */
export type CloseReason =
  /** By us, on purpose. */
  | { readonly kind: "closed" }
  /** The other side closed or reset it: often its process died. */
  | { readonly kind: "ended"; readonly text: string }
  /** Nothing came for too long: the host or the network died without a word. */
  | { readonly kind: "silent"; readonly text: string }
  /** The other side sent what is not of the protocol. */
  | { readonly kind: "violation"; readonly text: string };

export interface ConnectionOptions {
  readonly socket: Deno.TcpConn;
  /** Who opened it sends the pings. */
  readonly isDialler: boolean;
  readonly queue: SendQueue;
  readonly clock: Clock;
  readonly timing: PeerTiming;
  readonly traffic: Traffic;
  /** Frames other than ping and pong. A WireError thrown here closes the connection. */
  readonly onFrame: (frame: Frame) => void;
  /** Called once, also for `close()`. */
  readonly onClosed: (reason: CloseReason) => void;
}

/** An opened connection: reads frames, writes what its queue holds, notices when the other side is gone. */
export class Connection {
  readonly #options: ConnectionOptions;
  readonly #reader = new FrameReader(LIMITS.peerFrameBytesMax);
  readonly #gatherer = new Gatherer();
  #isClosed = false;
  #isWriting = false;
  #cancelLook: (() => void) | undefined;
  /** Looks since a byte was received, and since the unfinished frame is the same. */
  #silentLooks = 0;
  #unfinishedLooks = 0;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#scheduleLook();
    void this.#readLoop();
    this.flush();
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /**
   * Queues a frame and sees to its writing.
   *
   * @returns false when the queue is full or the connection closed
   */
  send(frame: EncodedFrame, lane: Lane, slot?: string): boolean {
    if (this.#isClosed) return false;
    const isQueued = this.#options.queue.push({ frame, lane, ...(slot === undefined ? {} : { slot }) });
    if (isQueued) this.flush();
    return isQueued;
  }

  /** Starts writing what is queued, at the end of the running task: what is sent in one go leaves in one write. */
  flush(): void {
    if (this.#isWriting || this.#isClosed || this.#options.queue.isEmpty) return;
    this.#isWriting = true;
    queueMicrotask(() => void this.#writeLoop());
  }

  close(reason: CloseReason = { kind: "closed" }): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#cancelLook?.();
    closeSocket(this.#options.socket);
    this.#options.queue.clear();
    this.#options.onClosed(reason);
  }

  async #writeLoop(): Promise<void> {
    const { queue, socket, traffic } = this.#options;
    try {
      while (!this.#isClosed && !queue.isEmpty) {
        for (const piece of this.#gatherer.gather(queue.take(WRITE_BYTES_MAX))) {
          await writeAll(socket, piece);
          traffic.sentBytes += piece.byteLength;
        }
        // A closed connection has cleared its queue, which may serve the next connection by now.
        if (!this.#isClosed) queue.release();
      }
    } catch (error) {
      this.close({ kind: "ended", text: textOf(error) });
    } finally {
      this.#isWriting = false;
    }
  }

  async #readLoop(): Promise<void> {
    while (!this.#isClosed) {
      let count: number | null;
      try {
        count = await this.#options.socket.read(this.#reader.space());
      } catch (error) {
        this.close({ kind: "ended", text: textOf(error) });
        return;
      }
      if (count === null) this.close({ kind: "ended", text: "The other side closed the connection" });
      else this.#onBytes(count);
    }
  }

  #onBytes(count: number): void {
    if (this.#isClosed) return;
    this.#silentLooks = 0;
    this.#options.traffic.receivedBytes += count;
    try {
      for (const frame of this.#reader.received(count)) {
        this.#unfinishedLooks = 0;
        this.#onFrame(frame);
        if (this.#isClosed) return;
      }
    } catch (error) {
      // Anything else is a defect of this process and must not be taken for one of the peer.
      if (!(error instanceof WireError)) throw error;
      this.close({ kind: "violation", text: error.message });
    }
  }

  #onFrame(frame: Frame): void {
    if (frame.kind === FrameKind.ping) this.send(PONG, "urgent", "pong");
    else if (frame.kind !== FrameKind.pong) this.#options.onFrame(frame);
  }

  #scheduleLook(): void {
    this.#cancelLook = this.#options.clock.after(this.#options.timing.pingMs, () => this.#look());
  }

  #look(): void {
    if (this.#isClosed) return;
    const { isDialler, timing } = this.#options;
    this.#silentLooks += 1;
    this.#unfinishedLooks = this.#reader.isMidFrame ? this.#unfinishedLooks + 1 : 0;
    if (this.#silentLooks > timing.silentLooksMax) {
      this.close({
        kind: "silent",
        text: `Nothing was received for ${timing.silentLooksMax * timing.pingMs} ms`,
      });
    } else if (this.#unfinishedLooks > timing.unfinishedLooksMax) {
      const text = `A frame was not finished in ${timing.unfinishedLooksMax * timing.pingMs} ms`;
      this.close({ kind: "violation", text });
    } else {
      if (isDialler) this.send(PING, "urgent", "ping");
      this.#scheduleLook();
    }
  }
}

const PING = encodeFrame(FrameKind.ping, encodeControl([]));
const PONG = encodeFrame(FrameKind.pong, encodeControl([]));

function textOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
