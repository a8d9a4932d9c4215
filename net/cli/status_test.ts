import assert from "node:assert/strict";
import { capturedContext } from "../../tests/support/captured_context.ts";
import { clusterAnswer, deadUrl, failure, ScriptedNode } from "../../tests/support/scripted_node.ts";
import { SqliteNode } from "../../tests/support/sqlite_node.ts";
import { isWalraftError } from "../client/mod.ts";
import { runStatus } from "./status.ts";

const options = (url: string) => ({ urls: [url], token: undefined, timeoutMs: 5_000 });

Deno.test("status shows members and databases", async () => {
  await using node = new SqliteNode();
  const { DatabaseSync } = await import("node:sqlite");
  node.databases.set("main", new DatabaseSync(":memory:"));
  const context = capturedContext({ columns: 120 });
  assert.equal(await runStatus(options(node.url), context), 0);
  const port = node.address;
  assert.equal(
    context.output.out,
    [
      "cluster c1  leader node 1  term 2  committed 10  tip 10",
      "answered by node 1 (leader)",
      "",
      "id  role    http             raft            weight  domain  match index  lag  last contact",
      "--  ------  ---------------  --------------  ------  ------  -----------  ---  ------------",
      ` 1  leader  ${port}  127.0.0.1:7001       0       0           10    0          5 ms`,
      "",
      "database  pages      size  index  checkpoint",
      "--------  -----  --------  -----  ----------",
      "main          3  12.0 KiB     10           2",
      "",
    ].join("\n"),
  );
});

Deno.test("status ends with 1 when no leader is known, and says which databases cannot be listed", async () => {
  await using node = new ScriptedNode((request, self) =>
    request.path === "/v1/cluster" ? clusterAnswer([self], undefined) : failure("no_leader")
  );
  const context = capturedContext();
  assert.equal(await runStatus(options(node.url), context), 1);
  assert.match(context.output.out, /leader none[\s\S]*databases unknown: no leader is known\n$/);
});

Deno.test("status fails when no node answers", async () => {
  const url = await deadUrl();
  await assert.rejects(
    runStatus(options(url), capturedContext()),
    (error) => isWalraftError(error, "network_error"),
  );
});
