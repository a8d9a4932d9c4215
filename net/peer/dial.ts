import type { Clock } from "../../core/base/ports.ts";
import { parseAddress } from "./address.ts";
import { closeSocket } from "./socket.ts";
import type { PeerTiming } from "./timing.ts";

/**
 * A TCP connection to `address` within `openMs`, without Nagle's delay: small frames are answers somebody waits for.
 *
 * @param signal ends the attempt
 */
export async function dial(
  address: string,
  clock: Clock,
  timing: PeerTiming,
  signal: AbortSignal,
): Promise<Deno.TcpConn> {
  const late = new AbortController();
  const cancel = clock.after(timing.openMs, () => late.abort());
  try {
    const attempt = AbortSignal.any([signal, late.signal]);
    const socket = await Deno.connect({ ...parseAddress(address), signal: attempt });
    if (attempt.aborted) {
      closeSocket(socket);
      throw attempt.reason;
    }
    socket.setNoDelay(true);
    return socket;
  } catch (error) {
    if (!late.signal.aborted) throw error;
    throw new Error(`Cannot connect to ${address} within ${timing.openMs} ms`, { cause: error });
  } finally {
    cancel();
  }
}
