import { NodeError } from "../../core/base/errors.ts";
import type { CancelSignal } from "../../core/base/ports.ts";
import { TupleError } from "../wire/tuple_error.ts";
import { TupleWriter } from "../wire/tuple_writer.ts";
import type { Answer } from "./answer.ts";
import { Dispatcher, type DispatcherContext } from "./dispatcher.ts";
import { FailureError } from "./failure.ts";
import { FAILURE, FailureCode, failureOf } from "./failure_codes.ts";
import type { Frame, FrameError } from "./frame.ts";
import { type ByteBudget, type FrameStream, SendError } from "./frame_stream.ts";
import { decodeHandshake } from "./handshake.ts";
import { Interruption } from "./interruption.ts";
import { decodeRequest } from "./request_codec.ts";
import type { Response } from "./response.ts";
import { writeResponse } from "./response_codec.ts";

/** What all connections of a server share. */
export interface ConnectionContext extends DispatcherContext {
  /** Answers that clients have not taken yet. */
  readonly answers: ByteBudget;
  /** A defect that the client is told nothing about but that it happened. */
  onFailure(error: unknown): void;
}

/** Serves the requests of one client in order, one at a time. */
export class DqliteConnection {
  readonly stream: FrameStream;
  readonly #context: ConnectionContext;
  #dispatcher: Dispatcher | undefined;
  #isServing = false;
  #isDraining = false;

  constructor(stream: FrameStream, context: ConnectionContext) {
    this.stream = stream;
    this.#context = context;
  }

  /** Ends when the connection is closed and its transaction rolled back; never rejects. */
  async run(): Promise<void> {
    try {
      const refusal = await this.#serveAll();
      if (refusal !== undefined) await this.#refuse(refusal);
    } catch (error) {
      // A SendError: the client left in the middle of an answer, or was too slow to take it.
      this.#report(error);
    }
    this.stream.close();
    try {
      await this.#dispatcher?.close();
    } catch (error) {
      this.#context.onFailure(error);
    }
  }

  /** Closes now when no request is under way, else after its answer. */
  drain(): void {
    this.#isDraining = true;
    if (!this.#isServing) this.stream.close();
  }

  /** @returns why it ends, when that is what the client sent */
  async #serveAll(): Promise<FrameError | undefined> {
    const { stream } = this;
    const word = await stream.word();
    if (word === undefined) return stream.refusal;
    const version = decodeHandshake(word);
    if (version === undefined) return undefined;
    this.#dispatcher = new Dispatcher(this.#context, version);
    let next = stream.next();
    for (;;) {
      stream.isIdle = true;
      const frame = await next;
      stream.isIdle = false;
      if (frame === undefined) return stream.refusal;
      // What comes next is read already now: it may be an Interrupt, or the end.
      next = stream.next();
      this.#isServing = true;
      const goesOn = await this.#serve(this.#dispatcher, frame, new Interruption(next));
      this.#isServing = false;
      stream.release(frame);
      if (!goesOn || this.#isDraining) return undefined;
    }
  }

  /** @returns whether the connection goes on */
  async #serve(dispatcher: Dispatcher, frame: Frame, signal: CancelSignal): Promise<boolean> {
    const { answers } = this.#context;
    let sending = 0;
    try {
      if (answers.bytes > answers.bytesMax) throw new FailureError(FAILURE.answersFull);
      const found = dispatcher.answer(decodeRequest(frame), signal);
      const answer = found instanceof Promise ? await found : found;
      if (answer.kind !== "message") return await this.#send(answer, signal);
      // Most requests are short queries: they wait for the socket only.
      sending = answer.bytes.byteLength;
      answers.bytes += sending;
      await this.stream.write(answer.bytes);
      return true;
    } catch (error) {
      if (error instanceof SendError) return false;
      this.#report(error);
      await this.#write({ kind: "failure", ...failureOf(error) });
      return true;
    } finally {
      answers.bytes -= sending;
    }
  }

  /** @throws SendError when the client is gone; anything else is what made the rest of the answer impossible */
  #send(answer: Exclude<Answer, { kind: "message" }>, signal: CancelSignal): boolean | Promise<boolean> {
    switch (answer.kind) {
      case "response":
        return this.#write(answer.response);
      case "parts":
        return this.#sendParts(answer, signal);
      case "stream":
        return this.#sendStream(answer);
      case "close":
        return false;
    }
  }

  async #sendStream({ chunks }: Extract<Answer, { kind: "stream" }>): Promise<boolean> {
    try {
      for await (const chunk of chunks) await this.stream.write(chunk);
    } catch (error) {
      this.#report(error);
      // The head of the message has promised bytes that do not exist.
      throw new SendError("The rest of the answer is missing", { cause: error });
    }
    return true;
  }

  async #sendParts(
    { parts, bytes }: Extract<Answer, { kind: "parts" }>,
    signal: CancelSignal,
  ): Promise<boolean> {
    const { answers } = this.#context;
    answers.bytes += bytes;
    try {
      for (const part of parts) {
        await this.stream.write(part);
        // The client drops the rest anyway; it waits for the answer to its Interrupt.
        if (signal.aborted) break;
      }
    } finally {
      answers.bytes -= bytes;
    }
    return true;
  }

  async #write(response: Response): Promise<true> {
    const writer = new TupleWriter();
    writeResponse(writer, response);
    await this.stream.write(writer.take());
    return true;
  }

  /** Where the next frame begins is not known any more: the client is told why, as far as it still listens. */
  async #refuse({ message }: FrameError): Promise<void> {
    await this.#write({ kind: "failure", code: FailureCode.malformed, message }).catch(() => false);
  }

  #report(error: unknown): void {
    const isExpected = error instanceof NodeError || error instanceof FailureError ||
      error instanceof TupleError ||
      error instanceof SendError;
    if (!isExpected) this.#context.onFailure(error);
  }
}
