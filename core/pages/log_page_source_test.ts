import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { SimDisk } from "../../tests/support/sim_disk.ts";
import { Log } from "../log/log.ts";
import { chainHash } from "../log/record.ts";
import { SegmentReader } from "../log/segment_reader.ts";
import { EntryType } from "../raft/message.ts";
import { Database } from "./database.ts";
import { decodeEntryBody, encodePages, type PagesBody } from "./entry_body.ts";
import { LogPageSource } from "./log_page_source.ts";
import type { PageDelta } from "./page_index.ts";

const PAGE = 512;

/** One database whose entries lie in a real log. */
class Bench {
  /** A file of three pages is its checkpoint. */
  readonly database = new Database(1, "main", PAGE, true, { index: 1, pageCount: 3 });
  readonly segments: SegmentReader;

  constructor(readonly disk: SimDisk, readonly log: Log) {
    this.segments = new SegmentReader(disk, []);
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

  source(file?: readonly number[]): LogPageSource {
    if (file !== undefined) {
      this.disk.putFile("db/main.db", Uint8Array.from(file.flatMap((value) => Array(PAGE).fill(value))));
    }
    return new LogPageSource(this.disk, this.segments, {
      pageSize: PAGE,
      file: file === undefined ? undefined : "db/main.db",
      filePageCount: file?.length ?? 0,
      pages: this.database.pages.export(Infinity),
    });
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
  const pin = bench.database.pin();
  bench.append(11, [1, 2], 3);
  const second = bench.append(12, [2], 3);
  const source = bench.source([1, 2, 3]);
  deepStrictEqual(shown(source, 4), [11, 12, 3, undefined]);
  source.at = second.index - 1;
  deepStrictEqual(shown(source, 3), [11, 11, 3]);
  source.close();
  bench.database.unpin(pin);
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
