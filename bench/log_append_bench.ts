/**
 * What appending to the log costs: the work of the main thread for one entry, and appends per second when every batch
 * waits for its sync, as on a real disk. `deno run -A bench/log_append_bench.ts [folder]`; the folder decides which
 * disk is measured.
 */
import type { Disk, DiskFile } from "../core/base/ports.ts";
import { DenoDisk } from "../core/host/deno_disk.ts";
import { Log } from "../core/log/log.ts";
import { chainHash } from "../core/log/record.ts";
import { type Entry, EntryType } from "../core/raft/message.ts";

const CLUSTER_ID = "0123456789abcdef0123456789abcdef";

/** Syncs of one log before the other takes its turn. */
const ROUND_SYNCS = 50;

export interface LogBenchLine {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
}

interface BenchSize {
  readonly syncs: number;
  readonly appends: number;
  readonly fills: number;
}

/** @param options.smoke few repetitions: shows that everything runs, the numbers mean nothing */
export async function runLogAppendBench(
  options: { readonly smoke: boolean; readonly folder?: string },
): Promise<LogBenchLine[]> {
  const size: BenchSize = options.smoke
    ? { syncs: 5, appends: 20, fills: 5 }
    : { syncs: 1_000, appends: 4_000, fills: 1_500 };
  const root = await Deno.makeTempDir({
    prefix: "walraft_bench_",
    ...(options.folder ? { dir: options.folder } : {}),
  });
  try {
    const lines: LogBenchLine[] = [];
    for (const bytes of [256, 4_096, 16_384]) lines.push(await appendCost(root, bytes, size.appends));
    for (const batch of [1, 16]) {
      for (const bytes of [256, 16_384]) lines.push(await syncedAppends(root, bytes, batch, size.syncs));
    }
    for (const bytes of [256, 16_384]) lines.push(...await fillAhead(root, bytes, size.fills));
    return lines;
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

/** Makes entries one after the other, as the Raft core does. */
class EntrySource {
  readonly #data: Uint8Array;
  #hash = 0;
  #index = 0;

  constructor(bytes: number) {
    this.#data = crypto.getRandomValues(new Uint8Array(bytes));
  }

  take(count: number): Entry[] {
    return Array.from({ length: count }, () => {
      const index = ++this.#index;
      this.#hash = chainHash(this.#hash, 1, index, EntryType.data, this.#data);
      return { index, term: 1, type: EntryType.data, hash: this.#hash, data: this.#data };
    });
  }
}

/** A disk that swallows what is written: leaves the log's own work. */
class NoDisk implements Disk {
  openFile(): DiskFile {
    let size = 0;
    return {
      readAt: () => 0,
      writeAt: (bytes, offset) => {
        size = Math.max(size, offset + bytes.length);
      },
      sync: () => Promise.resolve(),
      truncate: () => {},
      size: () => size,
      close: () => {},
    };
  }
  exists(): boolean {
    return false;
  }
  list(): string[] {
    return [];
  }
  makeDirectory(): void {}
  remove(): void {}
  rename(): void {}
  syncDirectory(): Promise<void> {
    return Promise.resolve();
  }
}

async function appendCost(root: string, bytes: number, count: number): Promise<LogBenchLine> {
  const spentUs = async (disk: Disk) => {
    const { log } = await Log.open(disk, { clusterId: CLUSTER_ID });
    const source = new EntrySource(bytes);
    const warm = source.take(count);
    for (const entry of warm) log.append([entry], 0);
    const entries = source.take(count);
    const begin = performance.now();
    for (const entry of entries) log.append([entry], 0);
    const us = (performance.now() - begin) * 1000 / count;
    await log.sync();
    await log.close();
    return us;
  };
  const own = await spentUs(new NoDisk());
  const whole = await spentUs(new DenoDisk(`${root}/append_${bytes}`));
  const name = `append of ${bytes} bytes: the log's own work, of ${whole.toFixed(1)} us with the write`;
  return { name, value: own, unit: "us" };
}

async function syncedAppends(
  root: string,
  bytes: number,
  batch: number,
  syncs: number,
): Promise<LogBenchLine> {
  const { log } = await Log.open(new DenoDisk(`${root}/sync_${bytes}_${batch}`), { clusterId: CLUSTER_ID });
  const source = new EntrySource(bytes);
  const begin = performance.now();
  for (let i = 0; i < syncs; i++) {
    log.append(source.take(batch), 0);
    await log.sync();
  }
  const seconds = (performance.now() - begin) / 1000;
  await log.close();
  return {
    name: `appends of ${bytes} bytes, a sync for each ${batch}`,
    value: syncs * batch / seconds,
    unit: "1/s",
  };
}

/**
 * Whether zeros ahead of the end pay. Two logs take turns in rounds, so that both see the same disk; the cost of the
 * zeros is included. Mean and median differ by the few slow syncs, among them those that carry zeros.
 */
async function fillAhead(root: string, bytes: number, syncs: number): Promise<LogBenchLine[]> {
  const kinds = [{ name: "none", fillAheadBytes: 0 }, { name: "1 MiB", fillAheadBytes: 1024 * 1024 }];
  const logs = await Promise.all(kinds.map(async ({ name, fillAheadBytes }) => {
    const disk = new DenoDisk(`${root}/fill_${bytes}_${fillAheadBytes}`);
    const { log } = await Log.open(disk, { clusterId: CLUSTER_ID, fillAheadBytes });
    return { name, log, source: new EntrySource(bytes), us: [] as number[] };
  }));
  for (let round = 0; round < syncs / ROUND_SYNCS; round++) {
    for (const { log, source, us } of round % 2 === 0 ? logs : logs.toReversed()) {
      for (let i = 0; i < ROUND_SYNCS; i++) {
        const entries = source.take(1);
        const begin = performance.now();
        log.append(entries, 0);
        await log.sync();
        us.push((performance.now() - begin) * 1000);
      }
    }
  }
  await Promise.all(logs.map(({ log }) => log.close()));
  return logs.flatMap(({ name, us }) => {
    const sorted = us.toSorted((a, b) => a - b);
    const mean = us.reduce((sum, one) => sum + one, 0) / us.length;
    const what = `append and sync of ${bytes} bytes, zeros ahead: ${name}`;
    return [
      { name: `${what}, median`, value: sorted[us.length >> 1] ?? 0, unit: "us" },
      { name: `${what}, mean`, value: mean, unit: "us" },
    ];
  });
}

if (import.meta.main) {
  const lines = await runLogAppendBench({
    smoke: Deno.args.includes("--smoke"),
    ...(Deno.args[0] && !Deno.args[0].startsWith("--") ? { folder: Deno.args[0] } : {}),
  });
  for (const { name, value, unit } of lines) {
    console.log(`${value.toFixed(unit === "us" ? 2 : 0).padStart(10)} ${unit.padEnd(4)} ${name}`);
  }
}
