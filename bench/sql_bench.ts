/**
 * What SQLite as WebAssembly costs over walraft's files, without disk, log or network. One thread.
 *
 *     deno run -A bench/sql_bench.ts            full
 *     deno run -A bench/sql_bench.ts --smoke    a few hundred operations, to see that it runs
 */
import { DatabaseSync } from "node:sqlite";
import { MemoryPages } from "../tests/support/memory_pages.ts";
import { SeededRandom } from "../tests/support/seeded_random.ts";
import { SystemClock } from "../core/host/system_clock.ts";
import { ReaderSession } from "../core/sql/reader_session.ts";
import { loadEngineModule } from "../core/sql/wasm/load_engine.ts";
import type { SqlParameters } from "../core/sql/values.ts";
import { type WriteJob, WriterSession } from "../core/sql/writer_session.ts";

const isSmoke = Deno.args.includes("--smoke");
const ROWS = isSmoke ? 640 : 100_000;
const BATCH = 64;
const HISTORY = 16;
const ports = {
  module: loadEngineModule(),
  clock: new SystemClock(),
  random: new SeededRandom(1),
  cancel: { isCancelled: () => false },
};

function report(name: string, count: number, elapsedMs: number, extra = ""): void {
  const perSecond = Math.round(count / elapsedMs * 1000).toLocaleString("en");
  const micros = (elapsedMs / count * 1000).toFixed(2);
  console.log(`${name.padEnd(44)} ${perSecond.padStart(10)}/s ${micros.padStart(8)} µs  ${extra}`);
}

function job(sql: string, parameters: SqlParameters): WriteJob {
  const statements = [{ sql, parameters }];
  return { kind: "execute", statements, format: "json", rowShape: "arrays", runMsMax: 60_000 };
}

const pages = new MemoryPages();
const source = pages.source();
let batchNumber = 0;
let index = 0;
let frames = 0;
const writer = await WriterSession.open({ ...ports, pageSize: 4096, source });

function runBatch(jobs: WriteJob[]): void {
  batchNumber += 1;
  const batch = writer.runBatch(jobs, batchNumber);
  for (const result of batch.results) if (!result.ok) throw new Error(result.error.message);
  frames += batch.pages.length;
  if (batch.pages.length === 0) return;
  index += 1;
  pages.append(index, batch.pages, batch.pageCount);
  // As in a node: the places of a batch are known while the next one runs.
  writer.pagesLocated(batchNumber - 1);
}

function inBatches(name: string, count: number, size: number, make: (position: number) => WriteJob): void {
  const start = performance.now();
  frames = 0;
  for (let done = 0; done < count; done += size) {
    runBatch(Array.from({ length: Math.min(size, count - done) }, (_, offset) => make(done + offset)));
  }
  report(name, count, performance.now() - start, `${(frames / count).toFixed(2)} pages each`);
}

runBatch([job("CREATE TABLE t(id INTEGER PRIMARY KEY, k INTEGER, v TEXT)", [])]);
const payload = "payload of some forty bytes, more or less";
const insert = (position: number) => job("INSERT INTO t(k, v) VALUES (?, ?)", [position, payload]);
inBatches(`inserts, batches of ${BATCH}`, ROWS, BATCH, insert);
inBatches("inserts, alone", ROWS / 10, 1, insert);
inBatches(
  `inserts with a key, batches of ${BATCH}`,
  ROWS / 10,
  BATCH,
  (position) => ({ ...insert(position), idempotencyKey: `key-${position * 7919 % 1_000_003}` }),
);
runBatch([job("CREATE INDEX tk ON t(k)", [])]);
inBatches(
  `random indexed updates, batches of ${BATCH}`,
  ROWS / 4,
  BATCH,
  (position) => job("UPDATE t SET k = k + 1 WHERE id = ?", [1 + position * 7919 % ROWS]),
);

const reader = await ReaderSession.open({ ...ports, source: pages.source() });
function read(sql: string, parameters: SqlParameters, viewIndex: number): Uint8Array {
  const query = {
    sql,
    parameters,
    viewIndex,
    deadlineMs: Infinity,
    format: "json",
    rowShape: "arrays",
  } as const;
  return reader.query(query).fields.bytes;
}

function reads(name: string, count: number, viewOf: (position: number) => number): void {
  pages.reads = 0;
  const start = performance.now();
  for (let position = 0; position < count; position += 1) {
    read("SELECT v, k FROM t WHERE id = ?", [1 + position * 7919 % ROWS], viewOf(position));
  }
  report(name, count, performance.now() - start, `${(pages.reads / count).toFixed(2)} page reads each`);
}

for (let round = 0; round < 2; round += 1) reads("point reads, fixed view", ROWS, () => index);
reads("point reads, the view moves each time", ROWS / 4, (position) => index - position % HISTORY);
const start = performance.now();
const bytes = read("SELECT * FROM t", [], index).length;
report(
  "rows of one large result",
  ROWS,
  performance.now() - start,
  `${Math.round(bytes / 1024)} KiB of JSON`,
);

const native = new DatabaseSync(":memory:");
native.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, k INTEGER, v TEXT)");
const nativeInsert = native.prepare("INSERT INTO t(k, v) VALUES (?, ?)");
const nativeStart = performance.now();
for (let position = 0; position < ROWS; position += 1) nativeInsert.run(position, payload);
report("for comparison: node:sqlite in memory, inserts", ROWS, performance.now() - nativeStart);
