import type { ReadRequest, WriteRequest } from "../dqlite/call.ts";
import type { AttemptOutcome } from "./attempt.ts";
import { toNodeTimeoutMs } from "./call_arguments.ts";
import type { AttemptLimits, CallPort, CallSpec, Members } from "./call_runner.ts";
import type { Runtime } from "./runtime.ts";
import { isWalraftError, WalraftError } from "./walraft_error.ts";
import type { WireAnswer, WireCallAnswer, WireConnection } from "./wire_connection.ts";
import { callError, failureError } from "./wire_failure.ts";
import type { WirePool } from "./wire_pool.ts";

/** A call over walraft's requests of the dqlite protocol. */
export interface WireCall extends CallSpec {
  readonly name: string;
  request(nodeTimeoutMs: number): ReadRequest | WriteRequest;
}

/** An answer that is not wanted any more has this long to come to an end; then the connection is closed. */
const ABANDONED_MS_MAX = 2_000;
/** As over HTTP (`attempt.ts`): only a node that does not say who leads either is given up. */
const PROBE_AFTER_MS = 2_000;
const PROBE_MS_MAX = 3_000;

/**
 * The node gets a little less time than the client waits: its answer, which knows whether anything happened, is there
 * before the client could only say that it does not know.
 */
function nodeTimeoutMs(timeoutMs: number): number {
  return toNodeTimeoutMs(timeoutMs - Math.min(250, timeoutMs / 10));
}

/** Sends calls over the connections of a pool. */
export class WirePort implements CallPort<WireCall, WireCallAnswer> {
  readonly #pool: WirePool;
  readonly #runtime: Runtime;

  constructor(pool: WirePool, runtime: Runtime) {
    this.#pool = pool;
    this.#runtime = runtime;
  }

