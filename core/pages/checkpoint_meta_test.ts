import { deepStrictEqual, throws } from "node:assert/strict";
import { crc32 } from "../codec/crc32.ts";
import { decodeCheckpointMeta, encodeCheckpointMeta } from "./checkpoint_meta.ts";

const META = { databaseId: 3, pageSize: 512, pageCount: 4, index: 99, hasSums: true, copiedThrough: 120 };

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
  const [line = ""] = new TextDecoder().decode(encodeCheckpointMeta(META)).split("\n");
  const newer = line.replace('"version":2', '"version":3');
  const sum = crc32(new TextEncoder().encode(newer)).toString(16).padStart(8, "0");
  throws(
    () => decodeCheckpointMeta(new TextEncoder().encode(`${newer}\n${sum}\n`)),
    /version 3 is not known/,
  );
});

Deno.test("a record of version 1 has no checksums beside it, and no copy is known to have begun", () => {
  const { hasSums: _, copiedThrough: __, ...facts } = META;
  const line = JSON.stringify({ version: 1, ...facts });
  const sum = crc32(new TextEncoder().encode(line)).toString(16).padStart(8, "0");
  const read = decodeCheckpointMeta(new TextEncoder().encode(`${line}\n${sum}\n`));
  deepStrictEqual(read, { ...facts, hasSums: false, copiedThrough: 99 });
  deepStrictEqual(decodeCheckpointMeta(encodeCheckpointMeta(facts)), read, "what is left out");
});
