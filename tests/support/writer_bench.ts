import { DatabaseWriter } from "../../core/node/database_writer.ts";
import type { Transaction } from "../../core/node/service.ts";
import { WriteStages } from "../../core/node/write_stages.ts";
import type { PendingWrite } from "../../core/node/writer_host.ts";
import type { NodeError } from "../../core/base/errors.ts";
import { Database } from "../../core/pages/database.ts";
import type {
  TransactionMessage,
  TransactionResults,
  WriteMessage,
  WriteResults,
  WriterUpdate,
} from "../../core/sql/messages.ts";
import { packAnswers } from "../../core/sql/packed_answers.ts";
import type { Placement } from "../../core/sql/short_writes.ts";

const FIELDS = { format: "json", count: 1, bytes: new Uint8Array(0) } as const;

/** A leader whose log is an array; commits happen when the test says so. */
export class WriterBench {
  nowMs = 0;
  readonly sent: Omit<WriteMessage, "jobId" | "segments">[] = [];
  readonly steps: Omit<TransactionMessage, "jobId" | "segments">[] = [];
  /** Steps that were asked to stop, by number. */
  readonly stopped: number[] = [];
  readonly proposed: Uint8Array[] = [];
  refusal: NodeError | undefined;
  placement: Placement = "stays";
  isSessionHere = false;
  refusalToOpen: NodeError | undefined;
  /** What happens while the log is brought up to date for that. */
  onRefusalToOpen = () => {};
  readonly told: WriterUpdate[] = [];
  closedSessions = 0;
  readonly #commits: (() => void)[] = [];
  #batchNumber = 0;
  /** Answers without an entry that asked whether this node still leads. */
  confirmedCount = 0;
  readonly stages = new WriteStages(() => this.nowMs);
  readonly writer = new DatabaseWriter(new Database(1, "main", 512, true), {
    nowMs: () => this.nowMs,
    endOfTurn: (callback) => callback(),
    nextBatchNumber: () => ++this.#batchNumber,
    placeSession: () => this.placement,
    isSessionHere: () => this.isSessionHere,
    tellSession: (update) => {
      this.told.push(update);
      return true;
    },
    send: (message) => this.sent.push(message),
    sendStep: (message) => {
      this.steps.push(message);
      return () => this.stopped.push(message.batchNumber);
    },
    refusalToOpen: () => {
      this.onRefusalToOpen();
      return this.refusalToOpen;
    },
    baseOf: () => ({
      databaseId: 1,
      pageSize: 512,
      file: undefined,
      filePageCount: 0,
      pages: new Database(1, "main", 512, true).pages.export(Infinity),
    }),
    closeSession: () => this.closedSessions++,
    propose: (body) => {
      if (this.refusal !== undefined) throw this.refusal;
      this.proposed.push(body);
      return { index: this.proposed.length, term: 1 };
    },
    tip: () => ({ index: this.proposed.length, term: 1 }),
    committed: ({ index }) => new Promise((resolve) => this.#commits.push(() => resolve(index))),
    confirmed: ({ index }) => {
      this.confirmedCount++;
      return new Promise((resolve) => this.#commits.push(() => resolve(index)));
    },
    stages: this.stages,
    mayPropose: () => true,
  });

  write(name: string): Promise<{ index: number }> {
    return new Promise((resolve, reject) => {
      const request = {
        database: "main",
        kind: "execute",
        statements: [{ sql: name, parameters: [] }],
        timeoutMs: 1_000,
        format: "json",
        rowShape: "arrays",
      } as const;
      const deadlineMs = this.nowMs + 1_000;
      const write: PendingWrite = { request, bytes: 10, deadlineMs, queuedMs: this.nowMs, resolve, reject };
      this.writer.add(write);
    });
  }

  /** The worker answers the newest batch. */
  answer(results: Partial<WriteResults> = {}): void {
    const message = this.sent.at(-1)!;
    const ok = { ok: true, value: FIELDS } as const;
    this.writer.onResults({
      kind: "write_results",
      jobId: 1,
      databaseId: 1,
      batchNumber: message.batchNumber,
      answers: packAnswers(message.requests.map(() => ok)),
      replayed: [],
      runMs: 0,
      bodies: [new Uint8Array([message.batchNumber])],
      ...results,
    });
  }

  begin(timeoutMs = 1_000): Promise<Transaction> {
    return new Promise((resolve, reject) =>
      this.writer.add({ deadlineMs: this.nowMs + timeoutMs, resolve, reject })
    );
  }

  /** Kinds of all steps sent so far. */
  get stepKinds(): string[] {
    return this.steps.map(({ step }) => step.kind);
  }

  /** The worker answers the newest step. */
  answerStep(results: Partial<TransactionResults> = {}): void {
    const message = this.steps.at(-1)!;
    const { kind } = message.step;
    this.writer.onTransactionResults({
      kind: "transaction_results",
      jobId: 1,
      databaseId: 1,
      batchNumber: message.batchNumber,
      answers: packAnswers([{ ok: true, value: FIELDS }]),
      isOpen: kind === "begin" || kind === "run",
      bodies: kind === "commit" ? [new Uint8Array([message.batchNumber])] : [],
      died: false,
      ...results,
    });
  }

  commit(): void {
    for (const commit of this.#commits.splice(0)) commit();
  }

  names(batch: number): string[] {
    return this.sent[batch]!.requests.map((request) => request.statements[0]!.sql);
  }
}
