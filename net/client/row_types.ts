/** What goes into and comes out of the client, as TypeScript sees it. */

/**
 * A value of one of SQLite's five storage classes. INTEGER is a number, or a bigint when it lies outside
 * ±(2^53 - 1); REAL is a number; TEXT a string; BLOB a Uint8Array; NULL is null.
 */
export type SqlValue = null | number | bigint | string | Uint8Array;

/**
 * A value to bind. A number that is a safe integer becomes INTEGER, every other number REAL; `{ real: 3 }` forces
 * REAL; booleans become 1 and 0; a bigint must fit into 64 bits.
 */
export type SqlParameter = SqlValue | boolean | { readonly real: number };

/** By position, or by name with or without the prefix `:`, `@`, `$`. */
export type SqlParameters = readonly SqlParameter[] | { readonly [name: string]: SqlParameter };

/** A row as an object; of columns with the same name the last one wins (ask for `rows: "arrays"` then). */
export type SqlRow = { readonly [column: string]: SqlValue };

/** A row as an array in the order of the columns. */
export type SqlRowArray = readonly SqlValue[];

/**
 * `linearizable` sees every write acknowledged before; `index` sees at least one log index; `stale` what is there;
 * `as_of` the state of a moment of the past.
 */
export type ReadLevel = "linearizable" | "index" | "stale" | "as_of";

/**
 * A moment of the past. A number is a log index, never a time; a Date, or a text in ISO 8601 with its zone
 * (`2026-11-21T10:00:00Z`), means the last change made until then.
 */
export type AsOf = number | Date | string;

/** SQL with its parameters, as made by the `sql` tag. `Row` exists for the type checker only. */
export interface SqlQuery<Row extends object = SqlRow> {
  readonly sql: string;
  readonly params: readonly SqlParameter[];
  /** Never set. It carries the type of the rows. */
  readonly rowType?: Row;
}

/** One statement of a batch. */
export interface SqlStatement {
  readonly sql: string;
  readonly params?: SqlParameters;
}

export interface CallOptions {
  /** For the whole call, all attempts and pauses together, in milliseconds. */
  readonly timeoutMs?: number;
  /** Ends the call at once, whether it waits for a node or for the next attempt. */
  readonly signal?: AbortSignal;
}

export interface QueryOptions extends CallOptions {
  readonly level?: ReadLevel;
  /** Level `index`: serve at this log index or later. Without it the highest index this client has seen. */
  readonly index?: number;
  /** Level `stale`: refuse data older than this, in milliseconds. */
  readonly maxAgeMs?: number;
  /**
   * Show the database as it was then; says level `as_of` by itself. Any node serves it whose history reaches back that
   * far, else the error is `view_expired`. The `index` of the answer names the moment exactly: give it to further queries
   * that are to show the same state.
   */
  readonly asOf?: AsOf;
  /** Rows as objects (default) or as arrays. */
  readonly rows?: "objects" | "arrays";
}

export interface CheckpointOptions extends CallOptions {
  /**
   * `passive` (default) copies what no open query and no retention window needs in the log. `full` copies everything
   * published, waits for older queries to end, and gives up the history before it.
   */
  readonly mode?: "passive" | "full";
}

export interface CheckpointResult {
  /** Everything up to here is in the `.db` file of the node that answered. */
  readonly checkpointIndex: number;
  /** Nothing that was published when the call came is left out. */
  readonly complete: boolean;
}

export interface WriteOptions extends CallOptions {
  /**
   * The key that makes a repeat of this write harmless. By default each call gets a random one; give your own to
   * repeat a write after a restart; `false` sends none, and then nothing is repeated whose fate is unknown.
   */
  readonly idempotencyKey?: string | false;
  /** Rows of RETURNING as objects (default) or as arrays. */
  readonly rows?: "objects" | "arrays";
}

export interface QueryResult<Row extends object = SqlRow> {
  readonly rows: Row[];
  readonly columns: string[];
  /** Declared types of the columns as SQLite reports them; null for an expression. */
  readonly types: (string | null)[];
  /** Log index the rows were read at; at level `as_of` the moment shown. */
  readonly index: number;
  readonly level: ReadLevel;
  /** How long ago the answering node heard from a leader, in milliseconds; undefined where it does not say. */
  readonly ageMs: number | undefined;
  readonly timeMs: number;
}

export interface StatementResult<Row extends object = SqlRow> {
  /** Rows inserted, updated or deleted. */
  readonly changes: number;
  readonly lastInsertRowid: number | bigint;
  /** Rows of RETURNING; empty without it. */
  readonly rows: Row[];
  readonly columns: string[];
  readonly types: (string | null)[];
}

export interface ExecuteResult<Row extends object = SqlRow> extends StatementResult<Row> {
  /** Log index of the write: a read at level `index` with it sees the write on every node. */
  readonly index: number;
  /** The idempotency key was known: this is the first answer, and nothing was written now. */
  readonly replayed: boolean;
  readonly timeMs: number;
}

export interface BatchResult<Row extends object = SqlRow> {
  /** One result for each statement, in order. */
  readonly results: StatementResult<Row>[];
  readonly index: number;
  readonly replayed: boolean;
  readonly timeMs: number;
}
