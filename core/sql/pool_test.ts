import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { ManualClock } from "../../tests/support/manual_clock.ts";
import { encodeCreate, encodePages } from "../pages/entry_body.ts";
import type { View } from "../pages/database.ts";
import { PageStore } from "../pages/page_store.ts";
import type { MessageFromWorker, MessageToWorker, ReadMessage, WriteRequestData } from "./messages.ts";
import { packAnswers } from "./packed_answers.ts";
import { SqlPool } from "./pool.ts";

class ScriptedWorker {
  readonly messages: MessageToWorker[] = [];
  isTerminated = false;
  /** What each query it answers took. */
  runMs = 10;

  constructor(
    readonly name: string,
    readonly cancel: Int32Array,
    readonly answer: (message: MessageFromWorker) => void,
    readonly die: (reason: string) => void,
  ) {}

  get reads(): ReadMessage[] {
    return this.messages.filter((message) => message.kind === "read");
  }

  /** Answers every job of its newest read message with the job's SQL. */
  finish(): void {
    const jobs = this.reads.at(-1)?.jobs ?? [];
    this.answer({
      kind: "read_results",
      jobIds: jobs.map(({ jobId }) => jobId),
      runMs: jobs.map(() => this.runMs),
      answers: packAnswers(
        jobs.map(({ sql }) => ({
          ok: true,
          value: { format: "json", count: 1, bytes: new TextEncoder().encode(sql) },
        })),
      ),
    });
  }
}

class Bench {
  readonly clock = new ManualClock();
  readonly workers: ScriptedWorker[] = [];
  readonly store = new PageStore();
  readonly writersLost: (number | undefined)[] = [];
  readonly stepResults: number[] = [];
  readonly fatal: string[] = [];
  readonly pool: SqlPool;
  #index = 0;

  /** A second reader is started when queries wait, and has none before it says that it is ready. */
  constructor() {
    this.#append(encodeCreate({ name: "main", staged: false, pageSize: 512, wallMs: 0 }));
    this.store.publish(1);
    this.pool = new SqlPool({
      readerCount: 1,
      endOfTurn: (callback) => callback(),
      clock: this.clock,
      events: { event: () => {} },
      start: ({ name, cancel, onMessage, onDied }) => {
        const worker = new ScriptedWorker(name, cancel, onMessage, onDied);
        this.workers.push(worker);
        return {
          post: (message) => worker.messages.push(message),
          terminate: () => {
            worker.isTerminated = true;
          },
        };
      },
      segments: () => ({ version: 1, list: [] }),
      fileOf: (database) => `db/${database.name}.db`,
      onWriterLost: (running) => this.writersLost.push(running),
      onTransactionResults: ({ batchNumber }) => this.stepResults.push(batchNumber),
      onWriteResults: () => {},
      onFatal: (message) => this.fatal.push(message),
    });
    this.pool.warm();
  }

