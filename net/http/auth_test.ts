import assert from "node:assert/strict";
import { NodeError } from "../../core/base/errors.ts";
import { checkExposure, isLoopback, splitAddress, TokenCheck } from "./auth.ts";

Deno.test("only the exact token passes, and no refusal repeats a token", () => {
  const check = new TokenCheck("correct-horse");
  check.require("Bearer correct-horse");
  check.require("bearer  correct-horse");
  const wrong = [
    undefined,
    "",
    "correct-horse",
    "Basic correct-horse",
    "Bearer",
    "Bearer correct-hors",
    "Bearer correct-horsee",
    "Bearer Correct-horse",
    "Bearer correct-horse x",
  ];
  for (const header of wrong) {
    assert.throws(() => check.require(header), (error) => {
      assert(error instanceof NodeError);
      assert.equal(error.code, "unauthorized");
      assert.doesNotMatch(error.message, /horse/i);
      return true;
    }, header);
  }
});

Deno.test("loopback is told from what only looks like it", () => {
  for (
    const name of [
      "localhost",
      "127.0.0.1",
      "127.255.255.254",
      "::1",
      "[::1]",
      "LOCALHOST",
      "::ffff:127.0.0.1",
    ]
  ) {
    assert(isLoopback(name), name);
  }
  for (
    const name of [
      "0.0.0.0",
      "::",
      "127.evil.example",
      "127.0.0.1.example",
      "localhost.example",
      "128.0.0.1",
      "127.0.0.256",
      "",
    ]
  ) {
    assert(!isLoopback(name), name);
  }
});

Deno.test("an address beyond loopback needs a secret", () => {
  checkExposure("127.0.0.1:4001", undefined, "--token");
  checkExposure("[::1]:4001", "", "--token");
  checkExposure("0.0.0.0:4001", "secret", "--token");
  for (const secret of [undefined, ""]) {
    assert.throws(
      () => checkExposure("0.0.0.0:4001", secret, "--token"),
      /^Error: Cannot listen on 0\.0\.0\.0:4001 without --token: /,
    );
  }
  assert.throws(() => checkExposure("db.example:4001", undefined, "--cluster-secret"), /--cluster-secret/);
});

Deno.test("addresses are host and port", () => {
  assert.deepEqual(splitAddress("127.0.0.1:0"), { hostname: "127.0.0.1", port: 0 });
  assert.deepEqual(splitAddress("[::1]:65535"), { hostname: "::1", port: 65535 });
  for (const address of ["", ":80", "h", "h:", "h:65536", "h:-1", "::1:80", "[]:80", "h:80 "]) {
    assert.throws(() => splitAddress(address), /Cannot use/, address);
  }
});
