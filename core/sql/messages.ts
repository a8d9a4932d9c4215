/** Every message between the main thread and a SQL worker. Plain data: it crosses by structured clone. */
import type { ErrorRecord } from "../base/errors.ts";
import type { DatabaseId, LogIndex, Milliseconds } from "../base/ids.ts";
import type { SegmentInfo } from "../log/segment_table.ts";
import type { SumsOfCopy } from "../pages/checkpoint_file.ts";
import type { PageDamage } from "../pages/page_damage.ts";
import type { PageDelta, PageIndexExport } from "../pages/page_index.ts";
import type { PackedAnswers } from "./packed_answers.ts";
import type { Judgement } from "./judgement.ts";
import type { ResultFormat, RowShape, SqlParameters, Statement } from "./values.ts";

/** Where a worker finds the pages of a database that it does not follow yet. */
export interface DatabaseBase {
  readonly databaseId: DatabaseId;
  readonly pageSize: number;
  /** The `.db` file below the data folder; undefined when nothing was checkpointed. */
  readonly file: string | undefined;
  /** Pages in that file; what lies beyond is not read. */
  readonly filePageCount: number;
  /** A file of page checksums lies beside it; without it the `.db` file is read unchecked. */
  readonly hasSums?: boolean;
  readonly pages: PageIndexExport;
}

/** What changed about a database since the last message to this worker. */
export interface DatabaseUpdate {
  readonly databaseId: DatabaseId;
  /** Replaces everything the worker knew. */
  readonly base?: DatabaseBase;
  readonly deltas: readonly PageDelta[];
  /** Versions that only older views need may go. */
  readonly oldestView: LogIndex;
}

export interface ReadJob {
  readonly jobId: number;
  readonly databaseId: DatabaseId;
  readonly viewIndex: LogIndex;
  readonly sql: string;
  readonly parameters: SqlParameters;
  readonly format: ResultFormat;
  readonly rowShape: RowShape;
  /** Time until it must have ended, from the arrival of the message: waiting behind others counts. */
  readonly runMsMax: Milliseconds;
  /** Say how it would run elsewhere, if it succeeds. */
  readonly isJudged?: boolean;
}

export interface ReadMessage {
  readonly kind: "read";
  readonly jobs: readonly ReadJob[];
  readonly updates: readonly DatabaseUpdate[];
  /** Present when the set of segments changed. */
  readonly segments?: readonly SegmentInfo[];
}

export interface WriteRequestData {
  readonly kind: "execute" | "batch";
  readonly statements: readonly Statement[];
  readonly idempotencyKey?: string;
  readonly format: ResultFormat;
  readonly rowShape: RowShape;
  /** Time it may run, from its start. */
  readonly runMsMax: Milliseconds;
}

/** What every message to a writer session carries. */
export interface WriterUpdate {
  readonly databaseId: DatabaseId;
  /** Grows with every batch, and every step of a transaction, of any session. */
  readonly batchNumber: number;
  /** Opens a new session at the tip; an older one of this database is given up first. */
  readonly base?: DatabaseBase;
  /** The same for a session that is open: it looks there from now on, since what it knew of is in the `.db` file now. */
  readonly rebase?: DatabaseBase;
  /** Places of the pages of earlier batches of this session, and the newest such batch. */
  readonly located: readonly PageDelta[];
  readonly locatedBatch: number;
}

export interface WriteMessage extends WriterUpdate {
  readonly kind: "write";
  readonly jobId: number;
  readonly requests: readonly WriteRequestData[];
  /** Texts among them: say how they would run elsewhere. */
  readonly judged?: readonly string[];
  readonly segments?: readonly SegmentInfo[];
}

/** What is done next in a transaction over several requests. */
export type TransactionStep =
  | { readonly kind: "begin" }
  | {
    readonly kind: "run";
    readonly statement: Statement;
    readonly format: ResultFormat;
    readonly rowShape: RowShape;
    /** Time it may run, from its start. */
    readonly runMsMax: Milliseconds;
  }
  | { readonly kind: "commit" }
  | { readonly kind: "rollback" };

export interface TransactionMessage extends WriterUpdate {
  readonly kind: "transaction";
  readonly jobId: number;
  readonly step: TransactionStep;
  readonly segments?: readonly SegmentInfo[];
}

