import { deepStrictEqual, rejects, strictEqual, throws } from "node:assert/strict";
import fc from "fast-check";
import { SimDisk, type SimOperation } from "../../tests/support/sim_disk.ts";
import { decodeSumsHeader, encodeSumsHeader, PageSumReader, PageSumWriter, sumFile } from "./page_sums.ts";

function openDisk(): SimDisk {
  const disk = new SimDisk({ seed: 1 });
  disk.makeDirectory("db");
  return disk;
}

async function write(disk: SimDisk, sums: Iterable<number>): Promise<void> {
  const writer = new PageSumWriter(disk, sumFile("main"), 512);
  try {
    for (const sum of sums) writer.add(sum);
    await writer.finish();
  } finally {
    writer.close();
  }
  await disk.syncDirectory("db");
}

Deno.test("decodeSumsHeader() refuses a header with any bit changed, and names a newer version", () => {
  const sound = encodeSumsHeader(65_536);
  strictEqual(decodeSumsHeader(sound), 65_536);
  for (let bit = 0; bit < sound.length * 8; bit++) {
    const damaged = sound.slice();
    damaged[bit >> 3]! ^= 1 << (bit & 7);
    throws(() => decodeSumsHeader(damaged), `bit ${bit}`);
  }
  throws(() => decodeSumsHeader(sound.subarray(0, 15)));
});

Deno.test("PageSumReader gives what PageSumWriter was given, over many blocks, and nothing beyond the end", async () => {
  const disk = openDisk();
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 100_000 }),
      fc.integer(),
      fc.array(fc.integer({ min: 1, max: 110_000 }), { minLength: 200, maxLength: 400 }),
      async (count, salt, asked) => {
        const sumOf = (pageNumber: number) => Math.imul(pageNumber + salt, 2_654_435_761) >>> 0;
        await write(disk, Array.from({ length: count }, (_, i) => sumOf(i + 1)));
        strictEqual(disk.contentOf(sumFile("main")).length, 16 + 4 * count);
        const reader = new PageSumReader(disk, "main");
        for (const pageNumber of [...asked, count, count + 1].filter((each) => each > 0)) {
          strictEqual(reader.get(pageNumber), pageNumber <= count ? sumOf(pageNumber) : undefined);
        }
        reader.close();
      },
    ),
    { numRuns: 20 },
  );
});

Deno.test("PageSumReader: without a file no checksum is known; one that comes is found", async () => {
  const disk = openDisk();
  const reader = new PageSumReader(disk, "main");
  strictEqual(reader.get(1), undefined);
  await write(disk, [7]);
  strictEqual(reader.get(1), 7);
  await write(disk, [8]);
  strictEqual(reader.get(1), 7, "the file it has open");
  reader.close();
  strictEqual(reader.get(1), 8);
});

Deno.test("PageSumWriter: after a power failure the file is the old or the new one as a whole", async () => {
  const OLD = [1, 2, 3, 4];
  const NEW = [1, 20, 3, 40, 50];
  const base = openDisk();
  await write(base, OLD);
  const operations: SimOperation[] = [];
  const whole = base.clone(1);
  whole.onOperation = (operation) => operations.push(operation);
  await write(whole, NEW);
  for (const { number } of operations) {
    for (let seed = 1; seed <= 10; seed++) {
      const disk = base.clone(seed);
      disk.crashAtOperation(number);
      await rejects(write(disk, NEW));
      disk.crash();
      const content = disk.contentOf(sumFile("main"));
      const found = [...new Uint32Array(content.slice(16).buffer)];
      deepStrictEqual(found, found.length === OLD.length ? OLD : NEW, `crash at ${number}, seed ${seed}`);
    }
  }
});
