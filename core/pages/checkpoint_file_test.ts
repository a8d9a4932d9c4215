import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { SimDisk, type SimOperation } from "../../tests/support/sim_disk.ts";
import { crc32 } from "../codec/crc32.ts";
import { type CheckpointCopy, copyPages } from "./checkpoint_file.ts";
import {
  type CheckpointMeta,
  encodeCheckpointMeta,
  metaFile,
  readCheckpointMeta,
} from "./checkpoint_meta.ts";
import { PageDamageError } from "./page_damage.ts";
import { encodeSumsHeader, PageSumReader, sumFile } from "./page_sums.ts";

const PAGE = 512;
/** Page N of the log at position N holds N in every byte. */
const LOG = { readAt: (position: number, into: Uint8Array) => void into.fill(position) };
const INDEX = 9;

const sumOf = (value: number) => crc32(new Uint8Array(PAGE).fill(value));

/** A checkpoint at index 5 with pages that hold these values, when there are any. */
function openDisk(pages: readonly number[] = [], hasSums = true): SimDisk {
  const disk = new SimDisk({ seed: 1 });
  disk.makeDirectory("db");
  if (pages.length === 0) return disk;
  disk.putFile("db/main.db", Uint8Array.from(pages.flatMap((value) => Array(PAGE).fill(value))));
  disk.putFile(metaFile("main"), encodeCheckpointMeta(recordOf(pages.length, hasSums)));
  if (!hasSums) return disk;
  const header = encodeSumsHeader(PAGE);
  disk.putFile(
    sumFile("main"),
    new Uint8Array([...header, ...new Uint8Array(Uint32Array.from(pages, sumOf).buffer)]),
  );
  return disk;
}

function recordOf(pageCount: number, hasSums: boolean): CheckpointMeta {
  return { databaseId: 1, pageSize: PAGE, pageCount, index: 5, hasSums };
}

/** First byte of each page. */
function shown(disk: SimDisk): number[] {
  const bytes = disk.contentOf("db/main.db");
  return Array.from({ length: bytes.length / PAGE }, (_, i) => bytes[i * PAGE]!);
}

/** Every page has its checksum, and the file of checksums ends with the last one. */
function checkSums(disk: SimDisk, message?: string): void {
  const values = shown(disk);
  const sums = new PageSumReader(disk, "main");
  deepStrictEqual(values.map((_, i) => sums.get(i + 1)), values.map(sumOf), message);
  strictEqual(sums.get(values.length + 1), undefined);
  sums.close();
}

interface Wanted {
  readonly pages: readonly number[];
  readonly pageCount: number;
  readonly keep: number;
  /** What the record says that the file has; undefined: no record. */
  readonly record?: CheckpointMeta;
}

function copyOf({ pages, pageCount, keep, record }: Wanted): CheckpointCopy {
  const positions = pages.map((pageNumber) => 100 + pageNumber);
  return {
    file: "db/main.db",
    pageSize: PAGE,
    pageCount,
    keepPageCount: keep,
    pageNumbers: pages,
    positions,
    sums: { databaseId: 1, index: INDEX, checksums: positions.map(sumOf), record },
  };
}

Deno.test("copyPages() puts each page in its place and leaves the others, and so with the checksums", async () => {
  const disk = openDisk([1, 2, 3]);
  await copyPages(disk, LOG, copyOf({ pages: [2, 5], pageCount: 5, keep: 5, record: recordOf(3, true) }));
  deepStrictEqual(shown(disk), [1, 102, 3, 0, 105]);
  checkSums(disk);
});

Deno.test("copyPages() voids what lies beyond the smallest size the database had meanwhile (promise 4)", async () => {
  const disk = openDisk([1, 2, 3, 4]);
  await copyPages(disk, LOG, copyOf({ pages: [2], pageCount: 4, keep: 1, record: recordOf(4, true) }));
  deepStrictEqual(shown(disk), [1, 102, 0, 0]);
  checkSums(disk);
});

Deno.test("copyPages() keeps nothing of a file that has no record", async () => {
  const disk = openDisk([7, 7, 7, 7, 7]);
  await copyPages(disk, LOG, copyOf({ pages: [1, 3], pageCount: 3, keep: 0 }));
  deepStrictEqual(shown(disk), [101, 0, 103]);
  checkSums(disk);
});

