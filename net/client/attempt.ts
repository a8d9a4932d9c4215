/** One request to one node: headers, deadline, watching for a node that went silent, reading the answer. */
import { readBoundedText } from "./bounded_body.ts";
import type { Runtime } from "./runtime.ts";
import { isWalraftError, toWalraftError, WalraftError } from "./walraft_error.ts";

export type BodySource = string | Uint8Array | (() => ReadableStream<Uint8Array>);

export interface CallRequest {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  readonly path: string;
  /** The body; `remainingMs` is the time the call has left, for bodies that tell the node. */
  readonly body?: (remainingMs: number) => BodySource;
  readonly contentType?: string;
  /** Something may have changed when no answer arrives. */
  readonly isWrite: boolean;
  readonly bodyIsRepeatable: boolean;
  readonly idempotencyKey?: string | undefined;
  /** `stream` gives the Response as soon as its head is there; its body belongs to the caller. */
  readonly answer: "json" | "stream";
}

export interface Attempt {
  readonly url: string;
  readonly request: CallRequest;
  readonly token: string | undefined;
  readonly timeoutMs: number;
  readonly remainingMs: number;
  readonly answerBytesMax: number;
  readonly signal: AbortSignal;
}

export type AttemptOutcome<T = unknown> =
  | { readonly kind: "answer"; readonly value: T }
  | { readonly kind: "failure"; readonly error: WalraftError };

/** Without an answer for this long, the node is asked whether it lives. SQL never blocks that answer. */
const PROBE_AFTER_MS = 2_000;
/** A healthy node answers in milliseconds; one whose machine is overloaded in a second or two. */
const PROBE_MS_MAX = 3_000;

class AttemptEnded extends Error {
  readonly code: "timeout" | "network_error";

  constructor(code: "timeout" | "network_error", message: string) {
    super(message);
    this.code = code;
  }
}

/** Never throws: what went wrong is the outcome. */
export async function sendAttempt(runtime: Runtime, attempt: Attempt): Promise<AttemptOutcome> {
  const controller = new AbortController();
  const abort = () => controller.abort(attempt.signal.reason);
  if (attempt.signal.aborted) abort();
  attempt.signal.addEventListener("abort", abort);
  const stopDeadline = runtime.startTimer(attempt.timeoutMs, () => {
    const message = `No answer from ${attempt.url} within ${Math.round(attempt.timeoutMs)} ms`;
    controller.abort(new AttemptEnded("timeout", message));
  });
  const stopProbe = startProbe(runtime, attempt, controller);
  try {
    const response = await runtime.fetch(
      attempt.url + attempt.request.path,
      toInit(attempt, controller.signal),
    );
    if (response.ok && attempt.request.answer === "stream") {
      return { kind: "answer", value: response };
    }
    const text = await readBoundedText(response, attempt.answerBytesMax);
    return toOutcome(attempt, response, text);
  } catch (error) {
    return { kind: "failure", error: toFailure(attempt, controller.signal, error) };
  } finally {
    stopDeadline();
    stopProbe();
    attempt.signal.removeEventListener("abort", abort);
  }
}

function toInit(attempt: Attempt, signal: AbortSignal): RequestInit {
  const { request } = attempt;
  const headers: { [name: string]: string } = { accept: "application/json" };
  if (attempt.token !== undefined) headers.authorization = `Bearer ${attempt.token}`;
  if (request.idempotencyKey !== undefined) headers["idempotency-key"] = request.idempotencyKey;
  // A redirect could carry the token elsewhere; nodes never send one.
  const init: RequestInit = { method: request.method, headers, signal, redirect: "error" };
  const source = request.body?.(attempt.remainingMs);
  if (source === undefined) return init;
  headers["content-type"] = request.contentType ?? "application/json";
  if (typeof source !== "function") return { ...init, body: source as BodyInit };
  // Streams need `duplex`, which the types of some platforms do not know yet.
  return { ...init, body: source(), duplex: "half" } as RequestInit;
}

/** While a request is out, asks `/livez` from time to time, and ends the request when that is not answered either. */
function startProbe(runtime: Runtime, attempt: Attempt, controller: AbortController): () => void {
  let stop = () => {};
  const probe = async () => {
    const probeEnd = new AbortController();
    const end = () => probeEnd.abort();
    const stopTimer = runtime.startTimer(PROBE_MS_MAX, end);
    stop = () => {
      stopTimer();
      end();
    };
    try {
      const response = await runtime.fetch(`${attempt.url}/livez`, {
        signal: probeEnd.signal,
        redirect: "error",
      });
      await response.body?.cancel();
    } catch {
      if (controller.signal.aborted || ended) return;
      controller.abort(new AttemptEnded("network_error", `${attempt.url} stopped answering`));
      return;
    } finally {
      stopTimer();
    }
    if (!ended && !controller.signal.aborted) stop = runtime.startTimer(PROBE_AFTER_MS, probe);
  };
  let ended = false;
  stop = runtime.startTimer(PROBE_AFTER_MS, probe);
  return () => {
    ended = true;
    stop();
  };
}

function toOutcome(attempt: Attempt, response: Response, text: string): AttemptOutcome {
  let value: unknown;
  try {
    value = text === "" ? {} : JSON.parse(text);
  } catch (cause) {
    return { kind: "failure", error: invalidAnswer(attempt, response.status, "is not JSON", cause) };
  }
  if (response.ok) return { kind: "answer", value };
  const error = toWalraftError(response.status, value);
  return {
    kind: "failure",
    error: error ??
      invalidAnswer(attempt, response.status, "does not have the error shape of walraft", undefined),
  };
}

/** A proxy in between, or another program: a status of 5xx says nothing about what happened behind it. */
function invalidAnswer(attempt: Attempt, status: number, problem: string, cause: unknown): WalraftError {
  const refused = status >= 400 && status < 500;
  return new WalraftError({
    code: "invalid_answer",
    message: `Cannot use the answer of ${attempt.url}${attempt.request.path}: HTTP ${status} ${problem}`,
    retry: refused ? "never" : attempt.request.isWrite ? "with_key" : "safe",
    mayHaveCommitted: !refused && attempt.request.isWrite,
    status,
    cause,
  });
}

function toFailure(attempt: Attempt, signal: AbortSignal, error: unknown): WalraftError {
  const { isWrite, idempotencyKey } = attempt.request;
  const retry = isWrite ? "with_key" : "safe";
  const unknownFate = { mayHaveCommitted: isWrite, idempotencyKey };
  if (isWalraftError(error)) {
    // Thrown before sending (a wrong parameter), or while reading an answer that is too large.
    const { code, message, status, cause } = error;
    if (code === "invalid_argument") return error;
    return new WalraftError({ code, message, status, cause, retry: error.retry, ...unknownFate });
  }
  const reason: unknown = signal.reason;
  if (signal.aborted && reason instanceof AttemptEnded) {
    return new WalraftError({ code: reason.code, message: reason.message, retry, ...unknownFate });
  }
  if (attempt.signal.aborted) {
    return new WalraftError({ code: "cancelled", message: "The abort signal fired", retry, ...unknownFate });
  }
  return new WalraftError({
    code: "network_error",
    message: `Cannot reach ${attempt.url}: ${describe(error)}`,
    retry,
    ...unknownFate,
    cause: error,
  });
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // Node says only "fetch failed" and keeps the reason in the cause.
  const { cause } = error;
  return cause instanceof Error && cause.message !== ""
    ? `${error.message}: ${cause.message}`
    : error.message;
}
