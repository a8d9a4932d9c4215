/** What a client of the dqlite protocol may ask: data only. `request_codec.ts` turns it into bytes and back. */
import type { ParameterForm, Tuple } from "../wire/tuple.ts";
import type { CallRequest } from "./call.ts";

/** An unsigned number of 64 bits: a bigint when it is above 2^53 - 1. Ids of foreign clusters may be. */
export type Unsigned = number | bigint;

/** Numbers are part of the format. */
export const RequestType = {
  leader: 0,
  client: 1,
  heartbeat: 2,
  open: 3,
  prepare: 4,
  exec: 5,
  query: 6,
  finalize: 7,
  exec_sql: 8,
  query_sql: 9,
  interrupt: 10,
  connect: 11,
  add: 12,
  assign: 13,
  remove: 14,
  dump: 15,
  cluster: 16,
  transfer: 17,
  describe: 18,
  weight: 19,
  // Of walraft alone, far from where dqlite goes on counting.
  hello: 240,
  read: 241,
  write: 242,
} as const;
export type RequestKind = keyof typeof RequestType;

/** Roles on the wire. */
export const Role = { voter: 0, stand_by: 1, spare: 2 } as const;
export type Role = (typeof Role)[keyof typeof Role];

/**
 * A prepared statement and its parameters; `schema` is the form in which they are sent. Database ids are given by the
 * server in the answer to `open`, statement ids in the answer to `prepare`.
 */
export interface OfStatement {
  readonly schema: ParameterForm;
  readonly databaseId: number;
  readonly statementId: number;
  readonly parameters: Tuple;
}

/** One or more statements as text and their parameters. */
interface OfText {
  readonly schema: ParameterForm;
  readonly databaseId: Unsigned;
  readonly sql: string;
  readonly parameters: Tuple;
}

/** Which node leads? Any node answers. */
export interface LeaderRequest {
  readonly kind: "leader";
}
/** Said once the leader is found. */
export interface ClientRequest {
  readonly kind: "client";
  readonly clientId: Unsigned;
}
/** No current client sends it, no current server knows it. */
export interface HeartbeatRequest {
  readonly kind: "heartbeat";
  readonly timestamp: Unsigned;
}
export interface OpenRequest {
  readonly kind: "open";
  readonly name: string;
  readonly flags: Unsigned;
  readonly vfs: string;
}
/** Schema 1 lets a text go on behind its first statement; the answer says where. */
export interface PrepareRequest {
  readonly kind: "prepare";
  readonly schema: 0 | 1;
  readonly databaseId: Unsigned;
  readonly sql: string;
}
export interface ExecRequest extends OfStatement {
  readonly kind: "exec";
}
export interface QueryRequest extends OfStatement {
  readonly kind: "query";
}
export interface FinalizeRequest {
  readonly kind: "finalize";
  readonly databaseId: number;
  readonly statementId: number;
}
export interface ExecSqlRequest extends OfText {
  readonly kind: "exec_sql";
}
export interface QuerySqlRequest extends OfText {
  readonly kind: "query_sql";
}
export interface InterruptRequest {
  readonly kind: "interrupt";
  readonly databaseId: Unsigned;
}
/** From a dqlite node that wants to talk Raft on this connection: there is nothing to answer. */
export interface ConnectRequest {
  readonly kind: "connect";
  readonly nodeId: Unsigned;
  readonly address: string;
}
/** The new node is a spare. */
export interface AddRequest {
  readonly kind: "add";
  readonly nodeId: Unsigned;
  readonly address: string;
}
/** Also called Promote: without a role on the wire it means voter. */
export interface AssignRequest {
  readonly kind: "assign";
  readonly nodeId: Unsigned;
  readonly role: Role;
}
export interface RemoveRequest {
  readonly kind: "remove";
  readonly nodeId: Unsigned;
}
export interface DumpRequest {
  readonly kind: "dump";
  readonly name: string;
}
/** Format 1 has roles in its answer, format 0 has not. */
export interface ClusterRequest {
  readonly kind: "cluster";
  readonly format: 0 | 1;
}
/** 0: the server picks another voter. */
export interface TransferRequest {
  readonly kind: "transfer";
  readonly nodeId: Unsigned;
}
export interface DescribeRequest {
  readonly kind: "describe";
}
export interface WeightRequest {
  readonly kind: "weight";
  readonly weight: Unsigned;
}

export type Request =
  | LeaderRequest
  | ClientRequest
  | HeartbeatRequest
  | OpenRequest
  | PrepareRequest
  | ExecRequest
  | QueryRequest
  | FinalizeRequest
  | ExecSqlRequest
  | QuerySqlRequest
  | InterruptRequest
  | ConnectRequest
  | AddRequest
  | AssignRequest
  | RemoveRequest
  | DumpRequest
  | ClusterRequest
  | TransferRequest
  | DescribeRequest
  | WeightRequest
  | CallRequest;
