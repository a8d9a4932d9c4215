/** What the client needs from the platform: only web standards, found in Deno, Node and browsers alike. */
export interface Runtime {
  readonly fetch: typeof globalThis.fetch;
  /** Monotonic milliseconds. */
  nowMs(): number;
  /** Calls back once; the answer stops it. Never keeps a program alive longer than the call that uses it. */
  startTimer(ms: number, callback: () => void): () => void;
  /** Ends early, without an error, when the signal aborts. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  random(): number;
  /** A key no other call of any client has. */
  newIdempotencyKey(): string;
}

/** `randomUUID` is missing in browsers on pages served over plain HTTP. */
function newKey(): string {
  if (typeof crypto.randomUUID === "function") return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function webRuntime(fetch: typeof globalThis.fetch = globalThis.fetch): Runtime {
  const startTimer = (ms: number, callback: () => void): () => void => {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  };
  return {
    // Browsers refuse a fetch whose `this` is not the window.
    fetch: (input, init) => fetch(input, init),
    nowMs: () => performance.now(),
    startTimer,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        if (signal.aborted) return resolve();
        const end = () => {
          stop();
          signal.removeEventListener("abort", end);
          resolve();
        };
        const stop = startTimer(ms, end);
        signal.addEventListener("abort", end);
      }),
    random: () => Math.random(),
    newIdempotencyKey: newKey,
  };
}
