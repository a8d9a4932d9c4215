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

/** What both clients can be told when they are made. */
export interface SqlClientOptions {
  /** For one call with all its attempts, in milliseconds. Default 30,000. */
  readonly timeoutMs?: number;
  /** For one attempt. Default: what is left of the call; a node that went silent is noticed without it. */
  readonly attemptTimeoutMs?: number;
  /** Attempts of one call. Default 16; the time limit usually ends it first. */
  readonly attemptsMax?: number;
  /** Make an idempotency key for every write, so that it can be repeated. Default true. */
  readonly idempotencyKeys?: boolean;
  /** Ask the cluster for its leader and members. Default true; false keeps to the addresses given, and leaders that answers name. */
  readonly discover?: boolean;
  /** Level of queries that name none. Default: what the node does, `linearizable`. */
  readonly level?: Exclude<ReadLevel, "as_of">;
  /**
   * Largest answer that is read into memory, in bytes. Default: above what a node sends, which is 128 MiB over HTTP and 640
   * MiB over the dqlite protocol, with its eight bytes a value.
   */
  readonly answerBytesMax?: number;
}

/**
 * What a program may ask of one database, whatever carries it: `Database` (HTTP) and `WireDatabase` (the dqlite protocol
 * with walraft's calls) are both one. The same options, results and errors, the same rules for what is sent again.
 *
 * What one of them has alone is not here: `backup`, `restore` and `checkpoint` go over HTTP only. What they cannot do alike
 * is small and known: a text with a NUL as a parameter is refused by `WireDatabase` (`invalid_argument`), and one in a row
 * arrives there as a Uint8Array; names of columns lose their NULs.
 */
export interface SqlDatabase {
  readonly name: string;
  /** The highest log index seen in any answer: what level `index` shows at least. */
  readonly lastIndex: number;

  /** Runs one statement that reads. A statement that writes is refused with `read_only`. */
  query(
    text: string | SqlQuery<object>,
    params: SqlParameters | undefined,
    options: QueryOptions & { readonly rows: "arrays" },
  ): Promise<QueryResult<SqlRowArray>>;
  query<Row extends object = SqlRow>(
    text: string | SqlQuery<Row>,
    params?: SqlParameters,
    options?: QueryOptions,
  ): Promise<QueryResult<Row>>;

  /** The first row of a query, or undefined. The whole result is fetched: say LIMIT 1. */
  first<Row extends object = SqlRow>(
    text: string | SqlQuery<Row>,
    params?: SqlParameters,
    options?: Omit<QueryOptions, "rows">,
  ): Promise<Row | undefined>;

  /** Runs one statement that writes, in a transaction of its own. */
  execute<Row extends object = SqlRow>(
    text: string | SqlQuery<Row>,
    params?: SqlParameters,
    options?: WriteOptions,
  ): Promise<ExecuteResult<Row>>;

  /** Runs statements as one transaction: all of them or none. The error of a failure names the statement. */
  batch<Row extends object = SqlRow>(
    statements: readonly (string | SqlStatement)[],
    options?: WriteOptions,
  ): Promise<BatchResult<Row>>;

  /** Gives sockets back, where there are any. Calls under way fail. */
  close(): void;
}
