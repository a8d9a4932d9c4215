import type { ErrorRecord } from "../base/errors.ts";
import type { Outcome } from "./messages.ts";
import type { EncodedFields } from "./values.ts";

/**
 * Answers on their way from a worker: all bytes in one buffer, and numbers for the rest. To pass a buffer to another
 * thread costs microseconds, whatever its size; an object for each answer costs as much again.
 */
export interface PackedAnswers {
  /** Two numbers each: FAILED, or the count of fields times two, plus one for msgpack; and where its bytes end. */
  readonly heads: readonly number[];
  readonly bytes: Uint8Array;
  /** Of the answers that failed, in order. */
  readonly errors: readonly ErrorRecord[];
}

const FAILED = -1;

/** The bytes stay with the caller only if there are several: a single answer is not copied. */
export function packAnswers(outcomes: readonly Outcome<EncodedFields>[]): PackedAnswers {
  const heads: number[] = [];
  const errors: ErrorRecord[] = [];
  let end = 0;
  for (const outcome of outcomes) {
    if (outcome.ok) {
      const { bytes, count, format } = outcome.value;
      end += bytes.length;
      heads.push(count * 2 + (format === "msgpack" ? 1 : 0), end);
    } else {
      errors.push(outcome.error);
      heads.push(FAILED, end);
    }
  }
  return { heads, bytes: join(outcomes, end), errors };
}

export function unpackAnswers({ heads, bytes, errors }: PackedAnswers): Outcome<EncodedFields>[] {
  const outcomes: Outcome<EncodedFields>[] = [];
  let start = 0;
  let failures = 0;
  for (let at = 0; at < heads.length; at += 2) {
    const head = heads[at] as number;
    const end = heads[at + 1] as number;
    if (head === FAILED) {
      outcomes.push({ ok: false, error: errors[failures++] as ErrorRecord });
    } else {
      const format = head % 2 === 1 ? "msgpack" : "json";
      outcomes.push({ ok: true, value: { format, count: head >> 1, bytes: bytes.subarray(start, end) } });
    }
    start = end;
  }
  return outcomes;
}

function join(outcomes: readonly Outcome<EncodedFields>[], length: number): Uint8Array {
  const [only] = outcomes;
  if (outcomes.length === 1 && only?.ok) return only.value.bytes;
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const outcome of outcomes) {
    if (!outcome.ok) continue;
    bytes.set(outcome.value.bytes, at);
    at += outcome.value.bytes.length;
  }
  return bytes;
}
