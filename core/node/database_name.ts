import { NodeError } from "../base/errors.ts";
import { DATABASE_NAME_PATTERN, LIMITS } from "../base/limits.ts";

/** @throws NodeError bad_request */
export function mustBeName(name: string): void {
  if (DATABASE_NAME_PATTERN.test(name)) return;
  throw new NodeError(
    "bad_request",
    `Cannot use ${
      JSON.stringify(name)
    } as the name of a database: letters, digits, "_", "-" and "." are allowed, ` +
      `at most ${LIMITS.databaseNameLengthMax}, not beginning with "-" or "."`,
    { field: "name" },
  );
}
