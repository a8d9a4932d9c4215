/** One connection of the crash test: makes calls one after the other and tells the model what came of each. */
import { connect } from "../../net/client/client.ts";
import type { Client } from "../../net/client/client.ts";
import type { Database } from "../../net/client/database.ts";
import type { ExecuteResult, SqlStatement, WriteOptions } from "../../net/client/row_types.ts";
import { isWalraftError, type WalraftError } from "../../net/client/walraft_error.ts";
import type { SeededRandom } from "../support/seeded_random.ts";
import {
  ACCOUNT_COUNT,
  type CounterName,
  type CrashModel,
  type Group,
  type Outcome,
  rowValue,
} from "./crash_model.ts";

export const DATABASES = ["red", "green", "blue"] as const;

/** What both kinds of write answer with, as far as it is looked at here. */
interface Answer {
  readonly rows: string;
  readonly replayed: boolean;
}

interface Written {
  readonly outcome: Outcome;
  readonly answer: Answer | undefined;
}

type Send = (options: WriteOptions) => Promise<Answer>;

interface KeyedCall {
  readonly send: Send;
  readonly key: string;
  readonly rows: string;
}

export interface ConnectionOptions {
  readonly number: number;
  readonly urls: readonly string[];
  readonly model: CrashModel;
  readonly random: SeededRandom;
  /** Ends the call that is under way. */
  readonly signal: AbortSignal;
  readonly onAcknowledged: () => void;
}

/** A repeat must be the same request, time limit included. */
const WRITE_MS_MAX = 10_000;
const READ_MS_MAX = 5_000;
/** A write with a key must succeed within this whatever happens to the nodes: they are always started again. */
const DEFINITE_MS_MAX = 60_000;
/** After a failure, so that a cluster that is down is not asked in a tight loop. */
const PAUSE_MS_MAX = 30;
const GROUPS_HELD_MAX = 120;
const KEYED_CALLS_HELD_MAX = 50;

/** An answer that no crash explains. */
export class CrashViolation extends Error {
  override name = "CrashViolation";
}

