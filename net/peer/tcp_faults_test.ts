import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { mustHave } from "../../core/base/assert.ts";
import { append, heartbeat, Recorder, settle } from "../../tests/contracts/transport_contract.ts";
import { TcpHarness } from "../../tests/support/transport_harness.ts";
import { encodeControl } from "../wire/control.ts";
import { type EncodedFrame, encodeFrame, type Frame, frameBytes, FrameKind } from "../wire/frame.ts";
import { FrameReader } from "../wire/frame_reader.ts";
import { DiallerHandshake, type Handshake, ListenerHandshake } from "../wire/handshake.ts";
import type { Channel } from "../wire/hello.ts";
import { encodeMessage } from "../wire/message_codec.ts";
import { encodeRequest } from "../wire/call_codec.ts";
import { writeAll } from "./socket.ts";

/** The other end of a connection in the hands of the test: it can do what no member does. */
class Puppet {
  readonly #socket: Deno.TcpConn;
  readonly #reader = new FrameReader(30_000_000);
  readonly #frames: Frame[] = [];

  constructor(socket: Deno.TcpConn) {
    this.#socket = socket;
  }

  static async dial(port: number): Promise<Puppet> {
    return new Puppet(await Deno.connect({ hostname: "127.0.0.1", port }));
  }

  /** Dials as member `nodeId` of cluster blue, and opens. */
  static async open(port: number, nodeId: number, targetId: number, channel: Channel): Promise<Puppet> {
    const puppet = await Puppet.dial(port);
    const identity = { clusterId: "blue", nodeId };
    const nonce = crypto.getRandomValues(new Uint8Array(32));
    await puppet.shake(new DiallerHandshake({ identity, targetId, channel, secret: undefined, nonce }));
    return puppet;
  }

  async shake(handshake: Handshake): Promise<void> {
    let { send, opening } = handshake.start();
    while (true) {
      if (send !== undefined) await this.write(send);
      if (opening !== undefined) return;
      ({ send, opening } = handshake.onFrame(mustHave(await this.frame(), "frame of the opening")));
    }
  }

  write(frame: EncodedFrame): Promise<void> {
    return this.writeBytes(frameBytes(frame));
  }

