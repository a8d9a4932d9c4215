import { deepEqual, equal, ok } from "node:assert/strict";
import { ERROR_CODES, type ErrorCode, NodeError } from "../../core/base/errors.ts";
import { TupleError } from "../wire/tuple_error.ts";
import { FailureError } from "./failure.ts";
import { FAILURE, FailureCode, failureOf, isRepeatedByClients } from "./failure_codes.ts";

const CODES = Object.keys(ERROR_CODES) as ErrorCode[];
/** All that go-dqlite turns into a broken connection, after which a statement is sent again (promise 5). */
const REPEATED = [0, 12, 8202, 8458, 10250, 10506];

Deno.test("failureOf() gives a write of unknown fate no code that clients repeat, whatever SQLite said: promise 5", () => {
  const unknown = CODES.filter((code) => ERROR_CODES[code].mayHaveCommitted);
  deepEqual(unknown, ["commit_unknown"]);
  for (const code of unknown) {
    for (const sqlite_code of [undefined, ...REPEATED]) {
      const details = sqlite_code === undefined ? {} : { sqlite_code };
      deepEqual(failureOf(new NodeError(code, "Cannot say", details)), {
        code: 51210,
        message: "Cannot say",
      });
    }
  }
  equal(51210 & 0xff, 10, "an I/O error to programs that look at the primary code");
});

Deno.test("failureOf() lets clients repeat only what the list calls safe: promise 5", () => {
  for (const code of CODES) {
    for (const sqlite_code of [undefined, ...REPEATED]) {
      const failure = failureOf(
        new NodeError(code, "Cannot", sqlite_code === undefined ? {} : { sqlite_code }),
      );
      if (REPEATED.includes(failure.code)) {
        equal(ERROR_CODES[code].retry, "safe", code);
        deepEqual(failure, { code: 10250, message: "not leader" });
      }
    }
  }
  for (const code of ["not_leader", "no_leader", "stopping"] as const) {
    equal(failureOf(new NodeError(code, "Cannot")).code, FailureCode.notLeader);
  }
  for (const code of REPEATED) ok(isRepeatedByClients(code));
  ok(!isRepeatedByClients(FailureCode.commitUnknown));
});

Deno.test("failureOf() gives SQLite's code and SQLite's words", () => {
  const error = new NodeError(
    "constraint_failed",
    "Statement 2 of 3: Cannot run the statement: UNIQUE constraint failed: t.i",
    { sqlite_code: 2067, statement_index: 1 },
  );
  deepEqual(failureOf(error), { code: 2067, message: "UNIQUE constraint failed: t.i" });
  const syntax = new NodeError("sql_error", "Cannot run the statement: no such table: t", { sqlite_code: 1 });
  deepEqual(failureOf(syntax), { code: 1, message: "no such table: t" });
});

Deno.test("failureOf() gives the primary code where SQLite's extended one means something else to clients", () => {
  const codeOf = (sqlite_code: number) =>
    failureOf(new NodeError("sql_error", "Cannot", { sqlite_code })).code;
  // SQLITE_IOERR_DATA and SQLITE_IOERR_CORRUPTFS were "not leader" and "leadership lost" once.
  equal(codeOf(8202), 10);
  equal(codeOf(8458), 10);
  equal(codeOf(12), 1);
  equal(codeOf(0), 1);
  equal(codeOf(-1), 1);
  equal(codeOf(779), 779);
});

Deno.test("failureOf() answers bytes that are no request, and defects", () => {
  deepEqual(failureOf(new TupleError("Cannot read", 8, "type")), { code: 1, message: "bind parameters" });
  deepEqual(failureOf(new TupleError("Cannot read a text", 8)), {
    code: 1005,
    message: "Cannot read a text",
  });
  deepEqual(failureOf(new FailureError(FAILURE.requestTypeUnknown)), FAILURE.requestTypeUnknown);
  deepEqual(failureOf(new Error("defect")), { code: 2, message: "Error: defect" });
});
