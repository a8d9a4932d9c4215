/**
 * The one list of errors that leave the process. Nothing is declared elsewhere; `net/api/error_body.ts` gives each
 * code its HTTP status. For every code the list says two things a caller must know (promise 5):
 * may the same request be sent again, and may the write have happened although the answer is an error.
 */

/**
 * - `safe`: nothing happened; sending the same request again, here or at another node, cannot do harm.
 * - `with_key`: the fate is unknown; a retry is safe only with the same idempotency key.
 * - `never`: the same request will fail again; something in it, or the configuration, has to change.
 */
export type Retry = "safe" | "with_key" | "never";

interface ErrorInfo {
  readonly retry: Retry;
  readonly mayHaveCommitted: boolean;
  readonly meaning: string;
}

const never = (meaning: string): ErrorInfo => ({ retry: "never", mayHaveCommitted: false, meaning });
const safe = (meaning: string): ErrorInfo => ({ retry: "safe", mayHaveCommitted: false, meaning });

export const ERROR_CODES = {
  // The request itself.
  bad_request: never("The request is malformed; `field` names the part that is wrong."),
  unauthorized: never("The token is missing or wrong."),
  not_found: never("There is no such path or object."),
  method_not_allowed: never("The path exists, the method does not."),
  unsupported_media_type: never("The body is neither JSON nor msgpack."),
  body_too_large: never("The request body is larger than the limit."),
  request_timeout: safe("The request did not arrive completely in time."),
  too_many_connections: safe("The node serves as many connections as it may."),
  // The statement.
  sql_error: never("SQLite refused the statement; `sqlite_code` and `statement_index` say more."),
  constraint_failed: never("A constraint of the schema was violated; nothing was changed."),
  statement_refused: never("The statement would break replication or leave its database."),
  read_only: never("A statement that writes was sent to the query call."),
  statement_timeout: never("The statement ran longer than its time limit and was stopped."),
  result_too_large: never("The result has more rows or bytes than the limit."),
  transaction_too_large: never("The transaction changes more bytes than the limit."),
  parameter_mismatch: never("The parameters do not fit the statement."),
  cancelled: safe("The caller gave up; the statement was stopped before it was logged."),
  engine_failed: never("The SQLite instance was lost while it ran this request, and was replaced."),
  idempotency_mismatch: never("The idempotency key was used before with a different request."),
  // Databases.
  database_not_found: never("There is no database of that name."),
  database_exists: never("A database of that name exists."),
  database_file_invalid: never("The uploaded file is not a sound SQLite database."),
  view_expired: safe("The index asked for is older than the retained history."),
  data_damaged: safe("A page of this node's copy is damaged; it is being repaired."),
  // The cluster.
  not_leader: safe("This node does not lead and could not pass the request on; nothing was logged."),
  no_leader: safe("No leader is known; nothing was logged."),
  no_quorum: safe("The leader could not confirm a majority in time; nothing was logged."),
  commit_unknown: {
    retry: "with_key",
    mayHaveCommitted: true,
    meaning: "The write was logged, but whether it was committed is not known.",
  },
  timeout: safe("The request could not be served in time; nothing was logged."),
  index_not_reached: safe("This node has not reached the index asked for in time."),
  too_stale: safe("This node's data is older than the age allowed."),
  queue_full: safe("More requests wait than the node may hold; nothing was logged."),
  membership_change_refused: never("The change of members is not possible in this state."),
  member_not_found: never("There is no member of that id."),
  disk_full: safe("The disk of the leader is full; nothing was logged."),
  stopping: safe("The node is stopping; nothing was logged."),
  internal: never("A defect of walraft; the node's log says more."),
} as const satisfies Record<string, ErrorInfo>;

export type ErrorCode = keyof typeof ERROR_CODES;

/** Facts about one occurrence. Names appear unchanged in the JSON error body. */
export interface ErrorDetails {
  /** Path of the offending field, such as `statements[2].params`. */
  readonly field?: string;
  /** Name and value of the limit that was hit, such as `{name: "result_bytes", value: 67108864}`. */
  readonly limit?: { readonly name: string; readonly value: number };
  /** SQLite's extended result code. */
  readonly sqlite_code?: number;
  /** Byte offset in the text of the statement that SQLite's error points at. */
  readonly sql_offset?: number;
  /** Position of the failing statement in a batch, from 0. */
  readonly statement_index?: number;
  /** HTTP address of the leader as far as this node knows. */
  readonly leader?: string;
}

/** An error with a code of the list. Messages follow "Cannot do this with VALUE: reason; what to do". */
export class NodeError extends Error {
  override name = "NodeError";

  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly details: ErrorDetails = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
  }

  get retry(): Retry {
    return ERROR_CODES[this.code].retry;
  }

  get mayHaveCommitted(): boolean {
    return ERROR_CODES[this.code].mayHaveCommitted;
  }
}

/** A NodeError as plain data: how errors cross from worker to main and from node to node. */
export interface ErrorRecord {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details: ErrorDetails;
}

export function toErrorRecord(error: unknown): ErrorRecord {
  if (error instanceof NodeError) return { code: error.code, message: error.message, details: error.details };
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return { code: "internal", message, details: {} };
}

export function fromErrorRecord(record: ErrorRecord): NodeError {
  return new NodeError(record.code, record.message, record.details);
}
