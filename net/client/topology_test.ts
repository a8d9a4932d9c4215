import assert from "node:assert/strict";
import { toNodeUrl, Topology } from "./topology.ts";
import { isWalraftError } from "./walraft_error.ts";

const A = "http://a:1";
const B = "http://b:1";
const C = "http://c:1";

Deno.test("toNodeUrl() adds the scheme of the node that named the address", () => {
  assert.equal(toNodeUrl("127.0.0.1:4001"), "http://127.0.0.1:4001");
  assert.equal(toNodeUrl("b:443", "https://a"), "https://b");
  assert.equal(toNodeUrl("[::1]:4001"), "http://[::1]:4001");
  assert.equal(toNodeUrl("https://proxy/walraft/"), "https://proxy/walraft");
});

Deno.test("toNodeUrl() refuses what is no address of a node", () => {
  for (const address of ["", "ftp://a", "http://user:secret@a", "http://a?x=1", "http://a#b", "a b"]) {
    assert.throws(() => toNodeUrl(address), (error) => {
      assert.ok(isWalraftError(error, "invalid_argument"), address);
      assert.ok(!error.message.includes("secret"));
      return true;
    });
  }
});

Deno.test("Topology asks the leader first for writes and rotates reads", () => {
  const topology = new Topology([A, B, C]);
  assert.deepEqual(topology.order("leader", 0), [A, B, C]);
  assert.equal(topology.onLeaderHint(A, "c:1"), true);
  assert.equal(topology.onLeaderHint(A, "c:1"), false, "the same hint again is no news");
  assert.deepEqual(topology.order("leader", 0), [C, A, B]);
  const starts = Array.from({ length: 6 }, () => topology.order("any", 0)[0]);
  assert.deepEqual(starts, [A, B, C, A, B, C]);
});

Deno.test("Topology puts failed nodes last, for longer after each failure in a row", () => {
  const topology = new Topology([A, B]);
  topology.onFailure(A, 0);
  assert.deepEqual(topology.order("leader", 0), [B, A]);
  assert.equal(topology.isPaused(A, 99), true);
  assert.equal(topology.isPaused(A, 100), false);
  assert.deepEqual(topology.order("leader", 100), [A, B]);
  for (let i = 0; i < 20; i++) topology.onFailure(A, 0);
  assert.equal(topology.isPaused(A, 4_999), true);
  assert.equal(topology.isPaused(A, 5_000), false, "the pause is bounded");
  topology.onAnswer(A);
  assert.equal(topology.isPaused(A, 0), false);
});

Deno.test("Topology forgets a leader that failed or that denies it", () => {
  const topology = new Topology([A, B]);
  topology.onLeaderHint(A, B);
  topology.onFailure(B, 0);
  assert.equal(topology.leader, undefined);
  topology.onLeaderHint(A, B);
  topology.onLeaderHint(B, undefined);
  assert.equal(topology.leader, undefined);
});

Deno.test("Topology replaces learned members and keeps the URLs it was given", () => {
  const topology = new Topology([A]);
  topology.onMembers(A, ["a:1", "b:1"], "b:1");
  assert.deepEqual(topology.urls, [A, B]);
  assert.equal(topology.leader, B);
  topology.onMembers(B, ["c:1"], undefined);
  assert.deepEqual(topology.urls, [A, C]);
  assert.equal(topology.leader, undefined);
});

Deno.test("Topology does not send tokens from https to http, nor believe endless members", () => {
  const topology = new Topology(["https://a"]);
  assert.equal(topology.onLeaderHint("https://a", "http://b:1"), false);
  topology.onMembers("https://a", ["http://b:1", "c:1", "no address", "ftp://d"], "http://b:1");
  assert.deepEqual(topology.urls, ["https://a", "https://c:1"]);
  topology.onMembers("https://a", Array.from({ length: 500 }, (_, i) => `n${i}:1`), undefined);
  assert.equal(topology.urls.length, 64);
  assert.equal(topology.onLeaderHint("https://a", "another:1"), false);
});
