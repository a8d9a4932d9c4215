import type { DatabaseId, Milliseconds } from "../base/ids.ts";
import type { Clock, Disk, EventSink, Random } from "../base/ports.ts";
import { SegmentReader } from "../log/segment_reader.ts";
import type { SegmentInfo } from "../log/segment_table.ts";
import type { Database } from "../pages/database.ts";
import { Budget } from "./budget.ts";
import type { DatabaseCursors } from "./database_cursors.ts";
import { type KnownText, KnownTexts } from "./known_texts.ts";
import type { Verdict } from "./messages.ts";
import type { OpenReaders, OpenReadersOptions } from "./open_readers.ts";
import type { SessionLimits } from "./session_limits.ts";
import { SchemaChangedError } from "./sql_errors.ts";
import type { RowSink } from "./row_sink.ts";
import {
  type EncodedFields,
  type ResultFormat,
  type RowShape,
  sizeOfParameters,
  type SqlParameters,
} from "./values.ts";

export interface ShortReadsOptions {
  /** Loads what reads, and compiles SQLite, for this thread: not before there is a query that is worth it. */
  readonly loadReaders: () => Promise<(options: Omit<OpenReadersOptions, "module">) => OpenReaders>;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly events: EventSink;
  /** SQLite's page cache of each database. */
  readonly cacheKib: number;
  readonly cursors: DatabaseCursors;
  readonly segments: () => { readonly version: number; readonly list: readonly SegmentInfo[] };
}

export interface ShortQuery {
  readonly sql: string;
  readonly parameters: SqlParameters;
  readonly format: ResultFormat;
  readonly rowShape: RowShape;
  /** Takes the rows, if it is answered here. */
  readonly into?: RowSink | undefined;
}

/** Databases kept open on this thread: each costs an instance, and its page cache. */
const DATABASES_MAX = 4;
/** An instance takes 2 to 3 ms to make: a database gives its place to another one only when it is not used any more. */
const UNUSED_MS = 10_000;
/** Pages that a query may read: some tenths of a millisecond when the system has them in its cache. */
const PAGE_READS_MAX = 64;
/** Of the session's questions whether to stop, which come every 1,000 operations. */
const BUDGET_QUESTIONS = 1;
/** The budget ends a query long before any time limit; the session still has to ask it. */
const DEADLINE_MS: Milliseconds = Number.MAX_VALUE;
/** Characters and bytes to bind. */
const PARAMETERS_SIZE_MAX = 16 * 1024;

/**
 * Operations and the size of a value together bound the time: thousands of operations that copy values of this size, as a
 * recursive query can, take some milliseconds.
 */
const SESSION_LIMITS: Partial<SessionLimits> = {
  progressOperations: 1_000,
  valueBytesMax: 16 * 1024,
  resultRowsMax: 1_000,
  resultBytesMax: 64 * 1024,
  temporaryBytesMax: 1024 * 1024,
};

/**
 * Runs queries on the thread of the caller, where the way to a worker and back would take ten times as long as the query.
 * Only those that are proven short: a worker has run them, has compiled them quickly, and has seen that none of their
 * operations can take long. And only as far as their budget goes: 2,000 operations, 64 pages, 64 KiB. What does not succeed
 * here, for whatever reason, is left to a worker: this never fails.
 */
export class ShortReads {
  readonly #options: ShortReadsOptions;
  readonly #segments: SegmentReader;
  #segmentsVersion = -1;
  readonly #texts = new KnownTexts();
  #readers: OpenReaders | undefined;
  /** When each database that has a place here was last read, on the clock of `tick`. */
  readonly #usedMs = new Map<DatabaseId, Milliseconds>();
  #nowMs: Milliseconds;
  #hasFailed = false;
  readonly #budget = new Budget();
  /** Queries run here since the start. */
  count = 0;

  constructor(options: ShortReadsOptions) {
    this.#options = options;
    this.#nowMs = options.clock.nowMs();
    this.#segments = new SegmentReader(options.disk, []);
  }

  /** To be called often, beside 10 s: a look at the clock for every query would cost more. */
  tick(nowMs: Milliseconds): void {
    this.#nowMs = nowMs;
  }

