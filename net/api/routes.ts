/** Every call of API version 1. The router matches by this table, and the OpenAPI document is printed from it. */
import type { ErrorCode } from "../../core/base/errors.ts";
import type { ANSWER_SCHEMAS } from "./answer_schemas.ts";
import type { QUERY_SCHEMAS, REQUEST_SCHEMAS } from "./schemas.ts";

export type RouteId =
  | "root"
  | "live"
  | "ready"
  | "metrics"
  | "openapi"
  | "list_databases"
  | "create_database"
  | "describe_database"
  | "drop_database"
  | "restore"
  | "backup"
  | "checkpoint"
  | "query"
  | "execute"
  | "batch"
  | "cluster"
  | "add_member"
  | "change_member"
  | "remove_member"
  | "transfer";

type SchemaName<Table> = Extract<keyof Table, string>;

export interface Route {
  readonly id: RouteId;
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** With `{database}` or `{member}` for a variable segment. */
  readonly path: string;
  readonly summary: string;
  /** Served without a token. */
  readonly isPublic?: true;
  /** `body` is JSON or msgpack, `file` a stream of bytes; else the call takes no body. */
  readonly takes?: "body" | "file";
  readonly request?: SchemaName<typeof REQUEST_SCHEMAS>;
  /** Parameters of the query string, for calls that take options and have no JSON body. */
  readonly query?: SchemaName<typeof QUERY_SCHEMAS>;
  readonly idempotencyKey?: true;
  readonly status: 200 | 201;
  /** Name of a schema, or the media type of an answer that is neither JSON nor msgpack. */
  readonly answer: SchemaName<typeof ANSWER_SCHEMAS> | "text/plain" | "application/vnd.sqlite3" | "object";
  /** Codes beside `COMMON_ERRORS`. */
  readonly errors: readonly ErrorCode[];
}

/** Any call behind the token can answer these. */
export const COMMON_ERRORS: readonly ErrorCode[] = [
  "bad_request",
  "unauthorized",
  "not_found",
  "method_not_allowed",
  "request_timeout",
  "too_many_connections",
  "queue_full",
  "stopping",
  "internal",
];

const BODY: readonly ErrorCode[] = ["unsupported_media_type", "body_too_large"];
const LEADER: readonly ErrorCode[] = ["not_leader", "no_leader", "no_quorum", "timeout"];
const CHANGE: readonly ErrorCode[] = [...LEADER, "commit_unknown", "disk_full"];
const STATEMENT: readonly ErrorCode[] = [
  "sql_error",
  "statement_refused",
  "statement_timeout",
  "result_too_large",
  "parameter_mismatch",
  "engine_failed",
  "database_not_found",
  "data_damaged",
  "cancelled",
];
const READ: readonly ErrorCode[] = [
  ...BODY,
  ...LEADER,
  ...STATEMENT,
  "read_only",
  "view_expired",
  "index_not_reached",
  "too_stale",
];
const WRITE: readonly ErrorCode[] = [
  ...BODY,
  ...CHANGE,
  ...STATEMENT,
  "constraint_failed",
  "transaction_too_large",
  "idempotency_mismatch",
];

const DATABASE = "/v1/databases/{database}";

