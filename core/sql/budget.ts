import type { CancelFlag } from "./sql_session.ts";

/**
 * What a run on the main thread may use. Its session asks after so many operations whether to stop. It counts the operations
 * of all runs of a statement, so that a run may hear the question after its first operation: questions come one too early.
 */
export class Budget implements CancelFlag {
  readonly #questionsMax: number;
  readonly #pageReadsMax: number;
  #questions = 0;
  /** Pages that the run has read, as far as somebody counts them. */
  pageReads = 0;

  constructor(questionsMax: number, pageReadsMax = Infinity) {
    this.#questionsMax = questionsMax;
    this.#pageReadsMax = pageReadsMax;
  }

  begin(): void {
    this.#questions = 0;
    this.pageReads = 0;
  }

  isCancelled(): boolean {
    return ++this.#questions > this.#questionsMax || this.pageReads > this.#pageReadsMax;
  }
}
