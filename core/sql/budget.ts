import type { CancelFlag } from "./sql_session.ts";

/**
 * How often the session of a run on the main thread may ask whether to stop: it asks after so many operations. SQLite counts
 * those of all runs of a kept statement, so the first question of a run may come after its first operation.
 */
export class Budget implements CancelFlag {
  #questionsLeft = 0;

  begin(questions: number): void {
    this.#questionsLeft = questions;
  }

  isCancelled(): boolean {
    return --this.#questionsLeft < 0;
  }
}
