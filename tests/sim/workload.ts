import { NodeError } from "../../core/base/errors.ts";
import type { LogIndex, Milliseconds } from "../../core/base/ids.ts";
import { decodeAnswer, encodeRequest } from "../../core/node/peer_calls.ts";
import type { QueryRequest } from "../../core/node/service.ts";
import type { SeededRandom } from "../support/seeded_random.ts";
import type { PageChecker } from "./check_pages.ts";
import { Clients, Lost } from "./clients.ts";
import { joined, readList } from "./database_bytes.ts";
import type { History, Read, Write } from "./history.ts";
import type { Machine, SimCluster } from "./sim_cluster.ts";
import { draw, type Operation, type Plan } from "./swarm.ts";
import { runTransaction, type TransactionSite } from "./transaction_client.ts";

export const DATABASES = ["a", "b"] as const;
const TABLES = [
  "CREATE TABLE kv (key TEXT PRIMARY KEY, value INTEGER)",
  "CREATE TABLE list (id INTEGER PRIMARY KEY AUTOINCREMENT, item INTEGER)",
  "CREATE TABLE once (item INTEGER)",
  "CREATE TABLE groups (number INTEGER, n INTEGER, filler BLOB)",
];
/** With parameters, so that nodes come to know the texts. */
const PUT = "INSERT INTO kv VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
const GET = "SELECT value FROM kv WHERE key = ?";
const APPEND = "INSERT INTO list (item) VALUES (?)";
/** A client gives a keyed write up after this many attempts; its fate is then unknown. */
const ATTEMPTS_MAX = 6;

/** Operations beside the ordinary ones while leadership is disputed: those may all hang by then. */
const DISPUTE_OPERATIONS_MAX = 40;

/** Clients that ask any node, note what they hear, and never wait for each other. */
export class Workload {
  readonly clients = new Clients();
  readonly #cluster: SimCluster;
  readonly #history: History;
  readonly #pages: PageChecker;
  readonly #random: SeededRandom;
  readonly #plan: Plan;
  readonly #open = new Set<Promise<void>>();
  #failure: Error | undefined;
  #isEnding = false;

  constructor(
    cluster: SimCluster,
    history: History,
    pages: PageChecker,
    random: SeededRandom,
    plan: Plan,
  ) {
    this.#cluster = cluster;
    this.#history = history;
    this.#pages = pages;
    this.#random = random;
    this.#plan = plan;
  }

  get openCount(): number {
    return this.#open.size;
  }

  /** Clients begin nothing new and do not try again. */
  end(): void {
    this.#isEnding = true;
  }

  /** On a healthy cluster, before anything else. */
  async prepare(): Promise<void> {
    for (const database of DATABASES) {
      for (const sql of TABLES) {
        await this.clients.write(this.#cluster.machines[0] as Machine, database, [sql]);
      }
    }
  }

  /** One step: some client may begin something. */
  step(): void {
    this.clients.step();
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#isEnding) return;
    this.#askLeaders();
    const { operationChance, concurrency, operations } = this.#plan;
    if (this.#open.size >= concurrency || !this.#random.chance(operationChance)) return;
    const operation = draw(this.#random, operations);
    const machine = this.#anyone();
    if (operation !== undefined && machine !== undefined) this.#begin(operation, machine);
  }

  /** While two believe they lead, only one of them may answer: the moment is short, so clients use it. */
  #askLeaders(): void {
    const [newest, ...others] = this.#cluster.leaders;
    const oldest = others.at(-1);
    if (newest === undefined || oldest === undefined) return;
    if (this.#open.size >= this.#plan.concurrency + DISPUTE_OPERATIONS_MAX) return;
    this.#history.count("disputed leadership");
    this.#begin("append", newest);
    this.#begin("list", oldest);
  }

  #begin(operation: Operation, machine: Machine): void {
    const { life } = machine;
    const done: Promise<void> = this.#run(operation, machine).then(
      () => this.#history.count(`${operation} ok`),
      (error) => {
        const isGone = machine.life !== life || machine.disk.isDown || machine.fatal !== undefined;
        if (error instanceof Lost || isGone) return this.#history.count(`${operation} lost`);
        if (error instanceof NodeError && error.code !== "internal") {
          return this.#history.count(`${operation} ${error.code}`);
        }
        this.#failure ??= new Error(`A client heard: ${error}`, { cause: error });
      },
    ).finally(() => this.#open.delete(done));
    this.#open.add(done);
  }

  #anyone(): Machine | undefined {
    const { up } = this.#cluster;
    return up.length === 0 ? undefined : this.#random.pick(up);
  }

  async #run(operation: Operation, machine: Machine): Promise<void> {
    const database = this.#random.pick(DATABASES);
    switch (operation) {
      case "put":
        return await this.#put(machine, database);
      case "get":
        return await this.#get(machine, database);
      case "append":
        await this.#append(machine, database);
        return;
      case "list":
        await this.#list(machine, database);
        return;
      case "read_own":
        return await this.#readOwn(machine, database);
      case "once":
        return await this.#once(machine, database);
      case "group":
        return await this.#group(machine, database);
      case "shrink":
        await this.clients.write(machine, database, ["DELETE FROM groups WHERE number % 2 = 0"]);
        return;
      case "checkpoint": {
        const mode = this.#random.pick(["passive", "passive", "full"] as const);
        await this.clients.ask(machine, (node) => node.checkpoint(database, mode, 2_000));
        return;
      }
      case "backup":
        return await this.#backup(machine, database);
      case "as_of":
        return await this.#asOf(machine);
      case "read_here":
        return await this.#readHere(machine, database);
      case "page":
        return await this.#page(machine, database);
      case "drop_and_create":
        return await this.#dropAndCreate(machine);
      case "restore":
        return await this.#restore(machine, database);
      case "transaction":
        return await runTransaction(this.#site, this.#cluster.leaders[0] ?? machine, database);
    }
  }

  /** Asks for the write and notes its fate; an error goes on to the caller. */
  async #noted(noted: Write, write: Promise<{ index: number }>): Promise<number> {
    try {
      const { index } = await write;
      this.#history.answer(noted, "ok", index);
      return index;
    } catch (error) {
      const isKnown = error instanceof NodeError && !error.mayHaveCommitted && error.code !== "internal";
      this.#history.answer(noted, isKnown ? "no" : "unknown");
      throw error;
    }
  }

