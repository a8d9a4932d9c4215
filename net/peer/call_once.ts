import { type ErrorCode, NodeError } from "../../core/base/errors.ts";
import type { Milliseconds } from "../../core/base/ids.ts";
import type { Clock, Random } from "../../core/base/ports.ts";
import { DiallerHandshake, HandshakeRefused } from "../wire/handshake.ts";
import { NONCE_BYTES } from "../wire/hello.ts";
import { PEER_BOUNDS } from "./bounds.ts";
import { CallClient } from "./call_client.ts";
import { type CloseReason, Connection } from "./connection.ts";
import { dial } from "./dial.ts";
import { openConnection } from "./open_connection.ts";
import { SendQueue } from "./send_queue.ts";
import { closeSocket } from "./socket.ts";
import { checkSecret } from "./tcp_transport.ts";
import { PEER_TIMING } from "./timing.ts";
import { Traffic } from "./traffic.ts";

export interface CallOnceOptions {
  readonly secret?: string | undefined;
  /** For connecting, opening and the call together. */
  readonly timeoutMs: Milliseconds;
  /** Those of the machine when left out. */
  readonly clock?: Clock;
  readonly random?: Random;
}

/**
 * One call to a member by a process that is none itself: it joins, or administers. The member sees it as coming from
 * node 0.
 *
 * Rejects with NodeError: `bad_request` or `unauthorized` when the member refused the connection, `no_leader` when
 * there was none, `timeout` when the request could not be sent in time, `commit_unknown` when its answer is missing,
 * or the code of the member's own answer.
 */
export async function callOnce(
  address: string,
  method: string,
  body: Uint8Array,
  options: CallOnceOptions,
): Promise<Uint8Array> {
  const { secret, timeoutMs, clock = MACHINE_CLOCK, random = MACHINE_RANDOM } = options;
  checkSecret(secret);
  const deadlineMs = clock.nowMs() + timeoutMs;
  const socket = await open(address, secret, clock, random, timeoutMs);
  const queue = new SendQueue(PEER_BOUNDS.queueBytesMax, PEER_BOUNDS.queueReserveBytes);
  const onQueued = () => connection.flush();
  const calls = new CallClient({ peer: 0, queue, clock, callsMax: 1, onQueued });
  const onClosed = (reason: CloseReason) =>
    calls.failAll("no_leader", reason.kind === "closed" ? "the connection was closed" : reason.text);
  const connection = new Connection({
    socket,
    isDialler: true,
    queue,
    clock,
    timing: PEER_TIMING,
    traffic: new Traffic(),
    onFrame: (frame) => calls.onFrame(frame),
    onClosed,
  });
  try {
    return await calls.call(method, body, Math.max(deadlineMs - clock.nowMs(), 0));
  } finally {
    connection.close();
  }
}

async function open(
  address: string,
  secret: string | undefined,
  clock: Clock,
  random: Random,
  timeoutMs: Milliseconds,
): Promise<Deno.TcpConn> {
  const late = new AbortController();
  const cancel = clock.after(timeoutMs, () => late.abort());
  try {
    const socket = await dial(address, clock, PEER_TIMING, late.signal);
    late.signal.addEventListener("abort", () => closeSocket(socket), { once: true });
    const identity = { clusterId: "", nodeId: 0 };
    const nonce = random.bytes(NONCE_BYTES);
    const handshake = new DiallerHandshake({ identity, targetId: 0, channel: "join", secret, nonce });
    await openConnection(socket, handshake, clock, PEER_TIMING);
    return socket;
  } catch (error) {
    if (error instanceof NodeError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    if (late.signal.aborted) {
      throw openError("timeout", address, `no connection within ${timeoutMs} ms`, error);
    }
    throw openError(codeOf(error), address, reason, error);
  } finally {
    cancel();
  }
}

function codeOf(error: unknown): ErrorCode {
  if (!(error instanceof HandshakeRefused)) return "no_leader";
  return error.code === "secret" ? "unauthorized" : "bad_request";
}

function openError(code: ErrorCode, address: string, reason: string, cause: unknown): NodeError {
  return new NodeError(code, `Cannot connect to the member at ${address}: ${reason}`, {}, { cause });
}

const MACHINE_CLOCK: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
};

const MACHINE_RANDOM: Random = {
  next: () => Math.random(),
  bytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
};
