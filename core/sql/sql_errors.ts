import { type ErrorDetails, NodeError } from "../base/errors.ts";
import { ResultCode, type SqliteError } from "./engine.ts";

/** What a session knows about why SQLite gave up. */
export interface FailureContext {
  /** Why the policy denied something. */
  readonly refusal: string | undefined;
  readonly stopped: "timeout" | "cancelled" | undefined;
  /** The name and value of the limit whose end made SQLite say "full" or "out of memory". */
  readonly exceeded: { readonly name: string; readonly value: number } | undefined;
}

/** The schema of the view is not the one that the caller knows. */
export class SchemaChangedError extends NodeError {
  constructor() {
    super("sql_error", "Cannot run the statement: it was judged with another schema");
  }
}

/** SQLite's error as one of walraft's. */
export function toSqlError(error: SqliteError, context: FailureContext): NodeError {
  const details: ErrorDetails = {
    sqlite_code: error.resultCode,
    ...(error.sqlOffset === undefined ? {} : { sql_offset: error.sqlOffset }),
  };
  if (context.refusal !== undefined) {
    return new NodeError("statement_refused", `Cannot run the statement: ${context.refusal}`, details);
  }
  if (error.primaryCode === ResultCode.interrupt) return interrupted(context);
  if (context.exceeded !== undefined) return exceeded(context.exceeded, details);
  switch (error.primaryCode) {
    case ResultCode.constraint:
      return new NodeError("constraint_failed", `Cannot run the statement: ${error.message}`, details);
    case ResultCode.readOnly:
      return readOnlyError();
    default:
      return new NodeError("sql_error", `Cannot run the statement: ${error.message}`, details);
  }
}

export function readOnlyError(): NodeError {
  return new NodeError("read_only", "Cannot run the statement as a query: it writes; use execute or batch");
}

export function refused(reason: string): NodeError {
  return new NodeError("statement_refused", `Cannot run the statement: ${reason}`);
}

/** The same error, saying which statement of a batch it is about. */
export function inBatch(error: NodeError, index: number, count: number): NodeError {
  const message = `Statement ${index + 1} of ${count}: ${error.message}`;
  return new NodeError(error.code, message, { ...error.details, statement_index: index }, { cause: error });
}

function interrupted(context: FailureContext): NodeError {
  if (context.stopped === "cancelled") {
    return new NodeError("cancelled", "Cannot finish the statement: the caller gave up");
  }
  return new NodeError("statement_timeout", "Cannot finish the statement: it ran longer than its time limit");
}

function exceeded(limit: { name: string; value: number }, details: ErrorDetails): NodeError {
  if (limit.name === "transaction_bytes") {
    const message =
      `Cannot run the statement: its transaction changes more than ${limit.value} bytes of pages; split it into smaller ones`;
    return new NodeError("transaction_too_large", message, { ...details, limit });
  }
  const message = `Cannot run the statement: it needs more than ${limit.value} bytes (limit ${limit.name})`;
  return new NodeError("sql_error", message, { ...details, limit });
}
