import assert from "node:assert/strict";
import { SeededRandom } from "../../tests/support/seeded_random.ts";
import { SimDisk } from "../../tests/support/sim_disk.ts";
import { DamageError, UnknownFormatError } from "./damage.ts";
import {
  clusterIdBytes,
  drawId,
  NODE_IDENTITY_PATH,
  type NodeIdentity,
  readNodeIdentity,
  writeNodeIdentity,
} from "./node_identity.ts";

const IDENTITY: NodeIdentity = {
  clusterId: "00112233445566778899aabbccddeeff",
  nodeId: 3,
  state: "member",
  peers: [{ id: 1, raftAddress: "127.0.0.1:7001" }],
  joinToken: "ab",
};

function put(disk: SimDisk, text: string): void {
  disk.putFile(NODE_IDENTITY_PATH, new TextEncoder().encode(text));
}

Deno.test("readNodeIdentity() returns what was written, undefined in a new folder", async () => {
  const disk = new SimDisk({ seed: 1 });
  assert.equal(readNodeIdentity(disk), undefined);
  const { joinToken: _, ...joining } = { ...IDENTITY, state: "joining" as const, nodeId: 0 };
  await writeNodeIdentity(disk, joining);
  disk.crash();
  assert.deepEqual(readNodeIdentity(disk), joining);
  await writeNodeIdentity(disk, IDENTITY);
  disk.crash();
  assert.deepEqual(readNodeIdentity(disk), IDENTITY);
});

Deno.test("readNodeIdentity() refuses what is unsound or newer", () => {
  const disk = new SimDisk({ seed: 2 });
  const sound = { formatVersion: 1, ...IDENTITY };
  for (
    const change of [{ nodeId: 0 }, { nodeId: "3" }, { state: "leader" }, { peers: [{ id: "1" }] }, {
      clusterId: 1,
    }]
  ) {
    put(disk, JSON.stringify({ ...sound, ...change }));
    assert.throws(() => readNodeIdentity(disk), DamageError);
  }
  for (const text of ["", "{", "[]", "null"]) {
    put(disk, text);
    assert.throws(() => readNodeIdentity(disk), DamageError);
  }
  put(disk, JSON.stringify({ ...sound, formatVersion: 2 }));
  assert.throws(() => readNodeIdentity(disk), UnknownFormatError);
});

Deno.test("clusterIdBytes() reads 32 hexadecimal digits", () => {
  assert.deepEqual([...clusterIdBytes(IDENTITY.clusterId)].slice(0, 3), [0, 0x11, 0x22]);
  assert.throws(() => clusterIdBytes("xyz"), /Cannot use cluster id "xyz"/);
  assert.equal(drawId(new SeededRandom(1)).length, 32);
});
