/** Makes one call succeed: chooses nodes, sends attempts, repeats what may be repeated, within a time and a count. */
import type { AttemptOutcome } from "./attempt.ts";
import { isHealthy, isOfOneNode, planRetry } from "./retry.ts";
import type { Runtime } from "./runtime.ts";
import type { Topology } from "./topology.ts";
import { WalraftError } from "./walraft_error.ts";

/** What decides where a call goes and whether it may be made again, whatever protocol carries it. */
export interface CallSpec {
  /** Something may have changed when no answer arrives. */
  readonly isWrite: boolean;
  readonly bodyIsRepeatable: boolean;
  readonly idempotencyKey?: string | undefined;
  /** `leader`: ask the leader first. `any`: spread over all nodes. */
  readonly purpose: "leader" | "any";
  /** The call may be made twice: a read, a write with a key, or one that does the same again. */
  readonly repeatable: boolean;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

export interface AttemptLimits {
  readonly timeoutMs: number;
  /** Of the whole call. */
  readonly remainingMs: number;
  readonly signal: AbortSignal;
}

/** Who leads and who is a member, as a node knows it; addresses as clients of its protocol dial them. */
export interface Members {
  readonly addresses: readonly string[];
  readonly leader: string | undefined;
}

/** One protocol: how a call is sent to one node. Nothing here throws: what went wrong is the outcome. */
export interface CallPort<Call extends CallSpec, Answer> {
  send(url: string, call: Call, limits: AttemptLimits): Promise<AttemptOutcome<Answer>>;
  askMembers(url: string, limits: AttemptLimits): Promise<AttemptOutcome<Members>>;
  /** The call as error messages name it. */
  describe(call: Call): string;
}

export interface CallRunnerOptions {
  readonly attemptsMax: number;
  readonly attemptTimeoutMs: number | undefined;
  /** Ask the nodes who leads and who else there is. */
  readonly discover: boolean;
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

export class CallRunner<Call extends CallSpec, Answer> {
  readonly #topology: Topology;
  readonly #runtime: Runtime;
  readonly #port: CallPort<Call, Answer>;
  readonly #options: CallRunnerOptions;
  #lastDiscoveryMs = Number.NEGATIVE_INFINITY;

  constructor(
    topology: Topology,
    runtime: Runtime,
    port: CallPort<Call, Answer>,
    options: CallRunnerOptions,
  ) {
    this.#topology = topology;
    this.#runtime = runtime;
    this.#port = port;
    this.#options = options;
  }

  /** Throws WalraftError only. */
  async run(spec: Call): Promise<Answer> {
    const progress: CallProgress = {
      startMs: this.#runtime.nowMs(),
      tried: new Set(),
      attempts: 0,
      mayHaveCommitted: false,
    };
    const { signal, release } = linkSignal(spec.signal);
    try {
      for (;;) {
        if (signal.aborted) throw this.#cancelledError(spec, progress);
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
    spec: Call,
    progress: CallProgress,
    signal: AbortSignal,
  ): Promise<AttemptOutcome<Answer>> {
    const remainingMs = this.#remainingMs(spec, progress);
    if (remainingMs <= 0) throw this.#timeoutError(spec, progress);
    const outcome = await this.#port.send(url, spec, {
      timeoutMs: Math.min(remainingMs, this.#options.attemptTimeoutMs ?? remainingMs),
      remainingMs,
      signal,
    });
    if (outcome.kind === "answer") this.#topology.onAnswer(url);
    return outcome;
  }

  /** Takes note of the failure and waits for the next attempt, or throws the error the caller gets. */
  async #afterFailure(
    url: string,
    error: WalraftError,
    spec: Call,
    progress: CallProgress,
    signal: AbortSignal,
  ): Promise<void> {
    if (spec.isWrite && error.mayHaveCommitted) progress.mayHaveCommitted = true;
    if (signal.aborted) throw this.#cancelledError(spec, progress);
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
  async #maybeDiscover(spec: Call, progress: CallProgress, signal: AbortSignal): Promise<void> {
    const nowMs = this.#runtime.nowMs();
    const pauseMs = this.#topology.leader === undefined ? DISCOVERY_PAUSE_MS : DISCOVERY_REFRESH_MS;
    if (!this.#options.discover || nowMs - this.#lastDiscoveryMs < pauseMs) return;
    this.#lastDiscoveryMs = nowMs;
    for (const url of this.#topology.order("leader", nowMs)) {
      const timeoutMs = Math.min(DISCOVERY_MS_MAX, this.#remainingMs(spec, progress));
      if (timeoutMs <= 0 || signal.aborted) return;
      const outcome = await this.#port.askMembers(url, { timeoutMs, remainingMs: timeoutMs, signal });
      if (outcome.kind === "failure") {
        if (outcome.error.code === "network_error") this.#topology.onFailure(url, this.#runtime.nowMs());
        else if (outcome.error.retry === "never") return;
        continue;
      }
      this.#topology.onAnswer(url);
      this.#topology.onMembers(url, outcome.value.addresses, outcome.value.leader);
      if (this.#topology.leader !== undefined) return;
    }
  }

  #cancelledError(spec: Call, progress: CallProgress): WalraftError {
    return new WalraftError({
      code: "cancelled",
      message: `Gave up ${this.#port.describe(spec)}: the abort signal fired`,
      retry: progress.mayHaveCommitted ? "with_key" : "safe",
      mayHaveCommitted: progress.mayHaveCommitted,
      idempotencyKey: spec.idempotencyKey,
      cause: spec.signal?.reason,
    });
  }

  #timeoutError(spec: Call, progress: CallProgress): WalraftError {
    return new WalraftError({
      code: "timeout",
      message: `No answer to ${this.#port.describe(spec)} within ${spec.timeoutMs} ms`,
      retry: progress.mayHaveCommitted ? "with_key" : "safe",
      mayHaveCommitted: progress.mayHaveCommitted,
      idempotencyKey: spec.idempotencyKey,
    });
  }
}

/** The caller's signal as one that this call owns, so that no listener stays on a signal that lives for ever. */
function linkSignal(outer: AbortSignal | undefined): { signal: AbortSignal; release: () => void } {
  const controller = new AbortController();
  if (outer === undefined) return { signal: controller.signal, release: () => {} };
  const abort = () => controller.abort(outer.reason);
  if (outer.aborted) abort();
  outer.addEventListener("abort", abort);
  return { signal: controller.signal, release: () => outer.removeEventListener("abort", abort) };
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
