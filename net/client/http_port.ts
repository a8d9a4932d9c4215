import { type AttemptOutcome, type CallRequest, sendAttempt } from "./attempt.ts";
import type { AttemptLimits, CallPort, CallSpec, Members } from "./call_runner.ts";
import { toClusterInfo } from "./cluster_types.ts";
import type { Runtime } from "./runtime.ts";

/** A call over HTTP. */
export interface HttpCall extends CallSpec, CallRequest {
  readonly idempotencyKey?: string | undefined;
}

export interface HttpPortOptions {
  readonly token: string | undefined;
  readonly answerBytesMax: number;
}

export const CLUSTER_REQUEST: CallRequest = {
  method: "GET",
  path: "/v1/cluster",
  isWrite: false,
  bodyIsRepeatable: true,
  answer: "json",
};

/** Answers are parsed JSON, or the response itself for `answer: "stream"`. */
export class HttpPort implements CallPort<HttpCall, unknown> {
  readonly #runtime: Runtime;
  readonly #options: HttpPortOptions;

  constructor(runtime: Runtime, options: HttpPortOptions) {
    this.#runtime = runtime;
    this.#options = options;
  }

  send(url: string, call: CallRequest, limits: AttemptLimits): Promise<AttemptOutcome> {
    return sendAttempt(this.#runtime, { url, request: call, ...this.#options, ...limits });
  }

  async askMembers(url: string, limits: AttemptLimits): Promise<AttemptOutcome<Members>> {
    const outcome = await this.send(url, CLUSTER_REQUEST, limits);
    if (outcome.kind === "failure") return outcome;
    const { members, leaderHttpAddress } = toClusterInfo(outcome.value);
    const addresses = members.map(({ httpAddress }) => httpAddress);
    return { kind: "answer", value: { addresses, leader: leaderHttpAddress } };
  }

  describe({ method, path }: CallRequest): string {
    return `${method} ${path}`;
  }
}
