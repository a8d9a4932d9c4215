import { NodeError } from "../../core/base/errors.ts";
import type { ErrorCode } from "../../core/base/errors.ts";
import { fromErrorRecord } from "../../core/base/errors.ts";
import type { Milliseconds, NodeId } from "../../core/base/ids.ts";
import type { Clock } from "../../core/base/ports.ts";
import { CALL_BODY_BYTES_MAX, decodeAnswer, encodeRequest } from "../wire/call_codec.ts";
import type { Frame } from "../wire/frame.ts";
import type { SendQueue } from "./send_queue.ts";

interface PendingCall {
  readonly method: string;
  /** Handed to the socket, wholly or in part: the peer may have it. */
  isWritten: boolean;
  readonly cancelTimeout: () => void;
  readonly resolve: (body: Uint8Array) => void;
  readonly reject: (error: NodeError) => void;
}

export interface CallClientOptions {
  /** 0 when the other side's id is not known: channel `join`. */
  readonly peer: NodeId;
  readonly queue: SendQueue;
  readonly clock: Clock;
  readonly callsMax: number;
  /** A request was pushed to the queue. */
  readonly onQueued: () => void;
}

/** The calling side of a call channel: who waits for which answer, and what each waiter hears when none comes. */
export class CallClient {
  readonly #options: CallClientOptions;
  readonly #pending = new Map<number, PendingCall>();
  #lastId = 0;

  constructor(options: CallClientOptions) {
    this.#options = options;
  }

  get pendingCount(): number {
    return this.#pending.size;
  }

  /** Rejects with NodeError; the codes are listed in README.md. */
  call(method: string, body: Uint8Array, timeoutMs: Milliseconds): Promise<Uint8Array> {
    const { peer, queue, callsMax, clock, onQueued } = this.#options;
    const what = `Cannot call ${method} of member ${peer}`;
    if (body.byteLength > CALL_BODY_BYTES_MAX) {
      const limit = { name: "peer_call_bytes", value: CALL_BODY_BYTES_MAX };
      const text = `${what}: the body has ${body.byteLength} bytes, the limit is ${CALL_BODY_BYTES_MAX}`;
      return Promise.reject(new NodeError("body_too_large", text, { limit }));
    }
    if (this.#pending.size >= callsMax || !queue.hasRoom(body.byteLength, "bulk")) {
      const text =
        `${what}: ${this.#pending.size} calls and ${queue.bytes} bytes wait already; try again later`;
      return Promise.reject(new NodeError("queue_full", text));
    }
    const id = ++this.#lastId;
    const frame = encodeRequest({ id, method, body });
    return new Promise((resolve, reject) => {
      const cancelTimeout = clock.after(timeoutMs, () => this.#onTimeout(id, timeoutMs));
      const pending: PendingCall = { method, isWritten: false, cancelTimeout, resolve, reject };
      this.#pending.set(id, pending);
      const onTake = () => {
        pending.isWritten = true;
        return this.#pending.has(id);
      };
      if (queue.push({ frame, lane: "bulk", onTake })) onQueued();
      else this.#fail(id, "queue_full", `${what}: ${queue.bytes} bytes wait already; try again later`);
    });
  }

  /**
   * An answer arrived; one nobody waits for any more is dropped.
   *
   * @throws WireError
   */
  onFrame(frame: Frame): void {
    const answer = decodeAnswer(frame);
    const pending = this.#take(answer.id);
    if (answer.kind === "response") pending?.resolve(answer.body);
    else pending?.reject(fromErrorRecord(answer.error));
  }

  /**
   * The connection is gone: everybody hears whether their request may have arrived.
   *
   * @param unwrittenCode for requests that never left
   */
  failAll(unwrittenCode: ErrorCode, reason: string): void {
    for (const [id, { isWritten, method }] of [...this.#pending]) {
      const call = `call ${method} of member ${this.#options.peer}`;
      if (isWritten) this.#fail(id, "commit_unknown", `The answer to ${call} is lost: ${reason}`);
      else this.#fail(id, unwrittenCode, `Cannot ${call}: ${reason}`);
    }
  }

  #onTimeout(id: number, timeoutMs: Milliseconds): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    const call = `call ${pending.method} of member ${this.#options.peer}`;
    if (pending.isWritten) {
      this.#fail(id, "commit_unknown", `No answer to ${call} within ${Math.round(timeoutMs)} ms`);
    } else {
      this.#fail(
        id,
        "timeout",
        `Cannot ${call}: the request could not be sent within ${Math.round(timeoutMs)} ms`,
      );
    }
  }

  #fail(id: number, code: ErrorCode, message: string): void {
    this.#take(id)?.reject(new NodeError(code, message));
  }

  #take(id: number): PendingCall | undefined {
    const pending = this.#pending.get(id);
    if (pending === undefined) return undefined;
    this.#pending.delete(id);
    pending.cancelTimeout();
    return pending;
  }
}
