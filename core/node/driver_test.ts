import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { ManualClock } from "../../tests/support/manual_clock.ts";
import { SeededRandom } from "../../tests/support/seeded_random.ts";
import { SimDisk } from "../../tests/support/sim_disk.ts";
import { HardStateFile } from "../log/hard_state.ts";
import { Log } from "../log/log.ts";
import { chainHash } from "../log/record.ts";
import { encodeCreate } from "../pages/entry_body.ts";
import { PageStore } from "../pages/page_store.ts";
import type { Membership } from "../raft/membership.ts";
import { type Entry, EntryType, type Message } from "../raft/message.ts";
import { Raft } from "../raft/raft.ts";
import { DiskReserve } from "./disk_reserve.ts";
import { Driver } from "./driver.ts";

const MEMBERSHIP: Membership = {
  voters: [1, 2, 3],
  votersOutgoing: [],
  learners: [],
  standBys: [],
  spares: [],
  members: [1, 2, 3].map((id) => ({
    id,
    raftAddress: `127.0.0.1:700${id}`,
    httpAddress: `127.0.0.1:800${id}`,
  })),
  nextNodeId: 4,
};
const LEADER = 1;
const SELF = 2;

/** Member 2 with its real core, log and files; a sync ends when the test says so. */
class Bench {
  readonly sent: Message[] = [];
  readonly told: string[] = [];
  /** Synced and published index whenever a sync was done. */
  readonly synced: number[][] = [];
  readonly fatal: Error[] = [];
  readonly store = new PageStore();
  onPublished: () => void = () => {};
  readonly driver: Driver;
  readonly clock = new ManualClock();
  readonly reserve: DiskReserve;

  constructor(readonly disk: SimDisk, readonly log: Log, hardState: HardStateFile, voters: number[]) {
    this.reserve = new DiskReserve({ disk, clock: this.clock, events: { event: () => {} }, bytes: 1_000 });
    const raft = new Raft({
      id: SELF,
      electionTicks: 10,
      heartbeatTicks: 1,
      appendBytesMax: 1_000_000,
      appendsInFlightMax: 8,
      appendBytesInFlightMax: 1_000_000,
      uncommittedBytesMax: 1_000_000,
      chainHash,
    }, {
      hardState: hardState.value,
      log,
      membership: { ...MEMBERSHIP, voters },
      commitIndex: 0,
      random: () => 0.5,
    });
    this.driver = new Driver({
      raft,
      log,
      hardState,
      store: this.store,
      transport: {
        traffic: { sentBytes: 0, receivedBytes: 0 },
        send: (message) => void this.sent.push(message),
        call: () => Promise.reject(new Error("not used")),
        setPeers: () => {},
        close: () => Promise.resolve(),
      },
      events: { event: () => {} },
      reserve: this.reserve,
      listener: {
        onTransaction: () => {},
        onSynced: (index) => this.synced.push([index, this.store.publishedIndex]),
        onPublished: (index) => {
          this.told.push(`published ${index}`);
          this.onPublished();
        },
        onReadState: () => {},
        onCommitNews: () => {},
        onRole: (role, term) => this.told.push(`${role} in term ${term}`),
        onMembership: () => {},
        onFork: () => {},
        onSnapshot: () => {},
        onFatal: (error) => this.fatal.push(error),
      },
    });
  }

  static async open(voters = [1, 2, 3], capacityBytes = Infinity): Promise<Bench> {
    const disk = new SimDisk({ seed: 1, syncMode: "manual", capacityBytes });
    const opening = (async () => {
      const hardState = await HardStateFile.open(disk);
      const base = { index: 0, term: 0, hash: 0 };
      const { log } = await Log.open(disk, { clusterId: "0".repeat(32), base, fillAheadBytes: 0 });
      return new Bench(disk, log, hardState, voters);
    })();
    let opened: Bench | undefined;
    opening.then((bench) => (opened = bench));
    while (opened === undefined) {
      disk.completeAllSyncs();
      await turn();
    }
    return opened;
  }

  /** Lets the disk finish everything it was asked. */
  async syncAll(): Promise<void> {
    for (let i = 0; i < 20; i++) {
      this.disk.completeAllSyncs();
      await turn();
    }
  }

  sentKinds(): string[] {
    return this.sent.splice(0).map(({ kind }) => kind);
  }

  async step(message: Message): Promise<void> {
    this.driver.step(message);
    await turn();
  }
}

async function turn(): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve();
}

function entry(name: string, before: { index: number; hash: number }, term: number): Entry {
  const data = encodeCreate({ name, staged: false, pageSize: 512, wallMs: 0 });
  const index = before.index + 1;
  return {
    index,
    term,
    type: EntryType.data,
    data,
    hash: chainHash(before.hash, term, index, EntryType.data, data),
  };
}

function append(entries: readonly Entry[], commitIndex: number, term: number): Message {
  const first = entries[0] as Entry;
  return {
    kind: "append",
    from: LEADER,
    to: SELF,
    term,
    previousIndex: first.index - 1,
    previousTerm: 0,
    previousHash: 0,
    entries,
    commitIndex,
  };
}

