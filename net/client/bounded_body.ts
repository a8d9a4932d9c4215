/** Reads bodies without trusting their size or their sender to stay alive. */
import { isWalraftError, WalraftError } from "./walraft_error.ts";

/** The whole body as text. Throws `invalid_answer` beyond `bytesMax`, and whatever the connection throws. */
export async function readBoundedText(response: Response, bytesMax: number): Promise<string> {
  if (response.body === null) return "";
  const decoder = new TextDecoder();
  const reader = response.body.getReader();
  let text = "";
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    bytes += value.length;
    if (bytes > bytesMax) {
      await reader.cancel().catch(() => {});
      throw new WalraftError({
        code: "invalid_answer",
        message: `Cannot read the answer: it is larger than ${bytesMax} bytes; ask for fewer rows`,
        retry: "never",
        mayHaveCommitted: false,
        status: response.status,
      });
    }
    text += decoder.decode(value, { stream: true });
  }
}

export interface DownloadOptions {
  readonly signal: AbortSignal | undefined;
  /** The longest pause between two chunks. */
  readonly idleMs: number;
  readonly startTimer: (ms: number, callback: () => void) => () => void;
}

/**
 * The body of a response that is asked for at the first read. An abort signal, a cancel and too long a pause end the
 * request; every error the reader gets is a WalraftError.
 */
export function downloadStream(
  open: (signal: AbortSignal) => Promise<Response>,
  options: DownloadOptions,
): ReadableStream<Uint8Array> {
  const opening = new AbortController();
  let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  let ended = false;
  const end = (reason?: unknown): void => {
    if (ended) return;
    ended = true;
    options.signal?.removeEventListener("abort", onAbort);
    opening.abort(reason);
    reader?.cancel(reason).catch(() => {});
  };
  let fail: (error: unknown) => void = () => {};
  const onAbort = () => fail(downloadError("cancelled", "the abort signal fired", options.signal?.reason));
  return new ReadableStream<Uint8Array>({
    start(controller) {
      fail = (error) => {
        if (ended) return;
        controller.error(error);
        end(error);
      };
      if (options.signal?.aborted) onAbort();
      else options.signal?.addEventListener("abort", onAbort);
    },
    async pull(controller) {
      try {
        reader ??= (await open(opening.signal)).body?.getReader() as typeof reader;
        if (ended) return void reader?.cancel().catch(() => {});
        const stop = options.startTimer(
          options.idleMs,
          () => fail(downloadError("timeout", `nothing arrived for ${options.idleMs} ms`, undefined)),
        );
        const part = await reader?.read().finally(stop);
        if (ended) return;
        if (part !== undefined && !part.done) return controller.enqueue(part.value);
        controller.close();
        end();
      } catch (error) {
        fail(
          isWalraftError(error) ? error : downloadError("network_error", "the connection broke off", error),
        );
      }
    },
    cancel: end,
  }, { highWaterMark: 0 });
}

function downloadError(
  code: "cancelled" | "timeout" | "network_error",
  reason: string,
  cause: unknown,
): WalraftError {
  return new WalraftError({
    code,
    message: `Cannot finish the download: ${reason}`,
    retry: "safe",
    mayHaveCommitted: false,
    cause,
  });
}
