import type { LogIndex, Milliseconds } from "../../core/base/ids.ts";
import { crc32 } from "../../core/codec/crc32.ts";
import { decodeAnswer, encodeRequest } from "../../core/node/peer_calls.ts";
import type { Entry } from "../../core/raft/message.ts";
import { SeededRandom } from "../support/seeded_random.ts";
import { checkList } from "./check_list.ts";
import { PageChecker } from "./check_pages.ts";
import { checkRegister } from "./check_register.ts";
import { readList } from "./database_bytes.ts";
import { Faults, isExpected, wasRemoved } from "./faults.ts";
import { History } from "./history.ts";
import { type Machine, SimCluster } from "./sim_cluster.ts";
import { drawPlan, type Plan, spoilsDisks } from "./swarm.ts";
import { DATABASES, Workload } from "./workload.ts";

/** What a run was; two runs of a seed give the same. */
export interface SimReport {
  readonly seed: number;
  readonly plan: Plan;
  readonly steps: number;
  /** Over everything that happened, in order. */
  readonly trace: number;
  readonly answers: Readonly<Record<string, number>>;
  readonly faults: Readonly<Record<string, number>>;
  readonly events: Readonly<Record<string, number>>;
}

/** Steps within which something must be done on a cluster without faults: two minutes of its time. */
const LIVE_STEPS_MAX = 24_000;

/** The time limit of what operators ask for under faults, and a little more. */
const ADMIN_STEPS_MAX = 500;

/** Hears what happens, at which time of the simulated clock. */
export type OnNote = (atMs: Milliseconds, what: string) => void;

/** Runs one seed: a healthy start, faults, healing, checks. @throws Error with what was violated */
export function simulate(seed: number, onNote: OnNote = () => {}): Promise<SimReport> {
  return new Simulation(seed, onNote).run();
}

class Simulation {
  readonly #seed: number;
  readonly #random: SeededRandom;
  readonly #plan: Plan;
  readonly #cluster: SimCluster;
  readonly #history = new History();
  readonly #workload: Workload;
  readonly #faults: Faults;
  /** When a machine that is down starts again. */
  readonly #bootAtMs = new Map<Machine, number>();
  #steps = 0;
  #trace = 0;
  /** Starts under way, by the life they belong to: a machine that is killed meanwhile is not starting any more. */
  readonly #booting = new Map<Machine, number>();
  readonly #pages = new PageChecker();
  readonly #onNote: OnNote;