  writeBytes(bytes: Uint8Array): Promise<void> {
    return writeAll(this.#socket, bytes);
  }

  /** The next frame; undefined when the other side closed. */
  async frame(): Promise<Frame | undefined> {
    while (this.#frames.length === 0) {
      const count = await this.#socket.read(this.#reader.space()).catch(() => null);
      if (count === null) return undefined;
      this.#frames.push(...this.#reader.received(count));
    }
    return this.#frames.shift();
  }

  /** Reads to the end. */
  async ended(): Promise<void> {
    while (await this.frame() !== undefined);
  }

  close(): void {
    this.#socket.close();
  }
}

function withMember(
  title: string,
  body: (harness: TcpHarness, heard: Recorder, port: number) => Promise<void>,
  options: ConstructorParameters<typeof TcpHarness>[0] = {},
): void {
  Deno.test(title, async () => {
    const harness = new TcpHarness(options);
    try {
      const heard = new Recorder();
      await harness.start(1, heard);
      await body(harness, heard, harness.portOf(1));
    } finally {
      await harness.close();
    }
  });
}

withMember("TcpTransport closes a connection on which a bit flipped", async (harness, heard, port) => {
  const good = frameBytes(encodeMessage(append(2, 1, 0, 50)));
  for (const offset of [5, 8, 9, 20, good.byteLength - 1]) {
    const puppet = await Puppet.open(port, 2, 1, "raft");
    await puppet.writeBytes(good);
    const bad = good.slice();
    const view = new DataView(bad.buffer);
    view.setUint8(offset, view.getUint8(offset) ^ 0x10);
    await puppet.writeBytes(bad);
    await puppet.ended();
    puppet.close();
  }
  equal(heard.messages.length, 5, "the good message of each connection, and no bad one");
  const kinds = harness.eventsNamed("peer_accepted_lost").map(({ facts }) => facts["kind"]);
  deepEqual(kinds, Array(5).fill("violation"));
  deepEqual(heard.disconnected, [], "a violation is not the death of the peer");
});

withMember(
  "TcpTransport refuses a frame that is too long before it allocates",
  async (harness, _heard, port) => {
    const puppet = await Puppet.open(port, 2, 1, "raft");
    await puppet.writeBytes(new Uint8Array([0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0]));
    await puppet.ended();
    puppet.close();
    ok(/limit is 25165824/.test(String(harness.eventsNamed("peer_accepted_lost")[0]?.facts["text"])));
  },
);

withMember(
  "TcpTransport refuses messages that are not of the member or its channel",
  async (harness, heard, port) => {
    const wrong: [Channel, EncodedFrame][] = [
      ["raft", encodeMessage(heartbeat(3, 1, 1))],
      ["raft", encodeMessage(heartbeat(2, 3, 1))],
      ["raft", encodeRequest({ id: 1, method: "write", body: new Uint8Array(0) })],
      ["call", encodeMessage(heartbeat(2, 1, 1))],
      ["raft", encodeFrame(FrameKind.hello, encodeControl([]))],
    ];
    for (const [channel, frame] of wrong) {
      const puppet = await Puppet.open(port, 2, 1, channel);
      await puppet.write(frame);
      await puppet.ended();
      puppet.close();
    }
    equal(heard.messages.length, 0);
    equal(harness.eventsNamed("peer_accepted_lost").length, wrong.length);
  },
);

withMember(
  "TcpTransport reports the death of a member when its connection ends",
  async (harness, heard, port) => {
    const call = await Puppet.open(port, 2, 1, "call");
    const raft = await Puppet.open(port, 2, 1, "raft");
    await harness.until("both are accepted", () => harness.eventsNamed("peer_accepted").length === 2);
    call.close();
    await harness.until("the end is noticed", () => harness.eventsNamed("peer_accepted_lost").length === 1);
    deepEqual(heard.disconnected, []);
    raft.close();
    await harness.until("the end is noticed", () => heard.disconnected.length > 0);
    deepEqual(heard.disconnected, [2]);
  },
);

withMember("TcpTransport answers pings and drops a silent connection", async (harness, heard, port) => {
  const puppet = await Puppet.open(port, 2, 1, "raft");
  await puppet.write(encodeFrame(FrameKind.ping, encodeControl([])));
  equal((await puppet.frame())?.kind, FrameKind.pong);
  await harness.until(
    "the silence is noticed",
    () => harness.eventsNamed("peer_accepted_lost").length > 0,
    100,
  );
  equal(harness.eventsNamed("peer_accepted_lost")[0]?.facts["kind"], "silent");
  ok(harness.clock.nowMs() >= 5_000);
  deepEqual(heard.disconnected, []);
  await puppet.ended();
  puppet.close();
});

withMember(
  "TcpTransport gives up a frame that is never finished, although bytes keep coming",
  async (harness, _heard, port) => {
    const puppet = await Puppet.open(port, 2, 1, "raft");
    await puppet.writeBytes(new Uint8Array([0, 0, 1, 0, 0, 0, 0, 0]));
    let isOver = false;
    const trickle = async () => {
      while (!isOver) {
        await puppet.writeBytes(new Uint8Array(1)).catch(() => {});
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    };
    const trickling = trickle();
    const lost = () => harness.eventsNamed("peer_accepted_lost");
    await harness.until("the frame is given up", () => lost().length > 0, 200);
    isOver = true;
    await trickling;
    deepEqual([lost()[0]?.facts["kind"], lost()[0]?.facts["text"]], [
      "violation",
      "A frame was not finished in 60000 ms",
    ]);
    puppet.close();
  },
);

withMember(
  "TcpTransport ends an opening that takes too long or is nonsense",
  async (harness, _heard, port) => {
    const slow = await Puppet.dial(port);
    let isEnded = false;
    const ended = slow.ended().then(() => {
      isEnded = true;
    });
    await harness.until("the opening is given up", () => isEnded, 100);
    await ended;
    ok(harness.clock.nowMs() >= 5_000);
    slow.close();
    const nonsense: Uint8Array[] = [
      new TextEncoder().encode("GET / HTTP/1.1\r\nhost: x\r\n\r\n"),
      new Uint8Array(100_000),
      frameBytes(encodeMessage(heartbeat(2, 1, 1))),
      frameBytes(encodeFrame(FrameKind.hello, encodeControl(["XXXX", 1, 1]))),
    ];
    for (const bytes of nonsense) {
      const puppet = await Puppet.dial(port);
      await puppet.writeBytes(bytes).catch(() => {});
      const answer = await puppet.frame();
      // Bytes still on their way to a closed socket may reset it before the refusal is read.
      if (bytes.byteLength < 1_000) equal(answer?.kind, FrameKind.refuse);
      puppet.close();
    }
  },
);

withMember(
  "TcpTransport bounds connections that are not opened",
  async (harness, heard, port) => {
    const idle = [await Puppet.dial(port), await Puppet.dial(port), await Puppet.dial(port)];
    await harness.until("the listener is full", () => harness.eventsNamed("peer_listener_full").length > 0);
    await mustHave(idle[2], "third").ended();
    for (const puppet of idle) puppet.close();
    await harness.until("there is room again", () => harness.clock.nowMs() > 100);
    const puppet = await Puppet.open(port, 2, 1, "raft");
    await puppet.write(encodeMessage(heartbeat(2, 1, 1)));
    await harness.until("a member is heard", () => heard.messages.length === 1);
    puppet.close();
  },
  { bounds: { unopenedConnectionsMax: 2 } },
);

withMember(
  "TcpTransport bounds the connections of joining processes",
  async (harness, _heard, port) => {
    const join = () => {
      const identity = { clusterId: "", nodeId: 0 };
      const nonce = new Uint8Array(32);
      return new DiallerHandshake({ identity, targetId: 0, channel: "join", secret: undefined, nonce });
    };
    const first = await Puppet.dial(port);
    await first.shake(join());
    const second = await Puppet.dial(port);
    await second.shake(join());
    await second.ended();
    second.close();
    await first.write(encodeRequest({ id: 4, method: "echo", body: new Uint8Array([5]) }));
    equal((await first.frame())?.kind, FrameKind.response);
    first.close();
    await harness.pass(0);
  },
  { bounds: { joinConnectionsMax: 1 } },
);

const QUEUE_BYTES_MAX = 2_000_000;

withMember(
  "TcpTransport holds a bounded queue for a peer that never reads, and lets heartbeats pass",
  async (harness, heard) => {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    harness.setPort(2, listener.addr.port);
    harness.connect(1, [2]);
    const puppets = [new Puppet(await listener.accept()), new Puppet(await listener.accept())];
    for (const puppet of puppets) {
      const nonce = new Uint8Array(32);
      await puppet.shake(
        new ListenerHandshake({ identity: { clusterId: "blue", nodeId: 2 }, secret: undefined, nonce }),
      );
    }
    await harness.until("both channels are open", () => harness.eventsNamed("peer_connected").length === 2);
    const transport = harness.tcp(1);
    // Far more than the queue and the buffers of the system: what is over the bound is dropped and reported.
    for (let index = 0; index < 600; index++) {
      transport.send(append(1, 2, index, 100_000));
      transport.send({ ...heartbeat(1, 2, index), kind: "heartbeat_reply" });
      ok(transport.queuedBytes <= QUEUE_BYTES_MAX, `${transport.queuedBytes} bytes`);
      if (index % 50 === 0) await harness.pass(1);
    }
    ok(transport.queuedBytes > QUEUE_BYTES_MAX / 2, "the peer does not read");
    ok(heard.unreachable.length > 0, "dropping is reported");
    const call = rejects(transport.call(2, "write", new Uint8Array(3_000_000), 100_000), {
      code: "queue_full",
    });
    await settle(harness, call);
    // A thousand heartbeats take the place of one.
    const before = transport.queuedBytes;
    for (let round = 1; round <= 1_000; round++) transport.send(heartbeat(1, 2, round));
    ok(transport.queuedBytes - before < 100);
    // The silence of the peer ends the connection, and with it the queue.
    await harness.until(
      "the peer is given up",
      () => harness.eventsNamed("peer_connection_lost").length > 0,
      100,
    );
    equal(harness.eventsNamed("peer_connection_lost")[0]?.facts["kind"], "silent");
    equal(transport.queuedBytes, 0);
    for (const puppet of puppets) puppet.close();
    listener.close();
  },
  { bounds: { queueBytesMax: QUEUE_BYTES_MAX, queueReserveBytes: 100_000 } },
);

withMember(
  "TcpTransport sends a heartbeat ahead of waiting appends, and only the newest",
  async (harness) => {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    harness.setPort(2, listener.addr.port);
    harness.connect(1, [2]);
    const puppets = [new Puppet(await listener.accept()), new Puppet(await listener.accept())];
    for (const puppet of puppets) {
      const nonce = new Uint8Array(32);
      await puppet.shake(
        new ListenerHandshake({ identity: { clusterId: "blue", nodeId: 2 }, secret: undefined, nonce }),
      );
    }
    await harness.until("both channels are open", () => harness.eventsNamed("peer_connected").length === 2);
    const transport = mustHave(harness.transports.get(1), "transport");
    const APPENDS = 300;
    for (let index = 0; index < APPENDS; index++) transport.send(append(1, 2, index, 100_000));
    for (let round = 1; round <= 50; round++) transport.send(heartbeat(1, 2, round));
    const kindsOf = async (puppet: Puppet) => {
      const kinds: number[] = [];
      while (kinds.filter((kind) => kind === FrameKind.append).length < APPENDS) {
        kinds.push(mustHave(await puppet.frame(), "frame").kind);
      }
      return kinds;
    };
    // Either connection may be the one for messages.
    const kinds = await Promise.race(puppets.map(kindsOf));
    const heartbeats = kinds.flatMap((kind, position) => kind === FrameKind.heartbeat ? [position] : []);
    equal(heartbeats.length, 1, "only the newest heartbeat is sent");
    ok(mustHave(heartbeats[0], "heartbeat") <= 3, `it is frame ${heartbeats[0]}`);
    for (const puppet of puppets) puppet.close();
    listener.close();
    await harness.pass(0);
  },
);

withMember("TcpTransport tells the fate of a call when the connection breaks", async (harness) => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  harness.setPort(2, listener.addr.port);
  harness.connect(1, [2]);
  const transport = mustHave(harness.transports.get(1), "transport");
  // Sent while the opening is under way, which then fails: it never left.
  const early = rejects(transport.call(2, "write", new Uint8Array(1), 60_000), { code: "no_leader" });
  for (const puppet of [new Puppet(await listener.accept()), new Puppet(await listener.accept())]) {
    puppet.close();
  }
  await settle(harness, early);
  // No attempt is under way: refused at once.
  await rejects(transport.call(2, "write", new Uint8Array(1), 60_000), { code: "no_leader" });
  const puppets: Puppet[] = [];
  while (puppets.length < 2) puppets.push(new Puppet(await settle(harness, listener.accept())));
  const waited = rejects(transport.call(2, "write", new Uint8Array(1), 60_000), { code: "commit_unknown" });
  for (const puppet of puppets) {
    const nonce = new Uint8Array(32);
    await puppet.shake(
      new ListenerHandshake({ identity: { clusterId: "blue", nodeId: 2 }, secret: undefined, nonce }),
    );
  }
  const request = await Promise.race(puppets.map((puppet) => puppet.frame()));
  equal(request?.kind, FrameKind.request, "the call that waited for the opening was sent");
  for (const puppet of puppets) puppet.close();
  await settle(harness, waited);
  listener.close();
});
