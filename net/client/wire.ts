/**
 * Client of the dqlite protocol with the calls of `Database`: fewer bytes and less work for each call than HTTP, and a
 * socket for each call that is under way. A call is one message that only walraft knows; a server of dqlite refuses it.
 *
 * @module
 */
import { CallLevel, type ReadRequest } from "../dqlite/call.ts";
import { positive, type SqlText, toMoment, toStatement } from "./call_arguments.ts";
import { CallRunner } from "./call_runner.ts";
import type {
  BatchResult,
  ExecuteResult,
  QueryOptions,
  QueryResult,
  ReadLevel,
  SqlParameters,
  SqlQuery,
  SqlRow,
  SqlRowArray,
  SqlStatement,
  WriteOptions,
} from "./row_types.ts";
import { type Runtime, webRuntime } from "./runtime.ts";
import type { SqlClientOptions, SqlDatabase } from "./sql_database.ts";
import { toNodeUrl, Topology } from "./topology.ts";
import { invalidArgument, WalraftError } from "./walraft_error.ts";
import type { WireCallAnswer, WireOutcome, WireSocket } from "./wire_connection.ts";
import { type WireDial, WirePool } from "./wire_pool.ts";
import { type WireCall, WirePort } from "./wire_port.ts";
import { refuseNul, toCallStatement, toRows, toStatementResult } from "./wire_values.ts";

export type { SqlDatabase, WireDial, WireSocket };

/** As those of `connect`, but for the token: the protocol has none. */
export interface WireOptions extends SqlClientOptions {
  readonly database: string;
  /** Connections at once to one node; further calls wait. Default 32. */
  readonly connectionsMax?: number;
  /** Opens a socket. Default: `Deno.connect`. */
  readonly dial?: WireDial;
}

const MIB = 1024 * 1024;
const DEFAULTS = {
  timeoutMs: 30_000,
  attemptsMax: 16,
  connectionsMax: 32,
  answerBytesMax: 640 * MIB,
} as const;

/** One database of a cluster, through the addresses that its nodes were given with `--wire`. */
export class WireDatabase implements SqlDatabase {
  readonly name: string;
  readonly #options: WireOptions;
  readonly #timeoutMs: number;
  readonly #runtime: Runtime;
  readonly #pool: WirePool;
  readonly #runner: CallRunner<WireCall, WireCallAnswer>;
  #seenIndex = 0;

