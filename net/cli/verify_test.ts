import assert from "node:assert/strict";
import { capturedContext } from "../../tests/support/captured_context.ts";
import { printFindings } from "./verify.ts";

const FINDINGS = [
  { what: "node.json", state: "ok", text: "node 1" },
  { what: "db/main.db", state: "damaged", text: "page 3" },
] as const;

Deno.test("printFindings() prints a line for each and fails when something is damaged", () => {
  const context = capturedContext();
  const options = { dataDirectory: "data", json: false };
  assert.equal(printFindings(FINDINGS, options, context), 1);
  assert.equal(printFindings(FINDINGS.slice(0, 1), options, context), 0);
  assert.equal(
    context.output.out,
    "ok       node.json: node 1\ndamaged  db/main.db: page 3\nThe data folder is damaged.\n" +
      "ok       node.json: node 1\nThe data folder is sound.\n",
  );
});

Deno.test("printFindings() as JSON", () => {
  const context = capturedContext();
  assert.equal(printFindings(FINDINGS, { dataDirectory: "data", json: true }, context), 1);
  assert.deepEqual(JSON.parse(context.output.out), { sound: false, findings: FINDINGS });
});
