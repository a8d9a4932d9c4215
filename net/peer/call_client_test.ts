import { deepEqual, equal, rejects } from "node:assert/strict";
import { ManualClock } from "../../tests/support/memory_transport.ts";
import { CALL_BODY_BYTES_MAX, encodeResponse } from "../wire/call_codec.ts";
import { frameBytes } from "../wire/frame.ts";
import { readFrames } from "../wire/frame_reader.ts";
import { CallClient } from "./call_client.ts";
import { SendQueue } from "./send_queue.ts";

function newClient(callsMax = 10) {
  const clock = new ManualClock();
  const queue = new SendQueue(100_000_000, 0);
  const client = new CallClient({ peer: 2, queue, clock, callsMax, onQueued: () => {} });
  const answer = (id: number) => {
    for (const frame of readFrames(frameBytes(encodeResponse(id, new Uint8Array([id]))), 1_000)) {
      client.onFrame(frame);
    }
  };
  return { clock, queue, client, answer };
}

const EMPTY = new Uint8Array(0);

Deno.test("CallClient times out: safe while the request waits, of unknown fate once it was written", async () => {
  const { clock, queue, client } = newClient();
  const waiting = rejects(client.call("write", EMPTY, 100), { code: "timeout" });
  clock.advance(100);
  await waiting;
  deepEqual(queue.take(1_000), [], "a request that was given up is not written");
  const written = rejects(client.call("write", EMPTY, 100), { code: "commit_unknown" });
  equal(queue.take(1_000).length, 1);
  clock.advance(100);
  await written;
  equal(client.pendingCount, 0);
});

Deno.test("CallClient tells on loss who may have been served", async () => {
  const { clock, queue, client } = newClient();
  const written = rejects(client.call("write", EMPTY, 100), { code: "commit_unknown" });
  queue.take(1_000);
  const waiting = rejects(client.call("write", EMPTY, 100), { code: "no_leader" });
  client.failAll("no_leader", "the connection was lost");
  await Promise.all([written, waiting]);
  equal(clock.timerCount, 0);
});

Deno.test("CallClient drops an answer that comes too late", async () => {
  const { clock, queue, client, answer } = newClient();
  const late = rejects(client.call("write", EMPTY, 100), { code: "commit_unknown" });
  const second = client.call("write", EMPTY, 1_000);
  queue.take(1_000);
  clock.advance(100);
  await late;
  answer(1);
  answer(2);
  deepEqual([...await second], [2]);
});

Deno.test("CallClient refuses more calls, and larger bodies, than its bounds", async () => {
  const { client, answer } = newClient(1);
  const first = client.call("write", EMPTY, 100);
  await rejects(client.call("write", EMPTY, 100), { code: "queue_full" });
  answer(1);
  await first;
  await rejects(client.call("write", new Uint8Array(CALL_BODY_BYTES_MAX + 1), 100), {
    code: "body_too_large",
  });
  const small = new CallClient({
    peer: 2,
    queue: new SendQueue(50, 0),
    clock: new ManualClock(),
    callsMax: 9,
    onQueued: () => {},
  });
  await rejects(small.call("write", new Uint8Array(51), 100), { code: "queue_full" });
  // The body alone fits, the frame does not.
  await rejects(small.call("write", new Uint8Array(45), 100), { code: "queue_full" });
  equal(small.pendingCount, 0);
});
