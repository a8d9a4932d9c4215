import type { Clock } from "../../core/base/ports.ts";
import { FrameReader } from "../wire/frame_reader.ts";
import { frameBytes } from "../wire/frame.ts";
import { type Handshake, HandshakeRefused, type Opening } from "../wire/handshake.ts";
import { HELLO_FRAME_BYTES_MAX } from "../wire/hello.ts";
import { WireError } from "../wire/wire_error.ts";
import { closeSocket, writeAll, writeLast } from "./socket.ts";
import type { PeerTiming } from "./timing.ts";

/**
 * Drives an opening over a socket. Rejects with HandshakeRefused when one side said no, with another error when the
 * socket failed or the time was up; the socket is closed then.
 *
 * Whatever the other side sends, at most the frames of an opening are read, each under HELLO_FRAME_BYTES_MAX.
 */
export async function openConnection(
  socket: Deno.TcpConn,
  handshake: Handshake,
  clock: Clock,
  timing: PeerTiming,
): Promise<Opening> {
  let isLate = false;
  const cancel = clock.after(timing.openMs, () => {
    isLate = true;
    closeSocket(socket);
  });
  try {
    return await exchange(socket, handshake);
  } catch (error) {
    cancel();
    const refusal = toRefusal(error);
    // Waited for, so that a refused socket counts as unopened until it is gone.
    if (refusal === undefined || refusal.byPeer || isLate) closeSocket(socket);
    else await writeLast(socket, frameBytes(refusal.frame()), clock, timing.lingerMs);
    if (isLate) throw new Error(`The opening took longer than ${timing.openMs} ms`, { cause: error });
    throw refusal ?? error;
  } finally {
    cancel();
  }
}

async function exchange(socket: Deno.TcpConn, handshake: Handshake): Promise<Opening> {
  const reader = new FrameReader(HELLO_FRAME_BYTES_MAX);
  const { send: first } = handshake.start();
  if (first !== undefined) await writeAll(socket, frameBytes(first));
  while (true) {
    const count = await socket.read(reader.space());
    if (count === null) throw new Error("The other side closed the connection during the opening");
    const frames = reader.received(count);
    const frame = frames[0];
    if (frame === undefined) continue;
    // Both sides wait for the answer before they send on, so anything beyond one frame breaks the order.
    if (frames.length > 1 || reader.isMidFrame) {
      throw new WireError("Cannot open: more than one frame at once");
    }
    const { send, opening } = handshake.onFrame(frame);
    if (send !== undefined) await writeAll(socket, frameBytes(send));
    if (opening !== undefined) return opening;
  }
}

function toRefusal(error: unknown): HandshakeRefused | undefined {
  if (error instanceof HandshakeRefused) return error;
  return error instanceof WireError ? new HandshakeRefused("protocol", error.message, false) : undefined;
}
