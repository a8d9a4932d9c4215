/**
 * What SQLite as WebAssembly costs over walraft's files, without disk, log or network. One thread.
 *
 *     deno run -A bench/sql_bench.ts [--engine NAME]    one engine, full
 *     deno run -A bench/sql_bench.ts --compare          every engine in a process of its own, in turns; the best of 3
 *     … --smoke                                         a few hundred operations, to see that it runs
 */
import { DatabaseSync } from "node:sqlite";
import { parseArgs } from "node:util";
import { SystemClock } from "../core/host/system_clock.ts";
import { DEFAULT_ENGINE, ENGINE_NAMES, type EngineName } from "../core/sql/engine.ts";
import { ReaderSession } from "../core/sql/reader_session.ts";
import type { SqlParameters } from "../core/sql/values.ts";
import { loadEngineModule } from "../core/sql/wasm/load_engine.ts";
import { type WriteJob, WriterSession } from "../core/sql/writer_session.ts";
import { MemoryPages } from "../tests/support/memory_pages.ts";
import { SeededRandom } from "../tests/support/seeded_random.ts";
import { processMemory } from "./process_memory.ts";

const BATCH = 64;
const HISTORY = 16;
const COMPARED_ROUNDS = 3;

interface Line {
  readonly name: string;
  /** Of one operation. */
  readonly micros: number;
  readonly extra: string;
}

class EngineBench {
  readonly lines: Line[] = [];
  readonly #rows: number;
  readonly #instances: number;
  readonly #ports: ReturnType<typeof portsOf>;
  readonly #pages = new MemoryPages();
  #writer!: WriterSession;
  #reader!: ReaderSession;
  #batchNumber = 0;
  #index = 0;
  #frames = 0;

  constructor(engine: EngineName, isSmoke: boolean) {
    this.#rows = isSmoke ? 640 : 100_000;
    this.#instances = isSmoke ? 4 : 64;
    const start = performance.now();
    this.#ports = portsOf(engine);
    this.#report("compiling the module", 1, performance.now() - start);
  }

  async run(): Promise<void> {
    const start = performance.now();
    this.#writer = await WriterSession.open({ ...this.#ports, pageSize: 4096, source: this.#pages.source() });
    this.#report("first writer of a thread", 1, performance.now() - start);
    this.#writes();
    this.#reader = await ReaderSession.open({ ...this.#ports, source: this.#pages.source() });
    this.#reads();
    await this.#openInstances();
    this.#native();
  }

  #report(name: string, count: number, elapsedMs: number, extra = ""): void {
    this.lines.push({ name, micros: elapsedMs / count * 1000, extra });
  }

  #writes(): void {
    const rows = this.#rows;
    this.#runBatch([job("CREATE TABLE t(id INTEGER PRIMARY KEY, k INTEGER, v TEXT)", [])]);
    const payload = "payload of some forty bytes, more or less";
    const insert = (position: number) => job("INSERT INTO t(k, v) VALUES (?, ?)", [position, payload]);
    this.#inBatches(`inserts, batches of ${BATCH}`, rows, BATCH, insert);
    this.#inBatches("inserts, alone", rows / 10, 1, insert);
    this.#inBatches(
      `inserts with a key, batches of ${BATCH}`,
      rows / 10,
      BATCH,
      (position) => ({ ...insert(position), idempotencyKey: `key-${position * 7919 % 1_000_003}` }),
    );
    this.#runBatch([job("CREATE INDEX tk ON t(k)", [])]);
    this.#inBatches(
      `random indexed updates, batches of ${BATCH}`,
      rows / 4,
      BATCH,
      (position) => job("UPDATE t SET k = k + 1 WHERE id = ?", [1 + position * 7919 % rows]),
    );
  }

  #runBatch(jobs: WriteJob[]): void {
    this.#batchNumber += 1;
    const batch = this.#writer.runBatch(jobs, this.#batchNumber);
    for (const result of batch.results) if (!result.ok) throw new Error(result.error.message);
    this.#frames += batch.pages.length;
    if (batch.pages.length === 0) return;
    this.#index += 1;
    this.#pages.append(this.#index, batch.pages, batch.pageCount);
    // As in a node: the places of a batch are known while the next one runs.
    this.#writer.pagesLocated(this.#batchNumber - 1);
  }

  #inBatches(name: string, count: number, size: number, make: (position: number) => WriteJob): void {
    const start = performance.now();
    this.#frames = 0;
    for (let done = 0; done < count; done += size) {
      this.#runBatch(
        Array.from({ length: Math.min(size, count - done) }, (_, offset) => make(done + offset)),
      );
    }
    this.#report(name, count, performance.now() - start, `${(this.#frames / count).toFixed(2)} pages each`);
  }

  #reads(): void {
    const rows = this.#rows;
    // Once unmeasured, so that V8 has compiled what both kinds share.
    this.#pointReads(undefined, rows, () => this.#index);
    this.#pointReads("point reads, fixed view", rows, () => this.#index);
    this.#pointReads(
      "point reads, the view moves each time",
      rows / 4,
      (position) => this.#index - position % HISTORY,
    );
    const large = "SELECT * FROM t";
    const start = performance.now();
    const bytes = this.#read(large, [], this.#index).length;
    this.#report(
      "rows of one large result",
      rows,
      performance.now() - start,
      `${Math.round(bytes / 1024)} KiB of JSON`,
    );
    const scanStart = performance.now();
    this.#read(
      "SELECT count(*), sum(length(v)) FROM t WHERE v LIKE '%forty%' AND k % 3 = 1",
      [],
      this.#index,
    );
    this.#report("rows of a scan that computes", rows, performance.now() - scanStart);
  }

  #pointReads(name: string | undefined, count: number, viewOf: (position: number) => number): void {
    this.#pages.reads = 0;
    const start = performance.now();
    for (let position = 0; position < count; position += 1) {
      this.#read("SELECT v, k FROM t WHERE id = ?", [1 + position * 7919 % this.#rows], viewOf(position));
    }
    if (name === undefined) return;
    const reads = (this.#pages.reads / count).toFixed(2);
    this.#report(name, count, performance.now() - start, `${reads} page reads each`);
  }

  #read(sql: string, parameters: SqlParameters, viewIndex: number, reader = this.#reader): Uint8Array {
    const query = {
      ...{ sql, parameters, viewIndex },
      deadlineMs: Infinity,
      format: "json",
      rowShape: "arrays",
    } as const;
    return reader.query(query).fields.bytes;
  }

  /** Each reads one row, so that what a working instance holds is counted. */
  async #openInstances(): Promise<void> {
    (globalThis as { gc?: () => void }).gc?.();
    const before = processMemory(Deno.pid).resident;
    const readers: ReaderSession[] = [];
    const start = performance.now();
    for (let opened = 0; opened < this.#instances; opened += 1) {
      const reader = await ReaderSession.open({ ...this.#ports, source: this.#pages.source() });
      this.#read("SELECT v, k FROM t WHERE id = 1", [], this.#index, reader);
      readers.push(reader);
    }
    const elapsedMs = performance.now() - start;
    const kibibytes = (processMemory(Deno.pid).resident - before) / this.#instances / 1024;
    this.#report(
      "another reader, with its first query",
      this.#instances,
      elapsedMs,
      `${Math.round(kibibytes)} KiB resident each`,
    );
    for (const reader of readers) reader.close();
  }

  #native(): void {
    const native = new DatabaseSync(":memory:");
    native.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, k INTEGER, v TEXT)");
    const insert = native.prepare("INSERT INTO t(k, v) VALUES (?, ?)");
    const start = performance.now();
    for (let position = 0; position < this.#rows; position += 1) insert.run(position, "some forty bytes");
    this.#report("for comparison: node:sqlite in memory, inserts", this.#rows, performance.now() - start);
  }
}

