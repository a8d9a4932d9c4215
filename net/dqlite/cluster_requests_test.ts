/** Members and roles as dqlite's clients ask for them, of whole nodes over simulated disks and network. */
import { deepStrictEqual, match, rejects, strictEqual } from "node:assert/strict";
import { NodeCluster } from "../../tests/support/node_cluster.ts";
import type { Answer } from "./answer.ts";
import { ClusterRequests } from "./cluster_requests.ts";
import { FailureError } from "./failure.ts";
import { failureOf } from "./failure_codes.ts";
import { Role } from "./request.ts";
import type { Response } from "./response.ts";

class Wire {
  readonly cluster = new NodeCluster(1);

  /** Three voters and a spare; member 3 speaks another protocol only. */
  static async start(): Promise<Wire> {
    const wire = new Wire();
    const { cluster } = wire;
    for (const id of [1, 2, 3]) await cluster.add(id, id === 3 ? {} : { wireAddress: `host:${id}` });
    await cluster.until(() => cluster.members.every(({ node }) => node.isReady()));
    await cluster.add(4, { wireAddress: "host:4", role: "spare", failureDomain: 6 });
    await cluster.until(() => cluster.node(4).isReady());
    await cluster.advance(2_000);
    return wire;
  }

  at(id: number): ClusterRequests {
    return new ClusterRequests(this.cluster.node(id));
  }

  async body(asked: Promise<Answer> | Answer): Promise<Response> {
    const answer = await this.cluster.finish(Promise.resolve(asked));
    if (answer.kind !== "response") throw new Error(`Answered with ${answer.kind}`);
    return answer.response;
  }

  async done(answer: Promise<Answer>): Promise<void> {
    await this.cluster.finish(answer);
  }

  async roles(): Promise<string[]> {
    const response = await this.body(this.at(1).cluster({ kind: "cluster", format: 1 }));
    if (response.kind !== "nodes") throw new Error(`Answered with ${response.kind}`);
    return response.nodes.map(({ nodeId, role }) => `${nodeId} ${role}`);
  }

  /** Code and text of the Failure. */
  async failure(answer: Promise<Answer>): Promise<string> {
    const failures: string[] = [];
    await rejects(this.cluster.finish(answer), (error) => {
      const { code, message } = failureOf(error);
      failures.push(`${code} ${message}`);
      return true;
    });
    return failures.join();
  }
}

Deno.test("Assign and Promote give every role, and say so when it is done", async () => {
  const wire = await Wire.start();
  const assign = (nodeId: number, role: Role) => wire.at(1).assign({ kind: "assign", nodeId, role });
  deepStrictEqual(await wire.roles(), ["1 0", "2 0", "4 2"]);
  await wire.done(assign(4, Role.stand_by));
  deepStrictEqual(await wire.roles(), ["1 0", "2 0", "4 1"]);
  await wire.done(assign(4, Role.voter));
  await wire.done(assign(2, Role.spare));
  deepStrictEqual(await wire.roles(), ["1 0", "2 2", "4 0"]);
  strictEqual(await wire.failure(assign(2, Role.spare)), "1 server role is not valid");
  strictEqual(await wire.failure(assign(1, Role.voter)), "1 server role is not valid");
  strictEqual(await wire.failure(assign(9, Role.voter)), "1 Resource not found");
  strictEqual(
    await wire.failure(wire.at(2).assign({ kind: "assign", nodeId: 4, role: Role.spare })),
    "10250 not leader",
  );
  // The leader itself: it hands over, and the client hears that it is done.
  await wire.done(assign(1, Role.stand_by));
  deepStrictEqual(await wire.roles(), ["1 1", "2 2", "4 0"]);
  await wire.cluster.close();
});

Deno.test("the last voter keeps its vote, and go-dqlite is not made to ask again", async () => {
  const wire = await Wire.start();
  for (const id of [2, 3]) await wire.done(wire.at(1).remove({ kind: "remove", nodeId: id }));
  await wire.cluster.until(() =>
    wire.cluster.members.every(({ id, fatal }) => ![2, 3].includes(id) || fatal.length > 0)
  );
  const request = { kind: "assign", nodeId: 1, role: Role.spare } as const;
  match(await wire.failure(wire.at(1).assign(request)), /^1 .*nobody would have a vote/);
  for (const id of [2, 3]) wire.cluster.member(id).fatal.length = 0;
  await wire.cluster.close();
});

Deno.test("Add: who is there is added already; others are told how a node joins", async () => {
  const wire = await Wire.start();
  const add = (nodeId: number | bigint, address: string) => wire.at(1).add({ kind: "add", nodeId, address });
  for (const nodeId of [4, 4, 0]) await wire.done(add(nodeId, "host:4"));
  deepStrictEqual(await wire.roles(), ["1 0", "2 0", "4 2"]);
  match(await wire.failure(add(2n ** 63n, "host:4")), /^1 server address already in use: .* member 4/);
  strictEqual(await wire.failure(add(4, "host:9")), "1 server ID already in use");
  match(await wire.failure(add(9, "host:9")), /^1 cannot add host:9: .*--join/);
  strictEqual(
    await wire.failure(wire.at(2).add({ kind: "add", nodeId: 4, address: "host:4" })),
    "10250 not leader",
  );
  await wire.cluster.close();
});

Deno.test("Weight and Describe are about the node that is asked, outlive it, and decide who leads", async () => {
  const wire = await Wire.start();
  const { cluster } = wire;
  const describe = (id: number) => wire.body(wire.at(id).describe());
  deepStrictEqual(await describe(4), { kind: "metadata", failureDomain: 6, weight: 0 });
  for (const [id, weight] of [[2, 2n ** 64n - 1n], [3, 5]] as const) {
    await wire.done(wire.at(id).weight({ kind: "weight", weight }));
    deepStrictEqual(await describe(id), { kind: "metadata", failureDomain: 0, weight });
  }
  await cluster.restart(2);
  await cluster.until(() => cluster.node(2).isReady());
  deepStrictEqual(await describe(2), { kind: "metadata", failureDomain: 0, weight: 2n ** 64n - 1n });
  await wire.done(wire.at(1).transfer({ kind: "transfer", nodeId: 0 }));
  strictEqual((await cluster.finish(cluster.node(2).cluster())).leaderId, 3);
  // Members without the protocol cannot be named to its clients, and those without a vote cannot lead.
  deepStrictEqual(await wire.body(wire.at(2).leader("one")), { kind: "node", nodeId: 0, address: "" });
  const refused = wire.at(3).transfer({ kind: "transfer", nodeId: 4 });
  await rejects(cluster.finish(refused), FailureError);
  await cluster.close();
});
