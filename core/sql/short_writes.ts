import type { ErrorCode, ErrorRecord } from "../base/errors.ts";
import type { DatabaseId, Milliseconds } from "../base/ids.ts";
import type { Clock, Disk, EventSink, Random } from "../base/ports.ts";
import { SegmentReader } from "../log/segment_reader.ts";
import type { SegmentInfo } from "../log/segment_table.ts";
import { LogPageSource } from "../pages/log_page_source.ts";
import { Budget } from "./budget.ts";
import { KnownTexts } from "./known_texts.ts";
import type {
  DatabaseBase,
  Verdict,
  WriteMessage,
  WriteRequestData,
  WriteResults,
  WriterUpdate,
} from "./messages.ts";
import type { BatchResults, OpenWriters, OpenWritersOptions } from "./open_writers.ts";
import { packAnswers } from "./packed_answers.ts";
import type { SessionLimits } from "./session_limits.ts";
import { sizeOfParameters } from "./values.ts";

export interface ShortWritesOptions {
  /** Loads what writes, and compiles SQLite, for this thread: not before there are writes that are worth it. */
  readonly loadWriters: () => Promise<(options: Omit<OpenWritersOptions, "module">) => OpenWriters>;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly events: EventSink;
  /** SQLite's page cache of each database. */
  readonly cacheKib: number;
  readonly segments: () => { readonly version: number; readonly list: readonly SegmentInfo[] };
  /** Hears of each batch, often before `run` returns. */
  readonly onResults: (results: WriteResults) => void;
  /** A session that was not used had to make room: its next message opens another one. */
  readonly onGone: (databaseId: DatabaseId) => void;
}

type ShortWrite = Omit<WriteMessage, "jobId" | "segments">;
/** Of the writer session, before a batch. */
export type Placement = "stays" | "moved";

/** Short batches in a row before a session moves here; twice as many after a stay that was shorter than that. */
const BATCHES_BEFORE = 8;
const BATCHES_BEFORE_MAX = 65_536;
/** More at once are a worker's: the way there costs each of them little, and it leaves this thread to others. */
const REQUESTS_MAX = 8;
const STATEMENTS_MAX = 8;
/** Other statements never are short, and some act already while they are compiled to be judged. */
const CAN_BE_SHORT = /^\s*(INSERT|UPDATE|DELETE|REPLACE|WITH)\b/i;
/** Characters and bytes to bind, of one request. */
const PARAMETERS_SIZE_MAX = 16 * 1024;
/** Sessions here: each costs an instance, and its page cache. One that was not used for so long makes room for another. */
const DATABASES_MAX = 4;
const UNUSED_MS = 10_000;
const PROGRESS_OPERATIONS = 100;
/** Of a batch of one: 1,000 operations and 64 pages. Each request more has a share of its own. */
const BUDGET_QUESTIONS = 10;
const BUDGET_PAGES = 64;
const SHARE_QUESTIONS = 2;
const SHARE_PAGES = 8;

const SESSION_LIMITS: Partial<SessionLimits> = {
  progressOperations: PROGRESS_OPERATIONS,
  valueBytesMax: 16 * 1024,
  resultRowsMax: 1_000,
  resultBytesMax: 64 * 1024,
  transactionBytesMax: 4 * 1024 * 1024,
  // A checkpoint into the overlay copies each page once.
  walBytesMax: 1024 * 1024,
  temporaryBytesMax: 1024 * 1024,
};

/** Where the writer session of a database is, and why. */
interface Site {
  isHere: boolean;
  usedMs: Milliseconds;
  /** Of the session that is here; nothing can change it while it is. */
  schemaCookie: number | undefined;
  /** Short batches in a row, by the worker. */
  shortBatches: number;
  batchesBefore: number;
  /** Batches of the present stay. */
  batchesHere: number;
  /** Number of the batch that opened the session, or opens it. */
  openedBy: number;
}

/**
 * Runs writes on the thread of the caller: for one row the way to a worker and back takes ten times as long as SQLite. A
 * database has one writer session, and while all its writes are short that session is here. Only those are taken that are
 * proven short: the worker has run them, has compiled them quickly, and has seen that none of their operations can take
 * long. What does not succeed here within its budget has changed nothing and goes to the worker, and the session with it.
 */
export class ShortWrites {
  readonly #options: ShortWritesOptions;
  readonly #segments: SegmentReader;
  #segmentsVersion = -1;
  readonly #texts = new KnownTexts();
  readonly #sites = new Map<DatabaseId, Site>();
  readonly #budget = new Budget();
  #writers: OpenWriters | undefined;
  #isLoading = false;
  /** The engine could not be loaded, or the node stops. */
  #isOff = false;
  /** Writes run here since the start. */
  count = 0;

  constructor(options: ShortWritesOptions) {
    this.#options = options;
    this.#segments = new SegmentReader(options.disk, []);
  }

  isHere(databaseId: DatabaseId): boolean {
    return this.#sites.get(databaseId)?.isHere === true;
  }

