/** The few things done with a TCP socket before and after it is a connection. */
import type { Clock } from "../../core/base/ports.ts";
import type { Milliseconds } from "../../core/base/ids.ts";

/** Bytes thrown away while a refusal is on its way. */
const LINGER_BYTES_MAX = 64 * 1024;

export async function writeAll(socket: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  let rest = bytes;
  while (rest.byteLength > 0) {
    const count = await socket.write(rest);
    rest = rest.subarray(count);
  }
}

/** Closing twice is no error: the other side, a deadline and `close()` race. */
export function closeSocket(socket: Deno.TcpConn): void {
  try {
    socket.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}

/**
 * Writes the last bytes of a connection and closes it when the other side has had the time to read them. A socket
 * closed with unread bytes resets the connection, and the reset may overtake what was written last.
 */
export async function writeLast(
  socket: Deno.TcpConn,
  bytes: Uint8Array,
  clock: Clock,
  lingerMs: Milliseconds,
): Promise<void> {
  const cancel = clock.after(lingerMs, () => closeSocket(socket));
  try {
    await writeAll(socket, bytes);
    await socket.closeWrite();
    const waste = new Uint8Array(4 * 1024);
    for (let wasted = 0; wasted < LINGER_BYTES_MAX;) {
      const count = await socket.read(waste);
      if (count === null) break;
      wasted += count;
    }
  } catch {
    // The other side is gone, or the time is up: there is nobody left to tell.
  } finally {
    cancel();
    closeSocket(socket);
  }
}
