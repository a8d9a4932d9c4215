/**
 * A node without Raft and network, in one thread: log, page store, checkpoints and a SQL worker over a simulated disk. What a
 * leader would commit is committed when the test says so.
 */
import { fromErrorRecord } from "../../core/base/errors.ts";
import { LIMITS } from "../../core/base/limits.ts";
import { Log } from "../../core/log/log.ts";
import { chainHash } from "../../core/log/record.ts";
import { readCheckpoints } from "../../core/node/checkpoints.ts";
import { databaseFile, writeCheckpointMeta } from "../../core/pages/checkpoint_meta.ts";
import { planCheckpoint } from "../../core/pages/checkpoint_plan.ts";
import type { Database, View } from "../../core/pages/database.ts";
import { encodeCreate } from "../../core/pages/entry_body.ts";
import type { PageDamage } from "../../core/pages/page_damage.ts";
import type { PageDelta } from "../../core/pages/page_index.ts";
import { PageStore } from "../../core/pages/page_store.ts";
import { EntryType } from "../../core/raft/message.ts";
import type { DatabaseBase, MessageFromWorker, WriteResults } from "../../core/sql/messages.ts";
import { unpackAnswers } from "../../core/sql/packed_answers.ts";
import { loadEngineModule } from "../../core/sql/wasm/load_engine.ts";
import { WorkerCore } from "../../core/sql/worker_core.ts";
import { ManualClock } from "./manual_clock.ts";
import { SeededRandom } from "./seeded_random.ts";
import { SimDisk } from "./sim_disk.ts";

const CLUSTER_ID = "0123456789abcdef0123456789abcdef";
const MODULE = loadEngineModule();

export interface BenchRow {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly unknown[])[];
}

export class StoreBench {
  readonly disk: SimDisk;
  readonly store: PageStore;
  readonly log: Log;
  readonly clock = new ManualClock();
  readonly #worker: WorkerCore;
  readonly #answers: MessageFromWorker[] = [];
  readonly #damage: PageDamage[] = [];
  #term: number;
  #nextJobId = 1;
  #batchNumber = 0;
  #hasSession = false;
  /** In the log, and not told to the session yet. */
  #located: PageDelta[] = [];
  #locatedBatch = 0;
  #readerSequence: number | undefined;
  readonly #pageSize: number;

  constructor(disk: SimDisk, store: PageStore, log: Log, pageSize: number) {
    this.disk = disk;
    this.store = store;
    this.log = log;
    this.#pageSize = pageSize;
    this.#term = Math.max(1, log.termAt(log.lastIndex()) ?? 1);
    this.#worker = this.#newWorker();
  }

  /** Opens what the disk holds; everything in the log counts as committed up to `commitIndex`. */
  static async open(disk: SimDisk, pageSize = 4_096): Promise<StoreBench> {
    disk.makeDirectory("db");
    const store = new PageStore(readCheckpoints(disk));
    const { log } = await Log.open(disk, {
      clusterId: CLUSTER_ID,
      base: { index: 0, term: 0, hash: 0 },
      onEntry: (entry, bodyPosition) =>
        void store.append({ index: entry.index, body: entry.data, bodyPosition }),
    });
    store.publish(log.lastIndex());
    return new StoreBench(disk, store, log, pageSize);
  }

