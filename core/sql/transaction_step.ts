import { toErrorRecord } from "../base/errors.ts";
import type { TransactionMessage, TransactionResults } from "./messages.ts";
import { packAnswers } from "./packed_answers.ts";
import type { EncodedFields } from "./values.ts";
import type { WriteBatch, WriterSession } from "./writer_session.ts";

/** What became of a step, without the names of the message it answers. */
export type StepResults = Pick<TransactionResults, "answers" | "isOpen" | "bodies" | "died">;

/**
 * Does one step of a transaction over several requests.
 *
 * @param encode makes entry bodies of the pages a commit left
 */
export function runTransactionStep(
  session: WriterSession,
  { step, batchNumber }: Pick<TransactionMessage, "step" | "batchNumber">,
  encode: (batch: Pick<WriteBatch, "pages" | "pageCount">) => Uint8Array[],
): StepResults {
  // Made anew each time: the bytes are handed over to another thread.
  let fields: EncodedFields = { format: "json", count: 0, bytes: new Uint8Array(0) };
  let bodies: Uint8Array[] = [];
  try {
    switch (step.kind) {
      case "begin":
        session.beginTransaction();
        break;
      case "run":
        fields = session.runInTransaction(step);
        break;
      case "commit":
        bodies = encode(session.commitTransaction(batchNumber));
        break;
      case "rollback":
        session.rollBackTransaction();
        break;
    }
    const answers = packAnswers([{ ok: true, value: fields }]);
    return { answers, isOpen: session.hasTransaction, bodies, died: false };
  } catch (error) {
    return { ...failedStep(error), isOpen: session.hasTransaction, died: session.isDead };
  }
}

/** Nothing could be done, and the session is to be given up. */
export function failedStep(error: unknown): StepResults {
  const answers = packAnswers([{ ok: false, error: toErrorRecord(error) }]);
  return { answers, isOpen: false, bodies: [], died: true };
}