  /** What is known of a query that may run here; undefined: it is a worker's. */
  find(database: Database, { sql, parameters }: ShortQuery): KnownText | undefined {
    const text = this.#texts.get(database.id, sql);
    if (text?.schemaCookie === undefined) return undefined;
    if (sizeOfParameters(parameters) > PARAMETERS_SIZE_MAX) return undefined;
    if (this.#readers?.session(database.id) !== undefined) return text;
    void this.#open(database);
    return undefined;
  }

  /** The answer at what is published to a query that was found a moment ago; undefined: it is a worker's after all. */
  run(
    database: Database,
    text: KnownText,
    { sql, parameters, format, rowShape, into }: ShortQuery,
  ): EncodedFields | undefined {
    const session = this.#readers?.session(database.id);
    if (session === undefined) return undefined;
    this.#follow(database);
    this.#usedMs.set(database.id, this.#nowMs);
    this.#budget.begin(BUDGET_QUESTIONS);
    try {
      const { fields } = session.query({
        sql,
        parameters,
        deadlineMs: DEADLINE_MS,
        format,
        rowShape,
        into,
        viewIndex: database.published,
        schemaCookie: text.schemaCookie,
        pageReadsMax: PAGE_READS_MAX,
      });
      this.count++;
      return fields;
    } catch (error) {
      // A worker finds out what is wrong, and says so.
      if (error instanceof SchemaChangedError) text.isOutdated();
      else text.isLong();
      return undefined;
    }
  }

  /** A worker is going to run it: shall it judge the text? */
  wantsVerdict(databaseId: DatabaseId, sql: string): boolean {
    return !this.#hasFailed && this.#texts.wantsVerdict(databaseId, sql);
  }

  onVerdict(verdict: Verdict): void {
    this.#texts.onVerdict(verdict);
  }

  /** Its files are others now, or it is gone. */
  close(databaseId: DatabaseId): void {
    this.#usedMs.delete(databaseId);
    this.#options.cursors.forget(databaseId);
    this.#readers?.close(databaseId);
  }

  closeAll(): void {
    for (const databaseId of [...this.#usedMs.keys()]) this.close(databaseId);
  }

  stop(): void {
    this.#hasFailed = true;
    this.closeAll();
    this.#segments.close();
  }

  /** Tells the page index of this thread what has changed. */
  #follow(database: Database): void {
    const { cursors, segments } = this.#options;
    if (!cursors.isCurrent(database)) this.#readers?.update(cursors.advance(database));
    const { version, list } = segments();
    if (version === this.#segmentsVersion) return;
    this.#segments.update(list);
    this.#segmentsVersion = version;
  }

  async #open(database: Database): Promise<void> {
    try {
      if (this.#hasFailed || !this.#takePlace(database.id)) return;
      this.#readers ??= this.#makeReaders(await this.#options.loadReaders());
      // It may have been closed while the engine was loaded.
      if (this.#hasFailed || !this.#usedMs.has(database.id)) return;
      this.#follow(database);
      await this.#readers.open(database.id);
    } catch (error) {
      this.#hasFailed = true;
      this.#options.events.event("short_reads_off", { database: database.name, error: String(error) });
    }
  }

  /** False when all places are in use, and for one that is being opened or was lost just now. */
  #takePlace(databaseId: DatabaseId): boolean {
    const nowMs = this.#nowMs;
    const usedMs = this.#usedMs.get(databaseId);
    if (usedMs !== undefined && nowMs - usedMs < UNUSED_MS) return false;
    if (usedMs === undefined && this.#usedMs.size === DATABASES_MAX) {
      const [oldest, lastMs] = [...this.#usedMs].reduce((a, b) => a[1] <= b[1] ? a : b);
      if (nowMs - lastMs < UNUSED_MS) return false;
      this.close(oldest);
    }
    this.#usedMs.set(databaseId, nowMs);
    return true;
  }

  #makeReaders(make: Awaited<ReturnType<ShortReadsOptions["loadReaders"]>>): OpenReaders {
    const { disk, clock, random, cacheKib } = this.#options;
    return make({
      disk,
      clock,
      random,
      limits: { ...SESSION_LIMITS, cacheKib },
      cancel: this.#budget,
      segments: this.#segments,
      // The worker that runs the query next meets the same page.
      onDamage: () => {},
    });
  }
}
