/**
 * SQLite as part of the program, alone on the machine: the same tables, statements and values, without network, log or
 * replication. The database lies on the file system the nodes use.
 */
import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import { type BenchLine, NO_COSTS, toBenchLine } from "./bench_line.ts";
import { LatencyHistogram } from "./http_load.ts";
import { cpuMs } from "./usage.ts";
import {
  fillIndexed,
  fillPoint,
  INSERT_APPEND,
  INSERT_BULK,
  INSERT_INDEXED,
  KEY_BELOW,
  ROW_TEXT,
  SCHEMA,
  SELECT_POINT,
  SLOT_WIDTH,
  UPDATE_HOT,
} from "./workloads.ts";

export type Synchronous = "FULL" | "NORMAL";

export interface NativeOptions {
  readonly seconds: number;
  readonly rows: number;
  readonly rowsPerBatch: number;
  /** Only workloads that it accepts. */
  readonly only: (workload: string) => boolean;
}

export const nativeName = (synchronous: Synchronous): string => `node:sqlite ${synchronous}`;

const WORKLOADS = ["insert_append", "insert_indexed", "update_hot", "read", "bulk"] as const;

/** Every workload that a single program can do, one call after the other. */
export function measureNative(options: NativeOptions, synchronous: Synchronous): BenchLine[] {
  if (!WORKLOADS.some(options.only)) return [];
  const folder = Deno.makeTempDirSync({ prefix: "walraft-native-" });
  try {
    const db = new DatabaseSync(`${folder}/native.db`);
    db.exec("PRAGMA journal_mode = WAL");
    db.exec(`PRAGMA synchronous = ${synchronous}`);
    for (const sql of [...SCHEMA, ...fillPoint(options.rows), ...fillIndexed(options.rows)]) db.exec(sql);
    const lines = jobs(db, options).filter(({ workload }) => options.only(workload))
      .map((job) => run(job, options.seconds, nativeName(synchronous)));
    db.close();
    return lines;
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

interface Job {
  readonly workload: typeof WORKLOADS[number];
  readonly title: string;
  readonly rowsPerRequest: number;
  readonly call: (sequence: number) => void;
}

function jobs(db: DatabaseSync, options: NativeOptions): Job[] {
  const key = () => 1 + Math.floor(Math.random() * (KEY_BELOW - 1));
  const text = (sequence: number) => ROW_TEXT[0] + String(sequence).padStart(SLOT_WIDTH) + ROW_TEXT[1];
  const prepared = (sql: string, values: (sequence: number) => SQLInputValue[]) => {
    const statement = db.prepare(sql);
    return (sequence: number) => void statement.run(...values(sequence));
  };
  const select = db.prepare(SELECT_POINT);
  const bulk = prepared(INSERT_BULK, (sequence) => [key(), text(sequence)]);
  const one = { rowsPerRequest: 1 };
  return [
    {
      ...one,
      workload: "insert_append",
      title: "insert, append key",
      call: prepared(INSERT_APPEND, (sequence) => [text(sequence)]),
    },
    {
      ...one,
      workload: "insert_indexed",
      title: "insert, random indexed key",
      call: prepared(INSERT_INDEXED, (sequence) => [key(), text(sequence)]),
    },
    { ...one, workload: "update_hot", title: "update of one hot row", call: prepared(UPDATE_HOT, () => []) },
    {
      ...one,
      workload: "read",
      title: "point read",
      call: () => void select.get(1 + Math.floor(Math.random() * options.rows)),
    },
    {
      workload: "bulk",
      title: `transactions of ${options.rowsPerBatch.toLocaleString("en")} inserts`,
      rowsPerRequest: options.rowsPerBatch,
      call: (sequence) => {
        db.exec("BEGIN");
        for (let row = 0; row < options.rowsPerBatch; row++) bulk(sequence * options.rowsPerBatch + row);
        db.exec("COMMIT");
      },
    },
  ];
}

function run(job: Job, seconds: number, system: string): BenchLine {
  const latency = new LatencyHistogram();
  const cpuBefore = cpuMs([Deno.pid]);
  const startMs = performance.now();
  const endMs = startMs + seconds * 1_000;
  let nowMs = startMs;
  for (let sequence = 1; nowMs < endMs; sequence++) {
    job.call(sequence);
    const doneMs = performance.now();
    latency.record(doneMs - nowMs);
    nowMs = doneMs;
  }
  const cpuAfter = cpuMs([Deno.pid]);
  const serverCpuMs = cpuBefore === null || cpuAfter === null ? null : (cpuAfter - cpuBefore) / latency.count;
  return toBenchLine({
    head: { system, workload: job.workload, title: job.title, connections: 1 },
    latency: latency.summary(),
    seconds: (nowMs - startMs) / 1_000,
    errors: 0,
    rowsPerRequest: job.rowsPerRequest,
  }, { ...NO_COSTS, serverCpuMs });
}

/** Median of appending 4 KiB to a file and waiting for the disk, where the nodes have their data. */
export function medianSyncMs(count: number): number {
  const folder = Deno.makeTempDirSync({ prefix: "walraft-sync-" });
  try {
    using file = Deno.openSync(`${folder}/file`, { write: true, create: true });
    const page = new Uint8Array(4_096).fill(1);
    const times: number[] = [];
    for (let round = 0; round < count; round++) {
      const startMs = performance.now();
      file.writeSync(page);
      file.syncDataSync();
      times.push(performance.now() - startMs);
    }
    return times.toSorted((a, b) => a - b)[count >> 1] ?? 0;
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}
