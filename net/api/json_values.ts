/**
 * SQL values in JSON. Most are JSON's own; what JSON cannot hold exactly is a tagged object with one key:
 *
 * - integers outside ±(2^53−1): `{"int64":"-9223372036854775808"}`
 * - blobs: `{"base64":"AAEC"}` (RFC 4648 section 4, with padding)
 * - infinities: `{"real":"Infinity"}`, `{"real":"-Infinity"}` (SQLite stores NaN as NULL)
 *
 * A REAL with an integral value is written with a fraction (`3.0`, `-0.0`), so a reader that keeps number literals
 * apart can tell it from an INTEGER. The same forms are accepted as parameters, and `{"real":3}` for writers that
 * cannot choose the literal.
 */

export interface Int64Json {
  readonly int64: string;
}
export interface Base64Json {
  readonly base64: string;
}
export interface RealJson {
  readonly real: number | "Infinity" | "-Infinity" | "-0.0";
}

/** A value in an answer. */
export type ValueJson = null | number | string | Int64Json | Base64Json | RealJson;
/** A value in a request. */
export type ParameterJson = ValueJson | boolean;

export const INT64_MIN = -(2n ** 63n);
export const INT64_MAX = 2n ** 63n - 1n;

const SAFE_MAX = BigInt(Number.MAX_SAFE_INTEGER);

/** The shortest exact JavaScript form: a number where it is safe, else a bigint. */
export function narrowInteger(value: bigint): number | bigint {
  return value >= -SAFE_MAX && value <= SAFE_MAX ? Number(value) : value;
}

/** Strict base64: the standard alphabet, padding, no white space. Throws SyntaxError. */
export function decodeBase64(text: string): Uint8Array {
  if (/\s/.test(text)) throw new SyntaxError("base64 contains white space");
  return Uint8Array.fromBase64(text, { lastChunkHandling: "strict" });
}
