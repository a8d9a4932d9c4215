import { assert } from "../base/assert.ts";
import { NodeError } from "../base/errors.ts";
import type { DatabaseId, LogIndex, LogPosition } from "../base/ids.ts";
import { framePositions, type PagesBody } from "./entry_body.ts";
import { type PageDelta, PageIndex } from "./page_index.ts";

/** Deltas kept for reader workers that ask again; one that is further behind gets the whole page index. */
const DELTAS_KEPT_MAX = 2_048;

/** The `.db` file of a database: everything at or below `index` is in it. */
export interface CheckpointState {
  readonly index: LogIndex;
  readonly pageCount: number;
  /** A file of page checksums lies beside it. */
  readonly hasSums?: boolean;
  /** An unfinished copy may have put pages as new as this into the file; at least `index`. */
  readonly copiedThrough?: LogIndex;
}

/** What all databases of a node share about the past. */
export interface RetainedHistory {
  /** Index from which on the past stays readable; Infinity: nothing but open views counts. */
  from: LogIndex;
  /** Databases with open views. */
  readonly viewed: Set<Database>;
}

/** A view: one database at one index, its page versions kept until `close` or until it is expired. */
export interface View {
  readonly database: Database;
  readonly index: LogIndex;
  /** What it shows is not kept any more: nothing that was read through it may be used. */
  readonly isExpired: boolean;
  close(): void;
}

interface Part {
  readonly pageNumbers: Uint32Array;
  readonly positions: Float64Array;
  readonly checksums: Uint32Array;
}

/** One database as the main thread knows it: its page index at the tip, what is published, and the open views. */
export class Database {
  readonly id: DatabaseId;
  readonly name: string;
  readonly pageSize: number;
  /**
   * Name of its files, without ending: its own, unless another database had the name when the first checkpoint was made;
   * then `NAME~ID`, which no name can be.
   */
  fileName: string;
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
  #parts: readonly Part[] = [];
  /** What `#parts` was before each entry that is not published and changed it, oldest first: for a tail that is lost. */
  #partsBefore: { readonly index: LogIndex; readonly parts: readonly Part[] }[] = [];
  readonly #views = new Map<LogIndex, Set<OpenView>>();
  readonly #history: RetainedHistory;
  /** Bytes of page versions in the log since the last checkpoint. */
  bytesSinceCheckpoint = 0;
  #oldestPosition: LogPosition | undefined;
  #historyFrom: LogIndex;

  constructor(
    id: DatabaseId,
    name: string,
    pageSize: number,
    visible: boolean,
    checkpoint?: CheckpointState,
    history: RetainedHistory = { from: Infinity, viewed: new Set() },
  ) {
    this.id = id;
    this.name = name;
    this.pageSize = pageSize;
    this.fileName = name;
    this.visibleFrom = visible ? id : undefined;
    this.checkpoint = checkpoint ?? { index: 0, pageCount: 0 };
    this.pages = new PageIndex(this.checkpoint.index, this.checkpoint.pageCount);
    this.tip = Math.max(id, this.checkpoint.index);
    this.published = 0;
    this.#history = history;
    // A copy that a crash interrupted has put newer pages into the file.
    this.#historyFrom = Math.max(this.checkpoint.index, this.checkpoint.copiedThrough ?? 0);
  }

  isVisibleAt(index: LogIndex): boolean {
    return this.visibleFrom !== undefined && this.visibleFrom <= index &&
      (this.droppedAt === undefined || this.droppedAt > index);
  }

