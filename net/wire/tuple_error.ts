/**
 * - `malformed`: the bytes do not have the layout they should have.
 * - `type`: the layout is right, but a value has a type that is not allowed at its place, or does not fit its type.
 */
export type TupleErrorReason = "malformed" | "type";

/** Bytes that are no tuple, or values that no tuple can hold. */
export class TupleError extends Error {
  override name = "TupleError";

  /**
   * @param offset where in the bytes, read or written, the fault lies; counted from where the reader or writer began
   */
  constructor(
    message: string,
    readonly offset: number,
    readonly reason: TupleErrorReason = "malformed",
  ) {
    super(message);
  }
}