export const ROUTES: readonly Route[] = [
  {
    id: "root",
    method: "GET",
    path: "/",
    summary: "Where to find the API",
    status: 200,
    answer: "Pointer",
    errors: [],
  },
  {
    id: "live",
    method: "GET",
    path: "/livez",
    summary: "200 while the process serves",
    isPublic: true,
    status: 200,
    answer: "text/plain",
    errors: [],
  },
  {
    id: "ready",
    method: "GET",
    path: "/readyz",
    summary: "200 when the node can serve requests, else 503",
    isPublic: true,
    status: 200,
    answer: "text/plain",
    errors: [],
  },
  {
    id: "metrics",
    method: "GET",
    path: "/metrics",
    summary: "Counters and gauges in Prometheus text format",
    status: 200,
    answer: "text/plain",
    errors: [],
  },
  {
    id: "openapi",
    method: "GET",
    path: "/v1/openapi.json",
    summary: "This document",
    status: 200,
    answer: "object",
    errors: [],
  },
  {
    id: "list_databases",
    method: "GET",
    path: "/v1/databases",
    summary: "List databases",
    status: 200,
    answer: "DatabaseList",
    errors: LEADER,
  },
  {
    id: "create_database",
    method: "POST",
    path: "/v1/databases",
    summary: "Create a database",
    takes: "body",
    request: "CreateDatabaseRequest",
    status: 201,
    answer: "CreateDatabaseAnswer",
    errors: [...BODY, ...CHANGE, "database_exists"],
  },
  {
    id: "describe_database",
    method: "GET",
    path: DATABASE,
    summary: "Describe a database",
    status: 200,
    answer: "Database",
    errors: [...LEADER, "database_not_found"],
  },
  {
    id: "drop_database",
    method: "DELETE",
    path: DATABASE,
    summary: "Drop a database",
    query: "TimeoutQuery",
    status: 200,
    answer: "DropDatabaseAnswer",
    errors: [...CHANGE, "database_not_found"],
  },
  {
    id: "restore",
    method: "PUT",
    path: DATABASE,
    summary: "Replace or create a database from an SQLite file",
    takes: "file",
    query: "TimeoutQuery",
    status: 200,
    answer: "RestoreAnswer",
    errors: [...BODY, ...CHANGE, "database_file_invalid", "transaction_too_large"],
  },
  {
    id: "backup",
    method: "GET",
    path: `${DATABASE}/backup`,
    summary: "Stream a consistent SQLite file",
    query: "TimeoutQuery",
    status: 200,
    answer: "application/vnd.sqlite3",
    errors: [...LEADER, "database_not_found", "view_expired"],
  },
  {
    id: "checkpoint",
    method: "POST",
    path: `${DATABASE}/checkpoint`,
    summary: "Bring the .db file of the node that is asked up to date",
    query: "CheckpointQuery",
    status: 200,
    answer: "CheckpointAnswer",
    errors: [...LEADER, "database_not_found"],
  },
  {
    id: "query",
    method: "POST",
    path: `${DATABASE}/query`,
    summary: "Read at a consistency level: linearizable unless `level` or `as_of` says otherwise",
    takes: "body",
    request: "QueryRequest",
    status: 200,
    answer: "QueryAnswer",
    errors: READ,
  },
  {
    id: "execute",
    method: "POST",
    path: `${DATABASE}/execute`,
    summary: "Run one statement that may write",
    takes: "body",
    request: "ExecuteRequest",
    idempotencyKey: true,
    status: 200,
    answer: "ExecuteAnswer",
    errors: WRITE,
  },
  {
    id: "batch",
    method: "POST",
    path: `${DATABASE}/batch`,
    summary: "Run statements as one atomic transaction",
    takes: "body",
    request: "BatchRequest",
    idempotencyKey: true,
    status: 200,
    answer: "BatchAnswer",
    errors: WRITE,
  },
  {
    id: "cluster",
    method: "GET",
    path: "/v1/cluster",
    summary: "Members and their state",
    status: 200,
    answer: "Cluster",
    errors: [],
  },
  {
    id: "add_member",
    method: "POST",
    path: "/v1/cluster/members",
    summary: "Add a member; one that is to vote gets its vote when it has caught up",
    takes: "body",
    request: "AddMemberRequest",
    status: 201,
    answer: "MemberId",
    errors: [...BODY, ...CHANGE, "membership_change_refused"],
  },
  {
    id: "change_member",
    method: "POST",
    path: "/v1/cluster/members/{member}",
    summary: "Give a member another role, weight or failure domain",
    takes: "body",
    request: "ChangeMemberRequest",
    status: 200,
    answer: "MemberId",
    errors: [...BODY, ...CHANGE, "membership_change_refused", "member_not_found"],
  },
  {
    id: "remove_member",
    method: "DELETE",
    path: "/v1/cluster/members/{member}",
    summary: "Remove a member",
    query: "TimeoutQuery",
    status: 200,
    answer: "MemberId",
    errors: [...CHANGE, "membership_change_refused", "member_not_found"],
  },
  {
    id: "transfer",
    method: "POST",
    path: "/v1/cluster/transfer",
    summary: "Hand leadership over",
    takes: "body",
    request: "TransferRequest",
    status: 200,
    answer: "TransferAnswer",
    errors: [...BODY, ...LEADER, "membership_change_refused", "member_not_found"],
  },
];
