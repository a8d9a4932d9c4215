/**
 * What it costs to compare every page with its checksum: pages of 4 KiB in random order from a log and from a `.db` file
 * that the operating system has in its cache, and a checkpoint with and without checksums.
 *
 *     deno run -A bench/page_read_bench.ts [--smoke]
 */
import { crc32 } from "../core/codec/crc32.ts";
import { DenoDisk } from "../core/host/deno_disk.ts";
import { Log } from "../core/log/log.ts";
import { chainHash } from "../core/log/record.ts";
import { SegmentReader } from "../core/log/segment_reader.ts";
import { copyPages } from "../core/pages/checkpoint_file.ts";
import { databaseFile } from "../core/pages/checkpoint_meta.ts";
import { planCheckpoint } from "../core/pages/checkpoint_plan.ts";
import { Database } from "../core/pages/database.ts";
import { decodeEntryBody, encodePages, type PagesBody } from "../core/pages/entry_body.ts";
import { LogPageSource } from "../core/pages/log_page_source.ts";
import { EntryType } from "../core/raft/message.ts";
import { SeededRandom } from "../tests/support/seeded_random.ts";

const PAGE = 4_096;
const PAGES_PER_ENTRY = 64;

interface Sizes {
  readonly pages: number;
  readonly reads: number;
  readonly rounds: number;
}

class Bench {
  readonly #random = new SeededRandom(1);
  readonly #page = new Uint8Array(PAGE);
  readonly #order: readonly number[];
  readonly #rounds: number;

  constructor({ pages, reads, rounds }: Sizes) {
    this.#order = Array.from({ length: reads }, () => this.#random.integer(1, pages));
    this.#rounds = rounds;
  }

  /** Prints the fastest of some rounds. */
  measure(name: string, read: (pageNumber: number, into: Uint8Array) => unknown): void {
    let bestMs = Infinity;
    for (let round = 0; round < this.#rounds; round++) {
      const startedMs = performance.now();
      for (const pageNumber of this.#order) read(pageNumber, this.#page);
      bestMs = Math.min(bestMs, performance.now() - startedMs);
    }
    const nsPerPage = bestMs * 1e6 / this.#order.length;
    console.log(`${name.padEnd(44)} ${nsPerPage.toFixed(0).padStart(7)} ns per page`);
  }
}

async function fillLog(
  disk: DenoDisk,
  pages: number,
): Promise<{ database: Database; segments: SegmentReader }> {
  const base = { index: 1, term: 1, hash: 0 };
  const { log } = await Log.open(disk, { clusterId: "0".repeat(32), base });
  const database = new Database(1, "main", PAGE, true);
  const random = new SeededRandom(2);
  for (let first = 1; first <= pages; first += PAGES_PER_ENTRY) {
    const frames = Array.from({ length: Math.min(PAGES_PER_ENTRY, pages - first + 1) }, (_, i) => ({
      pageNumber: first + i,
      bytes: new Uint8Array(PAGE).fill(random.integer(0, 255)),
    }));
    const pageCount = first + frames.length - 1;
    const options = { databaseId: 1, pageSize: PAGE, pageCount, wallMs: 0, entryBytesMax: 1e6 };
    const [data] = encodePages(frames, options) as [Uint8Array];
    const index = log.lastIndex() + 1;
    const hash = chainHash(log.hashAt(index - 1) ?? 0, 1, index, EntryType.data, data);
    log.append([{ index, term: 1, type: EntryType.data, hash, data }], 0);
    database.append(index, decodeEntryBody(data) as PagesBody, log.positionOf(index));
    if (index % 64 === 0) await log.sync();
  }
  await log.sync();
  database.publish(log.lastIndex());
  const segments = new SegmentReader(disk, log.segments().list);
  await log.close();
  return { database, segments };
}

async function checkpoint(disk: DenoDisk, segments: SegmentReader, database: Database, checked: boolean) {
  const { sums, ...plain } = planCheckpoint(database, database.published);
  const startedMs = performance.now();
  await copyPages(disk, segments, checked ? { ...plain, sums } : plain);
  const nsPerPage = (performance.now() - startedMs) * 1e6 / plain.pageNumbers.length;
  const name = `checkpoint, ${checked ? "checked, with checksums" : "unchecked"}`;
  console.log(`${name.padEnd(44)} ${nsPerPage.toFixed(0).padStart(7)} ns per page, syncs included`);
}

async function run(folder: string, sizes: Sizes): Promise<void> {
  const disk = new DenoDisk(folder);
  disk.makeDirectory("db");
  const bench = new Bench(sizes);
  const { database, segments } = await fillLog(disk, sizes.pages);
  const { pages } = database;
  const sample = new Uint8Array(PAGE).fill(7);
  bench.measure("checksum alone", () => crc32(sample));
  bench.measure("log, unchecked", (pageNumber, into) => {
    segments.readAt(pages.locate(pageNumber, Infinity)!, into);
  });
  const base = { pageSize: PAGE, file: undefined, filePageCount: 0, pages: pages.export(Infinity) };
  const inLog = new LogPageSource(disk, segments, base);
  bench.measure("log, checked", (pageNumber, into) => inLog.readPage(pageNumber, into));
  for (const checked of [false, true, false, true]) await checkpoint(disk, segments, database, checked);
  const state = { index: database.published, pageCount: sizes.pages };
  database.checkpointed(state);
  const file = databaseFile("main");
  const exported = database.pages.export(Infinity);
  for (const hasSums of [false, true]) {
    const source = new LogPageSource(disk, segments, {
      pageSize: PAGE,
      file,
      filePageCount: sizes.pages,
      hasSums,
      pages: exported,
    });
    const name = `.db file, ${hasSums ? "checked" : "unchecked"}`;
    bench.measure(name, (pageNumber, into) => source.readPage(pageNumber, into));
    source.close();
  }
  segments.close();
}

if (import.meta.main) {
  const smoke = Deno.args.includes("--smoke");
  const sizes = smoke
    ? { pages: 200, reads: 200, rounds: 1 }
    // 64 and 512 MiB: all checksums fit in what a reader keeps, and half of them.
    : [16_384, 131_072].map((pages) => ({ pages, reads: 100_000, rounds: 5 }));
  for (const each of [sizes].flat()) {
    console.log(`${each.pages} pages`);
    const folder = await Deno.makeTempDir();
    try {
      await run(folder, each);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  }
}
