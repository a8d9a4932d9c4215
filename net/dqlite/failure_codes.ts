/**
 * Which code a client of the dqlite protocol hears for an error, and why. The codes decide what go-dqlite does: after
 * some it throws its connection away, finds the leader and lets `database/sql` send the statement again, unseen by the
 * program. Such a code may go out only when nothing was written.
 */
import { ERROR_CODES, type ErrorCode, type ErrorRecord, toErrorRecord } from "../../core/base/errors.ts";
import { TupleError } from "../wire/tuple_error.ts";
import { type Failure, FailureError } from "./failure.ts";

/** Codes of SQLite (https://www.sqlite.org/rescode.html), of dqlite, and one of walraft. */
export const FailureCode = {
  error: 1,
  internal: 2,
  busy: 5,
  readOnly: 8,
  interrupt: 9,
  corrupt: 11,
  /** A statement or database of the connection is not there: go-dqlite connects and sends again. */
  notFound: 12,
  full: 13,
  /** dqlite's for Describe with an unknown format; SQLite calls it SQLITE_PROTOCOL. */
  protocol: 15,
  tooBig: 18,
  constraint: 19,
  notAuthorized: 23,
  range: 25,
  notADatabase: 26,
  /** SQLITE_ABORT_ROLLBACK. */
  abortRollback: 516,
  busySnapshot: 517,
  /** dqlite's own range begins at 1000. */
  objectNotFound: 1_002,
  malformed: 1_005,
  /** SQLITE_IOERR with dqlite's extension 40: go-dqlite connects to the leader and sends again. */
  notLeader: 10 + (40 << 8),
  /**
   * SQLITE_IOERR with an extension of walraft's own, 200, that neither SQLite nor dqlite uses: the write was logged and
   * may or may not be committed. Programs see an I/O error; none repeats it by itself.
   */
  commitUnknown: 10 + (200 << 8),
} as const;

/** After these go-dqlite gives up the connection and the statement is sent again, unseen by the program. */
const REPEATED_CODES: ReadonlySet<number> = new Set([
  0,
  FailureCode.notFound,
  // Not leader and leadership lost, today and before 2020. SQLite itself now uses 8202 and 8458 for other errors.
  FailureCode.notLeader,
  10 + (41 << 8),
  10 + (32 << 8),
  10 + (33 << 8),
]);

/** Answers that need no error of the node. Texts are dqlite's where it has one: programs compare them. */
export const FAILURE = {
  requestTypeUnknown: { code: FailureCode.malformed, message: "unrecognized request type" },
  schemaUnknown: { code: FailureCode.error, message: "unrecognized schema version" },
  schemaMalformed: { code: FailureCode.malformed, message: "unrecognized schema version" },
  clusterFormatUnknown: { code: FailureCode.malformed, message: "unrecognized cluster format" },
  describeFormatUnknown: { code: FailureCode.protocol, message: "bad format version" },
  roleUnknown: { code: FailureCode.malformed, message: "unrecognized role" },
  parametersRefused: { code: FailureCode.error, message: "bind parameters" },
  /** dqlite's 0 would make go-dqlite send the text again twice and say "bad connection". */
  statementEmpty: { code: FailureCode.error, message: "empty statement" },
  statementTail: { code: FailureCode.error, message: "nonempty statement tail" },
  rowsFromExec: {
    code: FailureCode.error,
    message: "rows yielded when none expected for EXEC request",
  },
  /** Also after a change of leader: the client connects again and opens again, and nothing was written. */
  databaseNotOpen: { code: FailureCode.notFound, message: "no database opened" },
  statementNotFound: { code: FailureCode.notFound, message: "no statement with the given id" },
  databaseAlreadyOpen: {
    code: FailureCode.busy,
    message: "a database for this connection is already open",
  },
  databaseLocked: { code: FailureCode.busy, message: "database is locked" },
  notLeader: { code: FailureCode.notLeader, message: "not leader" },
  answersFull: {
    code: FailureCode.busy,
    message: "too many answers wait for slow clients; try later",
  },
  transactionLost: {
    code: FailureCode.abortRollback,
    message: "the transaction was rolled back by the server; nothing of it was committed: begin again",
  },
} as const satisfies Record<string, Failure>;