  #newWorker(): WorkerCore {
    const random = new SeededRandom(7);
    return new WorkerCore({
      module: MODULE,
      disk: this.disk,
      clock: this.clock,
      random,
      cancel: new Int32Array(new SharedArrayBuffer(8)),
      // So small that the writer's WAL is moved out of the way all the time.
      limits: { walBytesMax: 64 * 1024 },
      post: (message) => {
        if (message.kind === "page_damaged") this.#damage.push(structuredClone(message.damage));
        else this.#answers.push(structuredClone(message));
      },
    });
  }

  /** The database `main`, created on first use. */
  get database(): Database {
    const found = this.store.findAtTip("main");
    if (found !== undefined) return found;
    this.#append(encodeCreate({ name: "main", staged: false, pageSize: this.#pageSize, wallMs: 0 }));
    return this.store.findAtTip("main") as Database;
  }

  /** Runs statements as requests of one batch at the tip and appends what they changed. Nothing is committed yet. */
  async write(...statements: string[]): Promise<WriteResults> {
    const { database } = this;
    this.#batchNumber++;
    const base = this.#hasSession ? undefined : this.#base(database, Infinity);
    this.#hasSession = true;
    if (base !== undefined) {
      this.#located = [];
      this.#locatedBatch = this.#batchNumber - 1;
    }
    // Where pages lie is told only with every other batch, as a leader that is busy may do.
    const located = this.#batchNumber % 2 === 0 ? this.#located.splice(0) : [];
    if (located.length > 0) this.#locatedBatch = this.#batchNumber - 1;
    await this.#worker.handle({
      kind: "write",
      jobId: this.#nextJobId++,
      databaseId: database.id,
      batchNumber: this.#batchNumber,
      requests: statements.map((sql) => ({
        kind: "execute",
        statements: [{ sql, parameters: [] }],
        format: "json",
        rowShape: "arrays",
        runMsMax: LIMITS.statementMsMax,
      })),
      located,
      locatedBatch: this.#locatedBatch,
      ...(base === undefined ? {} : { base }),
      segments: this.log.segments().list,
    });
    const results = this.#answers.pop() as WriteResults;
    for (const body of results.bodies) {
      const delta = this.#append(body);
      if (delta !== undefined) this.#located.push(delta);
    }
    if (results.diedAt !== undefined) this.#hasSession = false;
    return results;
  }

  async commit(): Promise<number> {
    await this.log.sync();
    this.store.publish(this.log.lastIndex());
    return this.log.lastIndex();
  }

  /** Another leader's log replaces the uncommitted tail. */
  async loseTail(): Promise<void> {
    const from = this.store.publishedIndex + 1;
    if (this.log.lastIndex() < from) return;
    this.dropSession();
    this.store.dropFrom(from);
    this.#term++;
    this.#append(encodeCreate({ name: `term-${this.#term}`, staged: false, pageSize: 512, wallMs: 0 }), from);
    await this.commit();
  }

  dropSession(): void {
    this.#hasSession = false;
  }

  openView(): View {
    return (this.store.find("main") as Database).openView();
  }

  /** @throws NodeError what the query earns */
  async read(view: View, sql: string): Promise<BenchRow> {
    const { database } = view;
    const deltas = this.#readerSequence === undefined
      ? undefined
      : database.deltasSince(this.#readerSequence);
    const base = deltas === undefined ? this.#base(database, database.published) : undefined;
    this.#readerSequence = database.deltaEnd;
    await this.#worker.handle({
      kind: "read",
      jobs: [{
        jobId: this.#nextJobId++,
        databaseId: database.id,
        viewIndex: view.index,
        sql,
        parameters: [],
        format: "json",
        rowShape: "arrays",
        runMsMax: LIMITS.statementMsMax,
      }],
      updates: [{
        databaseId: database.id,
        deltas: deltas ?? [],
        oldestView: database.oldestView,
        ...(base === undefined ? {} : { base }),
      }],
      segments: this.log.segments().list,
    });
    const answer = this.#answers.pop();
    if (answer?.kind !== "read_results") throw new Error(`Expected results, got ${answer?.kind}`);
    const outcome = unpackAnswers(answer.answers)[0]!;
    if (!outcome.ok) throw fromErrorRecord(outcome.error);
    return JSON.parse(`{${new TextDecoder().decode(outcome.value.bytes)}}`);
  }

  /** Damaged pages the worker met since the last call. */
  takeDamage(): PageDamage[] {
    return this.#damage.splice(0);
  }

  /**
   * Copies up to the oldest view, as `core/node/checkpoints.ts` does.
   *
   * @throws NodeError `data_damaged` when a page of the log is
   */
  async checkpoint(): Promise<void> {
    const { database } = this;
    const index = database.oldestView;
    if (index <= database.checkpoint.index) return;
    const plan = planCheckpoint(database, index);
    const job = { kind: "checkpoint", jobId: this.#nextJobId++, ...plan } as const;
    await this.#worker.handle({ ...job, segments: this.log.segments().list });
    const answer = this.#answers.pop();
    if (answer?.kind !== "job_done") throw new Error(`Checkpoint ended with ${JSON.stringify(answer)}`);
    if (!answer.outcome.ok) throw fromErrorRecord(answer.outcome.error);
    const { id, pageSize } = database;
    const state = { index, pageCount: plan.pageCount, hasSums: true };
    await writeCheckpointMeta(this.disk, "main", { databaseId: id, pageSize, ...state });
    database.checkpointed(state);
    this.dropSession();
  }

  async close(): Promise<void> {
    await this.log.close();
  }

  #append(body: Uint8Array, index = this.log.lastIndex() + 1): PageDelta | undefined {
    const type = EntryType.data;
    const hash = chainHash(this.log.hashAt(index - 1) ?? 0, this.#term, index, type, body);
    this.log.append([{ index, term: this.#term, type, data: body, hash }], this.store.publishedIndex);
    return this.store.append({ index, body, bodyPosition: this.log.positionOf(index) })?.delta;
  }

  #base(database: Database, through: number): DatabaseBase {
    return {
      databaseId: database.id,
      pageSize: database.pageSize,
      file: database.checkpoint.index > 0 ? databaseFile(database.fileName) : undefined,
      filePageCount: database.checkpoint.pageCount,
      hasSums: database.checkpoint.hasSums === true,
      pages: database.pages.export(through),
    };
  }
}
