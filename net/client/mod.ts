/**
 * Typed client of walraft, a distributed SQLite. It needs `fetch`, `AbortSignal` and `TextDecoder`, and nothing else:
 * it runs in Deno, Node 20 and later, and browsers.
 *
 * @module
 */
export { Client, type ClientOptions, connect } from "./client.ts";
export { Database, type RestoreSource } from "./database.ts";
export type { SqlClientOptions, SqlDatabase } from "./sql_database.ts";
export { Sql, sql, type SqlTag, type SqlTagValue } from "./sql_tag.ts";
export {
  type ClientErrorCode,
  isWalraftError,
  WalraftError,
  type WalraftErrorCode,
  type WalraftErrorFields,
} from "./walraft_error.ts";
export type { ClusterInfo, DatabaseInfo, MemberChange, MemberInfo, NewMember } from "./cluster_types.ts";
export type * from "./row_types.ts";
export type { ErrorCode, ErrorDetails, Retry } from "../../core/base/errors.ts";
