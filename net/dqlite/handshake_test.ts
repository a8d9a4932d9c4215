import { equal } from "node:assert/strict";
import { decodeHandshake, encodeHandshake } from "./handshake.ts";

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

Deno.test("decodeHandshake() knows both versions and nothing else", () => {
  equal(encodeHandshake("one").toHex(), "0100000000000000");
  equal(encodeHandshake("legacy").toHex(), "e53f4360d74d1086");
  for (const version of ["one", "legacy"] as const) {
    equal(decodeHandshake(viewOf(encodeHandshake(version))), version);
  }
  const others = ["GET / HT", "\0\0\0\0\0\0\0\0", "\u0002\0\0\0\0\0\0\0", "\u0001\0\0\0\0\0\0\u0001"];
  for (const text of others) {
    equal(decodeHandshake(viewOf(new TextEncoder().encode(text))), undefined, JSON.stringify(text));
  }
});