/** Forget the database: its connections and its page index. */
export interface CloseMessage {
  readonly kind: "close";
  readonly databaseId: DatabaseId;
}

/** Copy page versions into the `.db` file and make it durable. */
export interface CheckpointMessage {
  readonly kind: "checkpoint";
  readonly jobId: number;
  readonly file: string;
  readonly pageSize: number;
  /** Size of the file afterwards, in pages. */
  readonly pageCount: number;
  /** The file is cut to this many pages first: what lay beyond is void. */
  readonly keepPageCount: number;
  /** Ascending. */
  readonly pageNumbers: Uint32Array;
  readonly positions: Float64Array;
  /** Absent: pages are not checked and no checksums are written. */
  readonly sums?: SumsOfCopy;
  readonly segments?: readonly SegmentInfo[];
}

/** Check an uploaded file below the data folder: header, size, `integrity_check`. */
export interface CheckFileMessage {
  readonly kind: "check_file";
  readonly jobId: number;
  readonly file: string;
}

export type MessageToWorker =
  | ReadMessage
  | WriteMessage
  | TransactionMessage
  | CloseMessage
  | CheckpointMessage
  | CheckFileMessage;

export type Outcome<T> = { readonly ok: true; readonly value: T } | {
  readonly ok: false;
  readonly error: ErrorRecord;
};

export interface ReadResults {
  readonly kind: "read_results";
  /** One answer each, in this order. */
  readonly jobIds: readonly number[];
  /** What each took. */
  readonly runMs: readonly Milliseconds[];
  readonly answers: PackedAnswers;
  /** Of those for which it was asked. */
  readonly verdicts?: readonly Verdict[];
}

export interface Verdict extends Judgement {
  readonly databaseId: DatabaseId;
  readonly sql: string;
}

export interface WriteResults {
  readonly kind: "write_results";
  readonly jobId: number;
  readonly databaseId: DatabaseId;
  readonly batchNumber: number;
  /** One per request, in order. */
  readonly answers: PackedAnswers;
  /** Positions of those that were given before: their idempotency key was known. */
  readonly replayed: readonly number[];
  /** Bodies of the entries to propose, in order; empty when nothing was changed. */
  readonly bodies: readonly Uint8Array[];
  /** Time from the arrival of the batch at the worker until its results left. */
  readonly runMs: Milliseconds;
  /**
   * The session died while it ran this request: nothing of the batch counts, the other requests may be run again in
   * a new session (promise 7).
   */
  readonly diedAt?: number;
  /** Of the texts for which it was asked. */
  readonly verdicts?: readonly Verdict[];
  /** The session died after the batch: what it did counts. */
  readonly isSessionLost?: boolean;
  /** Positions of requests that changed nothing and have to run elsewhere. */
  readonly unfinished?: readonly number[];
}

export interface TransactionResults {
  readonly kind: "transaction_results";
  readonly jobId: number;
  readonly databaseId: DatabaseId;
  readonly batchNumber: number;
  /** Exactly one; without fields for all steps but `run`. */
  readonly answers: PackedAnswers;
  /** The transaction is open after this step. */
  readonly isOpen: boolean;
  /** After `commit`: bodies of the entries to propose, in order; empty when nothing was changed. */
  readonly bodies: readonly Uint8Array[];
  /** The session is gone (promise 7). */
  readonly died: boolean;
}

export interface JobDone {
  readonly kind: "job_done";
  readonly jobId: number;
  readonly outcome: Outcome<{ readonly pageSize: number; readonly pageCount: number }>;
}

/** A page was read, by a query, a write or a checkpoint, and is not what was written. What read it fails with `data_damaged`. */
export interface PageDamaged {
  readonly kind: "page_damaged";
  readonly databaseId: DatabaseId;
  readonly damage: PageDamage;
}

export interface WorkerReady {
  readonly kind: "ready";
}

/** The worker met something it cannot go on from, such as a failed fsync: the process must end (promise 1). */
export interface WorkerFatal {
  readonly kind: "fatal";
  readonly message: string;
}

export type MessageFromWorker =
  | ReadResults
  | WriteResults
  | TransactionResults
  | JobDone
  | PageDamaged
  | WorkerReady
  | WorkerFatal;

/**
 * Shared with each worker: slot 0 holds the id of the job that must stop, slot 1 that of the job that runs
 * now; 0 for none.
 */
export const CANCEL_SLOTS = 2;
