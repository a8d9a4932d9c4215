import { readList } from "./database_bytes.ts";
import { NodeError } from "../../core/base/errors.ts";
import type { Milliseconds } from "../../core/base/ids.ts";
import type { Node } from "../../core/node/node.ts";
import type { QueryRequest, WriteRequest } from "../../core/node/service.ts";
import type { SeededRandom } from "../support/seeded_random.ts";
import type { History, Read, Write } from "./history.ts";
import type { Machine, SimCluster } from "./sim_cluster.ts";
import { draw, type Operation, type Plan } from "./swarm.ts";

export const DATABASES = ["a", "b"] as const;
const TABLES = [
  "CREATE TABLE kv (key TEXT PRIMARY KEY, value INTEGER)",
  "CREATE TABLE list (id INTEGER PRIMARY KEY AUTOINCREMENT, item INTEGER)",
  "CREATE TABLE once (item INTEGER)",
  "CREATE TABLE groups (number INTEGER, n INTEGER, filler BLOB)",
];
/** A client gives a keyed write up after this many attempts; its fate is then unknown. */
const ATTEMPTS_MAX = 6;

/** The node a client talked to is gone: it hears a broken connection. */
class Lost extends Error {}

/** Clients that ask any node, note what they hear, and never wait for each other. */
export class Workload {
  readonly #cluster: SimCluster;
  readonly #history: History;
  readonly #random: SeededRandom;
  readonly #plan: Plan;
  readonly #open = new Set<Promise<void>>();
  /** Asks that wait for an answer, with the life of the machine that was asked. */
  readonly #waiting = new Set<{ machine: Machine; life: number; lose: () => void }>();
  #failure: Error | undefined;
  #isEnding = false;

  constructor(cluster: SimCluster, history: History, random: SeededRandom, plan: Plan) {
    this.#cluster = cluster;
    this.#history = history;
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
      for (const sql of TABLES) await this.write(this.#cluster.machines[0] as Machine, database, [sql]);
    }
  }