/**
 * The code of an error that does not carry one of SQLite. Errors after which another node can do the same at once are
 * `notLeader`; where waiting helps, `busy`.
 */
const CODES: Record<ErrorCode, number> = {
  bad_request: FailureCode.error,
  unauthorized: FailureCode.notAuthorized,
  not_found: FailureCode.error,
  method_not_allowed: FailureCode.error,
  unsupported_media_type: FailureCode.error,
  body_too_large: FailureCode.tooBig,
  request_timeout: FailureCode.busy,
  too_many_connections: FailureCode.busy,
  sql_error: FailureCode.error,
  constraint_failed: FailureCode.constraint,
  statement_refused: FailureCode.notAuthorized,
  read_only: FailureCode.readOnly,
  statement_timeout: FailureCode.interrupt,
  result_too_large: FailureCode.tooBig,
  transaction_too_large: FailureCode.tooBig,
  parameter_mismatch: FailureCode.range,
  cancelled: FailureCode.interrupt,
  engine_failed: FailureCode.internal,
  idempotency_mismatch: FailureCode.error,
  database_not_found: FailureCode.objectNotFound,
  database_exists: FailureCode.error,
  database_file_invalid: FailureCode.notADatabase,
  view_expired: FailureCode.busySnapshot,
  data_damaged: FailureCode.corrupt,
  not_leader: FailureCode.notLeader,
  no_leader: FailureCode.notLeader,
  // The node that says so still calls itself the leader: sent again at once, the statement would come back to it.
  no_quorum: FailureCode.busy,
  commit_unknown: FailureCode.commitUnknown,
  timeout: FailureCode.busy,
  index_not_reached: FailureCode.busy,
  too_stale: FailureCode.busy,
  queue_full: FailureCode.busy,
  membership_change_refused: FailureCode.error,
  member_not_found: FailureCode.error,
  disk_full: FailureCode.full,
  stopping: FailureCode.notLeader,
  internal: FailureCode.internal,
};

/** What walraft puts in front of SQLite's own words. Programs look for those at the beginning. */
const SQL_MESSAGE_PREFIX = /^(?:Statement \d+ of \d+: )?Cannot run the statement: /;

/** The Failure for anything thrown while a request was read or served. */
export function failureOf(error: unknown): Failure {
  if (error instanceof FailureError) return error.failure;
  if (error instanceof TupleError) {
    if (error.reason === "type") return FAILURE.parametersRefused;
    return { code: FailureCode.malformed, message: error.message };
  }
  return failureOfRecord(toErrorRecord(error));
}

/** The same for an error that came from another thread or node. */
export function failureOfRecord({ code, message, details }: ErrorRecord): Failure {
  // By what the list says, not by the code's name: a new code of unknown fate is safe without a change here.
  if (ERROR_CODES[code].mayHaveCommitted) return { code: FailureCode.commitUnknown, message };
  if (CODES[code] === FailureCode.notLeader) return FAILURE.notLeader;
  if (details.sqlite_code === undefined) return { code: CODES[code], message };
  return {
    code: sqliteFailureCode(details.sqlite_code, CODES[code]),
    message: message.replace(SQL_MESSAGE_PREFIX, ""),
  };
}

/** SQLite's code as it is, unless go-dqlite would read something else from it; then its primary code, or `fallback`. */
function sqliteFailureCode(sqliteCode: number, fallback: number): number {
  if (!Number.isSafeInteger(sqliteCode) || sqliteCode < 0) return fallback;
  if (!REPEATED_CODES.has(sqliteCode)) return sqliteCode;
  const primaryCode = sqliteCode & 0xff;
  return REPEATED_CODES.has(primaryCode) ? fallback : primaryCode;
}

/** Whether go-dqlite sends the statement again without telling the program when it hears `code`. */
export function isRepeatedByClients(code: number): boolean {
  return REPEATED_CODES.has(code);
}
