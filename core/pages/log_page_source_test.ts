import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { SimDisk } from "../../tests/support/sim_disk.ts";
import { crc32 } from "../codec/crc32.ts";
import { Log } from "../log/log.ts";
import { chainHash } from "../log/record.ts";
import { SegmentReader } from "../log/segment_reader.ts";
import { EntryType } from "../raft/message.ts";
import { Database } from "./database.ts";
import { decodeEntryBody, encodePages, type PagesBody } from "./entry_body.ts";
import { LogPageSource, type PageSourceBase } from "./log_page_source.ts";
import { type PageDamage, PageDamageError } from "./page_damage.ts";
import type { PageDelta } from "./page_index.ts";
import { encodeSumsHeader } from "./page_sums.ts";

const PAGE = 512;

/** One database whose entries lie in a real log. */
class Bench {
  /** A file of three pages is its checkpoint. */
  readonly database = new Database(1, "main", PAGE, true, { index: 1, pageCount: 3 });
  readonly segments: SegmentReader;
  readonly damage: PageDamage[] = [];

  constructor(readonly disk: SimDisk, readonly log: Log) {
    this.segments = new SegmentReader(disk, []);
    this.database.publish(1);
  }

  static async open(): Promise<Bench> {
    const disk = new SimDisk({ seed: 1 });
    const base = { index: 1, term: 1, hash: 0 };
    const { log } = await Log.open(disk, { clusterId: "0".repeat(32), base, fillAheadBytes: 0 });
    return new Bench(disk, log);
  }

  /** Writes pages that hold `value`. */
  append(value: number, pageNumbers: readonly number[], pageCount: number): PageDelta {
    const frames = pageNumbers.map((pageNumber) => ({ pageNumber, bytes: new Uint8Array(PAGE).fill(value) }));
    const [data] = encodePages(frames, {
      databaseId: 1,
      pageSize: PAGE,
      pageCount,
      wallMs: 0,
      entryBytesMax: 1e6,
    });
    const index = this.log.lastIndex() + 1;
    const hash = chainHash(this.log.hashAt(index - 1)!, 1, index, EntryType.data, data!);
    this.log.append([{ index, term: 1, type: EntryType.data, hash, data: data! }], 0);
    this.segments.update(this.log.segments().list);
    const delta = this.database.append(
      index,
      decodeEntryBody(data!) as PagesBody,
      this.log.positionOf(index),
    )!;
    this.database.publish(index);
    return delta;
  }

  source(file?: readonly number[], hasSums = false): LogPageSource {
    if (file !== undefined) {
      this.disk.putFile("db/main.db", Uint8Array.from(file.flatMap((value) => Array(PAGE).fill(value))));
    }
    if (file !== undefined && hasSums) {
      const sums = Uint32Array.from(file, (value) => crc32(new Uint8Array(PAGE).fill(value)));
      const header = encodeSumsHeader(PAGE);
      this.disk.putFile("db/main.sum", Uint8Array.of(...header, ...new Uint8Array(sums.buffer)));
    }
    const base = { ...this.base(file?.length ?? 0), hasSums };
    return new LogPageSource(this.disk, this.segments, base, (damage) => this.damage.push(damage));
  }

  base(filePageCount: number): PageSourceBase {
    return {
      pageSize: PAGE,
      file: filePageCount === 0 ? undefined : "db/main.db",
      filePageCount,
      pages: this.database.pages.export(Infinity),
    };
  }

  /** The file and the offset in it of a byte of the log. */
  placeOf(position: number): [path: string, offset: number] {
    const segment = this.log.segments().list.findLast(({ startPosition }) => startPosition <= position)!;
    return [segment.path, position - segment.startPosition];
  }
}

/** What each page holds; undefined where the database has ended. */
function shown(source: LogPageSource, count: number): (number | undefined)[] {
  return Array.from({ length: count }, (_, i) => {
    const page = new Uint8Array(PAGE).fill(255);
    if (!source.readPage(i + 1, page)) return undefined;
    strictEqual(page.every((byte) => byte === page[0]), true);
    return page[0];
  });
}

Deno.test("LogPageSource takes the newest version at its index from the log, the rest from the file", async () => {
  const bench = await Bench.open();
  const view = bench.database.openView();
  bench.append(11, [1, 2], 3);
  const second = bench.append(12, [2], 3);
  const source = bench.source([1, 2, 3]);
  deepStrictEqual(shown(source, 4), [11, 12, 3, undefined]);
  source.at = second.index - 1;
  deepStrictEqual(shown(source, 3), [11, 11, 3]);
  source.close();
  view.close();
});

Deno.test("LogPageSource: pages that nobody ever wrote, and those beyond an old end, read as zeros (promise 4)", async () => {
  const bench = await Bench.open();
  bench.append(11, [1], 1);
  bench.append(12, [3], 4);
  deepStrictEqual(shown(bench.source([1, 2, 3]), 5), [11, 0, 12, 0, undefined]);
  deepStrictEqual(shown(bench.source(), 4), [11, 0, 12, 0]);
});