function portsOf(engine: EngineName) {
  return {
    module: loadEngineModule(engine),
    clock: new SystemClock(),
    random: new SeededRandom(1),
    cancel: { isCancelled: () => false },
  };
}

function job(sql: string, parameters: SqlParameters): WriteJob {
  const statements = [{ sql, parameters }];
  return { kind: "execute", statements, format: "json", rowShape: "arrays", runMsMax: 60_000 };
}

/** A process of its own each time: one engine's calls must not be measured with code that V8 compiled for two. */
async function runInProcess(engine: EngineName, isSmoke: boolean): Promise<Line[]> {
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...[
        "run",
        "-A",
        "--v8-flags=--expose-gc",
        new URL(import.meta.url).pathname,
        "--json",
        "--engine",
        engine,
      ],
      ...(isSmoke ? ["--smoke"] : []),
    ],
    stdin: "null",
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`The benchmark of ${engine} failed`);
  return JSON.parse(new TextDecoder().decode(stdout)) as Line[];
}

async function compare(isSmoke: boolean): Promise<void> {
  const best = new Map<string, Map<EngineName, Line>>();
  for (let round = 0; round < (isSmoke ? 1 : COMPARED_ROUNDS); round += 1) {
    for (const engine of ENGINE_NAMES) {
      for (const line of await runInProcess(engine, isSmoke)) {
        const lines = best.get(line.name) ?? new Map<EngineName, Line>();
        best.set(line.name, lines);
        if (line.micros < (lines.get(engine)?.micros ?? Infinity)) lines.set(engine, line);
      }
    }
  }
  console.log(
    `µs each, best of ${isSmoke ? 1 : COMPARED_ROUNDS}`.padEnd(48) + ENGINE_NAMES.map(column).join(""),
  );
  for (const [name, lines] of best) {
    const figures = ENGINE_NAMES.map((engine) => column(lines.get(engine)!.micros.toFixed(2)));
    const extras = ENGINE_NAMES.map((engine) => lines.get(engine)!.extra);
    console.log(name.padEnd(48) + figures.join("") + "  " + [...new Set(extras)].join(" / "));
  }
}

function column(text: string): string {
  return text.padStart(14);
}

function print({ name, micros, extra }: Line): void {
  const perSecond = Math.round(1e6 / micros).toLocaleString("en");
  console.log(
    `${name.padEnd(48)} ${perSecond.padStart(10)}/s ${micros.toFixed(2).padStart(10)} µs  ${extra}`,
  );
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      engine: { type: "string", default: DEFAULT_ENGINE },
      compare: { type: "boolean", default: false },
      smoke: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
    },
  });
  if (values.compare) return await compare(values.smoke);
  const engine = ENGINE_NAMES.find((name) => name === values.engine);
  if (engine === undefined) {
    throw new Error(`Cannot measure engine ${values.engine}: give one of ${ENGINE_NAMES.join(", ")}`);
  }
  const bench = new EngineBench(engine, values.smoke);
  await bench.run();
  if (values.json) console.log(JSON.stringify(bench.lines));
  else for (const line of bench.lines) print(line);
}

if (import.meta.main) await main();
