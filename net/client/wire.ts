/**
 * Client of the dqlite protocol with the calls of `Database`: fewer bytes and less work for each call than HTTP, and a
 * socket for each call that is under way. Parameters go by position only; there are no levels (all reads are
 * linearizable) and no idempotency keys. BEGIN and COMMIT are for `batch` alone: each call may go over another socket.
 *
 * @module
 */
import { tupleOf } from "../dqlite/parameters.ts";
import type { Request } from "../dqlite/request.ts";
import type { Tuple } from "../wire/tuple.ts";
import type { SqlParameter, SqlQuery, SqlRow } from "./row_types.ts";
import { type WireAnswer, WireConnection, type WireSocket } from "./wire_connection.ts";
import { failureError, isNotExecuted } from "./wire_failure.ts";
import { invalidArgument, WalraftError } from "./walraft_error.ts";

export interface WireOptions {
  readonly database: string;
  /** Connections at once; further calls wait. Default 32. */
  readonly connectionsMax?: number;
  /** How often a call that was not executed is sent again, with a pause in between. Default 40: about ten seconds. */
  readonly attemptsMax?: number;
  /** Opens a socket. Default: `Deno.connect`. */
  readonly dial?: (host: string, port: number) => Promise<WireSocket>;
}

/** What a value of a result is; columns declared as times and booleans give texts, seconds and booleans. */
export type WireValue = null | number | bigint | string | boolean | Uint8Array;
export interface WireRows<Row> {
  readonly rows: Row[];
  readonly columns: readonly string[];
}
export interface WireResult {
  readonly changes: number;
  readonly lastInsertRowid: number | bigint;
}
type Text = string | SqlQuery<object>;
type Answer<K extends WireAnswer["kind"]> = Extract<WireAnswer, { kind: K }>;

const PAUSE_MS_MAX = 250;
const DEFAULTS = { connectionsMax: 32, attemptsMax: 40, dial: dialDeno } as const;

/** One database of a cluster, through the addresses that its nodes were given with `--wire`. */
export class WireDatabase {
  readonly #addresses: readonly string[];
  readonly #options: Required<WireOptions>;
  readonly #idle: WireConnection[] = [];
  readonly #waiting: (() => void)[] = [];
  #connectionCount = 0;
  #leader: string | undefined;
  #isClosed = false;

