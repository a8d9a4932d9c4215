/**
 * Every answer body of API version 1, for the OpenAPI document and for tests that hold real answers to it. Answers are
 * not checked at run time: rows come encoded from the workers.
 */
import { z } from "zod";
import { ERROR_CODES, type ErrorCode } from "../../core/base/errors.ts";

export const Value = z.union([
  z.null(),
  z.number(),
  z.string(),
  z.strictObject({ int64: z.string() }),
  z.strictObject({ base64: z.string() }),
  z.strictObject({ real: z.union([z.number(), z.enum(["Infinity", "-Infinity", "-0.0"])]) }),
]);

const Index = z.int().min(0);
const Count = z.int().min(0);
const Row = z.union([z.array(Value), z.record(z.string(), Value)]);
const Columns = z.array(z.string());
const Types = z.array(z.string().nullable());

export const QueryAnswer = z.strictObject({
  columns: Columns,
  types: Types,
  rows: z.array(Row),
  index: Index,
  level: z.enum(["linearizable", "index", "stale", "as_of"]),
  age_ms: z.number(),
  time_ms: z.number(),
});

export const StatementResult = z.strictObject({
  changes: Count,
  last_insert_rowid: Value,
  columns: Columns.optional(),
  types: Types.optional(),
  rows: z.array(Row).optional(),
});

const WRITE_FACTS = { index: Index, time_ms: z.number(), replayed: z.literal(true).optional() };

export const ExecuteAnswer = StatementResult.extend(WRITE_FACTS);
export const BatchAnswer = z.strictObject({ results: z.array(StatementResult), ...WRITE_FACTS });

export const Database = z.strictObject({
  name: z.string(),
  id: Index,
  page_size: Count,
  pages: Count,
  bytes: Count,
  index: Index,
  tip: Index,
  checkpoint_index: Index,
});
export const DatabaseList = z.strictObject({ databases: z.array(Database) });
export const CreateDatabaseAnswer = z.strictObject({ name: z.string(), index: Index });
export const DropDatabaseAnswer = z.strictObject({ index: Index });
export const CheckpointAnswer = z.strictObject({ checkpoint_index: Index, complete: z.boolean() });
export const RestoreAnswer = z.strictObject({ index: Index, pages: Count, page_size: Count });

const Unsigned = z.union([Count, z.string()]);

export const Member = z.strictObject({
  id: z.int(),
  raft_address: z.string(),
  http_address: z.string(),
  role: z.enum(["leader", "voter", "learner", "stand_by", "spare"]),
  match_index: Index.nullable(),
  lag: Count.nullable(),
  last_contact_ms: z.number().nullable(),
  weight: Unsigned,
  failure_domain: Unsigned,
});
export const Cluster = z.strictObject({
  cluster_id: z.string(),
  node_id: z.int(),
  role: z.enum(["leader", "follower", "candidate", "learner", "stand_by", "spare"]),
  term: z.int(),
  leader_id: z.int().nullable(),
  leader_http_address: z.string().nullable(),
  tip: Index,
  commit_index: Index,
  changing: z.boolean(),
  members: z.array(Member),
});
export const MemberId = z.strictObject({ id: z.int() });
export const TransferAnswer = z.strictObject({ leader_id: z.int() });
export const Pointer = z.strictObject({ name: z.string(), version: z.string(), openapi: z.string() });

const CODES = Object.keys(ERROR_CODES) as [ErrorCode, ...ErrorCode[]];

export const ErrorAnswer = z.strictObject({
  error: z.strictObject({
    code: z.enum(CODES),
    message: z.string(),
    retry: z.enum(["safe", "with_key", "never"]),
    may_have_committed: z.boolean(),
    field: z.string().optional(),
    limit: z.strictObject({ name: z.string(), value: z.number() }).optional(),
    sqlite_code: z.int().optional(),
    sql_offset: z.int().optional(),
    statement_index: z.int().optional(),
    leader: z.string().optional(),
  }),
});

export const ANSWER_SCHEMAS = {
  Value,
  StatementResult,
  QueryAnswer,
  ExecuteAnswer,
  BatchAnswer,
  Database,
  DatabaseList,
  CreateDatabaseAnswer,
  DropDatabaseAnswer,
  CheckpointAnswer,
  RestoreAnswer,
  Member,
  Cluster,
  MemberId,
  TransferAnswer,
  Pointer,
  Error: ErrorAnswer,
} as const;
