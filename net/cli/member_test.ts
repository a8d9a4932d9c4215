import assert from "node:assert/strict";
import { capturedContext } from "../../tests/support/captured_context.ts";
import { answer, failure, ScriptedNode } from "../../tests/support/scripted_node.ts";
import { isWalraftError } from "../client/mod.ts";
import { runMember } from "./member.ts";
import type { MemberOptions } from "./member_options.ts";

function options(url: string, wanted: Partial<MemberOptions>): MemberOptions {
  const nothing = { role: undefined, weight: undefined, failureDomain: undefined, remove: false };
  return { urls: [url], token: undefined, timeoutMs: 5_000, memberId: 3, ...nothing, ...wanted };
}

Deno.test("member sends what is to change and nothing else, and says what was done", async () => {
  const sent: string[] = [];
  await using node = new ScriptedNode((request) => {
    if (request.method === "GET") return failure("no_leader");
    const { timeout_ms: _, ...body } = request.json ?? { timeout_ms: 0 };
    sent.push(`${request.method} ${request.path.replace(/\?.*/, "")} ${JSON.stringify(body)}`);
    return answer({ id: 3 });
  });
  const context = capturedContext();
  assert.equal(await runMember(options(node.url, { role: "spare", weight: 0 }), context), 0);
  assert.equal(await runMember(options(node.url, { failureDomain: 4 }), context), 0);
  assert.equal(await runMember(options(node.url, { remove: true }), context), 0);
  assert.deepEqual(sent, [
    'POST /v1/cluster/members/3 {"role":"spare","weight":0}',
    'POST /v1/cluster/members/3 {"failure_domain":4}',
    "DELETE /v1/cluster/members/3 {}",
  ]);
  assert.equal(
    context.output.out,
    "member 3: role spare, weight 0\nmember 3: failure domain 4\nremoved member 3\n",
  );
});

Deno.test("member fails with what the cluster says", async () => {
  await using node = new ScriptedNode(() => failure("membership_change_refused"));
  await assert.rejects(
    runMember(options(node.url, { role: "spare" }), capturedContext()),
    (error) => isWalraftError(error, "membership_change_refused"),
  );
});
