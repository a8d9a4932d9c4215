import { isWalraftError } from "../client/mod.ts";

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** One line for people, with the code that programs and the manual know. */
export function describeError(error: unknown): string {
  return isWalraftError(error) ? `${error.message} [${error.code}]` : messageOf(error);
}
