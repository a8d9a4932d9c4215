/** Two members of different versions: each connection speaks the newest one both know. */
import { deepEqual, equal } from "node:assert/strict";
import { mustHave } from "../../core/base/assert.ts";
import { Recorder } from "../../tests/contracts/transport_contract.ts";
import { TcpHarness } from "../../tests/support/transport_harness.ts";
import { type Frame, frameBytes, FrameKind } from "../wire/frame.ts";
import { FrameReader } from "../wire/frame_reader.ts";
import { DiallerHandshake, ListenerHandshake } from "../wire/handshake.ts";
import { decodeMessage, encodeMessage } from "../wire/message_codec.ts";
import { openConnection } from "./open_connection.ts";
import { closeSocket, writeAll } from "./socket.ts";
import { PEER_TIMING } from "./timing.ts";

const OLDER = { min: 1, max: 1 };
const nonce = new Uint8Array(32);
const identity = { clusterId: "blue", nodeId: 2 };

Deno.test("TcpTransport leaves the lease out for a member of version 1, and takes its heartbeats", async () => {
  const harness = new TcpHarness();
  const heard = new Recorder();
  const one = await harness.start(1, heard);
  const sockets: Deno.TcpConn[] = [];
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  try {
    harness.setPort(2, listener.addr.port);
    harness.connect(1, [2]);
    const channels = new Map<string, Deno.TcpConn>();
    for (let i = 0; i < 2; i++) {
      const socket = await listener.accept();
      sockets.push(socket);
      const handshake = new ListenerHandshake({ identity, secret: undefined, nonce, versions: OLDER });
      const opening = await openConnection(socket, handshake, harness.clock, PEER_TIMING);
      equal(opening.version, 1);
      channels.set(opening.channel, socket);
    }
    await harness.until("both channels are open", () => harness.eventsNamed("peer_connected").length === 2);
    const heartbeat = { kind: "heartbeat", from: 1, to: 2, term: 3, commitIndex: 4, readRound: 5 } as const;
    one.send({ ...heartbeat, leaseMs: 200 });
    const frame = await firstFrame(mustHave(channels.get("raft"), "raft channel"));
    equal(frame.kind, FrameKind.heartbeat);
    deepEqual(decodeMessage(frame, 1), { ...heartbeat, leaseMs: 0 });

    const dialled = await Deno.connect({ hostname: "127.0.0.1", port: harness.portOf(1) });
    sockets.push(dialled);
    const dialler = new DiallerHandshake({
      identity,
      targetId: 1,
      channel: "raft",
      secret: undefined,
      nonce,
      versions: OLDER,
    });
    await openConnection(dialled, dialler, harness.clock, PEER_TIMING);
    const reply = { kind: "heartbeat_reply", from: 2, to: 1, term: 3, readRound: 5, leaseMs: 0 } as const;
    await writeAll(dialled, frameBytes(encodeMessage(reply, 1)));
    await harness.until("the reply is heard", () => heard.messages.length === 1);
    deepEqual(heard.messages, [reply]);
  } finally {
    listener.close();
    for (const socket of sockets) closeSocket(socket);
    await harness.close();
  }
});

async function firstFrame(socket: Deno.TcpConn): Promise<Frame> {
  const reader = new FrameReader(10_000);
  for (;;) {
    const count = mustHave(await socket.read(reader.space()) ?? undefined, "bytes");
    const [frame] = reader.received(count);
    if (frame !== undefined) return frame;
  }
}
