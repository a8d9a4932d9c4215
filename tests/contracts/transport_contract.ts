/** What every Transport does, whatever carries its bytes. Run over each implementation by `transport_contract_test.ts`. */
import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { NodeError } from "../../core/base/errors.ts";
import type { NodeId } from "../../core/base/ids.ts";
import type { Transport, TransportHandler } from "../../core/base/ports.ts";
import type { AppendMessage, HeartbeatMessage, Message } from "../../core/raft/message.ts";

/** Runs members on one implementation. Time moves only inside `until` and `pass`. */
export interface TransportHarness {
  /** Starts a member, or starts it again; the others reach it at once or soon. */
  start(id: NodeId, handler: TransportHandler): Promise<Transport>;
  /** Tells the member its peers. */
  connect(id: NodeId, peers: readonly NodeId[]): void;
  /** Lets things happen until the condition holds; fails after a bounded time. */
  until(what: string, condition: () => boolean): Promise<void>;
  /** Lets the time limits of calls pass. */
  pass(ms: number): Promise<void>;
  /** Closes everything and checks that nothing is left. */
  close(): Promise<void>;
}

/** A handler that notes what it hears. */
export class Recorder implements TransportHandler {
  readonly messages: Message[] = [];
  readonly unreachable: NodeId[] = [];
  readonly connected: NodeId[] = [];
  readonly disconnected: NodeId[] = [];
  /** Serves calls; the default returns the body. */
  serve: (from: NodeId, method: string, body: Uint8Array) => Promise<Uint8Array> = (_from, _method, body) =>
    Promise.resolve(body);

  onMessage(message: Message): void {
    this.messages.push(message);
  }

  onCall(from: NodeId, method: string, body: Uint8Array): Promise<Uint8Array> {
    return this.serve(from, method, body);
  }

  onUnreachable(peer: NodeId): void {
    this.unreachable.push(peer);
  }

  onConnected(peer: NodeId): void {
    this.connected.push(peer);
  }

  onDisconnected(peer: NodeId): void {
    this.disconnected.push(peer);
  }
}

export const SAMPLE_MESSAGES: readonly Message[] = [
  {
    kind: "append",
    from: 1,
    to: 2,
    term: 7,
    previousIndex: 41,
    previousTerm: 6,
    previousHash: 0xdeadbeef,
    commitIndex: 40,
    entries: [
      { index: 42, term: 7, type: 0, hash: 1, data: new Uint8Array(0) },
      { index: 43, term: 7, type: 2, hash: 0xffffffff, data: new Uint8Array([1, 2, 3]) },
      { index: 44, term: 7, type: 1, hash: 3, data: new Uint8Array(70_000).fill(9) },
    ],
  },
  { kind: "append_reply", from: 1, to: 2, term: 7, index: 44, rejected: true, hintIndex: 30, hintTerm: 5 },
  { kind: "heartbeat", from: 1, to: 2, term: 7, commitIndex: 44, readRound: 3, leaseMs: 200 },
  { kind: "heartbeat_reply", from: 1, to: 2, term: 7, readRound: 3, leaseMs: 200 },
  { kind: "vote", from: 1, to: 2, term: 8, preVote: true, lastIndex: 44, lastTerm: 7, transfer: false },
  { kind: "vote_reply", from: 1, to: 2, term: 8, preVote: true, granted: true },
  { kind: "timeout_now", from: 1, to: 2, term: 8 },
  { kind: "read_index", from: 1, to: 2, term: 8, context: Number.MAX_SAFE_INTEGER },
  { kind: "read_index_reply", from: 1, to: 2, term: 8, context: 5, index: 44, rejected: false },
  {
    kind: "snapshot",
    from: 1,
    to: 2,
    term: 8,
    snapshot: { index: 44, term: 7, hash: 17, membership: new Uint8Array([4, 5, 6]) },
  },
];

export function heartbeat(from: NodeId, to: NodeId, readRound: number): HeartbeatMessage {
  return { kind: "heartbeat", from, to, term: 1, commitIndex: 0, readRound, leaseMs: 0 };
}

