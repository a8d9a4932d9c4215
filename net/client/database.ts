import { downloadStream } from "./bounded_body.ts";
import { type SqlText, toMoment, toNodeTimeoutMs, toStatement } from "./call_arguments.ts";
import type { ClientContext } from "./client.ts";
import { decodeRowArrays, decodeValue, encodeParameters, toRowObjects } from "./json_values.ts";
import type {
  BatchResult,
  CallOptions,
  CheckpointOptions,
  CheckpointResult,
  ExecuteResult,
  QueryOptions,
  QueryResult,
  ReadLevel,
  SqlParameters,
  SqlQuery,
  SqlRow,
  SqlRowArray,
  SqlStatement,
  SqlValue,
  StatementResult,
  WriteOptions,
} from "./row_types.ts";
import type { SqlDatabase } from "./sql_database.ts";
import { invalidArgument } from "./walraft_error.ts";

/** Bytes of a `.db` file. A function gives a fresh stream for each attempt; a stream can be sent once only. */
export type RestoreSource = Uint8Array | ReadableStream<Uint8Array> | (() => ReadableStream<Uint8Array>);

type Json = { readonly [name: string]: unknown };

/** Uploads and downloads may take this long by default. */
const TRANSFER_MS_DEFAULT = 600_000;

/** `undefined` parameters are left out, so that a request without any stays short. */
function toStatementJson(statement: SqlStatement, path: string): Json {
  const params = statement.params ?? [];
  const encoded = encodeParameters(params, path);
  const isEmpty = Array.isArray(encoded) ? encoded.length === 0 : Object.keys(encoded).length === 0;
  return isEmpty ? { sql: statement.sql } : { sql: statement.sql, params: encoded };
}

function toRows<Row extends object>(answer: Json, shape: "objects" | "arrays"): Row[] {
  const arrays = decodeRowArrays((answer.rows ?? []) as unknown[]);
  return (shape === "arrays" ? arrays : toRowObjects(arrays, toColumns(answer))) as unknown as Row[];
}

const toColumns = (answer: Json): string[] => (answer.columns ?? []) as string[];
const toNumber = (value: unknown): number => (typeof value === "number" ? value : 0);

function toStatementResult<Row extends object>(
  answer: Json,
  shape: "objects" | "arrays",
): StatementResult<Row> {
  const rowid: SqlValue = decodeValue(answer.last_insert_rowid ?? 0);
  return {
    changes: toNumber(answer.changes),
    lastInsertRowid: typeof rowid === "bigint" || typeof rowid === "number" ? rowid : 0,
    rows: toRows<Row>(answer, shape),
    columns: toColumns(answer),
    types: (answer.types ?? []) as (string | null)[],
  };
}

/** One database of a cluster, over HTTP. */
export class Database implements SqlDatabase {
  readonly name: string;
  readonly #context: ClientContext;
  readonly #path: string;

  constructor(name: string, context: ClientContext) {
    if (typeof name !== "string" || name === "") {
      throw invalidArgument("Cannot open a database: the name is empty");
    }
    this.name = name;
    this.#context = context;
    this.#path = `/v1/databases/${encodeURIComponent(name)}`;
  }

  /** The highest log index this client has seen, in any of its databases. */
  get lastIndex(): number {
    return this.#context.seenIndex();
  }

  /** Does nothing: there is no socket to close. It is here because other clients have some. */
  close(): void {}

  /** Runs one statement that reads. A statement that writes is refused with `read_only`. */
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
  async query<Row extends object = SqlRow>(
    text: SqlText<Row>,
    params?: SqlParameters,
    options: QueryOptions = {},
  ): Promise<QueryResult<Row>> {
    const statement = toStatementJson(toStatement(text, params), "params");
    const moment = options.asOf === undefined ? undefined : toMoment(options.asOf);
    const level = options.level ?? (moment === undefined ? this.#context.level : "as_of");
    const index = options.index ?? (level === "index" ? this.#context.seenIndex() : undefined);
    const fields = {
      ...statement,
      rows: "arrays",
      ...(level === undefined ? {} : { level }),
      ...(index === undefined ? {} : { index }),
      ...(options.maxAgeMs === undefined ? {} : { max_age_ms: options.maxAgeMs }),
      ...(moment === undefined ? {} : { as_of: moment }),
    };
    const answer = await this.#context.runner.run({
      method: "POST",
      path: `${this.#path}/query`,
      body: (remainingMs) => JSON.stringify({ ...fields, timeout_ms: toNodeTimeoutMs(remainingMs) }),
      answer: "json",
      isWrite: false,
      bodyIsRepeatable: true,
      repeatable: true,
      purpose: level === undefined || level === "linearizable" ? "leader" : "any",
      timeoutMs: options.timeoutMs ?? this.#context.timeoutMs,
      signal: options.signal,
    }) as Json;
    this.#context.noteIndex(answer.index);
    return {
      rows: toRows<Row>(answer, options.rows ?? "objects"),
      columns: toColumns(answer),
      types: (answer.types ?? []) as (string | null)[],
      index: toNumber(answer.index),
      level: (answer.level ?? level ?? "linearizable") as ReadLevel,
      ageMs: typeof answer.age_ms === "number" ? answer.age_ms : undefined,
      timeMs: toNumber(answer.time_ms),
    };
  }

  /** The first row of a query, or undefined. The whole result is fetched: say LIMIT 1. */
  async first<Row extends object = SqlRow>(
    text: SqlText<Row>,
    params?: SqlParameters,
    options?: Omit<QueryOptions, "rows">,
  ): Promise<Row | undefined> {
    return (await this.query<Row>(text, params, options)).rows[0];
  }

