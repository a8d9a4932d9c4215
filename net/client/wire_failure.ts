import type { ErrorResponse } from "../dqlite/call.ts";
import type { Failure } from "../dqlite/failure.ts";
import { FailureCode, isRepeatedByClients } from "../dqlite/failure_codes.ts";
import { WalraftError, type WalraftErrorFields } from "./walraft_error.ts";

/** The error of a call, as the HTTP client would give it. */
export function callError({ error, retry, mayHaveCommitted }: ErrorResponse): WalraftError {
  const { code, message, details } = error;
  return new WalraftError({ code, message, retry, mayHaveCommitted, details: { ...details } });
}

/** A Failure as the error that the HTTP client would give, as far as its code tells: of a node too busy for a call, say. */
export function failureError({ code, message }: Failure): WalraftError {
  return new WalraftError({ message, ...meaningOf(code), details: { sqlite_code: code } });
}

function meaningOf(code: number): Pick<WalraftErrorFields, "code" | "retry" | "mayHaveCommitted"> {
  if (code === FailureCode.commitUnknown) {
    return { code: "commit_unknown", retry: "with_key", mayHaveCommitted: true };
  }
  // A walraft node sends these only when nothing was written.
  if (isRepeatedByClients(code)) return { code: "not_leader", retry: "safe", mayHaveCommitted: false };
  switch (code & 0xff) {
    case FailureCode.busy:
      return { code: "queue_full", retry: "safe", mayHaveCommitted: false };
    case FailureCode.interrupt:
      return { code: "cancelled", retry: "safe", mayHaveCommitted: false };
    case FailureCode.tooBig:
      return { code: "body_too_large", retry: "never", mayHaveCommitted: false };
    default:
      return { code: "invalid_answer", retry: "never", mayHaveCommitted: false };
  }
}