export function append(from: NodeId, to: NodeId, previousIndex: number, dataBytes: number): AppendMessage {
  const data = new Uint8Array(dataBytes).fill(previousIndex);
  const entries = [{ index: previousIndex + 1, term: 1, type: 2, hash: 0, data }] as const;
  const previous = { previousIndex, previousTerm: 1, previousHash: 0 };
  return { kind: "append", from, to, term: 1, ...previous, commitIndex: 0, entries };
}

function isAbout(bytes: number, bodies: number): void {
  ok(bytes >= bodies && bytes < bodies + 1_000, `${bytes} bytes counted for ${bodies}`);
}

/** An error of a call must say that nothing happened. */
function isSafe(error: unknown): true {
  ok(error instanceof NodeError, String(error));
  equal(error.retry, "safe", error.message);
  return true;
}

function hasCode(code: string): (error: unknown) => true {
  return (error) => {
    ok(error instanceof NodeError, String(error));
    equal(error.code, code, error.message);
    return true;
  };
}

interface Pair {
  readonly harness: TransportHarness;
  readonly one: Transport;
  readonly two: Transport;
  readonly heardByOne: Recorder;
  readonly heardByTwo: Recorder;
}

const never = (): Promise<Uint8Array> => new Promise(() => {});

/** Registers the tests of the contract for one implementation. */
export function transportContract(name: string, newHarness: () => TransportHarness): void {
  /** Two members that know and reach each other. */
  const withPair = (title: string, body: (pair: Pair) => Promise<void>) => {
    Deno.test(`${name}: ${title}`, async () => {
      const harness = newHarness();
      try {
        const heardByOne = new Recorder();
        const heardByTwo = new Recorder();
        const one = await harness.start(1, heardByOne);
        const two = await harness.start(2, heardByTwo);
        harness.connect(1, [2]);
        harness.connect(2, [1]);
        await untilHeard(harness, one, heardByTwo, 1, 2);
        await untilHeard(harness, two, heardByOne, 2, 1);
        for (const heard of [heardByOne, heardByTwo]) {
          heard.messages.length = 0;
          heard.unreachable.length = 0;
        }
        await body({ harness, one, two, heardByOne, heardByTwo });
      } finally {
        await harness.close();
      }
    });
  };
  messageContract(withPair);
  callContract(withPair);
  lossContract(withPair);
}

/** Sends heartbeats until one arrives, then waits for all that are under way. */
async function untilHeard(
  harness: TransportHarness,
  sender: Transport,
  heard: Recorder,
  from: NodeId,
  to: NodeId,
): Promise<void> {
  const before = heard.messages.length;
  await harness.until(`member ${to} hears member ${from}`, () => {
    if (heard.messages.length === before) sender.send(heartbeat(from, to, 0));
    return heard.messages.length > before;
  });
  sender.send(heartbeat(from, to, 1_000_000));
  const isLast = (message: Message) => message.kind === "heartbeat" && message.readRound === 1_000_000;
  await harness.until("the last heartbeat arrives", () => heard.messages.slice(before).some(isLast));
}

type WithPair = (title: string, body: (pair: Pair) => Promise<void>) => void;

