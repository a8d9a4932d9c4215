/**
 * Values in JSON. Integers outside ±(2^53 - 1) travel as `{"int64":"…"}`, blobs as `{"base64":"…"}`, reals JSON has no
 * number for as `{"real":"Infinity"}`, reals that look like integers as `{"real":3}`.
 */
import type { SqlParameter, SqlParameters, SqlValue } from "./row_types.ts";
import { invalidArgument, WalraftError } from "./walraft_error.ts";

type JsonValue = null | boolean | number | string | { readonly [tag: string]: number | string };

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;
/** Arguments of one `String.fromCharCode` call: well below the stack of every engine. */
const BASE64_SLICE_BYTES = 8_192;

interface NativeBase64 {
  toBase64?(): string;
}

export function toBase64(bytes: Uint8Array): string {
  const native = (bytes as NativeBase64).toBase64;
  if (native !== undefined) return native.call(bytes);
  let text = "";
  for (let offset = 0; offset < bytes.length; offset += BASE64_SLICE_BYTES) {
    text += String.fromCharCode(...bytes.subarray(offset, offset + BASE64_SLICE_BYTES));
  }
  return btoa(text);
}

export function fromBase64(text: string): Uint8Array {
  const native = (Uint8Array as unknown as { fromBase64?(text: string): Uint8Array }).fromBase64;
  if (native !== undefined) return native.call(Uint8Array, text);
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

function encodeReal(value: number, path: string): JsonValue {
  if (Number.isNaN(value)) {
    throw invalidArgument(`Cannot bind ${path}: NaN has no SQLite value; use null`);
  }
  if (!Number.isFinite(value)) return { real: value > 0 ? "Infinity" : "-Infinity" };
  // JSON.stringify writes -0 as 0.
  return Object.is(value, -0) ? { real: "-0.0" } : { real: value };
}

function encodeNumber(value: number, path: string): JsonValue {
  if (Number.isSafeInteger(value) && !Object.is(value, -0)) return value;
  if (Number.isFinite(value) && !Number.isInteger(value)) return value;
  return encodeReal(value, path);
}

function encodeBigint(value: bigint, path: string): JsonValue {
  if (value < INT64_MIN || value > INT64_MAX) {
    throw invalidArgument(`Cannot bind ${path}: ${value} does not fit into 64 bits`);
  }
  const asNumber = Number(value);
  return Number.isSafeInteger(asNumber) ? asNumber : { int64: value.toString() };
}

/** One parameter as JSON. `path` names it in errors. Throws `invalid_argument`. */
export function encodeParameter(value: SqlParameter, path: string): JsonValue {
  if (value === null || typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "number") return encodeNumber(value, path);
  if (typeof value === "bigint") return encodeBigint(value, path);
  if (value instanceof Uint8Array) return { base64: toBase64(value) };
  if (typeof value === "object" && "real" in value && typeof value.real === "number") {
    return encodeReal(value.real, path);
  }
  throw invalidArgument(
    `Cannot bind ${path}: ${typeof value} is not a SQLite value; use null, number, bigint, string, boolean or Uint8Array`,
  );
}

/** Parameters by position or by name as JSON. */
export function encodeParameters(
  params: SqlParameters,
  path = "params",
): JsonValue[] | { [name: string]: JsonValue } {
  if (Array.isArray(params)) {
    return Array.from(
      params as readonly SqlParameter[],
      (value, i) => encodeParameter(value, `${path}[${i}]`),
    );
  }
  const named = params as { readonly [name: string]: SqlParameter };
  // A plain object would lose a parameter called "__proto__".
  const encoded = Object.create(null) as { [name: string]: JsonValue };
  for (const [name, value] of Object.entries(named)) {
    encoded[name] = encodeParameter(value, `${path}.${name}`);
  }
  return encoded;
}

function decodeTagged(cell: object): SqlValue {
  const tagged = cell as { readonly int64?: unknown; readonly base64?: unknown; readonly real?: unknown };
  if (typeof tagged.int64 === "string") return BigInt(tagged.int64);
  if (typeof tagged.base64 === "string") return fromBase64(tagged.base64);
  if (typeof tagged.real === "string" || typeof tagged.real === "number") return Number(tagged.real);
  throw new WalraftError({
    code: "invalid_answer",
    message: `Cannot read a value of the answer: ${JSON.stringify(cell).slice(0, 100)} has no known tag`,
    retry: "never",
    mayHaveCommitted: false,
  });
}

/** One cell of an answer. */
export function decodeValue(cell: unknown): SqlValue {
  if (cell === null || typeof cell === "number" || typeof cell === "string") return cell;
  if (typeof cell === "boolean") return cell ? 1 : 0;
  return decodeTagged(cell as object);
}

/** Rows that came as arrays, in place: an answer may hold a million of them. */
export function decodeRowArrays(rows: readonly unknown[]): SqlValue[][] {
  for (const row of rows) {
    const cells = row as unknown[];
    for (let i = 0; i < cells.length; i++) {
      const cell = cells[i];
      if (cell !== null && typeof cell === "object") cells[i] = decodeTagged(cell);
    }
  }
  return rows as SqlValue[][];
}

/** Rows as objects with the names of the columns. */
export function toRowObjects(
  rows: readonly SqlValue[][],
  columns: readonly string[],
): { [column: string]: SqlValue }[] {
  return rows.map((row) => {
    const object: { [column: string]: SqlValue } = {};
    for (let i = 0; i < columns.length; i++) {
      const column = columns[i] as string;
      const value = row[i] as SqlValue;
      if (column === "__proto__") Object.defineProperty(object, column, { value, enumerable: true });
      else object[column] = value;
    }
    return object;
  });
}
