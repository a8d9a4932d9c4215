import type { ErrorCode, ErrorDetails, Retry } from "../../core/base/errors.ts";

/**
 * Codes the client itself gives:
 * - `network_error`: no answer arrived (refused, reset, name not found, node stopped answering).
 * - `invalid_answer`: something answered that is not a walraft node, or the answer is damaged or too large.
 * - `invalid_argument`: the call cannot be sent: a parameter, an option or a URL is wrong.
 */
export type ClientErrorCode = "network_error" | "invalid_answer" | "invalid_argument";

/** Codes of a newer server are possible, so a `switch` needs a default. */
export type WalraftErrorCode = ErrorCode | ClientErrorCode | (string & Record<never, never>);

export interface WalraftErrorFields {
  readonly code: WalraftErrorCode;
  readonly message: string;
  readonly retry: Retry;
  readonly mayHaveCommitted: boolean;
  /** HTTP status, 0 when there was no answer. */
  readonly status?: number;
  readonly details?: ErrorDetails & { readonly [name: string]: unknown };
  /** The key the write was sent with: repeating it with this key is safe. */
  readonly idempotencyKey?: string | undefined;
  readonly cause?: unknown;
}

/** Survives several copies of this package in one program, and `structuredClone` does not matter to it. */
const MARK = "walraft.error.v1";

/** Every failure the client reports. Test for it with `isWalraftError`, which works across copies of the package. */
export class WalraftError extends Error {
  override readonly name: string = "WalraftError";
  readonly code: WalraftErrorCode;
  /** May the same call be made again: `safe` yes, `with_key` only with the same idempotency key, `never` no. */
  readonly retry: Retry;
  /** The write may have happened although the answer is an error. True if it is so for any attempt of the call. */
  readonly mayHaveCommitted: boolean;
  readonly status: number;
  /** Facts such as `field`, `limit`, `sqlite_code`, `statement_index`, `leader`. */
  readonly details: ErrorDetails & { readonly [name: string]: unknown };
  readonly idempotencyKey: string | undefined;
  readonly walraftMark: typeof MARK = MARK;

  constructor(fields: WalraftErrorFields) {
    super(fields.message, fields.cause === undefined ? undefined : { cause: fields.cause });
    this.code = fields.code;
    this.retry = fields.retry;
    this.mayHaveCommitted = fields.mayHaveCommitted;
    this.status = fields.status ?? 0;
    this.details = fields.details ?? {};
    this.idempotencyKey = fields.idempotencyKey;
  }
}

/** True for errors of this client, from whichever copy of the package; with `code`, only for that code. */
export function isWalraftError(value: unknown, code?: WalraftErrorCode): value is WalraftError {
  if (!(value instanceof Error) && (value === null || typeof value !== "object")) return false;
  const candidate = value as { readonly walraftMark?: unknown; readonly code?: unknown };
  return candidate.walraftMark === MARK && (code === undefined || candidate.code === code);
}

/** The call cannot be sent as it is. */
export function invalidArgument(message: string, cause?: unknown): WalraftError {
  return new WalraftError({
    code: "invalid_argument",
    message,
    retry: "never",
    mayHaveCommitted: false,
    cause,
  });
}

function toRetry(value: unknown): Retry {
  return value === "safe" || value === "with_key" ? value : "never";
}

/** Error of an answer with a status of 400 or more. `undefined` when the body is not walraft's error shape. */
export function toWalraftError(status: number, body: unknown): WalraftError | undefined {
  const error = (body as { readonly error?: unknown } | null)?.error;
  if (error === null || typeof error !== "object") return undefined;
  const { code, message, retry, may_have_committed: mayHaveCommitted, ...details } = error as {
    readonly [name: string]: unknown;
  };
  if (typeof code !== "string") return undefined;
  return new WalraftError({
    code,
    message: typeof message === "string" ? message : code,
    retry: toRetry(retry),
    mayHaveCommitted: mayHaveCommitted === true,
    status,
    details,
  });
}
