/** Makes one call succeed: chooses nodes, sends attempts, repeats what may be repeated, within a time and a count. */
import { type AttemptOutcome, type CallRequest, sendAttempt } from "./attempt.ts";
import { toClusterInfo } from "./cluster_types.ts";
import { isHealthy, isOfOneNode, planRetry } from "./retry.ts";
import type { Runtime } from "./runtime.ts";
import type { Topology } from "./topology.ts";
import { WalraftError } from "./walraft_error.ts";

export interface CallSpec extends CallRequest {
  /** `leader`: ask the leader first. `any`: spread over all nodes. */
  readonly purpose: "leader" | "any";
  /** The call may be made twice: a read, a write with a key, or one that does the same again. */
  readonly repeatable: boolean;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

export interface CallRunnerOptions {
  readonly token: string | undefined;
  readonly attemptsMax: number;
  readonly attemptTimeoutMs: number | undefined;
  /** Ask `/v1/cluster` who leads and who else there is. */
  readonly discover: boolean;
  readonly answerBytesMax: number;
}

/** A cluster without a leader is not asked more often than this. */
const DISCOVERY_PAUSE_MS = 1_000;
/** A leader that handed over forwards what still comes to it: the detour ends after this time. */
const DISCOVERY_REFRESH_MS = 30_000;
/** One node has this long to say who leads; a healthy one takes milliseconds. */
const DISCOVERY_MS_MAX = 2_000;

/** What is known about a call while its attempts go on. */
interface CallProgress {
  readonly startMs: number;
  readonly tried: Set<string>;
  attempts: number;
  /** An earlier attempt may have been executed. */
  mayHaveCommitted: boolean;
}

export class CallRunner {
  readonly #topology: Topology;
  readonly #runtime: Runtime;
  readonly #options: CallRunnerOptions;
  #lastDiscoveryMs = Number.NEGATIVE_INFINITY;

  constructor(topology: Topology, runtime: Runtime, options: CallRunnerOptions) {
    this.#topology = topology;
    this.#runtime = runtime;
    this.#options = options;
  }

  /** The parsed JSON of the answer, or the response itself for `answer: "stream"`. Throws WalraftError only. */
  async run(spec: CallSpec): Promise<unknown> {
    const progress: CallProgress = {
      startMs: this.#runtime.nowMs(),
      tried: new Set(),
      attempts: 0,
      mayHaveCommitted: false,
    };
    const { signal, release } = linkSignal(spec.signal);
    try {
      for (;;) {
        if (signal.aborted) throw cancelledError(spec, progress);
        if (spec.purpose === "leader") await this.#maybeDiscover(spec, progress, signal);
        const url = this.#nextNode(spec, progress);
        progress.attempts++;
        progress.tried.add(url);
        const outcome = await this.#attempt(url, spec, progress, signal);
        if (outcome.kind === "answer") return outcome.value;
        await this.#afterFailure(url, outcome.error, spec, progress, signal);
      }
    } finally {
      release();
    }
  }

  async #attempt(
    url: string,
    spec: CallSpec,
    progress: CallProgress,
    signal: AbortSignal,
  ): Promise<AttemptOutcome> {
    const remainingMs = this.#remainingMs(spec, progress);
    if (remainingMs <= 0) throw timeoutError(spec, progress, undefined);
    const outcome = await sendAttempt(this.#runtime, {
      url,
      request: spec,
      token: this.#options.token,
      timeoutMs: Math.min(remainingMs, this.#options.attemptTimeoutMs ?? remainingMs),
      remainingMs,
      answerBytesMax: this.#options.answerBytesMax,
      signal,
    });
    if (outcome.kind === "answer") this.#topology.onAnswer(url);
    return outcome;
  }