Deno.test("copyPages() computes the checksums of a file whose record is of version 1", async () => {
  const disk = openDisk([1, 2, 3, 4], false);
  // What another database of that name left.
  disk.putFile(sumFile("main"), new Uint8Array(4_000).fill(9));
  await copyPages(disk, LOG, copyOf({ pages: [2], pageCount: 5, keep: 3, record: recordOf(4, false) }));
  deepStrictEqual(shown(disk), [1, 102, 3, 0, 0]);
  checkSums(disk);
});

Deno.test("copyPages() without checksums leaves the file of checksums alone", async () => {
  const disk = openDisk([1, 2, 3]);
  const before = disk.contentOf(sumFile("main"));
  const { sums: _, ...plain } = copyOf({ pages: [2], pageCount: 3, keep: 3 });
  await copyPages(disk, LOG, plain);
  deepStrictEqual(shown(disk), [1, 102, 3]);
  deepStrictEqual(disk.contentOf(sumFile("main")), before);
});

Deno.test("copyPages() is durable when it ends, the names of new files included (promise 3)", async () => {
  const disk = openDisk();
  await copyPages(disk, LOG, copyOf({ pages: [1, 2], pageCount: 2, keep: 0 }));
  disk.crash();
  deepStrictEqual(shown(disk), [101, 102]);
  checkSums(disk);
});

Deno.test("copyPages() notes how far it will come, for good, before it changes a page", async () => {
  const disk = openDisk([1, 2, 3]);
  disk.onOperation = ({ kind, path }) => {
    if (path !== "db/main.db" || kind === "sync" || kind === "sync_done") return;
    const crashed = disk.clone(2);
    strictEqual(readCheckpointMeta(crashed, "main").copiedThrough, INDEX);
    strictEqual(readCheckpointMeta(crashed, "main").index, 5);
  };
  await copyPages(disk, LOG, copyOf({ pages: [2], pageCount: 3, keep: 3, record: recordOf(3, true) }));
});

Deno.test("copyPages() refuses a page that is not what was written, and copies all when it has come right", async () => {
  const disk = openDisk([1, 2, 3]);
  const copy = copyOf({ pages: [1, 2, 4], pageCount: 4, keep: 4, record: recordOf(3, true) });
  const flipped = {
    readAt: (position: number, into: Uint8Array) => {
      LOG.readAt(position, into);
      if (position === 102) into[100]! ^= 1;
    },
  };
  await rejects(copyPages(disk, flipped, copy), (error) => {
    if (!(error instanceof PageDamageError)) return false;
    const expected = sumOf(102);
    deepStrictEqual(error.damage, { place: "log", position: 102, pageNumber: 2, at: INDEX, expected });
    return true;
  });
  strictEqual(readCheckpointMeta(disk, "main").index, 5);
  strictEqual(shown(disk)[1], 2, "the damaged page did not get into the file");
  await copyPages(disk, LOG, copy);
  deepStrictEqual(shown(disk), [101, 102, 3, 104]);
  checkSums(disk);
});

for (const hasSums of [true, false]) {
  Deno.test(`copyPages() that a power failure ends anywhere can be repeated to the same bytes (promise 3), checksums before: ${hasSums}`, async () => {
    const job = copyOf({ pages: [1, 5, 6], pageCount: 8, keep: 3, record: recordOf(4, hasSums) });
    const whole = openDisk([1, 2, 3, 4], hasSums).clone(1);
    const operations: SimOperation[] = [];
    whole.onOperation = (operation) => operations.push(operation);
    await copyPages(whole, LOG, job);
    for (const { number } of operations) {
      for (let seed = 1; seed <= 5; seed++) {
        const disk = openDisk([1, 2, 3, 4], hasSums).clone(seed);
        disk.crashAtOperation(number);
        await rejects(copyPages(disk, LOG, job));
        disk.crash();
        disk.crashAtOperation(undefined);
        checkKept(disk, hasSums);
        await copyPages(disk, LOG, job);
        deepStrictEqual(disk.contentOf("db/main.db"), whole.contentOf("db/main.db"), `crash at ${number}`);
        checkSums(disk, `crash at ${number}, seed ${seed}`);
      }
    }
    strictEqual(operations.length > 8, true);
  });
}

/** Pages 2 and 3 are neither copied nor void: nothing but the file has them, before, during and after. */
function checkKept(disk: SimDisk, hasSums: boolean): void {
  deepStrictEqual(shown(disk).slice(1, 3), [2, 3]);
  if (!hasSums) return;
  const sums = new PageSumReader(disk, "main");
  deepStrictEqual([2, 3].map((pageNumber) => sums.get(pageNumber)), [sumOf(2), sumOf(3)]);
  sums.close();
}
