import { deepEqual, equal, rejects } from "node:assert/strict";
import { MemoryNetwork } from "../support/memory_transport.ts";
import { MemoryHarness, TcpHarness } from "../support/transport_harness.ts";
import { append, heartbeat, Recorder, settle, transportContract } from "./transport_contract.ts";

transportContract("MemoryTransport", () => new MemoryHarness());
transportContract("TcpTransport", () => new TcpHarness());
transportContract("TcpTransport with a secret", () => new TcpHarness({ secret: "correct horse" }));

/** Two members on a memory network, for what only its tests can do. */
function memoryPair() {
  const network = new MemoryNetwork();
  const heard = new Recorder();
  const one = network.join(1, new Recorder());
  network.join(2, heard);
  one.setPeers([{ id: 2, raftAddress: "member-2:1" }]);
  return { network, heard, one };
}

Deno.test("MemoryNetwork delays, drops and repeats what the test says", () => {
  const { network, heard, one } = memoryPair();
  const link = network.link(1, 2);
  link.delayMs = 10;
  one.send(heartbeat(1, 2, 1));
  network.clock.advance(9);
  equal(heard.messages.length, 0);
  network.clock.advance(1);
  equal(heard.messages.length, 1);
  link.drop = (message) => message.kind === "append";
  link.duplicate = (message) => message.kind === "heartbeat";
  one.send(append(1, 2, 0, 10));
  one.send(heartbeat(1, 2, 2));
  network.clock.advance(10);
  deepEqual(heard.messages.map((message) => message.kind), ["heartbeat", "heartbeat", "heartbeat"]);
});

Deno.test("MemoryNetwork loses what is under way on a cut link", async () => {
  const { network, heard, one } = memoryPair();
  network.link(1, 2).delayMs = 5;
  one.send(heartbeat(1, 2, 1));
  const call = one.call(2, "echo", new Uint8Array(1), 20);
  network.partition([1], [2]);
  const lost = rejects(call, { code: "commit_unknown" });
  await rejects(one.call(2, "echo", new Uint8Array(1), 20), { code: "no_leader" });
  network.clock.advance(30);
  await lost;
  equal(heard.messages.length, 0);
  network.partition([1], [2], false);
  one.send(heartbeat(1, 2, 2));
  network.clock.advance(5);
  equal(heard.messages.length, 1);
});

Deno.test("settle() gives the outcome of a promise that needs the clock", async () => {
  const harness = new MemoryHarness();
  const late = new Promise<number>((resolve) => harness.clock.after(50, () => resolve(5)));
  equal(await settle(harness, late), 5);
});
