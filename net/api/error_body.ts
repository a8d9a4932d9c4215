import type { ErrorCode, ErrorDetails, NodeError, Retry } from "../../core/base/errors.ts";

/** The HTTP status of every code. Only `bad_request` also comes with 417, 431, 501 and 505 (see `net/http`). */
export const HTTP_STATUS = {
  bad_request: 400,
  unauthorized: 401,
  not_found: 404,
  method_not_allowed: 405,
  unsupported_media_type: 415,
  body_too_large: 413,
  request_timeout: 408,
  too_many_connections: 503,
  sql_error: 400,
  constraint_failed: 409,
  statement_refused: 400,
  read_only: 400,
  statement_timeout: 422,
  result_too_large: 422,
  transaction_too_large: 422,
  parameter_mismatch: 400,
  cancelled: 499,
  engine_failed: 500,
  idempotency_mismatch: 422,
  database_not_found: 404,
  database_exists: 409,
  database_file_invalid: 422,
  view_expired: 410,
  data_damaged: 503,
  not_leader: 503,
  no_leader: 503,
  no_quorum: 503,
  commit_unknown: 504,
  timeout: 504,
  index_not_reached: 503,
  too_stale: 503,
  queue_full: 503,
  membership_change_refused: 409,
  member_not_found: 404,
  disk_full: 507,
  stopping: 503,
  internal: 500,
} as const satisfies Record<ErrorCode, number>;

/** Body of every answer whose status is 400 or more. */
export interface ErrorBody {
  readonly error: ErrorDetails & {
    readonly code: ErrorCode;
    /** For people: what was attempted, the values, what to do. Not part of the contract. */
    readonly message: string;
    readonly retry: Retry;
    readonly may_have_committed: boolean;
  };
}

export function toErrorBody(error: NodeError): ErrorBody {
  return {
    error: {
      code: error.code,
      message: error.message,
      retry: error.retry,
      may_have_committed: error.mayHaveCommitted,
      ...error.details,
    },
  };
}
