/** SQLite's five storage classes as JavaScript values. */

/** `bigint` only where a number would lose digits. A REAL is a number, an INTEGER a safe number or a bigint. */
export type SqlValue = null | number | bigint | string | Uint8Array;

/**
 * A value to bind. A number that is a safe integer and not -0 is bound as INTEGER, another number as REAL;
 * `{ real }` forces REAL (so that 3.0 stays a REAL in a column without a type); booleans become 0 and 1.
 */
export type SqlParameter = SqlValue | boolean | { readonly real: number };

/** By position, or by name with or without the prefix `:`, `@`, `$`. */
export type SqlParameters = readonly SqlParameter[] | { readonly [name: string]: SqlParameter };

export interface Statement {
  readonly sql: string;
  readonly parameters: SqlParameters;
}

export type ResultFormat = "json" | "msgpack";
/** `typed_arrays`: arrays, and each of `columns` is a name and the declared type, null where there is none. */
export type RowShape = "arrays" | "objects" | "typed_arrays";

/**
 * Fields of an answer, encoded by the worker that has the rows, so that the main thread only copies them.
 * JSON: `"columns":[…],"rows":[…]` without braces. msgpack: keys and values without the map header.
 */
export interface EncodedFields {
  readonly format: ResultFormat;
  /** Number of keys in `bytes`. */
  readonly count: number;
  readonly bytes: Uint8Array;
}

/** In place of fields where a sink has taken the rows. */
export const NO_FIELDS: EncodedFields = { format: "msgpack", count: 0, bytes: new Uint8Array(0) };

/** Characters and bytes to bind. */
export function sizeOfParameters(parameters: SqlParameters): number {
  let size = 0;
  for (const value of Array.isArray(parameters) ? parameters : Object.values(parameters)) {
    if (typeof value === "string" || value instanceof Uint8Array) size += value.length;
  }
  return size;
}
