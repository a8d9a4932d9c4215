/** What callers pass to the calls of a database, checked: the same for every protocol. */
import type { AsOf, SqlParameters, SqlQuery, SqlStatement } from "./row_types.ts";
import { invalidArgument } from "./walraft_error.ts";

/** What a call accepts where SQL stands: text with parameters beside it, or the `sql` tag. */
export type SqlText<Row extends object> = string | SqlQuery<Row>;

/** Longest time a node accepts in a request. */
const NODE_TIMEOUT_MS_MAX = 600_000;

/** The time a node may take, as it wants to be told: whole milliseconds within its limits. */
export function toNodeTimeoutMs(ms: number): number {
  return Math.min(NODE_TIMEOUT_MS_MAX, Math.max(1, Math.floor(ms)));
}

/** @throws WalraftError invalid_argument */
export function positive(name: string, value: number): number {
  if (Number.isFinite(value) && value > 0) return value;
  throw invalidArgument(`Cannot use ${value} as ${name}: it must be a finite number above 0`);
}

/** @throws WalraftError invalid_argument for parameters beside the tag */
export function toStatement(text: SqlText<object>, params: SqlParameters | undefined): SqlStatement {
  if (typeof text === "string") return { sql: text, params: params ?? [] };
  if (params !== undefined && params !== null) {
    throw invalidArgument("Cannot pass parameters beside the sql tag: its values are the parameters already");
  }
  return text;
}

/** A log index, or a time in ISO 8601. @throws WalraftError invalid_argument */
export function toMoment(asOf: AsOf): number | string {
  const isUsable = typeof asOf === "number"
    ? Number.isSafeInteger(asOf) && asOf >= 0
    : typeof asOf === "string" || (asOf instanceof Date && !Number.isNaN(asOf.getTime()));
  if (!isUsable) {
    throw invalidArgument(
      `Cannot read as of ${String(asOf)}: give a log index, a Date, or a time in ISO 8601 with its zone`,
    );
  }
  return asOf instanceof Date ? asOf.toISOString() : asOf;
}
