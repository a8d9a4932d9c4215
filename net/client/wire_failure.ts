import type { Failure } from "../dqlite/failure.ts";
import { FailureCode, isRepeatedByClients } from "../dqlite/failure_codes.ts";
import { WalraftError, type WalraftErrorFields } from "./walraft_error.ts";

/** A Failure as the error that the HTTP client would give, as far as its code tells. */
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
      return { code: "timeout", retry: "safe", mayHaveCommitted: false };
    case FailureCode.interrupt:
      return { code: "statement_timeout", retry: "never", mayHaveCommitted: false };
    case FailureCode.constraint:
      return { code: "constraint_failed", retry: "never", mayHaveCommitted: false };
    case FailureCode.notAuthorized:
      return { code: "statement_refused", retry: "never", mayHaveCommitted: false };
    default:
      return { code: "sql_error", retry: "never", mayHaveCommitted: false };
  }
}

/** Whether the same call may be sent to another node without asking the caller. */
export function isNotExecuted(error: unknown): boolean {
  return error instanceof WalraftError && (error.code === "not_leader" || error.code === "no_leader");
}
