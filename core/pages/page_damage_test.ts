/** Random histories of one database on a real log: whatever is read is what was written, or is found damaged. */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { SeededRandom } from "../../tests/support/seeded_random.ts";
import { SimDisk } from "../../tests/support/sim_disk.ts";
import { Log } from "../log/log.ts";
import { chainHash } from "../log/record.ts";
import { SegmentReader } from "../log/segment_reader.ts";
import { EntryType } from "../raft/message.ts";
import { copyPages } from "./checkpoint_file.ts";
import { databaseFile, metaFile, readCheckpointMeta, writeCheckpointMeta } from "./checkpoint_meta.ts";
import { planCheckpoint } from "./checkpoint_plan.ts";
import { Database } from "./database.ts";
import { decodeEntryBody, encodePages, type PagesBody } from "./entry_body.ts";
import { LogPageSource } from "./log_page_source.ts";
import { PageDamageError } from "./page_damage.ts";
import { sumFile, SUMS_HEADER_BYTES } from "./page_sums.ts";

const PAGE = 512;
const PAGES_MAX = 300;
const PATH = databaseFile("main");

class History {
  readonly #random: SeededRandom;
  readonly #disk: SimDisk;
  #log!: Log;
  #database!: Database;
  #segments!: SegmentReader;
  /** What the database holds, page by page. */
  #model: Uint8Array[] = [];
  crashes = 0;

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
    this.#disk = new SimDisk({ seed });
    this.#disk.makeDirectory("db");
  }

  async run(steps: number): Promise<void> {
    await this.#open();
    for (let i = 0; i < steps; i++) {
      const draw = this.#random.integer(0, 9);
      if (draw < 6) await this.#append();
      else if (draw < 8) await this.#checkpoint();
      else await this.#crashInCheckpoint();
      this.#checkAll();
    }
    this.#damageAndCheck();
    await this.#log.close();
  }

  /** As a node that starts: the record, then the log. */
  async #open(): Promise<void> {
    const record = this.#disk.exists(metaFile("main")) ? readCheckpointMeta(this.#disk, "main") : undefined;
    const database = this.#database = new Database(1, "main", PAGE, true, record);
    const { log } = await Log.open(this.#disk, {
      clusterId: "0".repeat(32),
      base: { index: 1, term: 1, hash: 0 },
      fillAheadBytes: 0,
      onEntry: ({ index, data }, position) =>
        void database.append(index, decodeEntryBody(data) as PagesBody, position),
    });
    this.#log = log;
    this.#segments = new SegmentReader(this.#disk, log.segments().list);
    database.publish(log.lastIndex());
  }

  async #append(): Promise<void> {
    const random = this.#random;
    const before = this.#model.length;
    const pageCount = random.chance(0.2)
      ? random.integer(1, PAGES_MAX)
      : Math.min(PAGES_MAX, Math.max(1, before + random.integer(0, 20)));
    const chosen = new Set<number>([1]);
    for (let i = random.integer(0, 30); i > 0; i--) chosen.add(random.integer(1, pageCount));
    const frames = [...chosen].sort((a, b) => a - b).map((pageNumber) => ({
      pageNumber,
      bytes: random.bytes(PAGE),
    }));
    this.#model.length = Math.min(before, pageCount);
    while (this.#model.length < pageCount) this.#model.push(new Uint8Array(PAGE));
    for (const { pageNumber, bytes } of frames) this.#model[pageNumber - 1] = bytes;
    const options = { databaseId: 1, pageSize: PAGE, pageCount, wallMs: 0, entryBytesMax: 1e6 };
    const [data] = encodePages(frames, options);
    const log = this.#log;
    const index = log.lastIndex() + 1;
    const hash = chainHash(log.hashAt(index - 1)!, 1, index, EntryType.data, data!);
    log.append([{ index, term: 1, type: EntryType.data, hash, data: data! }], 0);
    await log.sync();
    this.#segments.update(log.segments().list);
    this.#database.append(index, decodeEntryBody(data!) as PagesBody, log.positionOf(index));
    this.#database.publish(index);
  }

  async #checkpoint(): Promise<void> {
    const database = this.#database;
    const index = database.published;
    if (index <= database.checkpoint.index) return;
    const plan = planCheckpoint(database, index);
    await copyPages(this.#disk, this.#segments, plan);
    const state = { index, pageCount: plan.pageCount, hasSums: true };
    await writeCheckpointMeta(this.#disk, "main", { databaseId: 1, pageSize: PAGE, ...state });
    database.checkpointed(state);
  }

  /** The power fails at an operation of a checkpoint, mostly before its end. */
  async #crashInCheckpoint(): Promise<void> {
    if (this.#database.published <= this.#database.checkpoint.index) return;
    const disk = this.#disk;
    disk.crashAtOperation(disk.operationCount + this.#random.integer(1, 40));
    await this.#checkpoint().then(() => {}, () => this.crashes++);
    disk.crash();
    await this.#open();
  }

  #source(): LogPageSource {
    const { checkpoint, pages } = this.#database;
    return new LogPageSource(this.#disk, this.#segments, {
      pageSize: PAGE,
      file: checkpoint.index > 0 ? PATH : undefined,
      filePageCount: checkpoint.pageCount,
      hasSums: checkpoint.hasSums === true,
      pages: pages.export(Infinity),
    });
  }

  #checkAll(damaged: ReadonlySet<number> = new Set()): void {
    const source = this.#source();
    strictEqual(source.pageCount(), this.#model.length);
    const page = new Uint8Array(PAGE);
    this.#model.forEach((bytes, i) => {
      if (damaged.has(i + 1)) {
        strictEqual(readDamaged(source, i + 1), true, `page ${i + 1} must be found damaged`);
      } else {
        source.readPage(i + 1, page);
        deepStrictEqual(page, bytes, `page ${i + 1}`);
      }
    });
    source.close();
  }

  /** Flips bits wherever pages and checksums lie; each page that needs them is found, and no other. */
  #damageAndCheck(): void {
    const random = this.#random;
    const damaged = new Set<number>();
    for (let i = 0; i < 20; i++) {
      const pageNumber = random.integer(1, this.#model.length);
      // A second flip could undo the first.
      if (damaged.has(pageNumber) || !this.#flip(pageNumber)) continue;
      damaged.add(pageNumber);
    }
    this.#checkAll(damaged);
  }

  /** False when nothing on the disk says what the page holds. */
  #flip(pageNumber: number): boolean {
    const random = this.#random;
    const { checkpoint, pages } = this.#database;
    const bit = random.integer(0, 7);
    const position = pages.locate(pageNumber, Infinity);
    if (position === undefined) {
      if (pageNumber > checkpoint.pageCount) return false;
      if (random.chance(0.5)) {
        this.#disk.flipBit(PATH, (pageNumber - 1) * PAGE + random.integer(0, PAGE - 1), bit);
      } else {
        const offset = SUMS_HEADER_BYTES + 4 * (pageNumber - 1) + random.integer(0, 3);
        this.#disk.flipBit(sumFile("main"), offset, bit);
      }
      return true;
    }
    if (position < 0) return false;
    const segment = this.#log.segments().list.findLast(({ startPosition }) => startPosition <= position);
    ok(segment);
    this.#disk.flipBit(segment.path, position - segment.startPosition + random.integer(0, PAGE - 1), bit);
    return true;
  }
}

function readDamaged(source: LogPageSource, pageNumber: number): boolean {
  try {
    source.readPage(pageNumber, new Uint8Array(PAGE));
    return false;
  } catch (error) {
    return error instanceof PageDamageError && error.damage.pageNumber === pageNumber;
  }
}

Deno.test("every page read is what was written, after checkpoints that end anywhere too, or is found damaged (promises 3, 4, 6)", async () => {
  let crashes = 0;
  for (let seed = 1; seed <= 60; seed++) {
    const history = new History(seed);
    try {
      await history.run(20);
    } catch (error) {
      throw new Error(`Seed ${seed}`, { cause: error });
    }
    crashes += history.crashes;
  }
  ok(crashes > 30, `Only ${crashes} checkpoints were cut short`);
});
