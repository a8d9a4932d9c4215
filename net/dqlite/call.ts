/**
 * Requests that only walraft has, beside those of dqlite: a whole call in one message, with everything a call over HTTP
 * can say. Data only; `call_codec.ts` turns it into bytes and back.
 */
import { LIMITS } from "../../core/base/limits.ts";
import type { ErrorRecord } from "../../core/base/errors.ts";
import type { Tuple } from "../wire/tuple.ts";
import type { Unsigned } from "./request.ts";

/** The version of the calls that this code speaks; a client and a server agree on the lower of theirs. */
export const CALL_VERSION = 1;

/** Body of one call: as much as a body over HTTP, so that a follower can pass it on. */
export const CALL_BYTES_MAX = LIMITS.requestBodyBytesMax;

/** Said once on a connection before the first call. A server of dqlite answers that it does not know the request. */
export interface HelloRequest {
  readonly kind: "hello";
  /** The highest the client speaks, at least 1. */
  readonly version: Unsigned;
}

/** Numbers are part of the format. They say which state is shown and what `at` means. */
export const CallLevel = {
  /** `at` is 0. */
  linearizable: 0,
  /** `at`: serve at this log index or later. */
  index: 1,
  /** `at` is 0. */
  stale: 2,
  /** `at`: refuse data older than so many milliseconds. */
  stale_within: 3,
  /** `at`: the log index whose state is shown. */
  as_of_index: 4,
  /** `at`: a time in milliseconds since 1970. */
  as_of_time: 5,
} as const;
export type CallLevel = keyof typeof CallLevel;

/**
 * With `names`, `names[i]` is that of the parameter `i`; else they go by position. SQL that is that of the statement before is
 * not sent again.
 */
export interface CallStatement {
  readonly sql: string;
  readonly parameters: Tuple;
  readonly names?: readonly string[];
}

/** One statement that reads. */
export interface ReadRequest {
  readonly kind: "read";
  readonly database: string;
  readonly level: CallLevel;
  readonly at: number;
  /** For waiting and running together. */
  readonly timeoutMs: number;
  readonly statement: CallStatement;
}

/** One transaction. */
export interface WriteRequest {
  readonly kind: "write";
  readonly database: string;
  readonly isBatch: boolean;
  readonly timeoutMs: number;
  /** "" for none. */
  readonly idempotencyKey: string;
  readonly statements: readonly CallStatement[];
}

export type CallRequest = HelloRequest | ReadRequest | WriteRequest;

/** To `hello`. */
export interface GreetingResponse {
  readonly kind: "greeting";
  /** The one both speak. */
  readonly version: Unsigned;
}

/** The beginning of the answer to `read` and `write`. So many outcomes follow. */
export interface HeadResponse {
  readonly kind: "head";
  /** Log index of the write, or of the state read. */
  readonly index: number;
  /** How long ago the node heard a leader; undefined for a write. */
  readonly ageMs: number | undefined;
  /** The idempotency key was known: this is the first answer. */
  readonly isReplayed: boolean;
  readonly outcomes: number;
}

/** What one statement did. */
export interface Outcome {
  readonly changes: number;
  readonly lastInsertRowid: number | bigint;
  /** Of each column: the type of its values as `core/sql` names it. */
  readonly types: readonly string[];
}

/** Of one or more statements. When the last has columns, parts of a result follow (`rows`); the others have none. */
export interface OutcomeResponse {
  readonly kind: "outcome";
  readonly outcomes: readonly Outcome[];
}

/** Instead of an answer to `read` or `write`: the whole error, where a Failure has a code of SQLite only. */
export interface ErrorResponse {
  readonly kind: "error";
  readonly error: ErrorRecord;
  readonly retry: "safe" | "with_key" | "never";
  readonly mayHaveCommitted: boolean;
}

export type CallResponse = GreetingResponse | HeadResponse | OutcomeResponse | ErrorResponse;
