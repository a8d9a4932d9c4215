import { deepEqual, throws } from "node:assert/strict";
import { parseAddress } from "./address.ts";

Deno.test("parseAddress() takes names, IPv4 and bracketed IPv6 addresses", () => {
  deepEqual(parseAddress("db-1.example:4001"), { hostname: "db-1.example", port: 4001 });
  deepEqual(parseAddress("127.0.0.1:0"), { hostname: "127.0.0.1", port: 0 });
  deepEqual(parseAddress("[::1]:65535"), { hostname: "::1", port: 65535 });
});

Deno.test("parseAddress() refuses everything else", () => {
  for (
    const address of ["", "host", "host:", ":1", "host:65536", "host:1x", "::1:80", "a b:1", "[::1]", "[x]:1"]
  ) {
    throws(() => parseAddress(address), { code: "bad_request" }, address);
  }
});
