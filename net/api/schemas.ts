/**
 * Every request body of API version 1. One source for two uses: `validate.ts` checks bodies with these schemas, and
 * `openapi.ts` prints them. The output types are what the handlers get: parameters as SqlParameter, defaults filled.
 */
import { z } from "zod";
import type { Unsigned64 } from "../../core/base/ids.ts";
import { DATABASE_NAME_PATTERN, LIMITS } from "../../core/base/limits.ts";
import type { AsOf, ReadLevel } from "../../core/node/service.ts";
import type { SqlParameter } from "../../core/sql/values.ts";
import { RealLiteral } from "./json_body.ts";
import { decodeBase64, INT64_MAX, INT64_MIN, narrowInteger } from "./json_values.ts";

const INT64_HINT = 'must fit into 64 bits; write {"real": …} for a REAL';

const Int64Tag = z.strictObject({
  int64: z.string().regex(/^(0|-?[1-9][0-9]{0,18})$/, {
    error: "must be the decimal digits of a 64-bit integer",
    abort: true,
  })
    .refine((text) => BigInt(text) >= INT64_MIN && BigInt(text) <= INT64_MAX, "must fit into 64 bits"),
}).transform((tag): SqlParameter => narrowInteger(BigInt(tag.int64)));

/** A REAL; -0 and infinities stay plain numbers, because binding makes those REAL anyway. */
function toReal(value: number): SqlParameter {
  return Number.isInteger(value) && !Object.is(value, -0) ? { real: value } : value;
}

const SpecialReal = z.enum(["Infinity", "-Infinity", "-0.0"]);

/** Numbers of msgpack may be infinite, which `z.number` refuses; NaN is refused: SQLite would store NULL. */
const AnyNumber = z.custom<number>((value) => typeof value === "number" && !Number.isNaN(value));

const RealTag = z.strictObject({
  real: z.union([AnyNumber, SpecialReal, z.bigint(), z.instanceof(RealLiteral)], {
    error: 'must be a number, "Infinity", "-Infinity" or "-0.0"',
  }),
}).transform((tag): SqlParameter =>
  toReal(Number(tag.real instanceof RealLiteral ? tag.real.value : tag.real))
);

const Base64Tag = z.strictObject({
  base64: z.string().transform((text, context): Uint8Array => {
    try {
      return decodeBase64(text);
    } catch {
      context.issues.push({ code: "custom", input: text, message: "must be base64 with padding" });
      return z.NEVER;
    }
  }),
}).transform((tag): SqlParameter => tag.base64);

const WellFormedText = z.string().refine((text) => text.isWellFormed(), {
  error: "must be well-formed Unicode: it has half of a surrogate pair",
});

/** Strings and numbers come first: they are most of what is sent, and a union tries its members in order. */
export const Parameter = z.union([
  WellFormedText,
  AnyNumber,
  z.null(),
  z.boolean(),
  z.bigint().refine((value) => value >= INT64_MIN && value <= INT64_MAX, INT64_HINT),
  z.instanceof(RealLiteral).transform((literal): SqlParameter => toReal(literal.value)),
  z.instanceof(Uint8Array),
  Int64Tag,
  RealTag,
  Base64Tag,
], { error: 'must be null, a boolean, a number, a string, {"int64"}, {"real"} or {"base64"}' });

/** Stands for `AnyNumber` in the OpenAPI document; see `openapi.ts`. */
export const NUMBER_SCHEMA = AnyNumber;

export const Parameters = z.union([
  z.array(Parameter).max(LIMITS.parametersPerStatementMax),
  z.record(z.string(), Parameter),
], { error: "must be an array (by position) or an object (by name)" });

const Sql = z.string().min(1).max(LIMITS.statementBytesMax)
  .refine((text) => !text.includes("\0"), "must not contain NUL; pass such text as a parameter")
  .refine((text) => text.isWellFormed(), "must be well-formed Unicode: it has half of a surrogate pair");

const Index = z.int().min(0);
const TimeoutMs = z.int().min(1).max(LIMITS.requestMsMax).default(LIMITS.requestMsDefault);
const Rows = z.enum(["arrays", "objects"]).default("arrays");

const MOMENT_HINT = 'must be a log index or a time with its zone, such as "2026-11-21T10:00:00Z"';

/** A moment of the past, as it is written in a body. */
const Moment = z.union([Index, z.iso.datetime({ offset: true, error: MOMENT_HINT })], { error: MOMENT_HINT });

function toAsOf(moment: number | string): AsOf {
  return typeof moment === "number" ? { index: moment } : { wallMs: Date.parse(moment) };
}