export class CrashConnection {
  readonly #options: ConnectionOptions;
  readonly #client: Client;
  /** One for each node, which alone it asks. */
  readonly #nodes: readonly Client[];
  /** Acknowledged, and nobody asked to remove them. */
  readonly #held: Group[] = [];
  readonly #keyedCalls: KeyedCall[] = [];
  #keyNumber = 0;
  readCount = 0;
  replayCount = 0;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#client = connect(options.urls, { timeoutMs: WRITE_MS_MAX });
    this.#nodes = options.urls.map((url) =>
      connect(url, { discover: false, attemptsMax: 1, timeoutMs: READ_MS_MAX })
    );
  }

  /** One call. @throws CrashViolation */
  async step(): Promise<void> {
    const { random } = this.#options;
    const database = this.#client.database(random.pick(DATABASES));
    const keyed = random.chance(0.5);
    const draw = random.next();
    if (this.#held.length > GROUPS_HELD_MAX || draw < 0.1) await this.#remove(keyed);
    else if (draw < 0.4) await this.#insert(database, keyed);
    else if (draw < 0.55) await this.#increment(database, keyed);
    else if (draw < 0.75) await this.#batch(database, keyed);
    else if (draw < 0.8) await this.#refusedBatch(database);
    else if (draw < 0.87) await this.#repeat();
    else if (draw < 0.94) await this.#readCounter(database.name);
    else await this.#readGroup();
  }

  async #insert(database: Database, keyed: boolean): Promise<void> {
    const group = this.#options.model.newGroup(database.name, 1);
    const [statement] = insertStatements(group) as [SqlStatement];
    const { outcome } = await this.#write(executing(database, statement), keyed);
    this.#noteInsert(group, outcome);
  }

  /** Rows, a transfer between accounts and a counter in one transaction. */
  async #batch(database: Database, keyed: boolean): Promise<void> {
    const { model, random } = this.#options;
    const group = model.newGroup(database.name, random.integer(2, 5));
    const before = model.highestReturned(database.name, "batches");
    const [from, to] = [random.integer(1, ACCOUNT_COUNT), random.integer(1, ACCOUNT_COUNT)];
    const amount = random.integer(1, 100);
    const statements: SqlStatement[] = [
      { sql: "UPDATE account SET amount = amount - ?2 WHERE id = ?1", params: [from, amount] },
      ...insertStatements(group),
      { sql: "UPDATE account SET amount = amount + ?2 WHERE id = ?1", params: [to, amount] },
      incrementStatement("batches"),
    ];
    const { outcome, answer } = await this.#write(batching(database, statements), keyed);
    this.#noteInsert(group, outcome);
    this.#noteIncrement(database.name, "batches", outcome, answer, before);
  }

  /** Its last statement breaks a constraint: nothing of it may be there. */
  async #refusedBatch(database: Database): Promise<void> {
    const { model, signal } = this.#options;
    const group = model.newGroup(database.name, 2);
    const statements = [...insertStatements(group), { sql: "INSERT INTO account VALUES (1, 1)" }];
    try {
      await database.batch(statements, { idempotencyKey: false, signal });
    } catch (error) {
      // The statement cannot succeed: whatever became of the call, it has changed nothing.
      if (isWalraftError(error, "constraint_failed") || isPassing(error)) {
        group.insert = "refused";
        model.tally.refused++;
        return;
      }
      throw violation("a batch that breaks a constraint", error);
    }
    throw new CrashViolation("A batch that breaks a constraint was acknowledged");
  }

  async #increment(database: Database, keyed: boolean): Promise<void> {
    const name = keyed ? "keyed" : "plain";
    const before = this.#options.model.highestReturned(database.name, name);
    const { outcome, answer } = await this.#write(executing(database, incrementStatement(name)), keyed);
    this.#noteIncrement(database.name, name, outcome, answer, before);
  }

  async #remove(keyed: boolean): Promise<void> {
    const group = this.#held.shift();
    if (group === undefined) return;
    const statement = { sql: "DELETE FROM item WHERE grp = ?1", params: [group.id] };
    group.removal = "unknown";
    const { outcome } = await this.#write(executing(this.#client.database(group.database), statement), keyed);
    group.removal = outcome;
    if (outcome === "refused") this.#held.push(group);
  }

  /** The same request with the same key gives the first answer. */
  async #repeat(): Promise<void> {
    const call = this.#keyedCalls.length === 0 ? undefined : this.#options.random.pick(this.#keyedCalls);
    if (call === undefined) return;
    const answer = await this.#untilDefinite(call.send, call.key);
    if (!answer.replayed || answer.rows !== call.rows) {
      throw new CrashViolation(
        `Key ${call.key} was answered ${call.rows}; repeated it is answered ${answer.rows} (replayed: ${answer.replayed})`,
      );
    }
    this.replayCount++;
  }

  /** A linearizable read at any node sees what was acknowledged before it, to whichever connection. */
  async #readCounter(database: string): Promise<void> {
    const { model, random } = this.#options;
    const name = random.pick(["keyed", "plain", "batches"] as const);
    const expected = model.highestReturned(database, name);
    await this.#read(async () => {
      const row = await random.pick(this.#nodes).database(database).first<{ n: number }>(
        "SELECT n FROM counter WHERE name = ?1",
        [name],
      );
      if ((row?.n ?? -1) < expected) {
        throw new CrashViolation(
          `${database}/${name}: ${expected} was acknowledged, a later read gives ${row?.n}`,
        );
      }
    });
  }

  /** A read at the index of the last answer sees the rows acknowledged until then, at any node. */
  async #readGroup(): Promise<void> {
    const { random } = this.#options;
    const group = this.#held.at(-1);
    if (group === undefined) return;
    const options = { level: "index", index: this.#client.lastIndex } as const;
    await this.#read(async () => {
      const row = await random.pick(this.#nodes).database(group.database).first<{ n: number }>(
        "SELECT count(*) AS n FROM item WHERE grp = ?1",
        [group.id],
        options,
      );
      if (row?.n !== group.size) {
        throw new CrashViolation(
          `${group.database}: group ${group.id} of ${group.size} was acknowledged, a later read finds ${row?.n} rows`,
        );
      }
    });
  }

  async #read(run: () => Promise<void>): Promise<void> {
    try {
      await run();
      this.readCount++;
    } catch (error) {
      if (!isPassing(error)) throw violation("a read", error);
      await this.#pause();
    }
  }

  async #write(send: Send, keyed: boolean): Promise<Written> {
    const { model, onAcknowledged } = this.#options;
    const written = keyed ? await this.#writeKeyed(send) : await this.#writePlain(send);
    model.tally[written.outcome]++;
    if (written.outcome === "done") onAcknowledged();
    else await this.#pause();
    return written;
  }

  async #writePlain(send: Send): Promise<Written> {
    const { signal } = this.#options;
    try {
      return { outcome: "done", answer: await send({ idempotencyKey: false, signal }) };
    } catch (error) {
      if (!isPassing(error)) throw violation("a write", error);
      return { outcome: error.mayHaveCommitted ? "unknown" : "refused", answer: undefined };
    }
  }

  async #writeKeyed(send: Send): Promise<Written> {
    const key = `${this.#options.number}-${this.#keyNumber++}`;
    const answer = await this.#untilDefinite(send, key);
    this.#keyedCalls.push({ send, key, rows: answer.rows });
    if (this.#keyedCalls.length > KEYED_CALLS_HELD_MAX) this.#keyedCalls.shift();
    return { outcome: "done", answer };
  }

  async #untilDefinite(send: Send, idempotencyKey: string): Promise<Answer> {
    const { signal } = this.#options;
    const untilMs = performance.now() + DEFINITE_MS_MAX;
    for (;;) {
      try {
        return await send({ idempotencyKey, signal });
      } catch (error) {
        const isOver = signal.aborted || performance.now() > untilMs;
        if (isOver || !isPassing(error)) throw violation(`key ${idempotencyKey}`, error);
        await this.#pause();
      }
    }
  }

  #noteInsert(group: Group, outcome: Outcome): void {
    group.insert = outcome;
    if (outcome === "done") this.#held.push(group);
  }

  #noteIncrement(
    database: string,
    name: CounterName,
    outcome: Outcome,
    answer: Answer | undefined,
    before: number,
  ): void {
    const returned = answer === undefined
      ? undefined
      : Number((JSON.parse(answer.rows) as { n: number }[]).at(-1)?.n);
    const problem = this.#options.model.noteIncrement(database, name, outcome, returned, before);
    if (problem !== undefined) throw new CrashViolation(problem);
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, this.#options.random.next() * PAUSE_MS_MAX));
  }
}

