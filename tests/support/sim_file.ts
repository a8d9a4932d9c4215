import { SeededRandom } from "./seeded_random.ts";

/** Bytes that grow by doubling. */
class GrowingBytes {
  bytes = new Uint8Array(0);
  size = 0;

  resize(size: number): void {
    if (size > this.bytes.length) {
      const grown = new Uint8Array(Math.max(size, this.bytes.length * 2, 4096));
      grown.set(this.bytes.subarray(0, this.size));
      this.bytes = grown;
    }
    if (size < this.size) this.bytes.fill(0, size, this.size);
    this.size = size;
  }

  write(from: Uint8Array, offset: number): void {
    if (offset + from.length > this.size) this.resize(offset + from.length);
    this.bytes.set(from, offset);
  }

  copy(): GrowingBytes {
    const copy = new GrowingBytes();
    copy.bytes = this.bytes.slice(0, this.size);
    copy.size = this.size;
    return copy;
  }
}

/** Bytes that no sync has made durable: offsets inside the file, within one unit. */
interface DirtyRange {
  from: number;
  to: number;
  /** Number of the newest change in it. */
  change: number;
}

/** What a sync takes with it when it begins. */
export interface SyncCapture {
  readonly change: number;
  readonly size: number;
  readonly pieces: readonly { readonly from: number; readonly bytes: Uint8Array }[];
}

/**
 * The content of one simulated file, twice: as programs see it (the operating system's cache), and as it is on the
 * device. What was written and not synced is lost, kept or turned into garbage by a crash, each unit by itself, in any
 * order; bytes of a unit that were not written are left alone (powersafe overwrite, see core/log/README.md).
 */
export class SimFile {
  readonly #unitBytes: number;
  #cached = new GrowingBytes();
  #durable = new GrowingBytes();
  /** By unit. What a sync under way has captured and what came later are ranges of their own. */
  readonly #dirty = new Map<number, DirtyRange[]>();
  #changes = 0;
  #capturedChange = 0;

  constructor(unitBytes: number) {
    this.#unitBytes = unitBytes;
  }

  get size(): number {
    return this.#cached.size;
  }

  /** Bytes on the device. */
  get durableSize(): number {
    return this.#durable.size;
  }

  /** A copy of what programs see. */
  content(): Uint8Array {
    return this.#cached.bytes.slice(0, this.size);
  }

  read(into: Uint8Array, offset: number): number {
    const count = Math.max(0, Math.min(into.length, this.size - offset));
    into.set(this.#cached.bytes.subarray(offset, offset + count));
    return count;
  }

  write(bytes: Uint8Array, offset: number): void {
    this.#cached.write(bytes, offset);
    this.#changes++;
    const end = offset + bytes.length;
    for (let unit = Math.floor(offset / this.#unitBytes); unit * this.#unitBytes < end; unit++) {
      const from = Math.max(offset, unit * this.#unitBytes);
      const to = Math.min(end, (unit + 1) * this.#unitBytes);
      this.#markDirty(unit, from, to);
    }
  }

  truncate(size: number): void {
    if (size > this.size) {
      this.write(new Uint8Array(size - this.size), this.size);
      return;
    }
    this.#cached.resize(size);
    this.#changes++;
    for (const [unit, ranges] of this.#dirty) {
      const left = ranges.filter(({ from }) => from < size);
      for (const range of left) range.to = Math.min(range.to, size);
      this.#setRanges(unit, left);
    }
  }

  beginSync(): SyncCapture {
    this.#capturedChange = this.#changes;
    const ranges = [...this.#dirty.values()].flat();
    const pieces = ranges.map(({ from, to }) => ({ from, bytes: this.#cached.bytes.slice(from, to) }));
    return { change: this.#changes, size: this.size, pieces };
  }

  completeSync(capture: SyncCapture): void {
    this.#durable.resize(capture.size);
    for (const { from, bytes } of capture.pieces) this.#durable.write(bytes, from);
    this.#forget(capture);
  }

  /** As Linux does after a failed write-back: what was captured counts as clean, stays readable, and is not on the device. */
  failSync(capture: SyncCapture): void {
    this.#forget(capture);
  }

  /** Changes a bit on the device and in the cache. */
  flipBit(offset: number, bit: number): void {
    for (const { bytes, size } of [this.#cached, this.#durable]) {
      if (offset < size) bytes[offset] = (bytes[offset] as number) ^ (1 << bit);
    }
  }

  crash(random: SeededRandom): void {
    const seen = this.#cached;
    const survivor = this.#durable;
    if (seen.size < survivor.size && random.chance(0.5)) survivor.resize(seen.size);
    for (const ranges of this.#dirty.values()) {
      const fate = random.integer(0, 9);
      if (fate < 4) continue;
      for (const { from, to } of ranges) {
        survivor.write(fate < 8 ? seen.bytes.slice(from, to) : random.bytes(to - from), from);
      }
    }
    // The size may reach the device without the bytes: they read as zeros.
    if (seen.size > survivor.size && random.chance(0.3)) {
      survivor.resize(random.integer(survivor.size, seen.size));
    }
    this.#cached = survivor.copy();
    this.#dirty.clear();
  }

  #markDirty(unit: number, from: number, to: number): void {
    const ranges = this.#dirty.get(unit) ?? [];
    const last = ranges.at(-1);
    if (last !== undefined && last.change > this.#capturedChange) {
      last.from = Math.min(last.from, from);
      last.to = Math.max(last.to, to);
      last.change = this.#changes;
    } else {
      ranges.push({ from, to, change: this.#changes });
    }
    this.#dirty.set(unit, ranges);
  }

  #forget(capture: SyncCapture): void {
    for (const [unit, ranges] of this.#dirty) {
      this.#setRanges(unit, ranges.filter(({ change }) => change > capture.change));
    }
  }

  #setRanges(unit: number, ranges: DirtyRange[]): void {
    if (ranges.length === 0) this.#dirty.delete(unit);
    else this.#dirty.set(unit, ranges);
  }
}
