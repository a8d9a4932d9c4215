import type { Milliseconds } from "../base/ids.ts";
import type { Clock } from "../base/ports.ts";
import type { DiskReserve } from "./disk_reserve.ts";

export interface DiskReliefOptions {
  readonly reserve: Pick<DiskReserve, "isFull">;
  readonly clock: Clock;
  readonly leads: () => boolean;
  readonly handOver: () => Promise<unknown>;
}

/** Others may be no better off: then leadership goes round in a circle, and must not do so fast. */
const PAUSE_MS = 10_000;

/** A leader without room on its disk hands over to one that may have some. */
export class DiskRelief {
  readonly #options: DiskReliefOptions;
  #nextMs: Milliseconds = 0;

  constructor(options: DiskReliefOptions) {
    this.#options = options;
  }

  /** Called with every tick. */
  sweep(): void {
    const { reserve, clock, leads, handOver } = this.#options;
    if (!reserve.isFull || !leads() || clock.nowMs() < this.#nextMs) return;
    this.#nextMs = clock.nowMs() + PAUSE_MS;
    // There may be nobody to hand over to.
    handOver().catch(() => {});
  }
}