  /** Takes note of the failure and waits for the next attempt, or throws the error the caller gets. */
  async #afterFailure(
    url: string,
    error: WalraftError,
    spec: CallSpec,
    progress: CallProgress,
    signal: AbortSignal,
  ): Promise<void> {
    if (spec.isWrite && error.mayHaveCommitted) progress.mayHaveCommitted = true;
    if (signal.aborted) throw cancelledError(spec, progress);
    const namedNewLeader = this.#learnFrom(url, error);
    const nowMs = this.#runtime.nowMs();
    const plan = planRetry({ code: error.code, retry: error.retry, namedNewLeader }, {
      repeatable: spec.repeatable && spec.bodyIsRepeatable,
      attempts: progress.attempts,
      attemptsMax: spec.bodyIsRepeatable ? this.#options.attemptsMax : 1,
      freshNodes: this.#freshNodes(progress, nowMs),
      elapsedMs: nowMs - progress.startMs,
      timeoutMs: spec.timeoutMs,
      random: this.#runtime.random(),
    });
    if (!plan.again) throw finalError(error, spec, progress);
    if (plan.pauseMs === 0) return;
    // A new round: every node may be asked again.
    progress.tried.clear();
    await this.#runtime.sleep(plan.pauseMs, signal);
  }

  /** Returns whether the answer named a leader that was not known. */
  #learnFrom(url: string, error: WalraftError): boolean {
    const { leader } = error.details;
    // Status 0: the node did not answer at all.
    if (error.status === 0 || (isOfOneNode(error.code) && !isHealthy(error.code))) {
      this.#topology.onFailure(url, this.#runtime.nowMs());
    } else {
      this.#topology.onAnswer(url);
    }
    if (error.code !== "not_leader" && typeof leader !== "string") return false;
    return this.#topology.onLeaderHint(url, typeof leader === "string" ? leader : undefined);
  }

  #freshNodes(progress: CallProgress, nowMs: number): number {
    return this.#topology.urls.filter((url) =>
      !progress.tried.has(url) && !this.#topology.isPaused(url, nowMs)
    )
      .length;
  }

  /** The best node not asked in this round; when all were, the best of all. */
  #nextNode(spec: CallSpec, progress: CallProgress): string {
    const order = this.#topology.order(spec.purpose, this.#runtime.nowMs());
    return (order.find((url) => !progress.tried.has(url)) ?? order[0]) as string;
  }

  #remainingMs(spec: CallSpec, progress: CallProgress): number {
    return spec.timeoutMs - (this.#runtime.nowMs() - progress.startMs);
  }

  /** Asks the nodes who leads, when that is not known or not fresh. Only saves a detour: every node takes every call. */
  async #maybeDiscover(spec: CallSpec, progress: CallProgress, signal: AbortSignal): Promise<void> {
    const nowMs = this.#runtime.nowMs();
    const pauseMs = this.#topology.leader === undefined ? DISCOVERY_PAUSE_MS : DISCOVERY_REFRESH_MS;
    if (!this.#options.discover || nowMs - this.#lastDiscoveryMs < pauseMs) return;
    this.#lastDiscoveryMs = nowMs;
    for (const url of this.#topology.order("leader", nowMs)) {
      const timeoutMs = Math.min(DISCOVERY_MS_MAX, this.#remainingMs(spec, progress));
      if (timeoutMs <= 0 || signal.aborted) return;
      const outcome = await sendAttempt(this.#runtime, {
        url,
        request: CLUSTER_REQUEST,
        token: this.#options.token,
        timeoutMs,
        remainingMs: timeoutMs,
        answerBytesMax: this.#options.answerBytesMax,
        signal,
      });
      if (outcome.kind === "failure") {
        if (outcome.error.code === "network_error") this.#topology.onFailure(url, this.#runtime.nowMs());
        else if (outcome.error.retry === "never") return;
        continue;
      }
      const cluster = toClusterInfo(outcome.value);
      this.#topology.onAnswer(url);
      this.#topology.onMembers(
        url,
        cluster.members.map((member) => member.httpAddress),
        cluster.leaderHttpAddress,
      );
      if (this.#topology.leader !== undefined) return;
    }
  }
}

export const CLUSTER_REQUEST: CallRequest = {
  method: "GET",
  path: "/v1/cluster",
  isWrite: false,
  bodyIsRepeatable: true,
  answer: "json",
};

/** The caller's signal as one that this call owns, so that no listener stays on a signal that lives for ever. */
function linkSignal(outer: AbortSignal | undefined): { signal: AbortSignal; release: () => void } {
  const controller = new AbortController();
  if (outer === undefined) return { signal: controller.signal, release: () => {} };
  const abort = () => controller.abort(outer.reason);
  if (outer.aborted) abort();
  outer.addEventListener("abort", abort);
  return { signal: controller.signal, release: () => outer.removeEventListener("abort", abort) };
}

function cancelledError(spec: CallSpec, progress: CallProgress): WalraftError {
  return new WalraftError({
    code: "cancelled",
    message: `Gave up ${spec.method} ${spec.path}: the abort signal fired`,
    retry: progress.mayHaveCommitted ? "with_key" : "safe",
    mayHaveCommitted: progress.mayHaveCommitted,
    idempotencyKey: spec.idempotencyKey,
    cause: spec.signal?.reason,
  });
}

function timeoutError(spec: CallSpec, progress: CallProgress, cause: unknown): WalraftError {
  return new WalraftError({
    code: "timeout",
    message: `No answer to ${spec.method} ${spec.path} within ${spec.timeoutMs} ms`,
    retry: progress.mayHaveCommitted ? "with_key" : "safe",
    mayHaveCommitted: progress.mayHaveCommitted,
    idempotencyKey: spec.idempotencyKey,
    cause,
  });
}

/** The last error, with what all attempts together mean: one of them may have been executed. */
function finalError(error: WalraftError, spec: CallSpec, progress: CallProgress): WalraftError {
  const mayHaveCommitted = error.mayHaveCommitted || progress.mayHaveCommitted;
  const attempts = progress.attempts > 1 ? ` (after ${progress.attempts} attempts)` : "";
  return new WalraftError({
    code: error.code,
    message: error.message + attempts,
    retry: mayHaveCommitted && error.retry === "safe" ? "with_key" : error.retry,
    mayHaveCommitted,
    status: error.status,
    details: error.details,
    idempotencyKey: spec.idempotencyKey,
    cause: error.cause,
  });
}
