import type { Output } from "./output.ts";
import { formatBytes } from "./table_format.ts";

const BAR_WIDTH = 30;
/** Redrawing more often costs more than it tells. */
const REDRAW_MS = 100;

/** A line on standard error that is redrawn while bytes move; silent when standard error is no terminal. */
export class ProgressBar {
  readonly #output: Output;
  readonly #label: string;
  readonly #bytesTotal: number;
  readonly #nowMs: () => number;
  readonly #startMs: number;
  #lastDrawMs = Number.NEGATIVE_INFINITY;
  #lineLength = 0;

  constructor(
    output: Output,
    label: string,
    bytesTotal: number,
    nowMs: () => number = () => performance.now(),
  ) {
    this.#output = output;
    this.#label = label;
    this.#bytesTotal = bytesTotal;
    this.#nowMs = nowMs;
    this.#startMs = nowMs();
  }

  /** `bytes` from the beginning. */
  update(bytes: number): void {
    const nowMs = this.#nowMs();
    if (!this.#output.isErrorTerminal || nowMs - this.#lastDrawMs < REDRAW_MS) return;
    this.#lastDrawMs = nowMs;
    const share = this.#bytesTotal === 0 ? 1 : Math.min(1, bytes / this.#bytesTotal);
    const filled = Math.round(share * BAR_WIDTH);
    const rate = bytes / Math.max(0.001, (nowMs - this.#startMs) / 1_000);
    const line = `${this.#label} [${"#".repeat(filled)}${".".repeat(BAR_WIDTH - filled)}] ` +
      `${String(Math.floor(share * 100)).padStart(3)} %  ${formatBytes(bytes)} of ${
        formatBytes(this.#bytesTotal)
      }  ` +
      `${formatBytes(Math.round(rate))}/s`;
    this.#output.stderr(`\r${line.padEnd(this.#lineLength)}`);
    this.#lineLength = line.length;
  }

  /** Clears the line, so that what comes next starts on an empty one. */
  end(): void {
    if (this.#lineLength === 0) return;
    this.#output.stderr(`\r${" ".repeat(this.#lineLength)}\r`);
    this.#lineLength = 0;
  }
}