  #append(body: Uint8Array): void {
    this.#index++;
    this.store.append({ index: this.#index, body, bodyPosition: this.#index * 10_000 });
  }

  /** Publishes a change of page 1. */
  change(): number {
    const frames = [{ pageNumber: 1, bytes: new Uint8Array(512) }];
    const options = { databaseId: 1, pageSize: 512, pageCount: 1, entryBytesMax: 10_000, wallMs: 0 };
    for (const body of encodePages(frames, options)) this.#append(body);
    this.store.publish(this.#index);
    return this.#index;
  }

  get writer(): ScriptedWorker {
    return this.workers.filter((worker) => worker.name === "writer").at(-1)!;
  }

  write(databaseId: number): void {
    const request = { kind: "execute", statements: [], format: "json", rowShape: "arrays", runMsMax: 1_000 };
    const requests = [request as WriteRequestData];
    this.pool.write({ kind: "write", databaseId, batchNumber: 1, requests, located: [], locatedBatch: 0 });
  }

  reader(index: number): ScriptedWorker {
    return this.workers.filter((worker) => worker.name === `reader-${index + 1}`).at(-1)!;
  }

  view(): View {
    return this.store.find("main")!.openView();
  }

  async read(sql: string, options: { signal?: AbortSignal; deadlineMs?: number } = {}): Promise<string> {
    const query = { sql, parameters: [], format: "json", rowShape: "arrays", deadlineMs: 60_000 } as const;
    const fields = await this.pool.read(this.view(), { ...query, ...options });
    return new TextDecoder().decode(fields.bytes);
  }
}

Deno.test("SqlPool gives work to idle readers and gathers the rest for the next message", async () => {
  const bench = new Bench();
  const answers = ["a", "b", "c", "d"].map((sql) => bench.read(sql));
  deepStrictEqual(bench.reader(0).reads.map(({ jobs }) => jobs.map(({ sql }) => sql)), [["a"]]);
  // The second one starts when a query waits, and has none before it is up.
  deepStrictEqual(bench.reader(1).messages, []);
  bench.reader(1).answer({ kind: "ready" });
  deepStrictEqual(bench.reader(1).reads.map(({ jobs }) => jobs.map(({ sql }) => sql)), [["b", "c", "d"]]);
  for (let round = 0; round < 2; round++) for (const reader of [0, 1]) bench.reader(reader).finish();
  deepStrictEqual(await Promise.all(answers), ["a", "b", "c", "d"]);
});

Deno.test("SqlPool: short queries share one reader as long as it keeps up; long ones never get all readers", async () => {
  const bench = new Bench();
  const started = ["short", "long"].map((sql) => bench.read(sql));
  bench.reader(1).answer({ kind: "ready" });
  bench.reader(0).runMs = 0.1;
  bench.reader(0).finish();
  bench.reader(1).finish();
  await Promise.all(started);
  const sqlOf = (reader: number) =>
    bench.reader(reader).reads.slice(1).map(({ jobs }) => jobs.map(({ sql }) => sql));

  const long = [bench.read("long"), bench.read("long")];
  const short = [bench.read("short"), bench.read("short"), bench.read("short")];
  deepStrictEqual([sqlOf(0), sqlOf(1)], [[["short"]], [["long"]]]);
  bench.reader(0).finish();
  deepStrictEqual(sqlOf(0), [["short"], ["short", "short"]]);
  bench.reader(0).finish();
  // Reader 0 is idle now, and stays free of the second long one.
  deepStrictEqual([sqlOf(0).length, sqlOf(1).length], [2, 1]);
  bench.reader(1).finish();
  bench.reader(1).finish();
  await Promise.all([...long, ...short]);
});

Deno.test("SqlPool: a second reader takes short queries when the first falls behind", async () => {
  const bench = new Bench();
  const started = ["short", "other"].map((sql) => bench.read(sql));
  bench.reader(1).answer({ kind: "ready" });
  for (const reader of [0, 1]) {
    bench.reader(reader).runMs = 0.1;
    bench.reader(reader).finish();
  }
  await Promise.all(started);
  const reads = [bench.read("short"), bench.read("short")];
  strictEqual(bench.reader(1).reads.length, 1);
  bench.clock.advance(2);
  strictEqual(bench.reader(1).reads.length, 2);
  for (const reader of [0, 1]) bench.reader(reader).finish();
  await Promise.all(reads);
});

Deno.test("SqlPool tells a reader what changed since its last job, and everything after a checkpoint", async () => {
  const bench = new Bench();
  const first = bench.read("a");
  strictEqual(bench.reader(0).reads[0]!.updates[0]!.base !== undefined, true);
  bench.reader(0).finish();
  await first;
  const index = bench.change();
  const second = bench.read("b");
  const update = bench.reader(0).reads[1]!.updates[0]!;
  deepStrictEqual([update.base, update.deltas.map((delta) => delta.index)], [undefined, [index]]);
  bench.reader(0).finish();
  await second;
  bench.store.find("main")!.checkpointed({ index, pageCount: 1 });
  const third = bench.read("c");
  const base = bench.reader(0).reads[2]!.updates[0]!.base;
  deepStrictEqual([base?.file, base?.filePageCount, base?.pages.pageNumbers.length], ["db/main.db", 1, 0]);
  bench.reader(0).finish();
  await third;
});

Deno.test("SqlPool: only the query that ran when a worker died is blamed; the others start over (promise 7)", async () => {
  const bench = new Bench();
  const first = bench.read("first");
  const guilty = bench.read("guilty");
  const innocent = bench.read("innocent");
  const worker = bench.reader(0);
  worker.finish();
  await first;
  const jobs = worker.reads.at(-1)!.jobs;
  Atomics.store(worker.cancel, 1, jobs[0]!.jobId);
  worker.die("failed: out of memory");
  await rejects(guilty, { code: "engine_failed" });
  strictEqual(worker.isTerminated, true);
  bench.reader(0).finish();
  strictEqual(await innocent, "innocent");
  worker.finish();
  strictEqual(bench.pool.replacedWorkerCount, 1);
});

Deno.test("SqlPool replaces a worker that overruns the limit of its job, not one that is merely busy", async () => {
  const bench = new Bench();
  const slow = bench.read("slow", { deadlineMs: 1_000 });
  bench.clock.advance(5_000);
  bench.pool.sweep();
  strictEqual(bench.pool.replacedWorkerCount, 0);
  Atomics.store(bench.reader(0).cancel, 1, bench.reader(0).reads[0]!.jobs[0]!.jobId);
  bench.clock.advance(2_000);
  bench.pool.sweep();
  await rejects(slow, { code: "engine_failed" });
  strictEqual(bench.pool.replacedWorkerCount, 1);
});

Deno.test("SqlPool: a cancelled query is taken back while it waits, and stopped by flag while it runs", async () => {
  const bench = new Bench();
  const running = new AbortController();
  const waiting = new AbortController();
  const first = bench.read("running", { signal: running.signal });
  const second = bench.read("waiting", { signal: waiting.signal });
  waiting.abort();
  await rejects(second, { code: "cancelled" });
  running.abort();
  const { jobId } = bench.reader(0).reads[0]!.jobs[0]!;
  strictEqual(Atomics.load(bench.reader(0).cancel, 0), jobId);
  const error = { code: "cancelled", message: "stopped", details: {} } as const;
  bench.reader(0).answer({
    kind: "read_results",
    jobIds: [jobId],
    runMs: [1],
    answers: packAnswers([{ ok: false, error }]),
  });
  await rejects(first, { code: "cancelled" });
  await rejects(bench.read("late", { signal: AbortSignal.abort() }), { code: "cancelled" });
});

Deno.test("SqlPool refuses a query that waited for a reader past its deadline", async () => {
  const bench = new Bench();
  const running = bench.read("running");
  const late = bench.read("late", { deadlineMs: 100 });
  bench.clock.advance(200);
  bench.pool.sweep();
  bench.reader(0).finish();
  await rejects(late, { code: "timeout" });
  strictEqual(await running, "running");
});

Deno.test("SqlPool says when the worker of a checkpoint was lost, and has another one for the next", async () => {
  const bench = new Bench();
  const copy = { file: "db/main.db", pageSize: 512, pageCount: 1, keepPageCount: 1 };
  const pages = { pageNumbers: new Uint32Array(0), positions: new Float64Array(0) };
  for (let lost = 1; lost <= 2; lost++) {
    const checkpoint = bench.pool.checkpoint({ ...copy, ...pages });
    const copiers = bench.workers.filter(({ name }) => name === "copier");
    strictEqual(copiers.length, lost);
    copiers.at(-1)!.die("died");
    await rejects(checkpoint, { code: "engine_failed" });
  }
});

Deno.test("SqlPool: a checkpoint waits for no query, and no query for a checkpoint", async () => {
  const bench = new Bench();
  // Both readers run queries that take as long as they like.
  const queries = [bench.read("long"), bench.read("long, too")];
  bench.reader(1).answer({ kind: "ready" });
  deepStrictEqual([bench.reader(0).reads.length, bench.reader(1).reads.length], [1, 1]);
  const copy = { file: "db/main.db", pageSize: 512, pageCount: 1, keepPageCount: 1 };
  const pages = { pageNumbers: new Uint32Array(0), positions: new Float64Array(0) };
  const checkpoint = bench.pool.checkpoint({ ...copy, ...pages });
  const copying = bench.workers.find(({ messages }) => messages.some(({ kind }) => kind === "checkpoint"))!;
  strictEqual(copying.reads.length, 0, "it waits behind a query");
  for (const reader of [0, 1]) bench.reader(reader).finish();
  await Promise.all(queries);
  const next = [bench.read("long"), bench.read("third")];
  for (const reader of [0, 1]) bench.reader(reader).finish();
  await Promise.all(next);
  const { jobId } = copying.messages.find(({ kind }) => kind === "checkpoint") as { jobId: number };
  copying.answer({ kind: "job_done", jobId, outcome: { ok: true, value: { pageSize: 512, pageCount: 1 } } });
  await checkpoint;
});

Deno.test("SqlPool.stop() ends all workers and refuses what waits", async () => {
  const bench = new Bench();
  const answers = [bench.read("a"), bench.read("b")];
  bench.pool.stop();
  for (const answer of answers) await rejects(answer, { code: "stopping" });
  strictEqual(bench.workers.every((worker) => worker.isTerminated), true);
});

Deno.test("SqlPool: two cancelled queries of one message are both stopped, and their numbers do not stay behind", async () => {
  const bench = new Bench();
  const aborts = [new AbortController(), new AbortController()];
  const first = bench.read("first");
  const cancelled = aborts.map(({ signal }, i) => bench.read(`cancelled ${i}`, { signal }));
  bench.reader(0).finish();
  await first;
  const worker = bench.reader(0);
  const jobs = worker.reads.at(-1)!.jobs;
  deepStrictEqual(jobs.length, 2);
  for (const abort of aborts) abort.abort();
  for (const { jobId } of jobs) {
    Atomics.store(worker.cancel, 1, jobId);
    bench.pool.sweep();
    strictEqual(Atomics.load(worker.cancel, 0), jobId);
    const error = { code: "cancelled", message: "stopped", details: {} } as const;
    worker.answer({
      kind: "read_results",
      jobIds: [jobId],
      runMs: [1],
      answers: packAnswers([{ ok: false, error }]),
    });
  }
  for (const query of cancelled) await rejects(query, { code: "cancelled" });
  strictEqual(Atomics.load(worker.cancel, 0), 0);
});

Deno.test("SqlPool: a query that was cancelled does not start over when its worker is lost", async () => {
  const bench = new Bench();
  const abort = new AbortController();
  const query = bench.read("a", { signal: abort.signal });
  abort.abort();
  bench.reader(0).die("died");
  await rejects(query, { code: "cancelled" });
  strictEqual(bench.reader(0).reads.length, 0);
});

Deno.test("SqlPool names the database whose batch ran when the writer was lost, and finds a writer that hangs between two", () => {
  const bench = new Bench();
  bench.write(11);
  bench.write(12);
  const { writer } = bench;
  const [, second] = writer.messages.filter((message) => message.kind === "write");
  Atomics.store(writer.cancel, 1, second!.jobId);
  writer.die("died");
  deepStrictEqual(bench.writersLost, [12]);
  bench.write(13);
  bench.pool.sweep();
  bench.clock.advance(6_001);
  bench.pool.sweep();
  deepStrictEqual(bench.writersLost, [12, undefined]);
});

Deno.test("SqlPool ends the process when workers do not come up, instead of starting them for ever", () => {
  const bench = new Bench();
  for (let i = 0; i < 2; i++) bench.reader(0).die("failed: no such module");
  strictEqual(bench.fatal.length, 0);
  bench.reader(0).die("failed: no such module");
  deepStrictEqual(bench.fatal, ["SQL worker reader-1 failed: no such module; 3 did not start"]);
});

Deno.test("SqlPool.stop() ends the check of a file, and refuses everything that comes later", async () => {
  const bench = new Bench();
  const check = bench.pool.checkFile("tmp/upload.db");
  bench.pool.stop();
  await rejects(check, { code: "stopping" });
  await rejects(bench.pool.checkFile("tmp/upload.db"), { code: "stopping" });
  await rejects(bench.read("late"), { code: "stopping" });
});

Deno.test("SqlPool: a step of a transaction can be stopped while it runs, and a lost writer says whose it was", () => {
  const bench = new Bench();
  const run = {
    kind: "run",
    statement: { sql: "s", parameters: [] },
    format: "json",
    rowShape: "arrays",
  } as const;
  const update = { databaseId: 1, batchNumber: 7, located: [], locatedBatch: 0 };
  const stop = bench.pool.transaction({ kind: "transaction", ...update, step: { ...run, runMsMax: 1_000 } });
  const { writer } = bench;
  const [message] = writer.messages.filter((one) => one.kind === "transaction");
  Atomics.store(writer.cancel, 1, message!.jobId);
  stop();
  strictEqual(Atomics.load(writer.cancel, 0), message!.jobId);
  writer.answer({
    kind: "transaction_results",
    jobId: message!.jobId,
    databaseId: 1,
    batchNumber: 7,
    answers: packAnswers([]),
    isOpen: false,
    bodies: [],
    died: false,
  });
  deepStrictEqual(bench.stepResults, [7]);
  stop();
  strictEqual(Atomics.load(writer.cancel, 0), 0, "its number does not stay behind");
  bench.pool.transaction({ kind: "transaction", ...update, step: { kind: "commit" } });
  const commit = writer.messages.at(-1) as { jobId: number };
  Atomics.store(writer.cancel, 1, commit.jobId);
  bench.pool.sweep();
  bench.clock.advance(60_000);
  bench.pool.sweep();
  strictEqual(writer.isTerminated, true, "it hung");
  deepStrictEqual(bench.writersLost, [1]);
});
