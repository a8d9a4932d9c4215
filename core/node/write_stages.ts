import type { LogIndex, Milliseconds } from "../base/ids.ts";

/** A batch whose entries were proposed. */
export interface ProposedBatch {
  /** When each of its writes that succeeded came into the queue. */
  readonly queuedMs: readonly Milliseconds[];
  /** It was taken from the queue. */
  readonly startedMs: Milliseconds;
  /** Its results came back. */
  readonly ranMs: Milliseconds;
  /** Time the worker needed for it. */
  readonly workerMs: Milliseconds;
}

/** A batch on its way from the log to the majority. */
export interface BatchOnItsWay {
  /** Undefined until it is committed, and for good when leadership was lost before. */
  readonly committedMs: Milliseconds | undefined;
}

/** Time that writes spent, added up over all of them; README.md says where each stage begins and ends. */
export interface StageTotals {
  writes: number;
  queueMs: Milliseconds;
  sqliteMs: Milliseconds;
  /** Part of `sqliteMs`: without the way to the worker and back. */
  workerMs: Milliseconds;
  logMs: Milliseconds;
  fsyncMs: Milliseconds;
  networkMs: Milliseconds;
}

interface Pending extends ProposedBatch, BatchOnItsWay {
  /** Of its last entry. */
  readonly index: LogIndex;
  loggedMs: Milliseconds | undefined;
  durableMs: Milliseconds | undefined;
  committedMs: Milliseconds | undefined;
}

/**
 * Where the time of writes goes, on the leader. The clock is read once for a batch, an append, a sync and a publication, never
 * for a single write; a batch counts when it is committed, in all stages at once.
 */
export class WriteStages {
  readonly totals: StageTotals = {
    writes: 0,
    queueMs: 0,
    sqliteMs: 0,
    workerMs: 0,
    logMs: 0,
    fsyncMs: 0,
    networkMs: 0,
  };
  readonly #nowMs: () => Milliseconds;
  /** Ascending by index. As many as there are batches in `LIMITS.uncommittedBytesMax` bytes of entries. */
  #pending: Pending[] = [];

  constructor(nowMs: () => Milliseconds) {
    this.#nowMs = nowMs;
  }

  /** @param index of the last entry of the batch, larger than that of the batch before */
  proposed(index: LogIndex, batch: ProposedBatch): BatchOnItsWay {
    const { queuedMs, startedMs, ranMs, workerMs } = batch;
    const pending: Pending = {
      index,
      queuedMs,
      startedMs,
      ranMs,
      workerMs,
      loggedMs: undefined,
      durableMs: undefined,
      committedMs: undefined,
    };
    this.#pending.push(pending);
    return pending;
  }

  /** Entries up to `index` are in the log's file. */
  appended(index: LogIndex): void {
    const last = this.#pending.at(-1);
    if (last === undefined || last.loggedMs !== undefined) return;
    const nowMs = this.#nowMs();
    for (const batch of this.#pending) {
      if (batch.index > index) break;
      batch.loggedMs ??= nowMs;
    }
  }

  /** Entries up to `index` are durable on this node. */
  synced(index: LogIndex): void {
    if (this.#pending.length === 0) return;
    const nowMs = this.#nowMs();
    for (const batch of this.#pending) {
      if (batch.index > index) break;
      batch.durableMs ??= nowMs;
    }
  }

  /** Entries up to `index` are durable on a majority. */
  committed(index: LogIndex): void {
    const count = this.#pending.findLastIndex((batch) => batch.index <= index) + 1;
    if (count === 0) return;
    const nowMs = this.#nowMs();
    for (const batch of this.#pending.splice(0, count)) this.#count(batch, nowMs);
  }

  /** Leadership is gone: what becomes of the batches on their way is not for this node to time. */
  forget(): void {
    this.#pending = [];
  }

  #count(batch: Pending, committedMs: Milliseconds): void {
    const { totals } = this;
    const { queuedMs, startedMs, ranMs, workerMs } = batch;
    const loggedMs = batch.loggedMs ?? committedMs;
    // A majority of others may be faster than the own disk.
    const durableMs = batch.durableMs ?? committedMs;
    const writes = queuedMs.length;
    batch.committedMs = committedMs;
    totals.writes += writes;
    for (const atMs of queuedMs) totals.queueMs += startedMs - atMs;
    totals.sqliteMs += writes * (ranMs - startedMs);
    totals.workerMs += writes * workerMs;
    totals.logMs += writes * (loggedMs - ranMs);
    totals.fsyncMs += writes * (durableMs - loggedMs);
    totals.networkMs += writes * (committedMs - durableMs);
  }
}