  constructor(addresses: string | readonly string[], options: WireOptions) {
    this.#addresses = typeof addresses === "string" ? addresses.split(",") : addresses;
    if (this.#addresses.length === 0) throw invalidArgument("Cannot connect: no address was given");
    this.#options = { ...DEFAULTS, ...options };
  }

  /** Runs one statement that reads, or one that writes and returns rows. */
  async query<Row extends object = SqlRow>(
    text: Text,
    params?: readonly SqlParameter[],
  ): Promise<WireRows<Row>> {
    const [answer] = await this.#call([{ kind: "query_sql", ...toText(text, params) }]);
    const { columns, rows } = mustBe("rows", answer);
    return { columns, rows: rows.map((row) => toObject(row, columns) as Row) };
  }

  async first<Row extends object = SqlRow>(
    text: Text,
    params?: readonly SqlParameter[],
  ): Promise<Row | undefined> {
    return (await this.query<Row>(text, params)).rows[0];
  }

  /** Runs one statement that writes, in a transaction of its own. */
  async execute(text: Text, params?: readonly SqlParameter[]): Promise<WireResult> {
    const [answer] = await this.#call([{ kind: "exec_sql", ...toText(text, params) }]);
    const { changes, lastInsertRowid } = mustBe("result", answer);
    return { changes, lastInsertRowid };
  }

  /** Runs statements as one transaction: all of them or none. Two round trips. */
  async batch(
    statements: readonly (string | { readonly sql: string; readonly params?: readonly SqlParameter[] })[],
  ): Promise<{ results: WireResult[] }> {
    const requests = statements.map((statement): Request => ({
      kind: "exec_sql",
      ...(typeof statement === "string" ? toText(statement) : toText(statement.sql, statement.params)),
    }));
    return await this.#repeated(async (connection) => {
      // Not IMMEDIATE, which may fail: the statements behind it would then each be committed alone.
      const answers = await connection.ask(say("BEGIN"), ...requests);
      if (answers.every(({ kind }) => kind !== "failure")) {
        answers.push(...await connection.ask(say("COMMIT")));
      }
      const failed = answers.find(({ kind }) => kind === "failure");
      if (failed?.kind === "failure") {
        // Also after a COMMIT that failed: a foreign key leaves the transaction open.
        await connection.ask(say("ROLLBACK"));
        throw failureError(failed);
      }
      return { results: answers.slice(1, -1).map((answer) => mustBe("result", answer)) };
    });
  }

  /** Closes the sockets. Calls under way fail. */
  close(): void {
    this.#isClosed = true;
    for (const connection of this.#idle.splice(0)) connection.close();
    for (const wake of this.#waiting.splice(0)) wake();
  }

  #call(requests: Request[]): Promise<WireAnswer[]> {
    return this.#repeated(async (connection) => {
      const answers = await connection.ask(...requests);
      for (const answer of answers) if (answer.kind === "failure") throw failureError(answer);
      return answers;
    });
  }

  /** Sends again, on another connection, only what was certainly not executed. */
  async #repeated<T>(work: (connection: WireConnection) => Promise<T>): Promise<T> {
    for (let attempt = 1;; attempt++) {
      let connection: WireConnection | undefined;
      try {
        connection = await this.#take();
        const result = await work(connection);
        this.#give(connection);
        return result;
      } catch (error) {
        if (connection !== undefined) {
          if (isNotExecuted(error)) connection.close();
          this.#give(connection);
        }
        const isFinal = attempt >= this.#options.attemptsMax || this.#isClosed;
        if (isFinal || !isNotExecuted(error)) throw error;
        this.#leader = undefined;
        await new Promise((resolve) => setTimeout(resolve, Math.min(PAUSE_MS_MAX, 10 * 2 ** attempt)));
      }
    }
  }

  async #take(): Promise<WireConnection> {
    for (;;) {
      if (this.#isClosed) throw invalidArgument("Cannot call: the client is closed");
      const idle = this.#idle.pop();
      if (idle !== undefined) return idle;
      if (this.#connectionCount < this.#options.connectionsMax) break;
      await new Promise<void>((resolve) => void this.#waiting.push(resolve));
    }
    this.#connectionCount++;
    try {
      return await this.#connect();
    } catch (error) {
      this.#release();
      throw error;
    }
  }

  #give(connection: WireConnection): void {
    if (this.#isClosed) connection.close();
    if (connection.isBroken) return this.#release();
    this.#idle.push(connection);
    this.#waiting.shift()?.();
  }

  #release(): void {
    this.#connectionCount--;
    this.#waiting.shift()?.();
  }

  /** To the leader, with the database open. */
  async #connect(): Promise<WireConnection> {
    const known = this.#leader === undefined ? [] : [this.#leader];
    let last: unknown;
    for (const address of [...known, ...this.#addresses]) {
      try {
        const connection = await this.#dial(address);
        const [answer] = await connection.ask({ kind: "leader" });
        const { address: leader } = mustBe("node", answer);
        if (leader === address) return await this.#open(connection);
        connection.close();
        if (leader !== "") return await this.#open(await this.#dial(leader));
      } catch (error) {
        last = error;
      }
    }
    throw new WalraftError({
      code: "no_leader",
      message: `None of ${this.#addresses.join(", ")} leads to a leader`,
      retry: "safe",
      mayHaveCommitted: false,
      cause: last,
    });
  }

  async #dial(address: string): Promise<WireConnection> {
    const match = /^\[?(.+?)\]?:(\d+)$/.exec(address);
    if (match === null) throw invalidArgument(`Cannot use "${address}" as an address: it must be HOST:PORT`);
    return new WireConnection(address, await this.#options.dial(match[1] as string, Number(match[2])));
  }

  async #open(connection: WireConnection): Promise<WireConnection> {
    const [answer] = await connection.ask({
      kind: "open",
      name: this.#options.database,
      flags: 0,
      vfs: "volatile",
    });
    if (answer?.kind === "database") {
      this.#leader = connection.address;
      return connection;
    }
    connection.close();
    mustBe("database", answer);
    return connection;
  }
}

async function dialDeno(hostname: string, port: number): Promise<WireSocket> {
  const socket = await Deno.connect({ hostname, port });
  socket.setNoDelay(true);
  return socket;
}

function toText(text: Text, params?: readonly SqlParameter[]) {
  const sql = typeof text === "string" ? text : text.sql;
  const parameters = tupleOf(params ?? (typeof text === "string" ? [] : text.params));
  return { schema: parameters.values.length > 255 ? 1 : 0, databaseId: 0, sql, parameters } as const;
}

function say(sql: string): Request {
  return { kind: "exec_sql", ...toText(sql) };
}

function toObject({ values }: Tuple, columns: readonly string[]): Record<string, WireValue> {
  return Object.fromEntries(columns.map((column, index) => [column, values[index] ?? null]));
}

function mustBe<K extends WireAnswer["kind"]>(kind: K, answer: WireAnswer | undefined): Answer<K> {
  if (answer?.kind === kind) return answer as Answer<K>;
  if (answer?.kind === "failure") throw failureError(answer);
  throw new WalraftError({
    code: "invalid_answer",
    message: `The node answered ${answer?.kind} where ${kind} was expected`,
    retry: "never",
    mayHaveCommitted: true,
  });
}
