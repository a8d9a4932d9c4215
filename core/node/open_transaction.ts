import { assert, mustHave } from "../base/assert.ts";
import { fromErrorRecord, NodeError } from "../base/errors.ts";
import type { LogIndex, Milliseconds } from "../base/ids.ts";
import { LIMITS } from "../base/limits.ts";
import type { Outcome, TransactionResults, TransactionStep } from "../sql/messages.ts";
import { unpackAnswers } from "../sql/packed_answers.ts";
import type { EncodedFields, Statement } from "../sql/values.ts";
import type { Transaction, TransactionRunOptions } from "./service.ts";
import type { EntryAt, PendingTransaction, WriterHost } from "./writer_host.ts";

/** What a transaction needs of the writer it holds. */
export interface TransactionSite extends Pick<WriterHost, "nowMs" | "tip" | "committed" | "confirmed"> {
  /** Sends a step to the session. Undefined: that has ended the writer, and `lose` was called. */
  readonly send: (
    step: TransactionStep,
  ) => { readonly number: number; readonly stop: () => void } | undefined;
  /** Proposes what a commit changed; throws NodeError when nothing of it counts. */
  readonly enter: (number: number, bodies: readonly Uint8Array[]) => EntryAt;
  /** The transaction is over; the writer goes on. */
  readonly ended: (session: "sound" | "unsure" | "lost") => void;
}

interface RunningStep {
  readonly kind: TransactionStep["kind"];
  readonly number: number;
  readonly stop: () => void;
  /** Missing where nobody waits. */
  readonly settle: ((outcome: Outcome<EncodedFields> | NodeError) => void) | undefined;
}

/**
 * A transaction over several requests, from its turn in the queue to its end. It has the writer of its database: one step at
 * a time, and nothing else is sent meanwhile.
 *
 * The session runs on the uncommitted tip, so the first answer waits until that tip is committed and this node is known to
 * have led when the transaction began. Everything later shows that state and the transaction's own changes.
 */
export class OpenTransaction implements Transaction {
  readonly #pending: PendingTransaction;
  readonly #site: TransactionSite;
  readonly #beganMs: Milliseconds;
  #phase: "beginning" | "open" | "over" = "beginning";
  #running: RunningStep | undefined;
  /** A call of the owner is under way. */
  #isBusy = false;
  #idleSinceMs: Milliseconds;
  /** What calls hear from now on. It is rolled back, or over. */
  #end: NodeError | undefined;
  /** Tip of the log when it began. */
  #began: EntryAt | undefined;
  #beganIndex: LogIndex | undefined;
  #entered: EntryAt | undefined;
  readonly #over = Promise.withResolvers<void>();

  constructor(pending: PendingTransaction, site: TransactionSite) {
    this.#pending = pending;
    this.#site = site;
    this.#beganMs = site.nowMs();
    this.#idleSinceMs = this.#beganMs;
  }

  get isOpen(): boolean {
    return this.#phase === "open" && this.#end === undefined;
  }

  /** Nobody has it yet: it may begin again elsewhere. */
  get isBeginning(): boolean {
    return this.#phase === "beginning" && this.#end === undefined;
  }

  get pending(): PendingTransaction {
    return this.#pending;
  }

  /** Of the step that runs. */
  get stepNumber(): number | undefined {
    return this.#running?.number;
  }

  begin(): void {
    this.#send({ kind: "begin" });
  }

