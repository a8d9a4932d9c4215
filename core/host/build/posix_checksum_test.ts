import assert from "node:assert/strict";
import { posixChecksum } from "./posix_checksum.ts";

async function cksum(bytes: Uint8Array): Promise<string> {
  const child = new Deno.Command("cksum", { stdin: "piped", stdout: "piped" }).spawn();
  const input = child.stdin.getWriter();
  await input.write(bytes);
  await input.close();
  return new TextDecoder().decode((await child.output()).stdout).trim();
}

Deno.test("posixChecksum() gives the check value of CRC-32/CKSUM", () => {
  assert.equal(posixChecksum(new TextEncoder().encode("123456789")), 930766865);
  assert.equal(posixChecksum(new Uint8Array()), 4294967295);
});

Deno.test("posixChecksum() agrees with cksum where the length takes one, two and three bytes", async () => {
  for (const length of [1, 255, 256, 65_535, 65_536, 100_003]) {
    const bytes = Uint8Array.from({ length }, (_, at) => (at * 31) % 251);
    assert.equal(`${posixChecksum(bytes)} ${length}`, await cksum(bytes));
  }
});