  /** One step: some client may begin something. */
  step(): void {
    for (const waiting of this.#waiting) {
      if (waiting.machine.life !== waiting.life || !waiting.machine.isUp) waiting.lose();
    }
    if (this.#failure !== undefined) throw this.#failure;
    const { operationChance, concurrency, operations } = this.#plan;
    if (this.#isEnding || this.#open.size >= concurrency || !this.#random.chance(operationChance)) return;
    const operation = draw(this.#random, operations);
    const machine = this.#anyone();
    if (operation === undefined || machine === undefined) return;
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
        await this.write(machine, database, ["DELETE FROM groups WHERE number % 2 = 0"]);
        return;
      case "checkpoint": {
        const mode = this.#random.pick(["passive", "passive", "full"] as const);
        await this.ask(machine, (node) => node.checkpoint(database, mode, 2_000));
        return;
      }
      case "backup":
        return await this.#backup(machine, database);
      case "as_of":
        return await this.#asOf(machine);
      case "drop_and_create":
        return await this.#dropAndCreate(machine);
      case "restore":
        return await this.#restore(machine, database);
    }
  }

  /** Answers that come after the node is gone reach nobody. */
  ask<T>(machine: Machine, request: (node: Node) => Promise<T>): Promise<T> {
    const { node, life } = machine;
    if (node === undefined || !machine.isUp) return Promise.reject(new Lost());
    return new Promise<T>((resolve, reject) => {
      const waiting = { machine, life, lose: () => settle(() => reject(new Lost())) };
      const settle = (then: () => void): void => {
        if (this.#waiting.delete(waiting)) then();
      };
      this.#waiting.add(waiting);
      request(node).then(
        (value) => settle(() => resolve(value)),
        (error) => settle(() => reject(error)),
      );
    });
  }

  write(
    machine: Machine,
    database: string,
    statements: readonly string[],
    options: Partial<WriteRequest> = {},
  ): Promise<{ index: number }> {
    return this.ask(machine, (node) =>
      node.write({
        database,
        kind: statements.length === 1 ? "execute" : "batch",
        statements: statements.map((sql) => ({ sql, parameters: [] })),
        timeoutMs: 3_000,
        format: "json",
        rowShape: "arrays",
        ...options,
      }));
  }

  async rows(
    machine: Machine,
    database: string,
    sql: string,
    options: Partial<QueryRequest> = {},
  ): Promise<{ rows: unknown[][]; index: number }> {
    const { fields, index } = await this.ask(machine, (node) =>
      node.query({
        database,
        sql,
        parameters: [],
        level: "linearizable",
        timeoutMs: 3_000,
        format: "json",
        rowShape: "arrays",
        ...options,
      }));
    const { rows } = JSON.parse(`{${new TextDecoder().decode(fields.bytes)}}`) as { rows: unknown[][] };
    return { rows, index };
  }

  /** Asks for the write and notes its fate; an error goes on to the caller. */
  async #noted(noted: Write, write: Promise<{ index: number }>): Promise<number> {
    try {
      const { index } = await write;
      this.#history.answer(noted, "ok");
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
    const sql =
      `INSERT INTO kv VALUES ('${key}', ${value}) ON CONFLICT (key) DO UPDATE SET value = excluded.value`;
    await this.#noted(noted, this.write(machine, database, [sql], { timeoutMs: this.#timeoutMs() }));
  }

  async #get(machine: Machine, database: string): Promise<void> {
    const key = `k${this.#random.integer(1, this.#plan.keys)}`;
    const askedAt = this.#history.tick();
    const { rows, index } = await this.rows(machine, database, `SELECT value FROM kv WHERE key = '${key}'`);
    const value = rows[0]?.[0] as number | undefined;
    const answeredAt = this.#history.tick();
    this.#history.reads.push({ database, kind: "get", key, askedAt, answeredAt, value, items: [], index });
  }

  async #append(machine: Machine, database: string): Promise<number> {
    const value = this.#history.nextValue();
    const noted = this.#history.ask({ database, kind: "append", key: "", value });
    const sql = `INSERT INTO list (item) VALUES (${value})`;
    return await this.#noted(noted, this.write(machine, database, [sql], { timeoutMs: this.#timeoutMs() }));
  }

  async #list(machine: Machine, database: string, options: Partial<QueryRequest> = {}): Promise<number[]> {
    const askedAt = this.#history.tick();
    const { rows, index } = await this.rows(machine, database, "SELECT item FROM list ORDER BY id", options);
    const items = rows.map(([item]) => item as number);
    const answeredAt = this.#history.tick();
    if (options.level === undefined) {
      this.#history.reads.push({
        database,
        kind: "list",
        key: "",
        askedAt,
        answeredAt,
        value: undefined,
        items,
        index,
      });
    }
    return items;
  }

  /** Level `index`: what this client has written is there, on any node. */
  async #readOwn(machine: Machine, database: string): Promise<void> {
    const value = this.#history.nextValue();
    const noted = this.#history.ask({ database, kind: "append", key: "", value });
    const index = await this.#noted(
      noted,
      this.write(machine, database, [`INSERT INTO list (item) VALUES (${value})`]),
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
        const written = this.write(machine ?? first, database, [sql], {
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
    await this.#noted(noted, this.write(machine, database, [sql]));
  }

  /** A view that is read slowly, while others write and checkpoint, shows one moment. */
  async #backup(machine: Machine, database: string): Promise<void> {
    const askedAt = this.#history.tick();
    const { chunks, index } = await this.ask(machine, (node) => node.backup(database, 3_000));
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
    const { items, integrity } = readList(parts);
    if (integrity !== "ok") {
      this.#failure ??= new Error(`A backup of ${database} at index ${index} is malformed: ${integrity}`);
    }
    this.#history.reads.push({
      database,
      kind: "list",
      key: "",
      askedAt,
      answeredAt,
      value: undefined,
      items,
      index,
    });
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
    await this.ask(machine, (node) => node.createDatabase("c", false, 2_000));
    await this.write(machine, "c", ["CREATE TABLE IF NOT EXISTS t (x)"]);
    await this.write(machine, "c", ["INSERT INTO t VALUES (randomblob(5000))"]);
    if (this.#random.chance(0.7)) await this.ask(machine, (node) => node.dropDatabase("c", 2_000));
  }

  async #restore(machine: Machine, database: string): Promise<void> {
    const { chunks } = await this.ask(machine, (node) => node.backup(database, 3_000));
    const copy: Uint8Array[] = [];
    for await (const chunk of chunks) copy.push(chunk);
    await this.ask(machine, (node) => node.restore("copy", feed(copy), 3_000));
  }

  #pause(ms: Milliseconds): Promise<void> {
    return new Promise((resolve) => void this.#cluster.clock.after(ms, resolve));
  }

  #timeoutMs(): Milliseconds {
    return this.#random.pick([100, 1_000, 3_000]);
  }
}

async function* feed(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}
