import { assert } from "../base/assert.ts";
import type { DatabaseId, LogIndex, LogPosition } from "../base/ids.ts";
import { framePositions, type PagesBody } from "./entry_body.ts";
import { type PageDelta, PageIndex } from "./page_index.ts";

/** Deltas kept for reader workers that ask again; one that is further behind gets the whole page index. */
const DELTAS_KEPT_MAX = 2_048;

/** The `.db` file of a database: everything at or below `index` is in it. */
export interface CheckpointState {
  readonly index: LogIndex;
  readonly pageCount: number;
}

interface Part {
  readonly index: LogIndex;
  readonly pageNumbers: Uint32Array;
  readonly positions: Float64Array;
}

/** One database as the main thread knows it: its page index at the tip, what is published, and the open views. */
export class Database {
  readonly id: DatabaseId;
  readonly name: string;
  readonly pageSize: number;
  pages: PageIndex;
  checkpoint: CheckpointState;
  /** Index that made it visible; the id itself unless it was staged. Undefined: still staged. */
  visibleFrom: LogIndex | undefined;
  droppedAt: LogIndex | undefined;
  /** Last entry appended for it. */
  tip: LogIndex;
  /** Last entry published for it: what a new view shows. */
  published: LogIndex;
  /** Appended, not yet published, oldest first. */
  readonly #unpublished: PageDelta[] = [];
  /** Published, newest last; `#deltaBase` is the sequence number of the first one. */
  #deltas: PageDelta[] = [];
  #deltaBase = 0;
  /** Parts of a transaction whose last entry has not come. */
  #parts: Part[] = [];
  readonly #pins = new Map<LogIndex, number>();
  /** Bytes of page versions in the log since the last checkpoint. */
  bytesSinceCheckpoint = 0;

  constructor(
    id: DatabaseId,
    name: string,
    pageSize: number,
    visible: boolean,
    checkpoint?: CheckpointState,
  ) {
    this.id = id;
    this.name = name;
    this.pageSize = pageSize;
    this.visibleFrom = visible ? id : undefined;
    this.checkpoint = checkpoint ?? { index: 0, pageCount: 0 };
    this.pages = new PageIndex(this.checkpoint.index, this.checkpoint.pageCount);
    this.tip = Math.max(id, this.checkpoint.index);
    this.published = 0;
  }

  isVisibleAt(index: LogIndex): boolean {
    return this.visibleFrom !== undefined && this.visibleFrom <= index &&
      (this.droppedAt === undefined || this.droppedAt > index);
  }

  /** The oldest index that an open or a new view may ask for. */
  get oldestView(): LogIndex {
    let oldest = this.published;
    for (const index of this.#pins.keys()) oldest = Math.min(oldest, index);
    return oldest;
  }

  get pageCount(): number {
    return this.pages.pageCountAt(this.published);
  }

  /** Size at the tip, committed or not: what the writer sees. */
  get tipPageCount(): number {
    return this.pages.pageCountAt(Infinity);
  }

  /** Adds an entry. Returns the delta once the transaction is complete. */
  append(index: LogIndex, body: PagesBody, bodyPosition: LogPosition): PageDelta | undefined {
    if (index <= this.checkpoint.index) return undefined;
    assert(index > this.tip, () => `Entry ${index} of database ${this.name} comes after ${this.tip}`);
    this.tip = index;
    if (body.first) this.#parts = [];
    this.#parts.push({ index, pageNumbers: body.pageNumbers, positions: framePositions(body, bodyPosition) });
    this.bytesSinceCheckpoint += body.pageNumbers.length * body.pageSize;
    if (!body.last) return undefined;
    const delta = joinParts(this.#parts, index, body.pageCount);
    this.#parts = [];
    this.pages.add(delta, this.oldestView);
    this.#unpublished.push(delta);
    return delta;
  }

  /** Takes back everything from `index` on; nobody but the writer has seen it (promise 2). */
  dropFrom(index: LogIndex): void {
    this.#parts = this.#parts.filter((part) => part.index < index);
    for (;;) {
      const delta = this.#unpublished.at(-1);
      if (delta === undefined || delta.index < index) break;
      this.#unpublished.pop();
      this.pages.remove(delta);
    }
    if (this.visibleFrom !== undefined && this.visibleFrom >= index) this.visibleFrom = undefined;
    if (this.droppedAt !== undefined && this.droppedAt >= index) this.droppedAt = undefined;
    if (this.tip >= index) this.tip = index - 1;
  }

  publish(commitIndex: LogIndex): void {
    let count = 0;
    for (const delta of this.#unpublished) {
      if (delta.index > commitIndex) break;
      this.published = delta.index;
      this.#deltas.push(delta);
      count++;
    }
    this.#unpublished.splice(0, count);
    if (this.published < this.checkpoint.index) this.published = this.checkpoint.index;
    if (this.#deltas.length > 2 * DELTAS_KEPT_MAX) {
      const surplus = this.#deltas.length - DELTAS_KEPT_MAX;
      this.#deltas.splice(0, surplus);
      this.#deltaBase += surplus;
    }
  }

  get hasUnpublished(): boolean {
    return this.#unpublished.length > 0;
  }

  /** Sequence number after the newest published delta. */
  get deltaEnd(): number {
    return this.#deltaBase + this.#deltas.length;
  }

  /** Published deltas from `sequence` on, or undefined when they are gone. */
  deltasSince(sequence: number): readonly PageDelta[] | undefined {
    if (sequence < this.#deltaBase) return undefined;
    return this.#deltas.slice(sequence - this.#deltaBase);
  }

  /** Keeps the versions that a view at the published index needs, until `unpin`. */
  pin(): LogIndex {
    const index = this.published;
    this.#pins.set(index, (this.#pins.get(index) ?? 0) + 1);
    return index;
  }

  unpin(index: LogIndex): void {
    const count = this.#pins.get(index);
    assert(count !== undefined, () => `No view of ${this.name} is open at ${index}`);
    if (count === 1) this.#pins.delete(index);
    else this.#pins.set(index, count - 1);
  }

  get pinCount(): number {
    return this.#pins.size;
  }

  /** The `.db` file is durable up to `state.index`. Workers learn it with a whole page index. */
  checkpointed(state: CheckpointState): void {
    assert(
      state.index >= this.checkpoint.index,
      () => `Checkpoint of ${this.name} went back to ${state.index}`,
    );
    this.checkpoint = state;
    this.pages.dropThrough(state.index);
    // What an open view kept from being copied, or came meanwhile.
    this.bytesSinceCheckpoint = this.pages.versionCount * this.pageSize;
    this.#deltaBase = this.deltaEnd + 1;
    this.#deltas = [];
  }
}

function joinParts(parts: readonly Part[], index: LogIndex, pageCount: number): PageDelta {
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) {
    return { index, pageCount, pageNumbers: only.pageNumbers, positions: only.positions };
  }
  const count = parts.reduce((sum, part) => sum + part.pageNumbers.length, 0);
  const pageNumbers = new Uint32Array(count);
  const positions = new Float64Array(count);
  let next = 0;
  for (const part of parts) {
    pageNumbers.set(part.pageNumbers, next);
    positions.set(part.positions, next);
    next += part.pageNumbers.length;
  }
  return { index, pageCount, pageNumbers, positions };
}