  /** The oldest index that an open view or a new one at the published index needs. */
  get oldestView(): LogIndex {
    let oldest = this.published;
    for (const index of this.#views.keys()) oldest = Math.min(oldest, index);
    return oldest;
  }

  /** The oldest index that has to stay readable: open views and the retention window. */
  get oldestNeeded(): LogIndex {
    return Math.min(this.oldestView, this.#history.from);
  }

  /** The oldest index a view can be opened at. */
  get historyFrom(): LogIndex {
    return this.#historyFrom;
  }

  /** Where the oldest bytes lie in the log that are not in the `.db` file; undefined when all are. */
  get oldestPosition(): LogPosition | undefined {
    return this.#oldestPosition;
  }

  /**
   * The log from here on has to stay (promise 3): for what is not in the `.db` file, and for views that were opened
   * before it was, whose readers still go to the log for it. Infinity: nothing has to.
   */
  get neededPosition(): LogPosition {
    let needed = this.#oldestPosition ?? Infinity;
    for (const views of this.#views.values()) {
      for (const { holdsFrom } of views) needed = Math.min(needed, holdsFrom);
    }
    return needed;
  }

  /**
   * The index up to which older versions may go, here and in the workers that are told of it. From this call on no older
   * view can be opened.
   */
  releaseHistory(): LogIndex {
    const index = this.oldestNeeded;
    this.#historyFrom = Math.max(this.#historyFrom, index);
    return index;
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
    const begun = body.first ? [] : this.#parts;
    if (!body.first && begun.length === 0) {
      // The log begins inside a transaction that is in the file as a whole, or that its leader never finished.
      assert(
        !body.last || index <= this.checkpoint.index,
        () => `Entry ${index} ends a transaction of database ${this.name} whose beginning is missing`,
      );
      return undefined;
    }
    if (index <= this.checkpoint.index && body.last) {
      this.#setParts(index, []);
      return undefined;
    }
    if (index > this.checkpoint.index) {
      assert(index > this.tip, () => `Entry ${index} of database ${this.name} comes after ${this.tip}`);
      this.tip = index;
    }
    this.#oldestPosition ??= bodyPosition;
    const { pageNumbers, checksums } = body;
    const parts = [...begun, { pageNumbers, positions: framePositions(body, bodyPosition), checksums }];
    this.bytesSinceCheckpoint += body.pageNumbers.length * body.pageSize;
    this.#setParts(index, body.last ? [] : parts);
    if (!body.last) return undefined;
    const delta = joinParts(parts, index, body.pageCount);
    this.pages.add(delta, this.releaseHistory());
    this.#unpublished.push(delta);
    return delta;
  }

  #setParts(index: LogIndex, parts: readonly Part[]): void {
    if (this.#parts.length > 0 || parts.length > 0) this.#partsBefore.push({ index, parts: this.#parts });
    this.#parts = parts;
  }

  /** Takes back everything from `index` on; nobody but the writer has seen it (promise 2). */
  dropFrom(index: LogIndex): void {
    const lost = this.#partsBefore.findIndex((change) => change.index >= index);
    if (lost >= 0) {
      // The entries to come may go on with what these had ended, or made void.
      this.#parts = (this.#partsBefore[lost] as { parts: readonly Part[] }).parts;
      this.#partsBefore.length = lost;
    }
    for (;;) {
      const newest = this.#unpublished.at(-1);
      if (newest === undefined || newest.index < index) break;
      this.#unpublished.pop();
      this.pages.remove(newest);
    }
    if (this.visibleFrom !== undefined && this.visibleFrom >= index) this.visibleFrom = undefined;
    if (this.droppedAt !== undefined && this.droppedAt >= index) this.droppedAt = undefined;
    if (this.tip >= index) this.tip = index - 1;
  }

  publish(commitIndex: LogIndex): void {
    let count = 0;
    if (this.#partsBefore.length > 0) {
      this.#partsBefore = this.#partsBefore.filter(({ index }) => index > commitIndex);
    }
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

  /**
   * Whether a transaction has its first entry at or below `index`, and its last one above it, or not at all yet.
   *
   * @param index not below the published one
   */
  isInsideTransaction(index: LogIndex): boolean {
    const next = this.#partsBefore.find((change) => change.index > index);
    return (next?.parts ?? this.#parts).length > 0;
  }

  /** A new leader, whose first entry this is, never finishes what another one began. Returns whether there was anything. */
  voidOpenTransaction(index: LogIndex): boolean {
    const hadParts = this.#parts.length > 0;
    this.#setParts(index, []);
    return hadParts;
  }

  /**
   * Keeps the versions that a view needs until it is closed; one without an index shows what is published.
   *
   * @throws NodeError `view_expired` when they are gone already
   */
  openView(at?: LogIndex): View {
    if (at !== undefined && at < this.#historyFrom) {
      throw new NodeError(
        "view_expired",
        `Cannot read ${this.name} at index ${at}: its history begins at ${this.#historyFrom}; ` +
          "a longer one is kept with --retain",
      );
    }
    const view = new OpenView(
      this,
      Math.min(at ?? Infinity, this.published),
      (closed) => this.#closeView(closed),
    );
    const views = this.#views.get(view.index);
    if (views === undefined) this.#views.set(view.index, new Set([view]));
    else views.add(view);
    this.#history.viewed.add(this);
    return view;
  }

  get viewCount(): number {
    return this.#views.size;
  }

  /** Gives up the history before `index` and every view that shows it. Returns how many views that were. */
  expireBefore(index: LogIndex): number {
    let count = 0;
    for (const [at, views] of this.#views) {
      if (at >= index) continue;
      for (const view of views) view.isExpired = true;
      count += views.size;
      this.#views.delete(at);
    }
    if (this.#views.size === 0) this.#history.viewed.delete(this);
    this.#historyFrom = Math.max(this.#historyFrom, index);
    return count;
  }

  #closeView(view: OpenView): void {
    const views = this.#views.get(view.index);
    views?.delete(view);
    if (views?.size === 0) this.#views.delete(view.index);
    if (this.#views.size === 0) this.#history.viewed.delete(this);
  }

  /** The `.db` file is durable up to `state.index`. Workers learn it with a whole page index. */
  checkpointed(state: CheckpointState): void {
    assert(
      state.index >= this.checkpoint.index,
      () => `Checkpoint of ${this.name} went back to ${state.index}`,
    );
    this.checkpoint = state;
    this.pages.dropThrough(state.index);
    this.#historyFrom = Math.max(this.#historyFrom, state.index);
    this.#oldestPosition = this.#findOldestPosition();
    // What an open view kept from being copied, or came meanwhile.
    this.bytesSinceCheckpoint = this.pages.versionCount * this.pageSize;
    this.#deltaBase = this.deltaEnd + 1;
    this.#deltas = [];
  }

  #findOldestPosition(): LogPosition | undefined {
    let oldest = Infinity;
    for (const position of this.pages.export(Infinity).positions) oldest = Math.min(oldest, position);
    for (const parts of [this.#parts, ...this.#partsBefore.map((change) => change.parts)]) {
      for (const { positions } of parts) oldest = Math.min(oldest, positions[0] ?? Infinity);
    }
    return oldest === Infinity ? undefined : oldest;
  }
}

class OpenView implements View {
  isExpired = false;
  /** Readers of this view may look in the log from here on. */
  readonly holdsFrom: LogPosition;
  #isOpen = true;
  readonly #onClose: (view: OpenView) => void;

  constructor(readonly database: Database, readonly index: LogIndex, onClose: (view: OpenView) => void) {
    this.holdsFrom = database.oldestPosition ?? Infinity;
    this.#onClose = onClose;
  }

  close(): void {
    assert(this.#isOpen, () => `View of ${this.database.name} closed twice`);
    this.#isOpen = false;
    if (!this.isExpired) this.#onClose(this);
  }
}

function joinParts(parts: readonly Part[], index: LogIndex, pageCount: number): PageDelta {
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) {
    const { pageNumbers, positions, checksums } = only;
    return { index, pageCount, pageNumbers, positions, checksums };
  }
  const count = parts.reduce((sum, part) => sum + part.pageNumbers.length, 0);
  const pageNumbers = new Uint32Array(count);
  const positions = new Float64Array(count);
  const checksums = new Uint32Array(count);
  let next = 0;
  for (const part of parts) {
    pageNumbers.set(part.pageNumbers, next);
    positions.set(part.positions, next);
    checksums.set(part.checksums, next);
    next += part.pageNumbers.length;
  }
  return { index, pageCount, pageNumbers, positions, checksums };
}
