import { crc32 } from "./crc32.ts";

/**
 * JSON on one line, then its CRC-32 in eight hexadecimal digits on the next: for small files that people look at first when
 * something is wrong.
 */
export function encodeCheckedJson(value: unknown): Uint8Array {
  const line = new TextEncoder().encode(JSON.stringify(value));
  const sum = new TextEncoder().encode(`\n${crc32(line).toString(16).padStart(8, "0")}\n`);
  const bytes = new Uint8Array(line.length + sum.length);
  bytes.set(line);
  bytes.set(sum, line.length);
  return bytes;
}

/** @throws Error when the checksum does not fit */
export function decodeCheckedJson(bytes: Uint8Array): unknown {
  const [line = "", checksum = ""] = new TextDecoder().decode(bytes).split("\n");
  if (crc32(new TextEncoder().encode(line)) !== Number.parseInt(checksum, 16)) {
    throw new Error("checksum does not match");
  }
  return JSON.parse(line);
}
