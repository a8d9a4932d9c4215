import type { NodeError } from "../base/errors.ts";
import type { LogIndex, Milliseconds, Term } from "../base/ids.ts";
import type { EndOfTurn } from "../base/ports.ts";
import type { Database } from "../pages/database.ts";
import type {
  DatabaseBase,
  TransactionMessage,
  WriteMessage,
  WriteRequestData,
  WriterUpdate,
} from "../sql/messages.ts";
import type { Placement } from "../sql/short_writes.ts";
import type { EncodedFields } from "../sql/values.ts";
import type { Transaction, WriteRequest } from "./service.ts";
import type { WriteStages } from "./write_stages.ts";

export interface WriteResult {
  readonly fields: EncodedFields;
  /** The idempotency key was known: this is the first answer, nothing was written. */
  readonly replayed: boolean;
}

export interface WriteCommitted {
  readonly result: WriteResult;
  readonly index: LogIndex;
  /** Undefined where its batch changed nothing. */
  readonly committedMs: Milliseconds | undefined;
}

/** A write that waits for its turn. */
export interface PendingWrite {
  readonly request: WriteRequest;
  readonly bytes: number;
  readonly deadlineMs: Milliseconds;
  readonly queuedMs: Milliseconds;
  readonly resolve: (answer: WriteCommitted) => void;
  readonly reject: (error: NodeError) => void;
}

/** A transaction over several requests that waits for its turn. */
export interface PendingTransaction {
  readonly request?: never;
  /** Until it begins. */
  readonly deadlineMs: Milliseconds;
  readonly resolve: (transaction: Transaction) => void;
  readonly reject: (error: NodeError) => void;
}

/** An entry of this node's log. */
export interface EntryAt {
  readonly index: LogIndex;
  readonly term: Term;
}

/** What a writer needs of the rest of the node. */
export interface WriterHost {
  readonly nowMs: () => Milliseconds;
  /** Never the same twice, also not for another writer of the same database: late results must find nobody. */
  readonly nextBatchNumber: () => number;
  /**
   * Decides where the next batch runs; undefined: something else. `moved`: the session was given up for that, and the next
   * message opens one elsewhere.
   */
  readonly placeSession: (
    database: Database,
    requests: readonly WriteRequestData[] | undefined,
  ) => Placement;
  /** The session runs on this thread, and can be told things at any time. */
  readonly isSessionHere: (database: Database) => boolean;
  /** Tells such a session; false when it is gone. */
  readonly tellSession: (update: WriterUpdate) => boolean;
  /** Hands over a batch; its results may come before this returns. */
  readonly send: (message: Omit<WriteMessage, "jobId" | "segments">) => void;
  /** Hands over a step of a transaction; returns how to stop a statement. */
  readonly sendStep: (message: Omit<TransactionMessage, "jobId" | "segments">) => () => void;
  /** Reason for which no session may be opened now: what was proposed has no room in the log, and a base would lack it. */
  readonly refusalToOpen: () => NodeError | undefined;
  readonly baseOf: (database: Database) => DatabaseBase;
  readonly closeSession: (database: Database) => void;
  /** Proposes one entry; throws NodeError when the core refuses it: nothing of it is in the log then. */
  readonly propose: (body: Uint8Array) => EntryAt;
  /** Last entry of the log, committed or not. */
  readonly tip: () => EntryAt;
  /** Resolves when that entry is committed. */
  readonly committed: (at: EntryAt, deadlineMs: Milliseconds) => Promise<LogIndex>;
  /** The same for an answer without an entry of its own: also that this node still led when it was given. */
  readonly confirmed: (at: EntryAt, deadlineMs: Milliseconds) => Promise<LogIndex>;
  readonly endOfTurn: EndOfTurn;
  readonly stages: Pick<WriteStages, "proposed">;
  /** The leader may take more into its log now. */
  readonly mayPropose: () => boolean;
}
