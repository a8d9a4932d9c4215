import { equal, notDeepEqual } from "node:assert/strict";
import { makeProof, proofsEqual } from "./proof.ts";

const said = [new Uint8Array([1, 2]), new Uint8Array([3])];

Deno.test("makeProof() depends on secret, role, and every byte said", () => {
  const proof = makeProof("secret", "dialler", said);
  equal(proof.byteLength, 32);
  equal(proofsEqual(proof, makeProof("secret", "dialler", said)), true);
  const others = [
    makeProof("Secret", "dialler", said),
    makeProof("secret", "listener", said),
    makeProof("secret", "dialler", [new Uint8Array([1, 2]), new Uint8Array([4])]),
    // The same bytes cut elsewhere.
    makeProof("secret", "dialler", [new Uint8Array([1]), new Uint8Array([2, 3])]),
    makeProof("secret", "dialler", [new Uint8Array([1, 2])]),
  ];
  for (const other of others) {
    notDeepEqual(other, proof);
    equal(proofsEqual(other, proof), false);
  }
});

Deno.test("proofsEqual() takes an empty proof only where there is no secret", () => {
  const none = makeProof(undefined, "dialler", said);
  equal(none.byteLength, 0);
  equal(proofsEqual(none, makeProof(undefined, "listener", said)), true);
  equal(proofsEqual(none, makeProof("secret", "dialler", said)), false);
  equal(proofsEqual(new Uint8Array(5), new Uint8Array(5)), false);
});