function messageContract(withPair: WithPair): void {
  withPair("send() delivers every kind of message unchanged", async ({ harness, one, heardByTwo }) => {
    for (const [position, message] of SAMPLE_MESSAGES.entries()) {
      one.send(message);
      await harness.until(`a ${message.kind} arrives`, () => heardByTwo.messages.length > position);
    }
    deepEqual(heardByTwo.messages, SAMPLE_MESSAGES);
  });

  withPair("send() keeps the order of appends", async ({ harness, one, heardByTwo }) => {
    const COUNT = 50;
    for (let index = 0; index < COUNT; index++) one.send(append(1, 2, index, index % 5 === 0 ? 100_000 : 10));
    await harness.until("all appends arrive", () => heardByTwo.messages.length === COUNT);
    const indexes = heardByTwo.messages.map((message) =>
      message.kind === "append" ? message.previousIndex : -1
    );
    deepEqual(indexes, Array.from({ length: COUNT }, (_, index) => index));
  });

  withPair("traffic counts what leaves and what arrives", async ({ harness, one, two, heardByTwo }) => {
    const before = { sent: one.traffic.sentBytes, received: two.traffic.receivedBytes };
    one.send(append(1, 2, 0, 100_000));
    await harness.until("the append arrives", () => heardByTwo.messages.length === 1);
    await settle(harness, one.call(2, "echo", new Uint8Array(10_000), 1_000));
    // The answer comes back; a little more than the bytes of the bodies makes them messages.
    isAbout(one.traffic.sentBytes - before.sent, 110_000);
    isAbout(two.traffic.receivedBytes - before.received, 110_000);
    isAbout(two.traffic.sentBytes, 10_000);
    isAbout(one.traffic.receivedBytes, 10_000);
  });

  withPair("send() to a stranger is dropped in silence", async ({ harness, one, heardByOne, heardByTwo }) => {
    one.send(heartbeat(1, 9, 0));
    one.send(heartbeat(1, 2, 0));
    await harness.until("the other message arrives", () => heardByTwo.messages.length === 1);
    deepEqual(heardByOne.unreachable, []);
  });

  withPair("send() never calls back before it returns", async ({ harness, one, two, heardByOne }) => {
    await two.close();
    let isSending = false;
    let wasEntered = false;
    heardByOne.onUnreachable = () => {
      wasEntered ||= isSending;
      heardByOne.unreachable.push(2);
    };
    await harness.until("the peer is reported unreachable", () => {
      isSending = true;
      one.send(heartbeat(1, 2, 0));
      isSending = false;
      return heardByOne.unreachable.length > 0;
    });
    equal(wasEntered, false);
  });
}

function callContract(withPair: WithPair): void {
  withPair("call() returns the answer of the other member", async ({ harness, one, heardByTwo }) => {
    const seen: unknown[] = [];
    heardByTwo.serve = (from, method, body) => {
      seen.push(from, method, [...body]);
      return Promise.resolve(new Uint8Array([7, 8]));
    };
    const answer = await settle(harness, one.call(2, "write", new Uint8Array([1, 2]), 1_000));
    deepEqual([...answer], [7, 8]);
    deepEqual(seen, [1, "write", [1, 2]]);
  });

  withPair("call() keeps concurrent calls apart", async ({ harness, one, heardByTwo }) => {
    const waiting: (() => void)[] = [];
    heardByTwo.serve = (_from, _method, body) => new Promise((resolve) => waiting.push(() => resolve(body)));
    const calls = [1, 2, 3, 4].map((value) => one.call(2, "echo", new Uint8Array([value]), 1_000));
    await harness.until("all calls are served", () => waiting.length === 4);
    for (const answer of waiting.reverse()) answer();
    const answers = await settle(harness, Promise.all(calls));
    deepEqual(answers.map((answer) => answer[0]), [1, 2, 3, 4]);
  });

  withPair("call() rejects with the error of the other member", async ({ harness, one, heardByTwo }) => {
    const details = {
      field: "sql",
      limit: { name: "rows", value: 5 },
      sqlite_code: 19,
      statement_index: 0,
      leader: "h",
    };
    heardByTwo.serve = () => Promise.reject(new NodeError("constraint_failed", "Cannot insert 5", details));
    await rejects(settle(harness, one.call(2, "write", new Uint8Array(), 1_000)), (error) => {
      ok(error instanceof NodeError);
      deepEqual([error.code, error.message, error.details], [
        "constraint_failed",
        "Cannot insert 5",
        details,
      ]);
      return true;
    });
    heardByTwo.serve = () => Promise.reject(new TypeError("oops"));
    await rejects(settle(harness, one.call(2, "write", new Uint8Array(), 1_000)), hasCode("internal"));
  });

  withPair("call() of a stranger is safe to repeat", async ({ harness, one }) => {
    await rejects(settle(harness, one.call(9, "write", new Uint8Array(), 1_000)), isSafe);
  });

  withPair(
    "call() whose answer does not come in time is of unknown fate",
    async ({ harness, one, heardByTwo }) => {
      let served = 0;
      heardByTwo.serve = () => (served += 1, never());
      const failed = rejects(one.call(2, "write", new Uint8Array(), 500), hasCode("commit_unknown"));
      await harness.until("the call is served", () => served === 1);
      await harness.pass(500);
      await failed;
    },
  );
}

