import { deepStrictEqual, throws } from "node:assert/strict";
import { decodeCheckpointMeta, encodeCheckpointMeta } from "./checkpoint_meta.ts";

const META = { databaseId: 3, pageSize: 512, pageCount: 4, index: 99 };

Deno.test("decodeCheckpointMeta() refuses a record with any byte changed", () => {
  const sound = encodeCheckpointMeta(META);
  deepStrictEqual(decodeCheckpointMeta(sound), META);
  for (let at = 0; at < sound.length - 1; at++) {
    const damaged = sound.slice();
    damaged[at] = damaged[at]! ^ 1;
    throws(() => decodeCheckpointMeta(damaged), `byte ${at}`);
  }
});

Deno.test("decodeCheckpointMeta() names a newer version", () => {
  const text = new TextDecoder().decode(encodeCheckpointMeta(META));
  throws(() => decodeCheckpointMeta(new TextEncoder().encode(text.replace('"version":1', '"version":2'))));
});
