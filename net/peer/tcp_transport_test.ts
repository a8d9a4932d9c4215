import { deepEqual, equal, ok, rejects, throws } from "node:assert/strict";
import { mustHave } from "../../core/base/assert.ts";
import { append, heartbeat, Recorder, settle } from "../../tests/contracts/transport_contract.ts";
import { ManualClock } from "../../tests/support/memory_transport.ts";
import { TcpHarness, TEST_RANDOM } from "../../tests/support/transport_harness.ts";
import { callOnce } from "./call_once.ts";
import { TcpTransport, type TcpTransportOptions } from "./tcp_transport.ts";

/** Runs a test with members and closes them whatever happens. */
function withHarness(title: string, body: (harness: TcpHarness) => Promise<void>): void {
  Deno.test(title, async () => {
    const harness = new TcpHarness();
    try {
      await body(harness);
    } finally {
      await harness.close();
    }
  });
}

interface Mismatch {
  readonly title: string;
  readonly one?: Partial<TcpTransportOptions>;
  readonly two?: Partial<TcpTransportOptions>;
  readonly code: string;
}

const MISMATCHES: readonly Mismatch[] = [
  { title: "another cluster", two: { identity: { clusterId: "red", nodeId: 2 } }, code: "cluster" },
  { title: "another member", two: { identity: { clusterId: "blue", nodeId: 3 } }, code: "target" },
  { title: "another secret", one: { secret: "first" }, two: { secret: "second" }, code: "secret" },
  { title: "a secret on one side", two: { secret: "second" }, code: "secret" },
];

for (const { title, one, two, code } of MISMATCHES) {
  withHarness(`TcpTransport refuses ${title}, says so once, and keeps trying slowly`, async (harness) => {
    const heard = new Recorder();
    const transport = await harness.start(1, new Recorder(), one);
    await harness.start(2, heard, two);
    harness.connect(1, [2]);
    const refusals = () => harness.eventsNamed("peer_refused");
    await harness.until("both channels are refused", () => refusals().length === 2);
    await harness.until("time passes", () => harness.clock.nowMs() > 20_000, 250);
    deepEqual(refusals().map(({ facts }) => [facts["code"], facts["channel"]]).sort(), [[code, "call"], [
      code,
      "raft",
    ]]);
    for (const secret of [one?.secret, two?.secret]) {
      if (secret !== undefined) ok(!JSON.stringify(harness.events).includes(secret));
    }
    transport.send(heartbeat(1, 2, 1));
    await rejects(settle(harness, transport.call(2, "write", new Uint8Array(0), 1_000)), { retry: "safe" });
    equal(heard.messages.length, 0);
  });
}

Deno.test("TcpTransport refuses an empty secret", () => {
  const options = {
    identity: { clusterId: "blue", nodeId: 1 },
    clock: new ManualClock(),
    random: TEST_RANDOM,
  };
  throws(
    () => new TcpTransport({ ...options, events: { event: () => {} }, handler: new Recorder(), secret: "" }),
    { code: "bad_request" },
  );
});

withHarness("TcpTransport answers on the port the system chose", async (harness) => {
  const transport = await harness.start(1, new Recorder());
  ok(harness.portOf(1) > 0);
  throws(() => transport.listen("127.0.0.1:0"), /Cannot listen twice/);
});

withHarness("TcpTransport redials at once when the peer dials it", async (harness) => {
  const heardByTwo = new Recorder();
  const one = await harness.start(1, new Recorder());
  const two = await harness.start(2, new Recorder());
  await two.close();
  harness.connect(1, [2]);
  // Member 2 is down long enough for the longest pause between attempts.
  await harness.until("the pauses are long", () => harness.clock.nowMs() > 20_000, 250);
  await harness.start(2, heardByTwo);
  harness.connect(2, [1]);
  const startedMs = harness.clock.nowMs();
  await harness.until("member 2 hears member 1", () => {
    one.send(heartbeat(1, 2, 1));
    return heardByTwo.messages.length > 0;
  });
  ok(harness.clock.nowMs() - startedMs < 500, `${harness.clock.nowMs() - startedMs} ms`);
});

withHarness("TcpTransport tells of an unreachable peer at most once per interval", async (harness) => {
  const heard = new Recorder();
  const one = await harness.start(1, heard);
  const two = await harness.start(2, new Recorder());
  await two.close();
  harness.connect(1, [2]);
  await harness.until("the first attempt failed", () => harness.eventsNamed("peer_unreachable").length > 0);
  for (const interval of [1, 2]) {
    // Attempts that the passing time starts fail later, within the same interval.
    harness.clock.advance(100);
    heard.unreachable.length = 0;
    for (let count = 0; count < 50; count++) one.send(heartbeat(1, 2, count));
    await harness.pass(0);
    deepEqual(heard.unreachable, [2], `interval ${interval}`);
  }
});