/** An error that a crash or a change of leader explains. */
function isPassing(error: unknown): error is WalraftError {
  return isWalraftError(error) && error.retry !== "never";
}

function violation(what: string, error: unknown): CrashViolation {
  if (error instanceof CrashViolation) return error;
  const said = isWalraftError(error) ? `${error.code}: ${error.message}` : String(error);
  return new CrashViolation(`Unexpected answer to ${what}: ${said}`, { cause: error });
}

function insertStatements({ id, size }: Group): SqlStatement[] {
  return Array.from({ length: size }, (_, place) => ({
    sql: "INSERT INTO item (grp, place, value) VALUES (?1, ?2, ?3) RETURNING seq",
    params: [id, place, rowValue(id, place)],
  }));
}

function incrementStatement(name: CounterName): SqlStatement {
  return { sql: "UPDATE counter SET n = n + 1 WHERE name = ?1 RETURNING n", params: [name] };
}

function executing(database: Database, { sql, params }: SqlStatement): Send {
  return async (options) => toAnswer([await database.execute(sql, params, options)]);
}

function batching(database: Database, statements: readonly SqlStatement[]): Send {
  return async (options) => {
    const { results, replayed } = await database.batch(statements, options);
    return { rows: JSON.stringify(results.flatMap(({ rows }) => rows)), replayed };
  };
}

function toAnswer([result]: [ExecuteResult]): Answer {
  return { rows: JSON.stringify(result.rows), replayed: result.replayed };
}
