import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { writeResponse } from "../dqlite/response_codec.ts";
import { TupleWriter } from "../wire/tuple_writer.ts";
import { isWalraftError } from "./walraft_error.ts";
import type { WireConnection, WireSocket } from "./wire_connection.ts";
import { WirePool } from "./wire_pool.ts";

const URL = "http://127.0.0.1:9001";
const forever = new AbortController().signal;

/** Says Hello back, and nothing else. */
class GreetingSocket implements WireSocket {
  isClosed = false;
  #hasGreeted = false;

  read(into: Uint8Array): Promise<number | null> {
    if (this.#hasGreeted) return new Promise(() => {});
    this.#hasGreeted = true;
    const writer = new TupleWriter();
    writeResponse(writer, { kind: "greeting", version: 1 });
    into.set(writer.peek());
    return Promise.resolve(writer.length);
  }

  write(bytes: Uint8Array): Promise<number> {
    return Promise.resolve(bytes.byteLength);
  }

  close(): void {
    this.isClosed = true;
  }
}

function poolOf(connectionsMax: number): { pool: WirePool; sockets: GreetingSocket[] } {
  const sockets: GreetingSocket[] = [];
  const dial = () => {
    const socket = new GreetingSocket();
    sockets.push(socket);
    return Promise.resolve(socket);
  };
  return { pool: new WirePool({ connectionsMax, answerBytesMax: 1_000, dial }), sockets };
}

Deno.test("WirePool hands connections to those in line, in order, before those who come later", async () => {
  const { pool, sockets } = poolOf(1);
  const connection = await pool.take(URL, forever);
  const order: string[] = [];
  const take = async (name: string) => {
    const taken = await pool.take(URL, forever);
    order.push(name);
    return taken;
  };
  const waiting = [take("first"), take("second")];
  pool.give(URL, connection);
  const late = take("late");
  for (const next of [...waiting, late]) pool.give(URL, await next);
  deepStrictEqual(order, ["first", "second", "late"]);
  strictEqual(sockets.length, 1);
});

Deno.test("WirePool: who gives up waiting takes nothing with it", async () => {
  const { pool, sockets } = poolOf(1);
  const connection = await pool.take(URL, forever);
  const leaver = new AbortController();
  const gone = pool.take(URL, leaver.signal);
  const late = new AbortController();
  const handed = pool.take(URL, late.signal);
  const last = pool.take(URL, forever);
  leaver.abort(new Error("left"));
  // Handed over and given up in the same moment.
  pool.give(URL, connection);
  late.abort(new Error("late"));
  await rejects(gone, /left/);
  await rejects(handed, /late/);
  strictEqual(await last, connection);
  strictEqual(sockets.length, 1);
});

Deno.test("WirePool opens another one in the place of one that broke", async () => {
  const { pool, sockets } = poolOf(1);
  const connection = await pool.take(URL, forever);
  const next = pool.take(URL, forever);
  connection.close();
  pool.give(URL, connection);
  ok(await next !== connection);
  strictEqual(sockets.length, 2);
});

Deno.test("WirePool.close() closes idle and busy connections and ends the waiting", async () => {
  const { pool, sockets } = poolOf(2);
  const taken: WireConnection[] = [await pool.take(URL, forever), await pool.take(URL, forever)];
  pool.give(URL, taken[0]!);
  await pool.take(URL, forever);
  const waiting = pool.take(URL, forever);
  const isClosed = (error: unknown) => isWalraftError(error, "invalid_argument");
  const refused = rejects(waiting, isClosed);
  pool.close();
  await refused;
  deepStrictEqual(sockets.map((socket) => socket.isClosed), [true, true]);
  await rejects(pool.take(URL, forever), isClosed);
  await rejects(pool.open(URL), isClosed);
});
