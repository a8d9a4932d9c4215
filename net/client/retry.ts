/** What may be repeated, how often and when. Pure: elapsed time and a random number come in. */
import type { Retry } from "../../core/base/errors.ts";

/** The longest a pause may be, without its jitter. An election takes about a second. */
const PAUSE_MS_MAX = 1_000;
const PAUSE_MS_MIN = 50;

export interface FailedAttempt {
  readonly code: string;
  readonly retry: Retry;
  /** The answer named another leader than the one known so far. */
  readonly namedNewLeader: boolean;
}

export interface RetryState {
  /** A read, a write with an idempotency key, or a call that may be made twice: safe when the fate is unknown. */
  readonly repeatable: boolean;
  /** Attempts made, the failed one among them. */
  readonly attempts: number;
  readonly attemptsMax: number;
  /** Nodes this call has not asked yet and that are not known to be down. */
  readonly freshNodes: number;
  readonly elapsedMs: number;
  readonly timeoutMs: number;
  /** From 0 up to but not including 1. */
  readonly random: number;
}

export type RetryPlan =
  | { readonly again: false; readonly reason: "not_safe" | "attempts" | "time" }
  | { readonly again: true; readonly pauseMs: number };

/** Codes that speak of one node only: another one may serve the request at once. */
const OF_ONE_NODE: ReadonlySet<string> = new Set([
  "network_error",
  "invalid_answer",
  "not_leader",
  "stopping",
  "index_not_reached",
  "too_stale",
  "too_many_connections",
  "view_expired",
  "data_damaged",
]);

/** True when the code says that the node asked cannot serve, so that another one is to be asked first. */
export function isOfOneNode(code: string): boolean {
  return OF_ONE_NODE.has(code);
}

/** True for a node that only cannot serve this one request: others may go there at once. */
export function isHealthy(code: string): boolean {
  return code === "not_leader" || code === "view_expired";
}

/** Half of the pause is fixed, half is random, so that clients that failed together do not come back together. */
function pauseMs(attempts: number, random: number): number {
  const whole = Math.min(PAUSE_MS_MAX, PAUSE_MS_MIN * 2 ** Math.min(attempts - 1, 10));
  return Math.round(whole / 2 + whole / 2 * random);
}

export function planRetry(failed: FailedAttempt, state: RetryState): RetryPlan {
  // The history of a node only gets shorter: a node that was asked is not asked again.
  if (failed.code === "view_expired" && state.freshNodes === 0) return { again: false, reason: "not_safe" };
  const safe = failed.retry === "safe" || (failed.retry === "with_key" && state.repeatable);
  if (!safe) return { again: false, reason: "not_safe" };
  if (state.attempts >= state.attemptsMax) return { again: false, reason: "attempts" };
  const atOnce = state.freshNodes > 0 && (failed.namedNewLeader || isOfOneNode(failed.code));
  const pause = atOnce ? 0 : pauseMs(state.attempts, state.random);
  if (state.elapsedMs + pause >= state.timeoutMs) return { again: false, reason: "time" };
  return { again: true, pauseMs: pause };
}
