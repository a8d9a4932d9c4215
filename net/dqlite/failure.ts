/** What a server answers instead of a result: the body of a Failure. */
export interface Failure {
  /** SQLite's extended result code, or one of dqlite's own. */
  readonly code: number;
  readonly message: string;
}

/** A request, as far as it can be understood, that is answered with a Failure; the connection goes on. */
export class FailureError extends Error {
  override name = "FailureError";

  constructor(readonly failure: Failure) {
    super(`${failure.message} (${failure.code})`);
  }
}
