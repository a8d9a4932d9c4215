import { NodeError } from "../base/errors.ts";
import type { Milliseconds, NodeId } from "../base/ids.ts";
import type { Clock, Transport } from "../base/ports.ts";
import type { LeaderCalls } from "./leader_calls.ts";
import {
  decodeAnswer,
  encodeRequest,
  type PeerHandlers,
  type PeerMethod,
  type PeerMethods,
} from "./peer_calls.ts";

export interface MemberCallsHost {
  readonly clock: Clock;
  readonly transport: Transport;
  readonly nodeId: NodeId;
  readonly leaderCalls: LeaderCalls;
  /** What this node answers when it is asked. */
  readonly handlers: () => PeerHandlers;
  readonly isStopped: () => boolean;
}

/** What members ask of each other: a few pages, an entry, or the opening of views of all databases. */
const MEMBER_CALL_MS_MAX = 10_000;

/** Calls between members, with the types of what is asked and answered. */
export class MemberCalls {
  readonly #host: MemberCallsHost;

  constructor(host: MemberCallsHost) {
    this.#host = host;
  }

  /** Asks one member. */
  to<M extends PeerMethod>(
    member: NodeId,
    method: M,
    request: PeerMethods[M]["request"],
  ): Promise<PeerMethods[M]["answer"]> {
    return this.#call(member, method, request, MEMBER_CALL_MS_MAX);
  }

  /** Has it done where it can be done, perhaps here (`LeaderCalls`). */
  atLeader<M extends PeerMethod>(
    method: M,
    request: PeerMethods[M]["request"],
    deadlineMs: Milliseconds,
  ): Promise<PeerMethods[M]["answer"]> {
    const { clock, nodeId, leaderCalls, handlers, isStopped } = this.#host;
    if (isStopped()) {
      return Promise.reject(new NodeError("stopping", "The node is stopping; nothing was logged"));
    }
    return leaderCalls.run(
      deadlineMs,
      () => handlers()[method](request, deadlineMs - clock.nowMs(), nodeId),
      (leader, timeoutMs) => this.#call(leader, method, request, timeoutMs),
    );
  }

  async #call<M extends PeerMethod>(
    member: NodeId,
    method: M,
    request: PeerMethods[M]["request"],
    timeoutMs: Milliseconds,
  ): Promise<PeerMethods[M]["answer"]> {
    const body = encodeRequest<M>(request, timeoutMs);
    return decodeAnswer<M>(await this.#host.transport.call(member, method, body, timeoutMs));
  }
}