  /** @param addresses `HOST:PORT` of some nodes: a list, or one string with commas. Nothing is sent yet */
  constructor(addresses: string | readonly string[], options: WireOptions, runtime: Runtime = webRuntime()) {
    const { database, dial = dialDeno } = options;
    if (typeof database !== "string" || database === "") {
      throw invalidArgument("Cannot open a database: the name is empty");
    }
    refuseNul(database, "the name of the database");
    const urls = (typeof addresses === "string" ? addresses.split(",") : addresses).map(toUrl);
    if (urls.length === 0) throw invalidArgument("Cannot connect: no address was given");
    this.name = database;
    this.#options = options;
    this.#runtime = runtime;
    const of = (name: keyof typeof DEFAULTS): number => positive(name, options[name] ?? DEFAULTS[name]);
    this.#timeoutMs = of("timeoutMs");
    this.#pool = new WirePool({
      connectionsMax: of("connectionsMax"),
      answerBytesMax: of("answerBytesMax"),
      dial,
    });
    this.#runner = new CallRunner<WireCall, WireCallAnswer>(
      new Topology(urls),
      runtime,
      new WirePort(this.#pool, runtime),
      {
        attemptsMax: of("attemptsMax"),
        attemptTimeoutMs: options.attemptTimeoutMs,
        discover: options.discover ?? true,
      },
    );
  }

  /** The highest log index this client has seen in any answer. */
  get lastIndex(): number {
    return this.#seenIndex;
  }

  /** Queries at level `index` will see at least this log index from now on. */
  sawIndex(index: number): void {
    if (index > this.#seenIndex) this.#seenIndex = index;
  }

  query(
    text: string | SqlQuery<object>,
    params: SqlParameters | undefined,
    options: QueryOptions & { readonly rows: "arrays" },
  ): Promise<QueryResult<SqlRowArray>>;
  query<Row extends object = SqlRow>(
    text: SqlText<Row>,
    params?: SqlParameters,
    options?: QueryOptions,
  ): Promise<QueryResult<Row>>;
  /** Runs one statement that reads. `timeMs` of the answer is what the call took as seen from here. */
  async query<Row extends object = SqlRow>(
    text: SqlText<Row>,
    params?: SqlParameters,
    options: QueryOptions = {},
  ): Promise<QueryResult<Row>> {
    const statement = toCallStatement(toStatement(text, params), "params");
    const level = options.level ?? (options.asOf === undefined ? this.#options.level : "as_of") ??
      "linearizable";
    const where = this.#levelOf(level, options);
    const startedMs = this.#runtime.nowMs();
    const answer = await this.#run({
      name: `the query of ${this.name}`,
      request: (timeoutMs) => ({ kind: "read", database: this.name, ...where, timeoutMs, statement }),
      isWrite: false,
      bodyIsRepeatable: true,
      repeatable: true,
      purpose: level === "linearizable" ? "leader" : "any",
      timeoutMs: options.timeoutMs ?? this.#timeoutMs,
      signal: options.signal,
    });
    const outcome = onlyOutcome(answer);
    return {
      rows: toRows<Row>(outcome, options.rows ?? "objects"),
      columns: [...outcome.columns],
      types: [...outcome.types],
      index: answer.index,
      level,
      ageMs: answer.ageMs,
      timeMs: this.#runtime.nowMs() - startedMs,
    };
  }

  async first<Row extends object = SqlRow>(
    text: SqlText<Row>,
    params?: SqlParameters,
    options?: Omit<QueryOptions, "rows">,
  ): Promise<Row | undefined> {
    return (await this.query<Row>(text, params, options)).rows[0];
  }

  async execute<Row extends object = SqlRow>(
    text: SqlText<Row>,
    params?: SqlParameters,
    options: WriteOptions = {},
  ): Promise<ExecuteResult<Row>> {
    const { answer, ...facts } = await this.#write([toStatement(text, params)], false, options);
    return { ...toStatementResult<Row>(onlyOutcome(answer), options.rows ?? "objects"), ...facts };
  }

  async batch<Row extends object = SqlRow>(
    statements: readonly (string | SqlStatement)[],
    options: WriteOptions = {},
  ): Promise<BatchResult<Row>> {
    const list = statements.map((each) => (typeof each === "string" ? { sql: each } : each));
    const { answer, ...facts } = await this.#write(list, true, options);
    const shape = options.rows ?? "objects";
    return { results: answer.outcomes.map((outcome) => toStatementResult<Row>(outcome, shape)), ...facts };
  }

  /** Closes the sockets. Calls under way fail. */
  close(): void {
    this.#pool.close();
  }

  async #write(list: readonly SqlStatement[], isBatch: boolean, options: WriteOptions) {
    const statements = list.map((each, index) =>
      toCallStatement(each, isBatch ? `statements[${index}].params` : "params")
    );
    const key = this.#keyOf(options);
    if (key !== undefined) refuseNul(key, "the idempotency key");
    const startedMs = this.#runtime.nowMs();
    const answer = await this.#run({
      name: `the ${isBatch ? "batch" : "write"} to ${this.name}`,
      request: (timeoutMs) => ({
        kind: "write",
        database: this.name,
        isBatch,
        timeoutMs,
        idempotencyKey: key ?? "",
        statements,
      }),
      isWrite: true,
      bodyIsRepeatable: true,
      idempotencyKey: key,
      repeatable: key !== undefined,
      purpose: "leader",
      timeoutMs: options.timeoutMs ?? this.#timeoutMs,
      signal: options.signal,
    });
    const { index, isReplayed: replayed } = answer;
    return { answer, index, replayed, timeMs: this.#runtime.nowMs() - startedMs };
  }

  #keyOf({ idempotencyKey: chosen }: WriteOptions): string | undefined {
    if (chosen === false || (chosen === undefined && this.#options.idempotencyKeys === false)) {
      return undefined;
    }
    return chosen ?? this.#runtime.newIdempotencyKey();
  }

  #levelOf(level: ReadLevel, { index, maxAgeMs, asOf }: QueryOptions): Pick<ReadRequest, "level" | "at"> {
    const refuse = (name: string, value: unknown, needed: ReadLevel) => {
      if (value === undefined || level === needed) return;
      throw invalidArgument(`Cannot query at level ${level} with ${name}: it belongs to level ${needed}`);
    };
    refuse("index", index, "index");
    refuse("maxAgeMs", maxAgeMs, "stale");
    refuse("asOf", asOf, "as_of");
    if (!(level in CallLevel) && level !== "as_of") throw invalidArgument(`There is no level ${level}`);
    if (level === "index") return { level, at: whole("index", index ?? this.#seenIndex) };
    if (level === "stale" && maxAgeMs !== undefined) {
      return { level: "stale_within", at: whole("maxAgeMs", maxAgeMs) };
    }
    if (level !== "as_of") return { level, at: 0 };
    if (asOf === undefined) throw invalidArgument("Cannot query at level as_of: asOf is missing");
    const moment = toMoment(asOf);
    if (typeof moment === "number") return { level: "as_of_index", at: moment };
    return { level: "as_of_time", at: whole(`the time ${moment}`, Date.parse(moment)) };
  }

  async #run(call: WireCall): Promise<WireCallAnswer> {
    if (this.#pool.isClosed) throw invalidArgument("Cannot call: the client is closed");
    const answer = await this.#runner.run(call);
    this.sawIndex(answer.index);
    return answer;
  }
}

async function dialDeno(hostname: string, port: number): Promise<WireSocket> {
  const socket = await Deno.connect({ hostname, port });
  socket.setNoDelay(true);
  return socket;
}

function toUrl(address: string): string {
  const trimmed = address.trim();
  if (/^(\[[^\]]+\]|[^:/@[\]]+):\d{1,5}$/.test(trimmed)) return toNodeUrl(trimmed);
  throw invalidArgument(`Cannot use "${trimmed}" as an address: it must be HOST:PORT`);
}

function whole(what: string, value: number): number {
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw invalidArgument(`Cannot use ${value} as ${what}: it must be a whole number, 0 or more`);
}

function onlyOutcome({ outcomes }: WireCallAnswer): WireOutcome {
  const [outcome] = outcomes;
  if (outcome !== undefined && outcomes.length === 1) return outcome;
  throw new WalraftError({
    code: "invalid_answer",
    message: `The node answered ${outcomes.length} outcomes where one was expected`,
    retry: "never",
    mayHaveCommitted: true,
  });
}
