import { type ErrorRecord, toErrorRecord } from "../../core/base/errors.ts";
import {
  CALL_BODY_BYTES_MAX,
  type CallRequest,
  decodeRequest,
  encodeFailure,
  encodeResponse,
} from "../wire/call_codec.ts";
import type { EncodedFrame, Frame } from "../wire/frame.ts";

export interface CallServerOptions {
  readonly serve: (method: string, body: Uint8Array) => Promise<Uint8Array>;
  /** @returns false when the answer cannot be queued */
  readonly send: (frame: EncodedFrame) => boolean;
  /** Too many answers wait: the caller does not read. Its calls end as lost, which is what they are. */
  readonly onOverflow: () => void;
  readonly callsMax: number;
  readonly servedBytesMax: number;
}

/** The serving side of one call connection: bounded in calls and in bytes, each answered when it is ready. */
export class CallServer {
  readonly #options: CallServerOptions;
  #calls = 0;
  #bytes = 0;

  constructor(options: CallServerOptions) {
    this.#options = options;
  }

  /** @throws WireError */
  onFrame(frame: Frame): void {
    const request = decodeRequest(frame);
    const { callsMax, servedBytesMax } = this.#options;
    const bytes = request.body.byteLength;
    if (this.#calls >= callsMax || (this.#calls > 0 && this.#bytes + bytes > servedBytesMax)) {
      const message =
        `Cannot serve ${request.method}: ${this.#calls} calls with ${this.#bytes} bytes are being served; try again later`;
      this.#send(encodeFailure(request.id, { code: "queue_full", message, details: {} }));
      return;
    }
    this.#calls += 1;
    this.#bytes += bytes;
    void this.#serve(request).then((answer) => {
      this.#calls -= 1;
      this.#bytes -= bytes;
      this.#send(answer);
    });
  }

  async #serve({ id, method, body }: CallRequest): Promise<EncodedFrame> {
    let answer: Uint8Array;
    try {
      answer = await this.#options.serve(method, body);
    } catch (error) {
      return encodeFailure(id, toErrorRecord(error));
    }
    if (answer.byteLength > CALL_BODY_BYTES_MAX) {
      return encodeFailure(id, answerTooLarge(method, answer.byteLength));
    }
    return encodeResponse(id, answer);
  }

  #send(frame: EncodedFrame): void {
    if (!this.#options.send(frame)) this.#options.onOverflow();
  }
}

/** The call was served, and what it did stands: no code that promises that nothing happened will do. */
function answerTooLarge(method: string, bytes: number): ErrorRecord {
  return {
    code: "commit_unknown",
    message:
      `The answer to ${method} has ${bytes} bytes, more than a peer frame holds; ask the leader directly`,
    details: { limit: { name: "peer_call_bytes", value: CALL_BODY_BYTES_MAX } },
  };
}