  /** Runs one statement that writes, in a transaction of its own. */
  async execute<Row extends object = SqlRow>(
    text: SqlText<Row>,
    params?: SqlParameters,
    options: WriteOptions = {},
  ): Promise<ExecuteResult<Row>> {
    const body = toStatementJson(toStatement(text, params), "params");
    const answer = await this.#write("execute", body, options);
    return {
      ...toStatementResult<Row>(answer, options.rows ?? "objects"),
      index: toNumber(answer.index),
      replayed: answer.replayed === true,
      timeMs: toNumber(answer.time_ms),
    };
  }

  /** Runs statements as one transaction: all of them or none. The error of a failure names the statement. */
  async batch<Row extends object = SqlRow>(
    statements: readonly (string | SqlStatement)[],
    options: WriteOptions = {},
  ): Promise<BatchResult<Row>> {
    const body = {
      statements: statements.map((statement, i) =>
        toStatementJson(
          typeof statement === "string" ? { sql: statement } : statement,
          `statements[${i}].params`,
        )
      ),
    };
    const answer = await this.#write("batch", body, options);
    return {
      results: ((answer.results ?? []) as Json[]).map((result) =>
        toStatementResult<Row>(result, options.rows ?? "objects")
      ),
      index: toNumber(answer.index),
      replayed: answer.replayed === true,
      timeMs: toNumber(answer.time_ms),
    };
  }

  async #write(call: "execute" | "batch", fields: Json, options: WriteOptions): Promise<Json> {
    const { idempotencyKey: chosen } = options;
    const makesKey = chosen === undefined && this.#context.idempotencyKeys;
    const key = makesKey ? this.#context.runtime.newIdempotencyKey() : chosen === false ? undefined : chosen;
    const timeoutMs = options.timeoutMs ?? this.#context.timeoutMs;
    // The same bytes at every attempt: a key stands for one request.
    const text = JSON.stringify({ ...fields, rows: "arrays", timeout_ms: toNodeTimeoutMs(timeoutMs) });
    const answer = await this.#context.runner.run({
      method: "POST",
      path: `${this.#path}/${call}`,
      body: () => text,
      answer: "json",
      isWrite: true,
      bodyIsRepeatable: true,
      idempotencyKey: key,
      repeatable: key !== undefined,
      purpose: "leader",
      timeoutMs,
      signal: options.signal,
    }) as Json;
    this.#context.noteIndex(answer.index);
    return answer;
  }

  /**
   * A consistent `.db` file as a stream. The request starts with the first read; cancelling the stream ends it.
   * `timeoutMs` bounds the wait for the first byte and every pause between chunks.
   */
  backup(options: CallOptions = {}): ReadableStream<Uint8Array> {
    const timeoutMs = options.timeoutMs ?? TRANSFER_MS_DEFAULT;
    const open = (signal: AbortSignal) =>
      this.#context.runner.run({
        method: "GET",
        path: `${this.#path}/backup?timeout_ms=${toNodeTimeoutMs(timeoutMs)}`,
        answer: "stream",
        isWrite: false,
        bodyIsRepeatable: true,
        repeatable: true,
        purpose: "any",
        timeoutMs,
        signal,
      }) as Promise<Response>;
    const { startTimer } = this.#context.runtime;
    return downloadStream(open, { signal: options.signal, idleMs: timeoutMs, startTimer });
  }

  /**
   * Brings the `.db` file of one node up to date; each node has its own and does so by itself from time to time. It is
   * the leader's, or, with `discover: false` and one URL, that of the node at the URL. A `full` one fails with `timeout`
   * when older queries go on for longer.
   */
  async checkpoint(options: CheckpointOptions = {}): Promise<CheckpointResult> {
    const timeoutMs = options.timeoutMs ?? this.#context.timeoutMs;
    const mode = options.mode ?? "passive";
    const answer = await this.#context.runner.run({
      method: "POST",
      path: `${this.#path}/checkpoint?mode=${encodeURIComponent(mode)}&timeout_ms=${
        toNodeTimeoutMs(timeoutMs)
      }`,
      answer: "json",
      isWrite: false,
      bodyIsRepeatable: true,
      repeatable: true,
      purpose: "leader",
      timeoutMs,
      signal: options.signal,
    }) as Json;
    return { checkpointIndex: toNumber(answer.checkpoint_index), complete: answer.complete === true };
  }

  /**
   * Replaces or creates the database from the bytes of a SQLite file, atomically, after the node has checked it.
   * Browsers send streams over HTTP/2 only; give them a Uint8Array.
   */
  async restore(source: RestoreSource, options: CallOptions = {}): Promise<{ index: number; pages: number }> {
    const timeoutMs = options.timeoutMs ?? TRANSFER_MS_DEFAULT;
    const answer = await this.#context.runner.run({
      method: "PUT",
      path: `${this.#path}?timeout_ms=${toNodeTimeoutMs(timeoutMs)}`,
      body: () => source instanceof ReadableStream ? () => source : source,
      contentType: "application/vnd.sqlite3",
      answer: "json",
      isWrite: true,
      bodyIsRepeatable: !(source instanceof ReadableStream),
      // A repeat could undo a write made in between, so only refusals are repeated.
      repeatable: false,
      purpose: "leader",
      timeoutMs,
      signal: options.signal,
    }) as Json;
    this.#context.noteIndex(answer.index);
    return { index: toNumber(answer.index), pages: toNumber(answer.pages) };
  }
}
