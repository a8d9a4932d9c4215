import assert from "node:assert/strict";
import { ERROR_CODES, type ErrorCode, NodeError } from "../../core/base/errors.ts";
import { HTTP_STATUS, toErrorBody } from "./error_body.ts";

Deno.test("the body has code, message, advice and the details under their own names", () => {
  const error = new NodeError("commit_unknown", "Lost the leader", { leader: "h:1", statement_index: 0 });
  assert.deepEqual(toErrorBody(error), {
    error: {
      code: "commit_unknown",
      message: "Lost the leader",
      retry: "with_key",
      may_have_committed: true,
      leader: "h:1",
      statement_index: 0,
    },
  });
});

Deno.test("what may be retried blindly is a failure of the node, not of the request, but for a client that was slow", () => {
  for (const [code, info] of Object.entries(ERROR_CODES)) {
    const status = HTTP_STATUS[code as ErrorCode];
    assert(status >= 400 && status < 600, code);
    if (info.mayHaveCommitted) assert(status >= 500, code);
    if (info.retry === "safe" && status < 500) {
      assert(["request_timeout", "cancelled", "view_expired"].includes(code), code);
    }
  }
});

Deno.test("the table of the README is the list of codes", () => {
  const rows = Deno.readTextFileSync(new URL("README.md", import.meta.url)).split("\n")
    .filter((line) => /^\| `\w+` +\| [0-9]{3} /.test(line)).map((line) =>
      line.split("|").map((cell) => cell.trim())
    );
  const expected = Object.entries(ERROR_CODES).map(([code, info]) => [
    "",
    `\`${code}\``,
    String(HTTP_STATUS[code as ErrorCode]),
    info.retry,
    info.mayHaveCommitted ? "yes" : "no",
    info.meaning,
    "",
  ]);
  assert.deepEqual(rows, expected);
});
