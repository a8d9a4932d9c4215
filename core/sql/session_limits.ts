import { LIMITS } from "../base/limits.ts";

/** The bounds of one session. Tests make them small; everyone else takes the defaults. */
export interface SessionLimits {
  readonly transactionBytesMax: number;
  /** A larger transaction spans several entries. */
  readonly entryBytesMax: number;
  readonly walBytesMax: number;
  readonly temporaryBytesMax: number;
  readonly heapBytesMax: number;
  /** A text, a blob, a row. */
  readonly valueBytesMax: number;
  readonly resultRowsMax: number;
  readonly resultBytesMax: number;
  readonly idempotencyAnswerBytesMax: number;
  /** Infinity leaves it to the stack; see expression_depth.ts. */
  readonly expressionDepthMax: number;
  readonly cachedStatementCountMax: number;
  /** SQLite's page cache, in KiB. */
  readonly cacheKib: number;
  /** Virtual machine operations between two looks at the cancel flag and the clock. */
  readonly progressOperations: number;
}

export const DEFAULT_SESSION_LIMITS: SessionLimits = {
  transactionBytesMax: LIMITS.transactionBytesMax,
  entryBytesMax: LIMITS.entryBytesMax,
  walBytesMax: LIMITS.walBytesMax,
  temporaryBytesMax: LIMITS.temporaryBytesMax,
  heapBytesMax: LIMITS.engineHeapBytesMax,
  valueBytesMax: LIMITS.valueBytesMax,
  resultRowsMax: LIMITS.resultRowsMax,
  resultBytesMax: LIMITS.resultBytesMax,
  idempotencyAnswerBytesMax: LIMITS.idempotencyAnswerBytesMax,
  expressionDepthMax: LIMITS.expressionDepthMax,
  cachedStatementCountMax: LIMITS.cachedStatementCountMax,
  cacheKib: 8 * 1024,
  progressOperations: 4_000,
};
