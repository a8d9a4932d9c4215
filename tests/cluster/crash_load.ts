/** Clients of the crash test: several connections that never wait for the faults, only for the checks. */
import { connect } from "../../net/client/client.ts";
import { SeededRandom } from "../support/seeded_random.ts";
import { CrashConnection, DATABASES } from "./crash_connection.ts";
import { ACCOUNT_COUNT, ACCOUNT_START, COUNTERS, type CrashModel } from "./crash_model.ts";

interface Waiter {
  readonly target: number;
  readonly resolve: () => void;
}

/** Longest time without the acknowledged writes a round waits for: nodes are always started again, so it is a fault. */
const PROGRESS_MS_MAX = 60_000;

const SCHEMA: readonly string[] = [
  "CREATE TABLE item (seq INTEGER PRIMARY KEY, grp INTEGER NOT NULL, place INTEGER NOT NULL, value TEXT NOT NULL)",
  // Not unique: a row that is there twice shall be found, not refused.
  "CREATE INDEX item_by_group ON item (grp, place)",
  "CREATE TABLE counter (name TEXT PRIMARY KEY, n INTEGER NOT NULL)",
  "CREATE TABLE account (id INTEGER PRIMARY KEY, amount INTEGER NOT NULL)",
  "CREATE TABLE bulk (id INTEGER PRIMARY KEY, value BLOB NOT NULL)",
  "INSERT INTO bulk VALUES (1, zeroblob(0))",
  ...COUNTERS.map((name) => `INSERT INTO counter VALUES ('${name}', 0)`),
  ...Array.from(
    { length: ACCOUNT_COUNT },
    (_, i) => `INSERT INTO account VALUES (${i + 1}, ${ACCOUNT_START})`,
  ),
];

export class CrashLoad {
  readonly #urls: readonly string[];
  readonly #connections: readonly CrashConnection[];
  #running: Promise<void>[] = [];
  #paused = true;
  readonly #waiters = new Set<Waiter>();
  readonly #failed = Promise.withResolvers<never>();
  readonly #stop = new AbortController();
  /** Writes acknowledged so far. */
  acknowledged = 0;

  constructor(urls: readonly string[], model: CrashModel, random: SeededRandom, connectionCount: number) {
    this.#urls = urls;
    this.#connections = Array.from(
      { length: connectionCount },
      (_, number) =>
        new CrashConnection({
          number,
          urls,
          model,
          random: random.fork(),
          signal: this.#stop.signal,
          onAcknowledged: () => this.#onAcknowledged(),
        }),
    );
    // It may come while nobody waits.
    this.#failed.promise.catch(() => {});
  }

  get readCount(): number {
    return this.#connections.reduce((sum, { readCount }) => sum + readCount, 0);
  }

  get replayCount(): number {
    return this.#connections.reduce((sum, { replayCount }) => sum + replayCount, 0);
  }

  async createTables(): Promise<void> {
    const client = connect(this.#urls);
    for (const name of DATABASES) await client.database(name).batch(SCHEMA);
  }

  /** Makes the log grow by about so many megabytes; the databases stay as large as one of them. */
  async growLog(megabytes: number): Promise<void> {
    const client = connect(this.#urls);
    for (let i = 0; i < megabytes; i++) {
      const name = DATABASES[i % DATABASES.length] as string;
      await this.guard(client.database(name).execute("UPDATE bulk SET value = randomblob(1000000)"));
    }
  }

  resume(): void {
    this.#paused = false;
    this.#running = this.#connections.map((connection) => this.#run(connection));
  }

  /** Resolves when no call is under way. @throws what a connection found wrong */
  async pause(): Promise<void> {
    this.#paused = true;
    await this.guard(Promise.all(this.#running));
  }

  /** Ends all calls at once, without a word about what went wrong. */
  async stop(): Promise<void> {
    this.#paused = true;
    this.#stop.abort();
    await Promise.all(this.#running);
  }

  /** Ends every wait with this error. */
  fail(error: unknown): void {
    this.#paused = true;
    this.#failed.reject(error);
  }

  /** The promise, or the first failure of a connection. */
  guard<T>(promise: Promise<T>): Promise<T> {
    return Promise.race([promise, this.#failed.promise]);
  }

  /** Resolves after so many more acknowledged writes, or with `or` when that comes first. */
  async moreAcknowledged<T = never>(count: number, or?: Promise<T>): Promise<T | undefined> {
    const target = this.acknowledged + count;
    const reached = Promise.withResolvers<undefined>();
    const waiter: Waiter = { target, resolve: () => reached.resolve(undefined) };
    if (count === 0) waiter.resolve();
    this.#waiters.add(waiter);
    const timer = setTimeout(() => {
      const still = target - this.acknowledged;
      this.fail(
        new Error(
          `The cluster does not serve: ${still} of ${count} writes missing after ${PROGRESS_MS_MAX} ms`,
        ),
      );
    }, PROGRESS_MS_MAX);
    try {
      return await this.guard(Promise.race(or === undefined ? [reached.promise] : [reached.promise, or]));
    } finally {
      clearTimeout(timer);
      this.#waiters.delete(waiter);
    }
  }

  async #run(connection: CrashConnection): Promise<void> {
    try {
      while (!this.#paused) await connection.step();
    } catch (error) {
      this.fail(error);
    }
  }

  #onAcknowledged(): void {
    this.acknowledged++;
    for (const { target, resolve } of this.#waiters) if (target <= this.acknowledged) resolve();
  }
}
