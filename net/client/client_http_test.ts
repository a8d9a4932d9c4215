/** The client against the real HTTP layer: what one sends, the other must accept. Behind it stands a scripted node. */
import assert from "node:assert/strict";
import { NodeError } from "../../core/base/errors.ts";
import { serverFixture } from "../../tests/support/http_fixture.ts";
import { type Client, connect } from "./client.ts";
import { isWalraftError } from "./walraft_error.ts";

async function withServer(
  run: (client: Client, node: ReturnType<typeof serverFixture>["node"]) => Promise<void>,
): Promise<void> {
  const fixture = serverFixture();
  // The members of the scripted node are addresses of nowhere.
  const client = connect(`http://127.0.0.1:${fixture.server.port}`, { discover: false, timeoutMs: 7_000 });
  try {
    await run(client, fixture.node);
    assert.deepEqual(fixture.failures, []);
  } finally {
    await fixture.close();
  }
}

Deno.test("the server understands every parameter as the client meant it", async () => {
  await withServer(async (client, node) => {
    const values = [null, 1, 2n ** 60n, -1.5, 1e300, Infinity, "a\0b", true, new Uint8Array([0, 255]), {
      real: 3,
    }];
    await client.database("main").execute("INSERT", values, { idempotencyKey: "key one" });
    await client.database("main").batch([
      { sql: "A", params: { ":a": -0, "__proto__x": -(2n ** 63n) } },
      "B",
    ]);
    const [execute, batch] = node.writes;
    assert.deepStrictEqual(execute?.statements[0]?.parameters, [
      null,
      1,
      2n ** 60n,
      -1.5,
      // An integral REAL has to say so.
      { real: 1e300 },
      Infinity,
      "a\0b",
      true,
      new Uint8Array([0, 255]),
      { real: 3 },
    ]);
    assert.equal(execute?.idempotencyKey, "key one");
    assert.equal(execute?.timeoutMs, 7_000);
    assert.deepEqual({ ...batch?.statements[0]?.parameters }, { ":a": -0, "__proto__x": -(2n ** 63n) });
    assert.deepEqual(batch?.statements[1]?.parameters, []);
    assert.match(batch?.idempotencyKey ?? "", /^[0-9a-f-]{36}$/);
  });
});

Deno.test("the client understands every value of an answer", async () => {
  await withServer(async (client, node) => {
    node.queryFields = `"columns":["a","b","c","d","e"],"types":["INTEGER",null,"BLOB",null,null],` +
      `"rows":[[{"int64":"9223372036854775807"},3.0,{"base64":"AP8="},{"real":"-Infinity"},null]]`;
    const result = await client.database("main").query("SELECT", [], {
      level: "stale",
      maxAgeMs: 5,
      rows: "arrays",
    });
    assert.deepStrictEqual(result.rows, [[2n ** 63n - 1n, 3, new Uint8Array([0, 255]), -Infinity, null]]);
    assert.deepEqual([result.index, result.level, result.ageMs], [12, "stale", 0]);
    node.replayed = true;
    const written = await client.database("main").execute("DELETE");
    assert.deepEqual([written.changes, written.lastInsertRowid, written.index, written.replayed], [
      1,
      7,
      13,
      true,
    ]);
    assert.equal((await client.database("main").batch(["A", "B"])).results.length, 2);
    await client.database("main").query("SELECT", [], { level: "index" });
    assert.equal(node.queries.at(-1)?.index, 13);
    const past = await client.database("main").query("SELECT", [], { asOf: new Date(1_000) });
    assert.deepEqual([past.level, node.queries.at(-1)?.asOf], ["as_of", { wallMs: 1_000 }]);
  });
});

Deno.test("the client and the server agree on databases, files and members", async () => {
  await withServer(async (client, node) => {
    assert.equal((await client.databases())[0]?.checkpointIndex, 8);
    assert.deepEqual(await client.createDatabase("second"), { created: true, index: 14 });
    assert.equal((await client.createDatabase("second", { ifNotExists: true })).created, false);
    assert.equal((await client.describeDatabase("second")).bytes, 12_288);
    const file = new Uint8Array(5_000).fill(7);
    const source = () => new Blob([file]).stream();
    assert.deepEqual(await client.database("second").restore(source), { index: 17, pages: 2 });
    assert.deepEqual(node.databases.get("second"), file);
    assert.equal((await new Response(client.database("main").backup()).bytes()).length, 116);
    assert.equal(node.backupReleased, true);
    assert.deepEqual(await client.database("second").checkpoint({ mode: "full", timeoutMs: 9_000 }), {
      checkpointIndex: 11,
      complete: true,
    });
    assert.deepEqual(node.calls.at(-1), "checkpoint(second, full, 9000)");
    assert.deepEqual(await client.dropDatabase("second"), { index: 15 });
    const cluster = await client.cluster();
    assert.deepEqual([cluster.leaderId, cluster.members[1]?.matchIndex], [1, undefined]);
    assert.deepEqual(await client.addMember({ raftAddress: "a:1", httpAddress: "a:2" }), { id: 4 });
    const [, second] = cluster.members;
    assert.deepEqual([second?.role, second?.weight, second?.failureDomain], ["voter", 5, 2n ** 63n]);
    await client.changeMember(4, { role: "spare", weight: 2n ** 64n - 1n, failureDomain: 0 });
    assert.equal(
      node.calls.at(-1),
      "changeMember(4, role spare, weight 18446744073709551615, failureDomain 0, 7000)",
    );
    await client.removeMember(4);
    assert.deepEqual(await client.transfer(2), { leaderId: 2 });
  });
});

Deno.test("the client reads the errors the server writes", async () => {
  await withServer(async (client, node) => {
    node.failure = new NodeError("constraint_failed", "No", { sqlite_code: 2067, statement_index: 3 });
    await assert.rejects(client.database("main").batch(["A"]), (error) => {
      assert.ok(isWalraftError(error, "constraint_failed"));
      assert.deepEqual([error.status, error.message, error.details.statement_index], [409, "No", 3]);
      return true;
    });
    node.failure = new NodeError("commit_unknown", "Perhaps");
    await client.database("main").execute("A");
    const [first, second] = node.writes.slice(-2);
    assert.equal(first?.idempotencyKey, second?.idempotencyKey);
    assert.deepEqual(first?.statements, second?.statements);
  });
});
