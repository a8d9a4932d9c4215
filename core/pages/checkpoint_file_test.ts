import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { SimDisk, type SimOperation } from "../../tests/support/sim_disk.ts";
import { copyPages } from "./checkpoint_file.ts";

const PAGE = 512;
/** Page N of the log at position N holds N in every byte. */
const LOG = { readAt: (position: number, into: Uint8Array) => void into.fill(position) };

function openDisk(pages: readonly number[] = []): SimDisk {
  const disk = new SimDisk({ seed: 1 });
  disk.makeDirectory("db");
  if (pages.length > 0) {
    disk.putFile(
      "db/main.db",
      Uint8Array.from(pages.flatMap((value) => Array(PAGE).fill(value))),
    );
  }
  return disk;
}

/** First byte of each page. */
function shown(disk: SimDisk): number[] {
  const bytes = disk.contentOf("db/main.db");
  return Array.from({ length: bytes.length / PAGE }, (_, i) => bytes[i * PAGE]!);
}

const copy = (pages: readonly number[], pageCount: number, keepPageCount: number) => ({
  file: "db/main.db",
  pageSize: PAGE,
  pageCount,
  keepPageCount,
  pageNumbers: pages,
  positions: pages.map((pageNumber) => 100 + pageNumber),
});

Deno.test("copyPages() puts each page in its place and leaves the others", async () => {
  const disk = openDisk([1, 2, 3]);
  await copyPages(disk, LOG, copy([2, 5], 5, 5));
  deepStrictEqual(shown(disk), [1, 102, 3, 0, 105]);
});

Deno.test("copyPages() voids what lies beyond the smallest size the database had meanwhile (promise 4)", async () => {
  const disk = openDisk([1, 2, 3, 4]);
  await copyPages(disk, LOG, copy([2], 4, 1));
  deepStrictEqual(shown(disk), [1, 102, 0, 0]);
});

Deno.test("copyPages() keeps nothing of a file that has no record", async () => {
  const disk = openDisk([7, 7, 7, 7, 7]);
  await copyPages(disk, LOG, copy([1, 3], 3, 0));
  deepStrictEqual(shown(disk), [101, 0, 103]);
});

Deno.test("copyPages() is durable when it ends, the name of a new file included (promise 3)", async () => {
  const disk = openDisk();
  await copyPages(disk, LOG, copy([1, 2], 2, 0));
  disk.crash();
  deepStrictEqual(shown(disk), [101, 102]);
});

Deno.test("copyPages() that a power failure ends anywhere can be repeated to the same bytes (promise 3)", async () => {
  const job = copy([1, 3, 4], 6, 2);
  const whole = openDisk([1, 2, 3]);
  const operations: SimOperation[] = [];
  whole.onOperation = (operation) => operations.push(operation);
  await copyPages(whole, LOG, job);
  for (const { number } of operations) {
    const disk = openDisk([1, 2, 3]);
    disk.crashAtOperation(number);
    await rejects(copyPages(disk, LOG, job));
    disk.crash();
    disk.crashAtOperation(undefined);
    await copyPages(disk, LOG, job);
    deepStrictEqual(disk.contentOf("db/main.db"), whole.contentOf("db/main.db"), `crash at ${number}`);
  }
  strictEqual(operations.length > 4, true);
});