  /**
   * Decides where the next batch runs; undefined: something that is not short. `moved`: not where the session was, and the
   * next message opens another one. One that was here is closed; one of the worker is left to the caller.
   */
  place(databaseId: DatabaseId, requests: readonly WriteRequestData[] | undefined): Placement {
    if (this.#isOff) return "stays";
    const site = this.#sites.get(databaseId);
    const isShort = requests !== undefined && requests.length <= REQUESTS_MAX &&
      requests.every((request) => this.#isShort(databaseId, request, site?.schemaCookie));
    if (site?.isHere) {
      site.usedMs = this.#options.clock.nowMs();
      if (isShort) return "stays";
      this.#leave(databaseId);
      return "moved";
    }
    if (!isShort) {
      if (site !== undefined) site.shortBatches = 0;
      return "stays";
    }
    return this.#comes(site ?? this.#newSite(databaseId)) ? "moved" : "stays";
  }

  /** Texts of the batch that the worker shall judge. */
  wantedVerdicts(databaseId: DatabaseId, requests: readonly WriteRequestData[]): string[] {
    if (this.#isOff) return [];
    const texts = new Set(requests.flatMap(({ statements }) => statements.map(({ sql }) => sql)));
    return [...texts].filter((sql) => CAN_BE_SHORT.test(sql) && this.#texts.wantsVerdict(databaseId, sql));
  }

  onVerdict(verdict: Verdict): void {
    this.#texts.onVerdict(verdict);
  }

  /** Runs a batch of a session that is here: at once, or as soon as the session that it opens is there. */
  run(message: ShortWrite): void {
    const { base, databaseId, batchNumber } = message;
    if (base === undefined) return this.#run(message);
    const site = this.#sites.get(databaseId);
    if (site !== undefined) site.openedBy = batchNumber;
    void this.#open(base).then((isOpen) => {
      if (isOpen) return this.#run(message);
      // A place that another opening has taken meanwhile is its own.
      if (this.#sites.get(databaseId)?.openedBy === batchNumber) this.#leave(databaseId);
      this.#report(message, 0, undefined);
    });
  }

  /** What a session that is here has to know before its next batch. @returns false when it is lost, and was given up */
  update(update: WriterUpdate): boolean {
    try {
      this.#follow();
      this.#writers?.update(update);
      return true;
    } catch (error) {
      this.#sessionFailed(update.databaseId, error);
      this.#leave(update.databaseId);
      return false;
    }
  }

  /** Nobody needs the session any more. @returns whether it was here */
  close(databaseId: DatabaseId): boolean {
    const site = this.#sites.get(databaseId);
    if (!site?.isHere) return false;
    site.isHere = false;
    site.schemaCookie = undefined;
    site.shortBatches = 0;
    this.#writers?.close(databaseId);
    return true;
  }

  /** The database is gone. */
  forget(databaseId: DatabaseId): void {
    this.close(databaseId);
    this.#sites.delete(databaseId);
  }

  stop(): void {
    this.#isOff = true;
    for (const databaseId of this.#sites.keys()) this.forget(databaseId);
    this.#segments.close();
  }

  #isShort(
    databaseId: DatabaseId,
    { statements, idempotencyKey }: WriteRequestData,
    schemaCookie: number | undefined,
  ): boolean {
    // With a key, the table of keys is written, and tidied.
    if (idempotencyKey !== undefined || statements.length > STATEMENTS_MAX) return false;
    let size = 0;
    for (const { sql, parameters } of statements) {
      if (!this.#isKnownShort(databaseId, sql, schemaCookie)) return false;
      size += sizeOfParameters(parameters);
    }
    return size <= PARAMETERS_SIZE_MAX;
  }

  /** @param schemaCookie undefined when the schema is not known yet */
  #isKnownShort(databaseId: DatabaseId, sql: string, schemaCookie: number | undefined): boolean {
    const text = this.#texts.get(databaseId, sql);
    if (text?.schemaCookie === undefined) return false;
    if (schemaCookie === undefined || text.schemaCookie === schemaCookie) return true;
    text.isOutdated();
    return false;
  }

  #newSite(databaseId: DatabaseId): Site {
    const site = {
      isHere: false,
      usedMs: -Infinity,
      schemaCookie: undefined,
      shortBatches: 0,
      batchesBefore: BATCHES_BEFORE,
      batchesHere: 0,
      openedBy: 0,
    };
    this.#sites.set(databaseId, site);
    return site;
  }

  /** Counts the batch. @returns whether it is the one with which the session comes here */
  #comes(site: Site): boolean {
    if (++site.shortBatches < site.batchesBefore) return false;
    if (this.#writers === undefined) void this.#load();
    if (this.#writers === undefined || !this.#makeRoom()) return false;
    site.isHere = true;
    site.batchesHere = 0;
    site.usedMs = this.#options.clock.nowMs();
    return true;
  }

  /** @returns false when all places are in use */
  #makeRoom(): boolean {
    const here = [...this.#sites].filter(([, { isHere }]) => isHere);
    if (here.length < DATABASES_MAX) return true;
    const [oldest, { usedMs }] = here.reduce((a, b) => a[1].usedMs <= b[1].usedMs ? a : b);
    if (this.#options.clock.nowMs() - usedMs < UNUSED_MS) return false;
    this.close(oldest);
    this.#options.onGone(oldest);
    return true;
  }

  async #load(): Promise<void> {
    if (this.#isLoading) return;
    this.#isLoading = true;
    try {
      const make = await this.#options.loadWriters();
      if (!this.#isOff) this.#writers = this.#makeWriters(make);
    } catch (error) {
      this.#isOff = true;
      this.#options.events.event("short_writes_off", { error: String(error) });
    }
  }

  #makeWriters(make: Awaited<ReturnType<ShortWritesOptions["loadWriters"]>>): OpenWriters {
    const { disk, clock, random, cacheKib } = this.#options;
    return make({
      clock,
      random,
      limits: { ...SESSION_LIMITS, cacheKib },
      cancel: this.#budget,
      // The worker that runs the write next meets a damaged page, too, and reports it.
      newSource: (base) => new LogPageSource(disk, this.#segments, base, () => {}),
    });
  }

  async #open(base: DatabaseBase): Promise<boolean> {
    try {
      this.#follow();
      return await this.#writers?.open(base) ?? false;
    } catch (error) {
      this.#sessionFailed(base.databaseId, error);
      return false;
    }
  }

  #run(message: ShortWrite): void {
    const { databaseId, requests } = message;
    const beganMs = this.#options.clock.nowMs();
    const batch = this.#runBatch(message);
    const finished = batch?.results.length ?? 0;
    this.count += finished;
    const first = requests[finished];
    if (first !== undefined) {
      if (batch !== undefined) this.#isLong(databaseId, first);
      this.#leave(databaseId);
    }
    this.#report(message, this.#options.clock.nowMs() - beganMs, batch);
  }

  /** Requests behind the results are to be run by the worker: in their order, so none after one that is not finished. */
  #report(
    { databaseId, batchNumber, requests }: ShortWrite,
    runMs: Milliseconds,
    batch?: BatchResults,
  ): void {
    const { results, answers, replayed, bodies } = batch ??
      { results: [], answers: packAnswers([]), replayed: [], bodies: [] };
    const unfinished = [...requests.keys()].slice(results.length);
    this.#options.onResults({
      kind: "write_results",
      jobId: 0,
      databaseId,
      batchNumber,
      answers,
      replayed,
      bodies,
      runMs,
      unfinished,
    });
  }