function lossContract(withPair: WithPair): void {
  withPair("call() whose server closes is of unknown fate", async ({ harness, one, two, heardByTwo }) => {
    let served = 0;
    heardByTwo.serve = () => (served += 1, never());
    const failed = rejects(one.call(2, "write", new Uint8Array(), 100_000), hasCode("commit_unknown"));
    await harness.until("the call is served", () => served === 1);
    await two.close();
    await settle(harness, failed);
  });

  withPair("onDisconnected() tells that the peer closed", async ({ harness, two, heardByOne }) => {
    await two.close();
    await harness.until("the loss is noticed", () => heardByOne.disconnected.length > 0);
    deepEqual(heardByOne.disconnected, [2]);
  });

  withPair(
    "a closed peer is unreachable, and a call of it safe",
    async ({ harness, one, two, heardByOne }) => {
      await two.close();
      await harness.until("the peer is reported unreachable", () => {
        one.send(heartbeat(1, 2, 0));
        return heardByOne.unreachable.length > 0;
      });
      ok(heardByOne.unreachable.every((peer) => peer === 2));
      await rejects(settle(harness, one.call(2, "write", new Uint8Array(), 1_000)), isSafe);
    },
  );

  withPair(
    "a peer that comes back is reached again, and told of",
    async ({ harness, one, two, heardByOne }) => {
      const before = heardByOne.connected.length;
      ok(before > 0, "told of the first time");
      await two.close();
      const heardByTwo = new Recorder();
      const again = await harness.start(2, heardByTwo);
      harness.connect(2, [1]);
      await untilHeard(harness, one, heardByTwo, 1, 2);
      ok(heardByOne.connected.length > before, "told again");
      ok(heardByOne.connected.every((peer) => peer === 2));
      const answer = await settle(harness, one.call(2, "echo", new Uint8Array([3]), 10_000));
      deepEqual([...answer], [3]);
      await again.close();
    },
  );

  withPair(
    "setPeers() ends what goes to a removed peer",
    async ({ harness, one, two, heardByOne, heardByTwo }) => {
      harness.connect(1, []);
      one.send(heartbeat(1, 2, 5));
      await rejects(settle(harness, one.call(2, "write", new Uint8Array(), 1_000)), isSafe);
      await untilHeard(harness, two, heardByOne, 2, 1);
      deepEqual(heardByTwo.messages, []);
      harness.connect(1, [2]);
      await untilHeard(harness, one, heardByTwo, 1, 2);
    },
  );

  withPair("close() rejects calls and stays silent", async ({ harness, one, heardByOne, heardByTwo }) => {
    let served = 0;
    heardByTwo.serve = () => (served += 1, never());
    const pending = rejects(one.call(2, "write", new Uint8Array(), 100_000), hasCode("commit_unknown"));
    await harness.until("the call is served", () => served === 1);
    await one.close();
    await one.close();
    await pending;
    await rejects(one.call(2, "write", new Uint8Array(), 1_000), hasCode("stopping"));
    one.send(heartbeat(1, 2, 5));
    await harness.until("the other side notices", () => heardByTwo.disconnected.length > 0);
    deepEqual([heardByTwo.messages, heardByOne.unreachable, heardByOne.disconnected], [[], [], []]);
  });
}

/** Lets things happen until the promise is settled, and gives its outcome. */
export async function settle<T>(harness: TransportHarness, promise: Promise<T>): Promise<T> {
  let isSettled = false;
  const note = () => {
    isSettled = true;
  };
  promise.then(note, note);
  await harness.until("the promise is settled", () => isSettled);
  return await promise;
}