  async #put(machine: Machine, database: string): Promise<void> {
    const key = `k${this.#random.integer(1, this.#plan.keys)}`;
    const value = this.#history.nextValue();
    const noted = this.#history.ask({ database, kind: "put", key, value });
    const statement = { sql: PUT, parameters: [key, value] };
    const timeoutMs = this.#timeoutMs();
    await this.#noted(noted, this.clients.write(machine, database, [statement], { timeoutMs }));
  }

  async #get(machine: Machine, database: string): Promise<void> {
    const key = `k${this.#random.integer(1, this.#plan.keys)}`;
    const askedAt = this.#history.tick();
    const { rows, index } = await this.clients.rows(machine, database, GET, { parameters: [key] });
    const value = rows[0]?.[0] as number | undefined;
    const answeredAt = this.#history.tick();
    this.#history.reads.push({
      database,
      kind: "get",
      key,
      isLinearizable: true,
      askedAt,
      answeredAt,
      value,
      items: [],
      index,
    });
  }

  async #append(machine: Machine, database: string): Promise<number> {
    const value = this.#history.nextValue();
    const noted = this.#history.ask({ database, kind: "append", key: "", value });
    const statement = { sql: APPEND, parameters: [value] };
    const timeoutMs = this.#timeoutMs();
    return await this.#noted(noted, this.clients.write(machine, database, [statement], { timeoutMs }));
  }

  async #list(machine: Machine, database: string, options: Partial<QueryRequest> = {}): Promise<number[]> {
    const askedAt = this.#history.tick();
    const { rows, index } = await this.clients.rows(
      machine,
      database,
      "SELECT item FROM list ORDER BY id",
      options,
    );
    const items = rows.map(([item]) => item as number);
    const answeredAt = this.#history.tick();
    this.#noteList(database, askedAt, answeredAt, items, index, options.level === undefined);
    return items;
  }

  /** Level `index`: what this client has written is there, on any node. */
  async #readOwn(machine: Machine, database: string): Promise<void> {
    const value = this.#history.nextValue();
    const noted = this.#history.ask({ database, kind: "append", key: "", value });
    const index = await this.#noted(
      noted,
      this.clients.write(machine, database, [{ sql: APPEND, parameters: [value] }]),
    );
    const other = this.#anyone() ?? machine;
    const items = await this.#list(other, database, { level: "index", index });
    if (!items.includes(value)) {
      this.#failure ??= new Error(`Item ${value}, written at index ${index}, is not shown at that index`);
    }
  }

  /** With a key: asked again, anywhere, until the answer is definite. */
  async #once(first: Machine, database: string): Promise<void> {
    const value = this.#history.nextValue();
    const noted = this.#history.ask({ database, kind: "once", key: "", value });
    noted.fate = "unknown";
    let machine: Machine | undefined = first;
    for (let attempt = 1;; attempt++) {
      try {
        const sql = `INSERT INTO once VALUES (${value})`;
        const written = this.clients.write(machine ?? first, database, [sql], {
          idempotencyKey: `key-${value}`,
          timeoutMs: this.#timeoutMs(),
        });
        await written;
        return this.#history.answer(noted, "ok");
      } catch (error) {
        if (!(error instanceof NodeError || error instanceof Lost)) throw error;
        if (attempt === ATTEMPTS_MAX || this.#isEnding) throw error;
      }
      await this.#pause(this.#random.integer(1, 300));
      machine = this.#anyone();
    }
  }

  /** A transaction of many rows: all of them or none. */
  async #group(machine: Machine, database: string): Promise<void> {
    const number = this.#history.nextValue();
    const size = this.#random.integer(2, 30);
    const noted = this.#history.ask({ database, kind: "group", key: String(number), value: size });
    const fillerBytes = this.#random.integer(0, 6_000);
    const sql = `WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ${size}) ` +
      `INSERT INTO groups SELECT ${number}, n, randomblob(${fillerBytes}) FROM c`;
    await this.#noted(noted, this.clients.write(machine, database, [sql]));
  }

  /** A view that is read slowly, while others write and checkpoint, shows one moment. */
  async #backup(machine: Machine, database: string): Promise<void> {
    const askedAt = this.#history.tick();
    const { chunks, index } = await this.clients.ask(machine, (node) => node.backup(database, 3_000));
    const answeredAt = this.#history.tick();
    const lived = machine.life;
    const parts: Uint8Array[] = [];
    for (;;) {
      await this.#pause(this.#random.integer(0, 400));
      if (machine.life !== lived) throw new Lost();
      const { done, value } = await chunks.next();
      if (done) break;
      parts.push(value);
    }
    this.#mustHold(() =>
      this.#pages.noteFile(database, index, joined(parts), `a backup from machine ${machine.slot}`)
    );
    const { items, integrity } = readList(parts);
    if (integrity !== "ok") {
      this.#failure ??= new Error(`A backup of ${database} at index ${index} is malformed: ${integrity}`);
    }
    this.#noteList(database, askedAt, answeredAt, items, index, true);
  }

  #noteList(
    database: string,
    askedAt: number,
    answeredAt: number,
    items: readonly number[],
    index: LogIndex,
    isLinearizable: boolean,
  ): void {
    const value = undefined;
    const read: Read = {
      database,
      kind: "list",
      key: "",
      isLinearizable,
      askedAt,
      answeredAt,
      value,
      items,
      index,
    };
    this.#history.reads.push(read);
  }

  /** What this node shows, old as it may be, is right for its index. */
  async #readHere(machine: Machine, database: string): Promise<void> {
    const known = this.#history.writes.findLast((write) => write.index !== undefined)?.index ?? 1;
    const index = this.#random.integer(Math.max(1, known - 10), known + 1);
    await this.#list(
      machine,
      database,
      this.#random.chance(0.5) ? { level: "stale" } : { level: "index", index },
    );
  }

  /** A page as a member would give it to another one: one that was seen before, or any. */
  async #page(machine: Machine, database: string): Promise<void> {
    const { known } = this.#pages;
    const about = await this.clients.ask(machine, (node) => node.describeDatabase(database));
    const seen = this.#random.chance(0.7)
      ? known.filter((page) => page.database === database).slice(-100)
      : [];
    const { pageNumber, index: at } = seen.length > 0 ? this.#random.pick(seen) : {
      pageNumber: this.#random.integer(2, Math.max(2, about.pages)),
      index: about.index,
    };
    const request = encodeRequest<"page">({ databaseId: about.id, pageNumber, at }, 1_000);
    const page = decodeAnswer<"page">(
      await this.clients.ask(machine, (node) => node.onCall(0, "page", request)),
    );
    if (page === null) return;
    this.#mustHold(() =>
      this.#pages.note({ database, pageNumber, index: page.index }, page.bytes, `machine ${machine.slot}`)
    );
  }

  #mustHold(check: () => void): void {
    try {
      check();
    } catch (error) {
      this.#failure ??= error as Error;
    }
  }

  /** What was shown once at an index is what that index shows ever after. */
  async #asOf(machine: Machine): Promise<void> {
    const lists = this.#history.reads.filter(({ kind }) => kind === "list");
    if (lists.length === 0) return;
    const read: Read = this.#random.pick(lists);
    const { database, index, items } = read;
    const now = await this.#list(machine, database, { level: "as_of", asOf: { index } });
    if (JSON.stringify(now) !== JSON.stringify(items)) {
      this.#failure ??= new Error(`As of index ${index}, ${database} showed ${items}, and later ${now}`);
    }
  }

  async #dropAndCreate(machine: Machine): Promise<void> {
    await this.clients.ask(machine, (node) => node.createDatabase("c", false, 2_000));
    await this.clients.write(machine, "c", ["CREATE TABLE IF NOT EXISTS t (x)"]);
    await this.clients.write(machine, "c", ["INSERT INTO t VALUES (randomblob(5000))"]);
    if (this.#random.chance(0.7)) await this.clients.ask(machine, (node) => node.dropDatabase("c", 2_000));
  }

  async #restore(machine: Machine, database: string): Promise<void> {
    const { chunks } = await this.clients.ask(machine, (node) => node.backup(database, 3_000));
    const copy: Uint8Array[] = [];
    for await (const chunk of chunks) copy.push(chunk);
    await this.clients.ask(machine, (node) => node.restore("copy", feed(copy), 3_000));
  }

  #pause(ms: Milliseconds): Promise<void> {
    return new Promise((resolve) => void this.#cluster.clock.after(ms, resolve));
  }

  get #site(): TransactionSite {
    return {
      clients: this.clients,
      history: this.#history,
      random: this.#random,
      pause: (ms) => this.#pause(ms),
    };
  }

  #timeoutMs(): Milliseconds {
    return this.#random.pick([100, 1_000, 3_000]);
  }
}

async function* feed(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}
