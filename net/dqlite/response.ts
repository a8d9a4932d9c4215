/** What a server of the dqlite protocol answers: data only. `response_codec.ts` turns it into bytes and back. */
import type { Tuple } from "../wire/tuple.ts";
import type { CallResponse } from "./call.ts";
import type { Failure } from "./failure.ts";
import type { Role, Unsigned } from "./request.ts";

/** Numbers are part of the format. `node_legacy` shares that of `node`: the version of the connection decides. */
export const ResponseType = {
  failure: 0,
  node: 1,
  node_legacy: 1,
  welcome: 2,
  nodes: 3,
  database: 4,
  statement: 5,
  result: 6,
  rows: 7,
  empty: 8,
  files: 9,
  metadata: 10,
  // Of walraft alone.
  greeting: 240,
  head: 241,
  outcome: 242,
  error: 243,
} as const;

export interface FailureResponse extends Failure {
  readonly kind: "failure";
}
/** The leader: to `leader`. Id 0 and no address when none is known. */
export interface NodeResponse {
  readonly kind: "node";
  readonly nodeId: Unsigned;
  /** Byte for byte as clients know it: they compare it with the address they dialled. */
  readonly address: string;
}
export interface NodeLegacyResponse {
  readonly kind: "node_legacy";
  readonly address: string;
}
/** To `client`. */
export interface WelcomeResponse {
  readonly kind: "welcome";
  readonly heartbeatTimeoutMs: number;
}
export interface NodeDescription {
  readonly nodeId: Unsigned;
  readonly address: string;
  /** Sent in format 1 only. */
  readonly role: Role;
}
/** To `cluster`. */
export interface NodesResponse {
  readonly kind: "nodes";
  /** That of the request. Read back in format 0, every role is voter. */
  readonly format: 0 | 1;
  readonly nodes: readonly NodeDescription[];
}
/** To `open`. */
export interface DatabaseResponse {
  readonly kind: "database";
  readonly databaseId: number;
}
/** To `prepare`. */
export interface StatementResponse {
  readonly kind: "statement";
  readonly databaseId: number;
  readonly statementId: number;
  readonly parameterCount: number;
  /** Schema 1: bytes of the text that the statement takes; the rest may be prepared next. */
  readonly tailOffset?: number;
}
/** To `exec` and `exec_sql`. */
export interface ResultResponse {
  readonly kind: "result";
  /** Signed, 64 bits. */
  readonly lastInsertRowid: number | bigint;
  readonly changes: number;
}
/** To `query` and `query_sql`: one part of the result. `rows_encoder.ts` makes parts. */
export interface RowsResponse {
  readonly kind: "rows";
  readonly columns: readonly string[];
  readonly rows: readonly Tuple[];
  /** No part follows. */
  readonly isLast: boolean;
}
/** To `finalize`, `interrupt`, `add`, `assign`, `remove`, `transfer`, `weight`. */
export interface EmptyResponse {
  readonly kind: "empty";
}
/** To `dump`. Contents are whole words. `files_head.ts` is for contents that are not in memory. */
export interface FilesResponse {
  readonly kind: "files";
  readonly files: readonly { readonly name: string; readonly content: Uint8Array }[];
}
/** To `describe`. */
export interface MetadataResponse {
  readonly kind: "metadata";
  readonly failureDomain: Unsigned;
  readonly weight: Unsigned;
}

export type Response =
  | FailureResponse
  | NodeResponse
  | NodeLegacyResponse
  | WelcomeResponse
  | NodesResponse
  | DatabaseResponse
  | StatementResponse
  | ResultResponse
  | RowsResponse
  | EmptyResponse
  | FilesResponse
  | MetadataResponse
  | CallResponse;
export type ResponseKind = Response["kind"];
