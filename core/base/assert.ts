/** Thrown when the program itself is wrong. Never a consequence of input, disk or network. */
export class AssertionError extends Error {
  override name = "AssertionError";
}

/**
 * States a fact the following code relies on. Stays on in production.
 *
 * @param message text, or a function for texts that cost something to build
 */
export function assert(condition: boolean, message: string | (() => string)): asserts condition {
  if (!condition) throw new AssertionError(typeof message === "string" ? message : message());
}

/** Marks a branch that no value can reach. */
export function assertNever(value: never, what: string): never {
  throw new AssertionError(`Unreachable ${what}: ${JSON.stringify(value)}`);
}

/** For a value the types think may be missing, although an invariant says otherwise. */
export function mustHave<T>(value: T | undefined | null, what: string | (() => string)): T {
  if (value === undefined || value === null) {
    throw new AssertionError(`Missing ${typeof what === "string" ? what : what()}`);
  }
  return value;
}
