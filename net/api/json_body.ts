import { NodeError } from "../../core/base/errors.ts";

/**
 * A number of a body that was written as a REAL although its value is integral (`3.0`, `1e3`, a msgpack float64).
 * Only parameters care; elsewhere `plainNumbers` turns it back.
 */
export class RealLiteral {
  constructor(readonly value: number) {}
}

/** Where JSON.parse alone would lose something: a long run of digits, `.0`, or an exponent. May match in strings. */
const EXACTNESS_NEEDED = /\d{16}|\.0+(?!\d)|\d[eE][-+]?\d/;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** The library types do not know the reviver's third argument yet: the number as it was written. */
const parseWithSource = JSON.parse as (
  text: string,
  reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
) => unknown;

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Parses a JSON body. Integer literals beyond 2^53 come as bigint, REAL literals with integral value as RealLiteral.
 * Throws NodeError bad_request for broken UTF-8, broken JSON and nesting deeper than `depthMax`, the last before
 * anything is parsed.
 */
export function decodeJsonBody(bytes: Uint8Array, depthMax: number): unknown {
  if (bytes.length === 0) {
    throw new NodeError("bad_request", "Cannot read the body: it is empty; send a JSON object");
  }
  checkJsonDepth(bytes, depthMax);
  let text: string;
  try {
    text = strictUtf8.decode(bytes);
  } catch {
    throw new NodeError("bad_request", "Cannot read the body: it is not UTF-8");
  }
  try {
    return EXACTNESS_NEEDED.test(text) ? parseWithSource(text, reviveNumber) : JSON.parse(text);
  } catch (error) {
    if (error instanceof NodeError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new NodeError("bad_request", `Cannot parse the body as JSON: ${reason}`);
  }
}

function reviveNumber(_key: string, value: unknown, context: { readonly source?: string }): unknown {
  const source = context.source;
  if (typeof value !== "number" || source === undefined) return value;
  if (/[.eE]/.test(source)) return Number.isInteger(value) ? new RealLiteral(value) : value;
  return Number.isSafeInteger(value) ? value : exactInteger(source);
}

/** More digits than any double has: beyond them a number is infinite as REAL and out of range as INTEGER. */
const DIGITS_MAX = 400;
const BEYOND_ANY_NUMBER = 10n ** BigInt(DIGITS_MAX);

/** Turns digits into a bigint. The cost grows with their square, so an absurd number of them is not converted. */
function exactInteger(source: string): bigint {
  if (source.length <= DIGITS_MAX) return BigInt(source);
  return source.startsWith("-") ? -BEYOND_ANY_NUMBER : BEYOND_ANY_NUMBER;
}

/** One pass over the bytes that looks only at brackets and strings; stops at the first bracket too deep. */
export function checkJsonDepth(bytes: Uint8Array, depthMax: number): void {
  let depth = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === QUOTE) {
      at = stringEnd(bytes, at);
      if (at < 0) return; // An open string: JSON.parse will say so.
    } else if (byte === 0x5b || byte === 0x7b) {
      depth++;
      if (depth > depthMax) throw tooDeep(depthMax);
    } else if (byte === 0x5d || byte === 0x7d) {
      depth--;
    }
  }
}

export function tooDeep(depthMax: number): NodeError {
  return new NodeError("bad_request", `Cannot read the body: it nests deeper than ${depthMax} levels`, {
    limit: { name: "request_depth", value: depthMax },
  });
}

/** Position of the quote that closes the string opened at `start`, or -1. */
function stringEnd(bytes: Uint8Array, start: number): number {
  let end = start;
  for (;;) {
    end = bytes.indexOf(QUOTE, end + 1);
    if (end < 0) return -1;
    let backslashes = 0;
    while (bytes[end - 1 - backslashes] === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return end;
  }
}
