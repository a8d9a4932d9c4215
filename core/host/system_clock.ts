import type { Milliseconds } from "../base/ids.ts";
import type { Clock } from "../base/ports.ts";

/** The clock of the machine. */
export class SystemClock implements Clock {
  nowMs(): Milliseconds {
    return performance.now();
  }

  wallMs(): Milliseconds {
    return Date.now();
  }

  after(delayMs: Milliseconds, callback: () => void): () => void {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  }
}