withHarness(
  "TcpTransport replaces an older connection of the same member without an alarm",
  async (harness) => {
    const heardByTwo = new Recorder();
    await harness.start(1, new Recorder());
    await harness.start(2, heardByTwo);
    harness.connect(1, [2]);
    await harness.until("member 1 is connected", () => harness.eventsNamed("peer_accepted").length === 2);
    // The same member, again: what is left of it at member 2 is dead.
    const twin = await harness.start(9, new Recorder(), { identity: { clusterId: "blue", nodeId: 1 } });
    harness.connect(9, [2]);
    await harness.until(
      "it is replaced",
      () => harness.eventsNamed("peer_accepted").some(({ facts }) => facts["replaced"] === true),
    );
    await twin.close();
    await harness.until("the loss of the twin is told", () => heardByTwo.disconnected.length > 0);
    ok(heardByTwo.disconnected.every((peer) => peer === 1));
  },
);

withHarness("TcpTransport moves to a new address of a peer", async (harness) => {
  const old = new Recorder();
  const moved = new Recorder();
  const one = await harness.start(1, new Recorder());
  await harness.start(2, old);
  harness.connect(1, [2]);
  await harness.until("the old address hears", () => (one.send(heartbeat(1, 2, 1)), old.messages.length > 0));
  await harness.start(3, moved, { identity: { clusterId: "blue", nodeId: 2 } });
  one.setPeers([{ id: 2, raftAddress: harness.addressOf(3) }]);
  await harness.until(
    "the new address hears",
    () => (one.send(heartbeat(1, 2, 2)), moved.messages.length > 0),
  );
  await harness.transports.get(2)?.close();
});

withHarness("callOnce() serves a process that is no member", async (harness) => {
  const heard = new Recorder();
  const seen: unknown[] = [];
  heard.serve = (from, method, body) => {
    seen.push([from, method, body.byteLength]);
    return method === "join" ? Promise.resolve(new Uint8Array([1])) : Promise.reject(new Error("broken"));
  };
  await harness.start(1, heard, { secret: "s" });
  const address = harness.addressOf(1);
  const options = { timeoutMs: 5_000, clock: harness.clock, random: TEST_RANDOM };
  const call = (method: string, secret: string | undefined, to = address) =>
    settle(harness, callOnce(to, method, new Uint8Array(3), { ...options, secret }));
  deepEqual([...await call("join", "s")], [1]);
  await rejects(call("other", "s"), { code: "internal" });
  await rejects(call("join", "t"), { code: "unauthorized" });
  await rejects(call("join", undefined), { code: "unauthorized" });
  await rejects(call("join", "", address), { code: "bad_request" });
  await rejects(call("join", "s", "nonsense"), { code: "bad_request" });
  deepEqual(seen, [[0, "join", 3], [0, "other", 3]]);
  await harness.transports.get(1)?.close();
  await rejects(call("join", "s"), { code: "no_leader" });
});

withHarness("callOnce() ends in time", async (harness) => {
  const heard = new Recorder();
  heard.serve = () => new Promise(() => {});
  await harness.start(1, heard);
  const options = { timeoutMs: 100, clock: harness.clock, random: TEST_RANDOM };
  const served = callOnce(harness.addressOf(1), "join", new Uint8Array(0), options);
  await rejects(settle(harness, served), { code: "commit_unknown" });
  const mute = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepted = mute.accept();
  const call = callOnce(`127.0.0.1:${mute.addr.port}`, "join", new Uint8Array(0), options);
  await rejects(settle(harness, call), { code: "timeout" });
  (await accepted).close();
  mute.close();
});

withHarness("TcpTransport keeps many large calls and messages apart", async (harness) => {
  const heardByTwo = new Recorder();
  const one = await harness.start(1, new Recorder());
  await harness.start(2, heardByTwo);
  harness.connect(1, [2]);
  await harness.until("member 2 hears member 1", () => {
    one.send(heartbeat(1, 2, 1));
    return heardByTwo.messages.length > 0;
  });
  const isAppend = ({ kind }: { kind: string }) => kind === "append";
  const bodies = [10, 1_000_000, 0, 3_000_000, 65_536].map((bytes, fill) => new Uint8Array(bytes).fill(fill));
  const calls = bodies.map((body) => one.call(2, "echo", body, 60_000));
  for (let index = 0; index < 20; index++) one.send(append(1, 2, index, 100_000));
  const answers = await settle(harness, Promise.all(calls));
  for (const [position, body] of bodies.entries()) {
    const answer = mustHave(answers[position], "answer");
    equal(answer.byteLength, body.byteLength);
    ok(answer.every((byte) => byte === position));
  }
  await harness.until("all appends arrive", () => heardByTwo.messages.filter(isAppend).length === 20);
});