  constructor(seed: number, onNote: OnNote) {
    this.#seed = seed;
    this.#onNote = onNote;
    const random = this.#random = new SeededRandom(seed);
    const plan = this.#plan = drawPlan(random.fork());
    const cluster = this.#cluster = new SimCluster(random.fork(), plan);
    cluster.onEvent = (slot, name, facts) => this.#note(`machine ${slot}: ${name} ${JSON.stringify(facts)}`);
    this.#history.onCount = (what) => this.#note(what);
    this.#workload = new Workload(cluster, this.#history, this.#pages, random.fork(), plan);
    this.#faults = new Faults(cluster, random.fork(), plan, (what, action) => {
      action.then(() => this.#history.count(`${what} ok`), () => this.#history.count(`${what} refused`));
    });
    this.#faults.onFault = (fault, slot) => this.#note(`machine ${slot}: fault ${fault}`);
  }

  async run(): Promise<SimReport> {
    try {
      await this.#start();
      for (let i = 0; i < this.#plan.steps; i++) {
        this.#faults.step();
        this.#workload.step();
        await this.#step();
      }
      await this.#heal();
      await this.#check();
    } finally {
      await this.#cluster.stopAll();
    }
    return {
      seed: this.#seed,
      plan: this.#plan,
      steps: this.#steps,
      trace: this.#trace,
      answers: Object.fromEntries(this.#history.counts),
      faults: Object.fromEntries(this.#faults.counts),
      events: Object.fromEntries(this.#cluster.events),
    };
  }

  async #start(): Promise<void> {
    for (let i = 0; i < this.#plan.machines; i++) {
      await this.#until("start", this.#boot(this.#cluster.addMachine()));
    }
    await this.#until("be ready", () => this.#allReady());
    await this.#until("create tables", this.#workload.prepare());
  }

  /** A step of the clock, and what an operator does: starts what has ended. */
  async #step(): Promise<void> {
    this.#steps++;
    const nowMs = this.#cluster.clock.nowMs();
    const { machines } = this.#cluster;
    for (const machine of [...machines]) {
      if (machine.disk.isDown || machine.fatal !== undefined) {
        this.#note(`machine ${machine.slot}: ended, ${machine.fatal?.message ?? "no power"}`);
        this.#mustBeExpected(machine);
        this.#cluster.kill(machine);
        // The answer to who removed it was lost, the removal was not.
        if (wasRemoved(machine.fatal)) {
          machines.splice(machines.indexOf(machine), 1);
          continue;
        }
        machine.fatal = undefined;
        this.#bootAtMs.delete(machine);
      }
      if (machine.isUp || this.#booting.get(machine) === machine.life) continue;
      const atMs = this.#bootAtMs.get(machine) ?? nowMs + this.#random.integer(0, this.#plan.downMsMax);
      this.#bootAtMs.set(machine, atMs);
      if (atMs <= nowMs) void this.#boot(machine);
    }
    await this.#cluster.step();
  }

  async #boot(machine: Machine): Promise<void> {
    this.#bootAtMs.delete(machine);
    this.#booting.set(machine, machine.life + 1);
    await this.#cluster.boot(machine);
    const { slot, isUp, memberId, fatal } = machine;
    const outcome = isUp ? `up as member ${memberId}` : `start failed: ${fatal?.message}`;
    this.#note(`machine ${slot}: ${outcome}`);
  }

  #mustBeExpected(machine: Machine): void {
    const { fatal } = machine;
    if (fatal === undefined || machine.disk.isDown || isExpected(fatal, this.#plan)) return;
    throw new Error(`Machine ${machine.slot} ended itself: ${fatal.message}`, { cause: fatal });
  }

  async #heal(): Promise<void> {
    this.#faults.healAll();
    this.#workload.end();
    await this.#until("answer everybody", () => {
      this.#faults.healAll();
      this.#workload.step();
      return this.#workload.openCount === 0;
    });
    await this.#until("be ready again", () => this.#allReady());
    await this.#makeVoters();
    for (const machine of this.#cluster.machines) {
      for (const database of DATABASES) {
        await this.#again(
          `write through machine ${machine.slot}`,
          () => this.#workload.clients.write(machine, database, ["DELETE FROM kv WHERE key = 'probe'"]),
        );
      }
    }
    await this.#until("be ready after the probe", () => this.#allReady());
  }

  /** Whatever a machine was made, it becomes what it was, with everything. */
  async #makeVoters(): Promise<void> {
    if (this.#plan.faults.change_role === 0) return;
    // What was asked for under faults is done or given up by then.
    for (let i = 0; i < ADMIN_STEPS_MAX; i++) await this.#step();
    for (const machine of this.#cluster.machines) {
      await this.#until(
        `make machine ${machine.slot} a voter`,
        this.#workload.clients.ask(
          machine,
          (node) => node.changeMember(machine.memberId, { role: "voter" }, 30_000),
        ),
      );
    }
    await this.#until("be ready with all votes", () => this.#allReady());
  }

  #allReady(): boolean {
    return this.#cluster.machines.every(({ isUp, node }) => isUp && node?.isReady() === true);
  }

  /** Steps until the condition holds or the promise is settled; a healthy cluster gets there. */
  async #until<T>(what: string, goal: (() => boolean) | Promise<T>): Promise<void> {
    let isDone = false;
    let failure: unknown;
    if (typeof goal !== "function") {
      goal.then(() => (isDone = true), (error) => {
        failure = error;
        isDone = true;
      });
    }
    for (let step = 0; typeof goal === "function" ? !goal() : !isDone; step++) {
      if (step === LIVE_STEPS_MAX) throw new Error(`The cluster does not ${what}: ${this.#describe()}`);
      await this.#step();
    }
    if (failure !== undefined) {
      throw new Error(`The cluster does not ${what}: ${failure}`, { cause: failure });
    }
  }

  #describe(): string {
    return this.#cluster.machines.map(({ slot, isUp, memberId, node }) =>
      `machine ${slot} (member ${memberId}) ${isUp ? "is up" : "is down"}${
        node?.isReady() === true ? "" : ", not ready"
      }`
    ).join("; ");
  }

  async #check(): Promise<void> {
    const [first] = this.#cluster.machines;
    for (const database of DATABASES) {
      const { rows } = await this.#rows(first as Machine, database, "SELECT item FROM list ORDER BY id");
      checkList(this.#history, database, rows.map(([item]) => item as number));
      for (let key = 1; key <= this.#plan.keys; key++) {
        checkRegister(this.#history, database, `k${key}`);
      }
      await this.#checkOnce(first as Machine, database);
      await this.#checkGroups(first as Machine, database);
    }
    const all = await this.#again(
      "list databases",
      () => this.#workload.clients.ask(first as Machine, (node) => node.listDatabases()),
    );
    for (const { name } of all) await this.#checkBytes(name);
    await this.#checkLogs();
  }

  async #rows(machine: Machine, database: string, sql: string): Promise<{ rows: unknown[][] }> {
    return await this.#again("answer a query", () => this.#workload.clients.rows(machine, database, sql));
  }

  /** A page that rotted may be met first here; it is repaired meanwhile. */
  async #again<T>(what: string, action: () => Promise<T>): Promise<T> {
    for (let attempt = 1;; attempt++) {
      const acting = action();
      try {
        await this.#until(what, acting);
        return await acting;
      } catch (error) {
        if (attempt === 20 || !spoilsDisks(this.#plan.faults)) throw error;
        for (let i = 0; i < 500; i++) await this.#step();
      }
    }
  }

  /** A keyed write happened once if it was acknowledged, at most once in any case (promise 5). */
  async #checkOnce(machine: Machine, database: string): Promise<void> {
    const { rows } = await this.#rows(machine, database, "SELECT item, count(*) FROM once GROUP BY item");
    const counts = new Map(rows as [number, number][]);
    for (const { kind, value, fate, ...write } of this.#history.writes) {
      if (kind !== "once" || write.database !== database) continue;
      const count = counts.get(value) ?? 0;
      if (count > 1) throw new Error(`Keyed write ${value} to ${database} happened ${count} times`);
      if (count === 0 && fate === "ok") {
        throw new Error(`Keyed write ${value} to ${database} was acknowledged and is lost`);
      }
    }
  }

  async #checkGroups(machine: Machine, database: string): Promise<void> {
    const sql = "SELECT number, count(*) FROM groups GROUP BY number";
    const { rows } = await this.#rows(machine, database, sql);
    const counts = new Map(rows as [number, number][]);
    const mayBeDeleted = this.#plan.operations.shrink > 0;
    for (const { kind, key, value: size, fate, ...write } of this.#history.writes) {
      if (kind !== "group" || write.database !== database) continue;
      const count = counts.get(Number(key)) ?? 0;
      if (count !== 0 && count !== size) {
        throw new Error(`Group ${key} of ${database} has ${count} rows of ${size}`);
      }
      if (count === 0 && fate === "ok" && !(mayBeDeleted && Number(key) % 2 === 0)) {
        throw new Error(`Group ${key} of ${database} was acknowledged and is lost`);
      }
      if (count > 0 && fate === "no") throw new Error(`Group ${key} of ${database} was refused and is there`);
    }
  }

  /** Every node holds the same bytes (promise 4), and SQLite finds them sound. */
  async #checkBytes(database: string): Promise<void> {
    let expected: { sum: number; slot: number } | undefined;
    const isKnown = DATABASES.some((name) => name === database);
    for (const machine of this.#cluster.machines) {
      const { bytes, index } = await this.#backup(machine, database);
      if (isKnown) this.#pages.noteFile(database, index, bytes, `machine ${machine.slot} at the end`);
      const sum = crc32(bytes);
      if (expected !== undefined && sum !== expected.sum) {
        throw new Error(`Machines ${expected.slot} and ${machine.slot} hold other bytes of ${database}`);
      }
      const { integrity } = expected === undefined ? readList([bytes]) : { integrity: "ok" };
      if (integrity !== "ok") throw new Error(`${database} is malformed: ${integrity}`);
      expected ??= { sum, slot: machine.slot };
    }
  }

  async #backup(machine: Machine, database: string): Promise<{ bytes: Uint8Array; index: LogIndex }> {
    const read = async (): Promise<{ bytes: Uint8Array; index: LogIndex }> => {
      const { chunks, bytes, index } = await this.#workload.clients.ask(
        machine,
        (node) => node.backup(database, 3_000),
      );
      const whole = new Uint8Array(bytes);
      let offset = 0;
      for await (const chunk of chunks) {
        whole.set(chunk, offset);
        offset += chunk.length;
      }
      return { bytes: whole, index };
    };
    return await this.#again("give a backup", read);
  }

  /** Logs that hold the same index hold the same entry there, and the same history before it. */
  async #checkLogs(): Promise<void> {
    const known = new Map<number, { term: number; hash: number; slot: number }>();
    for (const { node, slot } of this.#cluster.machines) {
      if (node === undefined) continue;
      const committed = node.metrics().find(({ name }) => name === "commit_index")?.value ?? 0;
      const first = node.metrics().find(({ name }) => name === "log_first_index")?.value ?? 0;
      for (let index = Math.max(first, committed - 300); index <= committed; index++) {
        const answer = await node.onCall(0, "log_entry", encodeRequest<"log_entry">({ index }, 1_000));
        const entry: Entry | null = decodeAnswer<"log_entry">(answer);
        if (entry === null) continue;
        const other = known.get(index);
        if (other !== undefined && (other.term !== entry.term || other.hash !== entry.hash)) {
          throw new Error(`Machines ${other.slot} and ${slot} have committed other entries at ${index}`);
        }
        known.set(index, { term: entry.term, hash: entry.hash, slot });
      }
    }
  }

  #note(what: string): void {
    const atMs = this.#cluster.clock.nowMs();
    this.#trace = crc32(new TextEncoder().encode(`${atMs} ${what}`), this.#trace);
    this.#onNote(atMs, what);
  }
}