  /** Undefined when nothing of the batch counts. */
  #runBatch(message: ShortWrite): BatchResults | undefined {
    const { databaseId, batchNumber, requests, base } = message;
    const writers = this.#writers;
    const site = this.#sites.get(databaseId);
    if (site === undefined || writers === undefined) return undefined;
    try {
      this.#follow();
      writers.update(message);
      const more = requests.length - 1;
      this.#budget.begin(BUDGET_QUESTIONS + more * SHARE_QUESTIONS);
      const bounds = { pageReadsMax: BUDGET_PAGES + more * SHARE_PAGES, endsAt: isNoAnswer };
      if (base !== undefined) {
        const schemaCookie = site.schemaCookie = writers.schemaCookie(databaseId);
        if (!requests.every((request) => this.#isShort(databaseId, request, schemaCookie))) return undefined;
      }
      const batch = writers.runBatch(databaseId, requests, batchNumber, bounds);
      site.batchesHere++;
      return batch.diedAt === undefined ? batch : undefined;
    } catch (error) {
      this.#sessionFailed(databaseId, error);
      return undefined;
    }
  }

  #sessionFailed(databaseId: DatabaseId, error: unknown): void {
    this.#options.events.event("short_writes_session_failed", { databaseId, error: String(error) });
  }

  /** The session goes to the worker, where more work of its kind is. */
  #leave(databaseId: DatabaseId): void {
    const site = this.#sites.get(databaseId);
    if (site?.isHere) {
      const wasWorthIt = site.batchesHere >= site.batchesBefore;
      site.batchesBefore = wasWorthIt ? BATCHES_BEFORE : Math.min(2 * site.batchesBefore, BATCHES_BEFORE_MAX);
    }
    this.close(databaseId);
  }

  /** It stays with the worker for long. */
  #isLong(databaseId: DatabaseId, { statements }: WriteRequestData): void {
    for (const { sql } of statements) this.#texts.get(databaseId, sql)?.isLong();
  }

  #follow(): void {
    const { version, list } = this.#options.segments();
    if (version === this.#segmentsVersion) return;
    this.#segments.update(list);
    this.#segmentsVersion = version;
  }
}

/** Errors that are answers wherever they come from. Whatever else went wrong, the worker finds out, and says. */
const ANSWERS: ReadonlySet<ErrorCode> = new Set(["constraint_failed", "parameter_mismatch"]);

function isNoAnswer({ code }: ErrorRecord): boolean {
  return !ANSWERS.has(code);
}
