import type {
  BatchResult,
  ExecuteResult,
  QueryOptions,
  QueryResult,
  SqlParameters,
  SqlQuery,
  SqlRow,
  SqlRowArray,
  SqlStatement,
  WriteOptions,
} from "./row_types.ts";

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