Deno.test("Driver acknowledges entries, and publishes them, only after the sync that carries them (promise 1)", async () => {
  const bench = await Bench.open();
  const first = entry("a", { index: 0, hash: 0 }, 1);
  await bench.step(append([first], 1, 1));
  strictEqual(bench.log.lastIndex(), 1);
  deepStrictEqual([bench.sentKinds(), bench.store.publishedIndex], [[], 0]);
  await bench.syncAll();
  deepStrictEqual([bench.sentKinds(), bench.store.publishedIndex], [["append_reply"], 1]);
  strictEqual(bench.log.syncedIndex, 1);
  const heard = bench.synced.find(([index]) => index === 1);
  deepStrictEqual(heard, [1, 0], "the listener hears of the sync before the commit");
});

Deno.test("Driver gives a vote only after it is on disk (promise 1)", async () => {
  const bench = await Bench.open();
  for (let i = 0; i < 25; i++) bench.driver.tick();
  await turn();
  bench.sentKinds();
  await bench.step({
    kind: "vote",
    from: 3,
    to: SELF,
    term: 7,
    preVote: false,
    transfer: false,
    lastIndex: 0,
    lastTerm: 0,
  });
  ok(!bench.sentKinds().includes("vote_reply"));
  await bench.syncAll();
  ok(bench.sentKinds().includes("vote_reply"));
  strictEqual(bench.driver.term, 7);
});

Deno.test("Driver: entries of one turn share a sync, and those that come while it runs the next one", async () => {
  const bench = await Bench.open([2]);
  bench.driver.raft.campaign();
  bench.driver.run();
  await bench.syncAll();
  strictEqual(bench.driver.role, "leader");
  const synced = bench.log.syncCount;
  for (const name of ["a", "b", "c"]) {
    bench.driver.raft.propose(encodeCreate({ name, staged: false, pageSize: 512, wallMs: 0 }));
    bench.driver.schedule();
  }
  await turn();
  for (const name of ["d", "e"]) {
    bench.driver.raft.propose(encodeCreate({ name, staged: false, pageSize: 512, wallMs: 0 }));
    bench.driver.schedule();
    await turn();
  }
  await bench.syncAll();
  deepStrictEqual([bench.store.list().map(({ name }) => name).join(""), bench.log.syncCount - synced], [
    "abcde",
    2,
  ]);
});

Deno.test("Driver: a failed sync is fatal, and nothing is sent after it (promise 1)", async () => {
  const bench = await Bench.open();
  await bench.step(append([entry("a", { index: 0, hash: 0 }, 1)], 1, 1));
  while (bench.fatal.length === 0) {
    if (!bench.disk.failSync("log") && !bench.disk.failSync()) bench.disk.completeAllSyncs();
    await turn();
  }
  await bench.syncAll();
  deepStrictEqual([bench.sentKinds(), bench.store.publishedIndex, bench.fatal.length], [[], 0, 1]);
  await bench.step(append([entry("b", { index: 0, hash: 0 }, 1)], 1, 1));
  deepStrictEqual(bench.sentKinds(), []);
});

Deno.test("Driver.run() never throws at its caller: an output that could not be carried out is fatal", async () => {
  const bench = await Bench.open([2]);
  bench.driver.raft.campaign();
  bench.driver.run();
  await bench.syncAll();
  bench.disk.onOperation = () => {
    throw new Error("Input/output error");
  };
  bench.driver.raft.propose(new SeededRandom(1).bytes(100_000));
  bench.driver.run();
  strictEqual(bench.fatal.length, 1);
  bench.disk.onOperation = undefined;
  bench.driver.raft.propose(new Uint8Array(10));
  bench.driver.run();
  await bench.syncAll();
  deepStrictEqual([bench.fatal.length, bench.log.lastIndex()], [1, 1]);
});

Deno.test("Driver: entries without room on the disk wait, then go where they were to go; nothing is sent meanwhile", async () => {
  const bench = await Bench.open();
  bench.disk.capacityBytes = 0;
  const first = entry("a", { index: 0, hash: 0 }, 1);
  await bench.step(append([first], 1, 1));
  bench.driver.tick();
  await bench.syncAll();
  deepStrictEqual([bench.sentKinds(), bench.fatal, bench.driver.refusesWrites], [[], [], true]);
  bench.disk.capacityBytes = Infinity;
  bench.clock.advance(2_000);
  bench.reserve.sweep();
  bench.driver.tick();
  await bench.syncAll();
  deepStrictEqual([bench.sentKinds(), bench.log.syncedIndex, bench.driver.refusesWrites], [
    ["append_reply"],
    1,
    false,
  ]);
});

Deno.test("Driver: a listener that runs the driver again while it is told of a commit sees roles and commits in order", async () => {
  const bench = await Bench.open([2]);
  bench.onPublished = () => {
    if (bench.told.length > 6) return;
    bench.driver.raft.propose(
      encodeCreate({ name: `n${bench.told.length}`, staged: false, pageSize: 512, wallMs: 0 }),
    );
    bench.driver.run();
  };
  bench.driver.raft.campaign();
  bench.driver.run();
  for (let i = 0; i < 10; i++) await bench.syncAll();
  deepStrictEqual(bench.fatal, []);
  const published = bench.told.filter((fact) => fact.startsWith("published")).map((fact) =>
    Number(fact.slice(10))
  );
  deepStrictEqual(published, published.map((_, i) => i + 1));
  ok(bench.told.indexOf("leader in term 1") < bench.told.indexOf("published 1"));
});
