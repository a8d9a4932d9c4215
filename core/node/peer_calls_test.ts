import { deepStrictEqual, rejects } from "node:assert/strict";
import { decodeAnswer, encodeRequest, type PeerHandlers, servePeerCall } from "./peer_calls.ts";

Deno.test("servePeerCall() carries every kind of parameter and answer unchanged", async () => {
  const parameters = [1, -1, 2 ** 53 - 1, 9_223_372_036_854_775_807n, 0.1, "a\0b", null, true, { real: 3 }];
  const request = {
    database: "main",
    kind: "execute",
    statements: [{ sql: "SELECT ?1", parameters: [...parameters, Uint8Array.of(0, 255)] }],
    format: "json",
    rowShape: "arrays",
  } as const;
  const handlers = {
    write: (received: unknown, timeoutMs: number, from: number) => {
      deepStrictEqual(JSON.stringify([timeoutMs, from]), "[250,7]");
      return Promise.resolve({ received });
    },
  } as unknown as PeerHandlers;
  const bytes = await servePeerCall(handlers, 7, "write", encodeRequest<"write">(request, 250));
  deepStrictEqual(decodeAnswer<"write">(bytes) as unknown, { received: request });
});

Deno.test("servePeerCall() refuses a method it lacks, also one every object has", async () => {
  for (const method of ["nonsense", "toString", "__proto__"]) {
    await rejects(servePeerCall({} as PeerHandlers, 3, method, new Uint8Array(0)), { code: "not_found" });
  }
});
