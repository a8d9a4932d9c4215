import type { Milliseconds } from "../../core/base/ids.ts";
import type { Random } from "../../core/base/ports.ts";

export interface BackoffRange {
  readonly backoffMsMin: Milliseconds;
  readonly backoffMsMax: Milliseconds;
}

/**
 * How long to wait before the next attempt to connect: doubled with each failure, and spread over the upper half of
 * the step, so that members that lost the same peer do not all come back in the same millisecond.
 *
 * @param failures attempts that failed in a row, from 1
 */
export function backoffMs(failures: number, range: BackoffRange, random: Random): Milliseconds {
  // The exponent is cut so that the power stays finite whatever the count.
  const doubled = range.backoffMsMin * 2 ** Math.min(Math.max(failures, 1) - 1, 30);
  const step = Math.min(doubled, range.backoffMsMax);
  return step * (0.5 + random.next() / 2);
}
