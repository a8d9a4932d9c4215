import type { SqlParameter, SqlParameters, Statement } from "./values.ts";

/**
 * A 64-bit hash of what a keyed request does, stored beside its answer: the same key with another request is a
 * mistake of the caller. It guards against mistakes, not against malice. The format of the answer is no part of it.
 *
 * Hashed are 32-bit words: kind (1 execute, 2 batch), number of statements, then for each its SQL and the number of its parameters, each
 * with its name (a list has the names "0", "1", …), a tag and the value; names in order. A text is its length and its
 * UTF-16 units, two to a word. These words are part of the database: changing them makes stored keys look misused.
 */
export function hashRequest(kind: "execute" | "batch", statements: readonly Statement[]): Uint8Array {
  const hash = new Hash64();
  hash.word(kind === "execute" ? 1 : 2);
  hash.word(statements.length);
  for (const { sql, parameters } of statements) {
    hash.text(sql);
    hashParameters(hash, parameters);
  }
  return hash.finish();
}

const Tag = { null: 0, integer: 1, real: 2, text: 3, blob: 4 } as const;

function hashParameters(hash: Hash64, parameters: SqlParameters): void {
  const entries: [string, SqlParameter][] = Object.entries(parameters);
  if (!Array.isArray(parameters)) entries.sort(([a], [b]) => a < b ? -1 : 1);
  hash.word(entries.length);
  for (const [name, value] of entries) {
    hash.text(name);
    hashValue(hash, value);
  }
}

/** Values that are stored alike hash alike: true and 1, 5 and 5n. */
function hashValue(hash: Hash64, value: SqlParameter): void {
  if (value === null) hash.word(Tag.null);
  else if (typeof value === "string") {
    hash.word(Tag.text);
    hash.text(value);
  } else if (value instanceof Uint8Array) {
    hash.word(Tag.blob);
    hash.bytes(value);
  } else if (typeof value === "object") hashReal(hash, value.real);
  else if (typeof value === "number" && (!Number.isSafeInteger(value) || Object.is(value, -0))) {
    hashReal(hash, value);
  } else {
    const integer = BigInt(value);
    hash.word(Tag.integer);
    hash.word(Number(integer & 0xffff_ffffn));
    hash.word(Number((integer >> 32n) & 0xffff_ffffn));
  }
}

const REAL = new DataView(new ArrayBuffer(8));

function hashReal(hash: Hash64, value: number): void {
  REAL.setFloat64(0, value);
  hash.word(Tag.real);
  hash.word(REAL.getUint32(0));
  hash.word(REAL.getUint32(4));
}

/** Two lanes of multiply and rotate over 32-bit words, mixed into each other at the end. */
class Hash64 {
  #low = 0x9e37_79b9;
  #high = 0x85eb_ca6b;

  word(value: number): void {
    const low = Math.imul(this.#low ^ value, 0xcc9e_2d51);
    this.#low = ((low << 13) | (low >>> 19)) + 0x165667b1 | 0;
    const high = Math.imul(this.#high ^ value, 0x1b87_3593);
    this.#high = ((high << 17) | (high >>> 15)) + 0x27d4eb2f | 0;
  }

  text(text: string): void {
    this.word(text.length);
    for (let index = 0; index < text.length; index += 2) {
      // Beyond an odd end: NaN, which counts as 0.
      this.word(text.charCodeAt(index) | (text.charCodeAt(index + 1) << 16));
    }
  }

  bytes(bytes: Uint8Array): void {
    this.word(bytes.length);
    for (const byte of bytes) this.word(byte);
  }

  finish(): Uint8Array {
    const low = mix(this.#low) ^ mix(this.#high ^ 0x5bd1_e995);
    const high = mix(this.#high) ^ mix(low ^ 0x9e37_79b9);
    const result = new Uint8Array(8);
    const view = new DataView(result.buffer);
    view.setUint32(0, high >>> 0);
    view.setUint32(4, low >>> 0);
    return result;
  }
}

function mix(word: number): number {
  let mixed = Math.imul(word ^ (word >>> 16), 0x85eb_ca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35);
  return mixed ^ (mixed >>> 16);
}
