import { ok, strictEqual, throws } from "node:assert/strict";
import { NodeError } from "../../core/base/errors.ts";
import { listen } from "./listen.ts";

Deno.test("listen() says which address it could not have, why, and which option names another one", () => {
  using listener = listen("127.0.0.1", 0, "--http");
  const { port } = listener.addr;
  ok(port > 0);
  throws(() => listen("127.0.0.1", port, "--wire"), (error) => {
    ok(error instanceof NodeError && error.code === "bad_request");
    strictEqual(
      error.message,
      `Cannot listen on 127.0.0.1:${port}: it is in use; choose another address with --wire`,
    );
    return true;
  });
  throws(() => listen("192.0.2.1", 0, "--raft"), /this machine has no such address/);
});