  async send(url: string, call: WireCall, limits: AttemptLimits): Promise<AttemptOutcome<WireCallAnswer>> {
    const attempt = new WireAttempt(this.#runtime, this.#pool, url, limits);
    try {
      const answer = await attempt.ask(call);
      if (answer.kind === "call") return { kind: "answer", value: answer };
      if (answer.kind === "error") return { kind: "failure", error: callError(answer) };
      if (answer.kind === "failure") return { kind: "failure", error: failureError(answer) };
      throw unexpected(url, answer);
    } catch (error) {
      return { kind: "failure", error: toFailure(error, call, attempt.isSent) };
    } finally {
      attempt.end();
    }
  }

  async askMembers(url: string, limits: AttemptLimits): Promise<AttemptOutcome<Members>> {
    const attempt = new WireAttempt(this.#runtime, this.#pool, url, limits);
    try {
      const [node, cluster] = await attempt.run(
        (connection) => connection.ask({ kind: "leader" }, { kind: "cluster", format: 1 }),
        false,
      );
      if (node?.kind !== "node") throw unexpected(url, node);
      if (cluster?.kind !== "nodes") throw unexpected(url, cluster);
      const addresses = cluster.nodes.map(({ address }) => address);
      return { kind: "answer", value: { addresses, leader: node.address === "" ? undefined : node.address } };
    } catch (error) {
      return { kind: "failure", error: toFailure(error, { isWrite: false }, true) };
    } finally {
      attempt.end();
    }
  }

  describe({ name }: WireCall): string {
    return name;
  }
}

/** One attempt: its deadline, the caller's signal, the probe, and what becomes of a connection that is given up. */
class WireAttempt {
  readonly #runtime: Runtime;
  readonly #pool: WirePool;
  readonly #url: string;
  readonly #limits: AttemptLimits;
  readonly #controller = new AbortController();
  readonly #cancel = () => this.#abort("cancelled", "The abort signal fired");
  readonly #stopDeadline: () => void;
  #stopProbe: () => void;
  #isSent = false;
  #hasEnded = false;

  constructor(runtime: Runtime, pool: WirePool, url: string, limits: AttemptLimits) {
    this.#runtime = runtime;
    this.#pool = pool;
    this.#url = url;
    this.#limits = limits;
    if (limits.signal.aborted) this.#cancel();
    limits.signal.addEventListener("abort", this.#cancel);
    this.#stopDeadline = runtime.startTimer(limits.timeoutMs, () => {
      this.#abort("timeout", `No answer from ${hostOf(url)} within ${Math.round(limits.timeoutMs)} ms`);
    });
    this.#stopProbe = runtime.startTimer(PROBE_AFTER_MS, () => void this.#probe());
  }

  /** The node may have heard of the call. */
  get isSent(): boolean {
    return this.#isSent;
  }

  async ask(call: WireCall): Promise<WireAnswer> {
    const request = call.request(nodeTimeoutMs(this.#limits.timeoutMs));
    const [answer] = await this.run((connection) => connection.ask(request), call.isWrite);
    return answer as WireAnswer;
  }

  /** @throws WalraftError */
  async run(
    work: (connection: WireConnection) => Promise<WireAnswer[]>,
    isWrite: boolean,
  ): Promise<WireAnswer[]> {
    const { signal } = this.#controller;
    const taking = this.#pool.take(this.#url, signal);
    const connection = await raced(taking, signal).catch((error) => {
      // It may still arrive.
      taking.then((late) => this.#pool.give(this.#url, late), () => {});
      throw error;
    });
    const asking = work(connection).finally(() => this.#pool.give(this.#url, connection));
    this.#isSent = true;
    try {
      return await raced(asking, signal);
    } catch (error) {
      // Refused before a byte was sent.
      if (isWalraftError(error) && error.retry === "never" && !error.mayHaveCommitted) this.#isSent = false;
      if (signal.aborted) this.#abandon(connection, asking, isWrite);
      // The others to this node are as old.
      else if (isWalraftError(error, "network_error")) this.#pool.drop(this.#url);
      throw error;
    }
  }

  end(): void {
    this.#hasEnded = true;
    this.#stopDeadline();
    this.#stopProbe();
    this.#limits.signal.removeEventListener("abort", this.#cancel);
  }

  /** The server stops a query at once and the connection goes on; a write cannot be stopped, only waited for. */
  #abandon(connection: WireConnection, asking: Promise<unknown>, isWrite: boolean): void {
    const stopTimer = this.#runtime.startTimer(ABANDONED_MS_MAX, () => connection.close());
    asking.then(stopTimer, stopTimer);
    if (!isWrite) void connection.interrupt();
  }

  async #probe(): Promise<void> {
    const silent = () => this.#abort("network_error", `${hostOf(this.#url)} stopped answering`);
    this.#stopProbe = this.#runtime.startTimer(PROBE_MS_MAX, silent);
    try {
      const connection = await this.#pool.open(this.#url);
      connection.close();
    } catch {
      silent();
    }
    this.#stopProbe();
    if (this.#hasEnded || this.#controller.signal.aborted) return;
    this.#stopProbe = this.#runtime.startTimer(PROBE_AFTER_MS, () => void this.#probe());
  }

  #abort(code: "cancelled" | "timeout" | "network_error", message: string): void {
    if (this.#hasEnded || this.#controller.signal.aborted) return;
    this.#controller.abort(new WalraftError({ code, message, retry: "safe", mayHaveCommitted: false }));
  }
}

/** What it resolves to, or the reason of the signal as soon as that fires. */
function raced<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort);
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

/** What the caller may conclude: a node that was never reached, or only asked to read, has not written. */
function toFailure(error: unknown, call: Pick<WireCall, "isWrite" | "idempotencyKey">, isSent: boolean) {
  if (!isWalraftError(error)) throw error;
  const isFinal = error.retry === "never";
  if (isFinal && !isSent) return error;
  const isUnknown = isSent && call.isWrite;
  return new WalraftError({
    code: error.code,
    message: error.message,
    retry: isFinal ? "never" : isUnknown ? "with_key" : "safe",
    mayHaveCommitted: isUnknown,
    idempotencyKey: call.idempotencyKey,
    cause: error.cause,
  });
}

function unexpected(url: string, answer: WireAnswer | undefined): WalraftError {
  return new WalraftError({
    code: "invalid_answer",
    message: `Cannot use the answer of ${hostOf(url)}: it is ${answer?.kind}`,
    retry: "with_key",
    mayHaveCommitted: true,
  });
}

const hostOf = (url: string): string => new URL(url).host;
