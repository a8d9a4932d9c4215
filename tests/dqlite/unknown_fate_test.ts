import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { type ErrorCode, NodeError } from "../../core/base/errors.ts";
import type { NodeService, WriteRequest } from "../../core/node/service.ts";
import { isRepeatedByClients } from "../../net/dqlite/failure_codes.ts";
import type { WireClient } from "./wire_client.ts";
import { WireNode } from "./wire_node.ts";

/** The node, but writes that contain a code as text, such as `'commit_unknown'`, fail with it: before or after they ran. */
function losing(node: NodeService): NodeService {
  const write = async (request: WriteRequest) => {
    const code = /'(not_leader|commit_unknown)'/.exec(request.statements[0]?.sql ?? "")?.[1] as
      | ErrorCode
      | undefined;
    if (code === "not_leader") throw new NodeError(code, "Lost before the log");
    const answer = await node.write(request);
    if (code !== undefined) throw new NodeError(code, "Lost on the way");
    return answer;
  };
  return new Proxy(node, {
    get: (target, name) => {
      if (name === "write") return write;
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

async function losingClient(wire: WireNode): Promise<{ client: WireClient; close: () => Promise<void> }> {
  const other = new WireNode(wire.node, { node: losing(wire.node) });
  const client = await other.open();
  return {
    client,
    close: async () => {
      client.close();
      await other.server.stop(1_000);
    },
  };
}

Deno.test("a write whose fate is not known gets a code that no client repeats (promise 5)", async () => {
  await using wire = await WireNode.start();
  const { client, close } = await losingClient(wire);
  await client.run("CREATE TABLE t (a)");
  const [code, message] = await client.failure("INSERT INTO t VALUES ('commit_unknown')");
  strictEqual(code, 51_210);
  ok(!isRepeatedByClients(code));
  match(message, /Lost on the way/);
  deepStrictEqual(await client.failure("INSERT INTO t VALUES ('not_leader')"), [10_250, "not leader"]);
  await close();
});

Deno.test("a text of which a part is committed is not sent again as a whole (promise 5)", async () => {
  await using wire = await WireNode.start();
  const { client, close } = await losingClient(wire);
  await client.run("CREATE TABLE t (a)");
  const [code, message] = await client.failure(
    "INSERT INTO t VALUES (1); INSERT INTO t VALUES ('not_leader')",
  );
  ok(!isRepeatedByClients(code), `${code}`);
  match(message, /after earlier statements of the text were committed/);
  strictEqual((await client.failure("SELECT 1 WHERE 0; INSERT INTO t VALUES ('not_leader')"))[0], 10_250);
  deepStrictEqual(await client.values("SELECT a FROM t"), [[1]]);
  await close();
});