const DatabaseName = z.string().regex(DATABASE_NAME_PATTERN, {
  error: "must be 1 to 64 letters, digits, _ . or -, not starting with . or -",
});
const Address = z.string().regex(/^(\[[0-9A-Fa-f:.]+\]|[^\s:/@[\]]{1,253}):[0-9]{1,5}$/, {
  error: "must be HOST:PORT",
});

export const StatementRequest = z.strictObject({ sql: Sql, params: Parameters.default([]) });

export const QueryRequestBody = StatementRequest.extend({
  level: z.enum(["linearizable", "index", "stale", "as_of"]).optional(),
  index: Index.optional(),
  max_age_ms: z.int().min(0).optional(),
  as_of: Moment.optional(),
  rows: Rows,
  timeout_ms: TimeoutMs,
}).superRefine((body, context) => {
  const level = body.level ?? impliedLevel(body.as_of);
  const refuse = (field: "index" | "max_age_ms" | "as_of", message: string) =>
    context.addIssue({ code: "custom", path: [field], message });
  if (level === "index" && body.index === undefined) refuse("index", 'is required with level "index"');
  if (level !== "index" && body.index !== undefined) refuse("index", 'must come with level "index"');
  if (level !== "stale" && body.max_age_ms !== undefined) {
    refuse("max_age_ms", 'must come with level "stale"');
  }
  if (level === "as_of" && body.as_of === undefined) refuse("as_of", 'is required with level "as_of"');
  if (level !== "as_of" && body.as_of !== undefined) {
    refuse("as_of", 'must come with level "as_of" or without a level');
  }
}).transform(({ as_of: moment, level = impliedLevel(moment), ...rest }) => ({
  ...rest,
  level,
  ...(moment === undefined ? {} : { asOf: toAsOf(moment) }),
}));

function impliedLevel(moment: number | string | undefined): ReadLevel {
  return moment === undefined ? "linearizable" : "as_of";
}

export const ExecuteRequestBody = StatementRequest.extend({ rows: Rows, timeout_ms: TimeoutMs });

export const BatchRequestBody = z.strictObject({
  statements: z.array(StatementRequest).min(1).max(LIMITS.statementsPerBatchMax),
  rows: Rows,
  timeout_ms: TimeoutMs,
});

export const CreateDatabaseRequestBody = z.strictObject({ name: DatabaseName, timeout_ms: TimeoutMs });

const UNSIGNED_HINT = "must be an integer from 0 to 2^64 - 1, as decimal digits in a string above 2^53 - 1";
const UINT64_END = 1n << 64n;

/** Weight or failure domain. Msgpack has large ones as they are. */
const Unsigned = z.union([
  z.int(UNSIGNED_HINT).min(0, UNSIGNED_HINT),
  z.bigint().refine((value) => value >= 0n && value < UINT64_END, UNSIGNED_HINT),
  z.string().regex(/^(0|[1-9][0-9]{0,19})$/, { error: UNSIGNED_HINT, abort: true })
    .refine((text) => BigInt(text) < UINT64_END, UNSIGNED_HINT),
], { error: UNSIGNED_HINT }).transform((value): Unsigned64 => {
  const large = BigInt(value);
  return large <= Number.MAX_SAFE_INTEGER ? Number(large) : large;
});

const MEMBER_CHANGE = {
  role: z.enum(["voter", "stand_by", "spare"]).optional(),
  weight: Unsigned.optional(),
  failure_domain: Unsigned.optional(),
  timeout_ms: TimeoutMs,
};

export const AddMemberRequestBody = z.strictObject({
  raft_address: Address,
  http_address: Address,
  ...MEMBER_CHANGE,
});

export const ChangeMemberRequestBody = z.strictObject(MEMBER_CHANGE);

export const TransferRequestBody = z.strictObject({ to: z.int().min(1).optional(), timeout_ms: TimeoutMs });

/** Path and query values, checked by the same rules as bodies. */
export const DatabasePath = z.strictObject({ database: DatabaseName });
export const TimeoutQuery = z.strictObject({ timeout_ms: TimeoutMs });
export const CheckpointQuery = TimeoutQuery.extend({ mode: z.enum(["passive", "full"]).default("passive") });

/** By the names routes use. */
export const QUERY_SCHEMAS = { TimeoutQuery, CheckpointQuery } as const;

export const REQUEST_SCHEMAS = {
  Parameter,
  Parameters,
  Statement: StatementRequest,
  QueryRequest: QueryRequestBody,
  ExecuteRequest: ExecuteRequestBody,
  BatchRequest: BatchRequestBody,
  CreateDatabaseRequest: CreateDatabaseRequestBody,
  AddMemberRequest: AddMemberRequestBody,
  ChangeMemberRequest: ChangeMemberRequestBody,
  TransferRequest: TransferRequestBody,
} as const;