  async run(statement: Statement, options: TransactionRunOptions): Promise<EncodedFields> {
    const { format, rowShape, timeoutMs, signal } = options;
    const runMsMax = Math.min(LIMITS.statementMsMax, timeoutMs);
    return await this.#call(timeoutMs, async (deadlineMs) => {
      if (signal?.aborted === true) {
        throw new NodeError("cancelled", "Statement not begun: the caller gave up");
      }
      const outcome = this.#step({ kind: "run", statement, format, rowShape, runMsMax });
      const stop = this.#running?.stop ?? (() => {});
      signal?.addEventListener("abort", stop);
      try {
        await outcome;
      } finally {
        signal?.removeEventListener("abort", stop);
      }
      await this.#seen(deadlineMs);
      return valueOf(await outcome);
    });
  }

  async commit(timeoutMs: Milliseconds): Promise<{ index: LogIndex }> {
    return await this.#call(timeoutMs, async (deadlineMs) => {
      const outcome = await this.#step({ kind: "commit" });
      if (this.#entered !== undefined) {
        return { index: await this.#site.committed(this.#entered, deadlineMs) };
      }
      const index = await this.#seen(deadlineMs);
      valueOf(outcome);
      return { index };
    });
  }

  rollback(): Promise<void> {
    this.#rollBack(notOpen("it was rolled back"));
    return this.#over.promise;
  }

  async #call<T>(timeoutMs: Milliseconds, work: (deadlineMs: Milliseconds) => Promise<T>): Promise<T> {
    this.#mustBeFree();
    this.#isBusy = true;
    try {
      return await work(this.#site.nowMs() + timeoutMs);
    } finally {
      this.#isBusy = false;
      this.#idleSinceMs = this.#site.nowMs();
    }
  }

  #mustBeFree(): void {
    if (this.#end !== undefined) throw again(this.#end);
    if (!this.#isBusy) return;
    throw new NodeError(
      "bad_request",
      "Cannot run the statement: the one before it has not been answered yet",
    );
  }

  #step(step: TransactionStep): Promise<Outcome<EncodedFields>> {
    return new Promise((resolve, reject) => {
      this.#send(step, (outcome) => outcome instanceof NodeError ? reject(outcome) : resolve(outcome));
    });
  }

  #send(step: TransactionStep, settle?: RunningStep["settle"]): void {
    assert(this.#running === undefined, "A step of a transaction came while another one runs");
    const sent = this.#site.send(step);
    if (sent === undefined) settle?.(again(mustHave(this.#end, "the reason for which the writer ended")));
    else this.#running = { kind: step.kind, ...sent, settle };
  }

  /** Resolves when what it saw at its beginning is certain. If it cannot be confirmed, nothing of it may be shown. */
  async #seen(deadlineMs: Milliseconds): Promise<LogIndex> {
    try {
      return this.#beganIndex ??= await this.#site.confirmed(mustHave(this.#began, "the tip"), deadlineMs);
    } catch (error) {
      const failure = asNotLogged(error);
      this.#rollBack(failure);
      throw failure;
    }
  }

  /** The worker has done a step, the one of `stepNumber`. */
  onResults(results: TransactionResults): void {
    const step = mustHave(this.#running, "running step");
    this.#running = undefined;
    const outcome = mustHave(unpackAnswers(results.answers)[0], "outcome of the step");
    if (results.died) return this.#onDied(step, outcome);
    switch (step.kind) {
      case "begin":
        this.#onBegun(outcome);
        break;
      case "run":
        if (!results.isOpen) this.#finish(notOpen("SQLite rolled it back after an error"), "sound");
        step.settle?.(this.#end !== undefined && results.isOpen ? again(this.#end) : outcome);
        break;
      case "commit":
        this.#onCommitted(step, outcome, results);
        break;
      case "rollback":
        this.#finish(undefined, results.isOpen || !outcome.ok ? "unsure" : "sound");
    }
    if (this.#end !== undefined) this.#rollBack(this.#end);
  }

  #onBegun(outcome: Outcome<EncodedFields>): void {
    try {
      valueOf(outcome);
      this.#began = this.#site.tip();
    } catch (error) {
      const failure = toNodeError(error);
      this.#pending.reject(failure);
      this.#finish(failure, "unsure");
      return;
    }
    this.#phase = "open";
    this.#idleSinceMs = this.#site.nowMs();
    if (this.#end === undefined) this.#pending.resolve(this);
  }

  #onCommitted(step: RunningStep, outcome: Outcome<EncodedFields>, results: TransactionResults): void {
    if (outcome.ok) {
      try {
        if (results.bodies.length > 0) this.#entered = this.#site.enter(step.number, results.bodies);
      } catch (error) {
        const failure = toNodeError(error);
        this.#finish(failure, "sound");
        step.settle?.(failure);
        return;
      }
      this.#finish(notOpen("it was committed"), "sound");
    } else if (!results.isOpen) {
      this.#finish(notOpen("SQLite rolled it back at its commit"), "sound");
    }
    step.settle?.(outcome);
  }

  #onDied(step: RunningStep, outcome: Outcome<EncodedFields>): void {
    const failure = outcome.ok ? sessionLost() : fromErrorRecord(outcome.error);
    if (this.#phase === "beginning") this.#pending.reject(failure);
    this.#finish(failure, "lost");
    step.settle?.(failure);
  }

  /** Now, or as soon as the running statement has stopped. A commit that succeeds meanwhile stands. */
  #rollBack(reason: NodeError): void {
    if (this.#phase === "over") return;
    this.#end ??= reason;
    if (this.#running !== undefined) this.#running.stop();
    else this.#send({ kind: "rollback" });
  }

  #finish(end: NodeError | undefined, session: "sound" | "unsure" | "lost"): void {
    this.#end ??= end;
    this.#phase = "over";
    this.#over.resolve();
    this.#site.ended(session);
  }

  /** The session went with the writer or its worker; nothing of the transaction was logged. */
  lose(error: NodeError): void {
    if (this.#phase === "beginning") this.#pending.reject(error);
    const running = this.#running;
    this.#running = undefined;
    this.#phase = "over";
    this.#end ??= error;
    this.#over.resolve();
    running?.settle?.(error);
  }

  /** Rolls it back when it has been open, or idle, for too long. */
  expire(nowMs: Milliseconds): void {
    if (this.#end !== undefined) return;
    if (this.#phase === "beginning") {
      if (nowMs < this.#pending.deadlineMs) return;
      const failure = new NodeError("timeout", "Transaction waited for the writer past its time limit");
      this.#end = failure;
      this.#pending.reject(failure);
    } else if (nowMs - this.#beganMs >= LIMITS.transactionMsMax) {
      this.#rollBack(expired("transactionMsMax", "it was open"));
    } else if (!this.#isBusy && nowMs - this.#idleSinceMs >= LIMITS.transactionIdleMsMax) {
      this.#rollBack(expired("transactionIdleMsMax", "it was idle"));
    }
  }
}

/** What failed wrote nothing, whatever became of the entries whose state it saw. */
export function asNotLogged(error: unknown): NodeError {
  if (error instanceof NodeError && error.code !== "commit_unknown") return error;
  return new NodeError("timeout", "The statement failed, and what it saw could not be confirmed in time");
}

function valueOf(outcome: Outcome<EncodedFields>): EncodedFields {
  if (outcome.ok) return outcome.value;
  throw fromErrorRecord(outcome.error);
}

function toNodeError(error: unknown): NodeError {
  return error instanceof NodeError ? error : new NodeError("internal", String(error));
}

/** Each caller gets an error with a trace of its own. */
function again(error: NodeError): NodeError {
  return new NodeError(error.code, error.message, error.details, { cause: error });
}

function notOpen(why: string): NodeError {
  return new NodeError("sql_error", `Cannot go on: no transaction is open, ${why}; begin a new one`);
}

function sessionLost(): NodeError {
  return new NodeError(
    "engine_failed",
    "Transaction ended: the SQLite instance was lost; nothing was logged",
  );
}

function expired(name: "transactionMsMax" | "transactionIdleMsMax", what: string): NodeError {
  return new NodeError(
    "timeout",
    `Transaction rolled back: ${what} for ${LIMITS[name]} ms, longer than it may be; nothing was logged`,
    { limit: { name, value: LIMITS[name] } },
  );
}
