import { ByteWriter } from "../codec/byte_writer.ts";
import type { SqlParameter, SqlParameters, Statement } from "./values.ts";

/**
 * A 64-bit hash of what a keyed request does, stored beside its answer: the same key with another request is a
 * mistake of the caller. It guards against mistakes, not against malice. The format of the answer is no part of it.
 *
 * Layout, little-endian: kind (u8: 1 execute, 2 batch), statements (u32), then for each: length and bytes of the SQL (u32),
 * parameters (u32) with their names in order (a list has the names "0", "1", …), each value with a tag of one byte.
 * This layout is part of the database: changing it makes stored keys look misused.
 */
export function hashRequest(kind: "execute" | "batch", statements: readonly Statement[]): Uint8Array {
  const writer = new ByteWriter(256);
  writer.u8(kind === "execute" ? 1 : 2).u32(statements.length);
  for (const statement of statements) {
    writeText(writer, statement.sql);
    writeParameters(writer, statement.parameters);
  }
  return hash64(writer.finish());
}

function writeParameters(writer: ByteWriter, parameters: SqlParameters): void {
  const entries: [string, SqlParameter][] = Object.entries(parameters);
  if (!Array.isArray(parameters)) entries.sort(([a], [b]) => a < b ? -1 : 1);
  writer.u32(entries.length);
  for (const [name, value] of entries) {
    writeText(writer, name);
    writeValue(writer, value);
  }
}

/** Values that are stored alike hash alike: true and 1, 5 and 5n. */
function writeValue(writer: ByteWriter, value: SqlParameter): void {
  if (value === null) writer.u8(0);
  else if (typeof value === "string") writeText(writer.u8(3), value);
  else if (value instanceof Uint8Array) writer.u8(4).u32(value.length).bytes(value);
  else if (typeof value === "object") writer.u8(2).f64(value.real);
  else if (typeof value === "number" && (!Number.isSafeInteger(value) || Object.is(value, -0))) {
    writer.u8(2).f64(value);
  } else writer.u8(1).i64(BigInt.asIntN(64, BigInt(value)));
}

function writeText(writer: ByteWriter, text: string): void {
  const bytes = new TextEncoder().encode(text);
  writer.u32(bytes.length).bytes(bytes);
}

/** Two lanes of multiply and rotate over 32-bit words, then mixed into each other. */
function hash64(bytes: Uint8Array): Uint8Array {
  let low = 0x9e37_79b9 ^ bytes.length;
  let high = 0x85eb_ca6b;
  for (const byte of bytes) {
    low = Math.imul(low ^ byte, 0xcc9e_2d51);
    low = (low << 13) | (low >>> 19);
    high = Math.imul(high ^ byte, 0x1b87_3593);
    high = (high << 17) | (high >>> 15);
  }
  low = Math.imul(low ^ (low >>> 16), 0x85eb_ca6b) ^ Math.imul(high ^ (high >>> 13), 0xc2b2_ae35);
  high = Math.imul(high ^ (high >>> 16), 0x85eb_ca6b) ^ Math.imul(low ^ (low >>> 13), 0xc2b2_ae35);
  const result = new Uint8Array(8);
  const view = new DataView(result.buffer);
  view.setUint32(0, high >>> 0);
  view.setUint32(4, low >>> 0);
  return result;
}
