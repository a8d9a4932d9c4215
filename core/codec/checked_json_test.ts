import { deepStrictEqual, throws } from "node:assert/strict";
import { decodeCheckedJson, encodeCheckedJson } from "./checked_json.ts";

Deno.test("decodeCheckedJson() gives what was encoded, and refuses any changed bit", () => {
  const value = { name: "ü", numbers: [1, 2.5, -3] };
  const bytes = encodeCheckedJson(value);
  deepStrictEqual(decodeCheckedJson(bytes), value);
  for (let at = 0; at < bytes.length - 1; at++) {
    const changed = bytes.slice();
    changed[at]! ^= 4;
    throws(() => decodeCheckedJson(changed), `byte ${at}`);
  }
});
