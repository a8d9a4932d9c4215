import type { CancelFlag } from "./sql_session.ts";

/**
 * What a run on the main thread may use. Its session asks after so many operations whether to stop. It counts the operations
 * of all runs of a statement, so that a run may hear the question after its first operation: questions come one too early.
 */
export class Budget implements CancelFlag {
  #questionsLeft = 0;
  #pageReadsLeft = 0;

  begin(questions: number, pageReads = Infinity): void {
    this.#questionsLeft = questions;
    this.#pageReadsLeft = pageReads;
  }

  /** Where somebody counts them. */
  pageRead(): void {
    this.#pageReadsLeft--;
  }

  isCancelled(): boolean {
    return --this.#questionsLeft < 0 || this.#pageReadsLeft < 0;
  }
}