Deno.test("LogPageSource follows deltas, and begins anew with a base", async () => {
  const bench = await Bench.open();
  bench.append(11, [1], 1);
  const source = bench.source();
  source.add(bench.append(12, [1, 2], 2), bench.database.oldestView);
  deepStrictEqual(shown(source, 2), [12, 12]);
  bench.database.checkpointed({ index: bench.log.lastIndex(), pageCount: 2 });
  bench.disk.putFile("db/main.db", new Uint8Array(2 * PAGE).fill(12));
  source.rebase({
    pageSize: PAGE,
    file: "db/main.db",
    filePageCount: 2,
    pages: bench.database.pages.export(Infinity),
  });
  deepStrictEqual(shown(source, 3), [12, 12, undefined]);
});

Deno.test("LogPageSource never makes up a page that the log has lost", async () => {
  const bench = await Bench.open();
  bench.append(11, [1], 1);
  const source = bench.source();
  bench.segments.update([]);
  throws(() => shown(source, 1), /no segment holds this position/);
});

/** Reads every page; a damaged one shows as "damaged". */
function found(source: LogPageSource, count: number): unknown[] {
  return Array.from({ length: count }, (_, i) => {
    try {
      const page = new Uint8Array(PAGE);
      source.readPage(i + 1, page);
      return page[PAGE - 1];
    } catch (error) {
      if (error instanceof PageDamageError) return "damaged";
      throw error;
    }
  });
}

Deno.test("LogPageSource finds a bit that changed in the log, and reads on elsewhere", async () => {
  const bench = await Bench.open();
  const { positions, checksums } = bench.append(11, [1, 2], 3);
  const source = bench.source([1, 2, 3], true);
  bench.disk.flipBit(...bench.placeOf(positions[1]! + 300), 5);
  deepStrictEqual(found(source, 3), [11, "damaged", 3]);
  deepStrictEqual(bench.damage, [
    { place: "log", position: positions[1]!, pageNumber: 2, at: Infinity, expected: checksums![1]! },
  ]);
  bench.disk.flipBit(...bench.placeOf(positions[1]! + 300), 5);
  deepStrictEqual(found(source, 3), [11, 11, 3], "repaired");
});

Deno.test("LogPageSource finds a bit that changed in the .db file or in its checksum, until both are right again", async () => {
  for (const [path, offset] of [["db/main.db", 2 * PAGE - 1], ["db/main.sum", 16 + 4 + 2]] as const) {
    const bench = await Bench.open();
    const source = bench.source([1, 2, 3], true);
    deepStrictEqual(found(source, 1), [1]);
    bench.disk.flipBit(path, offset, 0);
    // Of the checksums a block was read before the damage.
    source.rebase({ ...bench.base(3), hasSums: true });
    source.at = 7;
    deepStrictEqual(found(source, 3), [1, "damaged", 3], path);
    strictEqual(bench.damage.length, 1);
    const { expected, ...damage } = bench.damage[0]!;
    deepStrictEqual(damage, { place: "file", path: "db/main.db", pageNumber: 2, at: 7 });
    strictEqual(expected === crc32(new Uint8Array(PAGE).fill(2)), path === "db/main.db");
    bench.disk.flipBit(path, offset, 0);
    deepStrictEqual(found(source, 3), [1, 2, 3], "repaired, with the same source");
    source.close();
  }
});

Deno.test("LogPageSource: a checksum that is missing counts as damage, and so does a .db file that is too short", async () => {
  const bench = await Bench.open();
  bench.source([1, 2, 3], true).close();
  const { disk } = bench;
  const sums = disk.contentOf("db/main.sum");
  disk.putFile("db/main.sum", sums.subarray(0, sums.length - 1));
  const source = bench.source([1, 2, 3], false);
  source.rebase({ ...bench.base(3), hasSums: true });
  deepStrictEqual(found(source, 3), [1, 2, "damaged"]);
  strictEqual(bench.damage[0]?.expected, undefined);
  disk.putFile("db/main.sum", sums);
  disk.putFile("db/main.db", disk.contentOf("db/main.db").subarray(0, 2 * PAGE + 1));
  source.rebase({ ...bench.base(3), hasSums: true });
  deepStrictEqual(found(source, 3), [1, 2, "damaged"]);
  disk.remove("db/main.sum");
  source.rebase({ ...bench.base(3), hasSums: true });
  deepStrictEqual(found(source, 3), ["damaged", "damaged", "damaged"]);
  source.rebase({ ...bench.base(2), hasSums: false });
  deepStrictEqual(found(source, 3), [1, 2, 0], "a record of version 1 promises no checksums");
});
