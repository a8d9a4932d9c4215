import assert from "node:assert/strict";
import { NodeError } from "../../core/base/errors.ts";
import { LIMITS } from "../../core/base/limits.ts";
import { decodeJsonBody } from "./json_body.ts";
import { REQUEST_SCHEMAS } from "./schemas.ts";
import { formatPath, type Schema, validate } from "./validate.ts";

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

function refusal(schema: Schema, body: unknown): NodeError {
  try {
    validate(schema, body);
  } catch (error) {
    assert(error instanceof NodeError, String(error));
    assert.equal(error.code, "bad_request");
    return error;
  }
  throw new Error(`Accepted ${JSON.stringify(body)}`);
}

const parse = (text: string) => decodeJsonBody(new TextEncoder().encode(text), LIMITS.requestDepthMax);

interface RequestCase {
  readonly schema: Schema;
  readonly valid: { [key: string]: Json };
  readonly required: readonly string[];
  /** For each field, values of a wrong type or beyond its range. */
  readonly wrong: { readonly [field: string]: readonly Json[] };
}

const SQL: readonly Json[] = [null, 1, true, [], {}, "", "a\0b", "\ud800"];
const PARAMS: readonly Json[] = [null, 1, "x", true];
const TIMEOUT: readonly Json[] = [null, "5", 0, -1, 1.5, LIMITS.requestMsMax + 1, true, []];
const ROWS: readonly Json[] = [null, 1, "maps", ""];
const UNSIGNED: readonly Json[] = [
  null,
  -1,
  1.5,
  true,
  "",
  "-1",
  "01",
  "1.5",
  "18446744073709551616",
  2 ** 53,
];
const MEMBER = { role: "stand_by", weight: 3, failure_domain: "18446744073709551615" };
const WRONG_MEMBER = { role: [null, 1, "learner", "leader", ""], weight: UNSIGNED, failure_domain: UNSIGNED };
const ADDRESS: readonly Json[] = [
  null,
  1,
  "",
  "host",
  "host:",
  ":1",
  "host:port",
  "a b:1",
  "http://h:1",
  "[x]:1",
  "h:123456",
];

/** A time is exact: a day, a time without its zone or without seconds, and a day that is not in the calendar are none. */
const TIMES_REFUSED: readonly Json[] = [
  "2026-11-21",
  "2026-11-21T10:00:00",
  "2026-11-21T10:00Z",
  "2026-11-21 10:00:00Z",
  "2026-02-29T10:00:00Z",
  "2026-11-21T10:00:00+24:00",
  "Sat, 21 Nov 2026 10:00:00 GMT",
];

const CASES: { readonly [name: string]: RequestCase } = {
  query: {
    schema: REQUEST_SCHEMAS.QueryRequest,
    valid: { sql: "x", params: [1], level: "stale", max_age_ms: 1, rows: "arrays", timeout_ms: 1 },
    required: ["sql"],
    wrong: {
      sql: SQL,
      params: PARAMS,
      level: [null, 1, "strong", ""],
      max_age_ms: [null, "1", -1, 0.5],
      index: [null, "1", -1, 0.5, 1],
      as_of: [null, -1, 0.5, true, "", "now", "1234", ...TIMES_REFUSED, 7, "2026-11-21T10:00:00Z"],
      rows: ROWS,
      timeout_ms: TIMEOUT,
    },
  },
  execute: {
    schema: REQUEST_SCHEMAS.ExecuteRequest,
    valid: { sql: "x", params: { a: 1 }, rows: "objects", timeout_ms: LIMITS.requestMsMax },
    required: ["sql"],
    wrong: { sql: SQL, params: PARAMS, rows: ROWS, timeout_ms: TIMEOUT },
  },
  batch: {
    schema: REQUEST_SCHEMAS.BatchRequest,
    valid: { statements: [{ sql: "x" }, { sql: "y", params: [null] }], rows: "arrays", timeout_ms: 1 },
    required: ["statements"],
    wrong: { statements: [null, "x", 1, {}, []], rows: ROWS, timeout_ms: TIMEOUT },
  },
  createDatabase: {
    schema: REQUEST_SCHEMAS.CreateDatabaseRequest,
    valid: { name: "a.b-c_1", timeout_ms: 1 },
    required: ["name"],
    wrong: { name: [null, 1, "", ".a", "-a", "a/b", "a b", "é", "a\n", "a".repeat(65)], timeout_ms: TIMEOUT },
  },
  addMember: {
    schema: REQUEST_SCHEMAS.AddMemberRequest,
    valid: { raft_address: "h.example:1", http_address: "[::1]:65535", ...MEMBER, timeout_ms: 1 },
    required: ["raft_address", "http_address"],
    wrong: { raft_address: ADDRESS, http_address: ADDRESS, ...WRONG_MEMBER, timeout_ms: TIMEOUT },
  },
  changeMember: {
    schema: REQUEST_SCHEMAS.ChangeMemberRequest,
    valid: { ...MEMBER, timeout_ms: 1 },
    required: [],
    wrong: { ...WRONG_MEMBER, timeout_ms: TIMEOUT },
  },
  transfer: {
    schema: REQUEST_SCHEMAS.TransferRequest,
    valid: { to: 3, timeout_ms: 1 },
    required: [],
    wrong: { to: [null, "3", 0, -1, 1.5], timeout_ms: TIMEOUT },
  },
};

for (const [name, { schema, valid, required, wrong }] of Object.entries(CASES)) {
  Deno.test(`${name}: the valid body passes, alone and with only its required fields`, () => {
    validate(schema, valid);
    validate(schema, Object.fromEntries(required.map((field) => [field, valid[field] ?? null])));
  });

  Deno.test(`${name}: each missing field is named`, () => {
    for (const field of required) {
      const { [field]: _left, ...rest } = valid;
      const error = refusal(schema, rest);
      assert.equal(error.details.field, field);
      assert.match(error.message, new RegExp(`^Missing field "${field}"`));
    }
  });

  Deno.test(`${name}: an unknown field is named`, () => {
    for (const field of ["extra", "SQL", "timeoutMs", ""]) {
      const error = refusal(schema, { ...valid, [field]: 1 });
      assert.equal(error.details.field, field === "" ? "body" : field);
      assert.match(error.message, /^Unknown field/);
    }
  });

  Deno.test(`${name}: each wrong value is named with what was expected and found`, () => {
    for (const [field, values] of Object.entries(wrong)) {
      for (const value of values) {
        const error = refusal(schema, { ...valid, [field]: value });
        assert.equal(error.details.field, field, `${field}: ${JSON.stringify(value)}`);
        assert.match(error.message, /^Field ".*" (must|is) .*, found (null|number|boolean|a|an) ?/);
      }
    }
  });

  Deno.test(`${name}: a body that is no object is named as a whole`, () => {
    for (const body of [null, 1, "x", [], true]) assert.equal(refusal(schema, body).details.field, "body");
  });
}

Deno.test("the path leads to the innermost part that is wrong", () => {
  const cases: readonly (readonly [string, string])[] = [
    [`{"statements":[{"sql":"a"},{"params":[]}]}`, "statements[1].sql"],
    [`{"statements":[{"sql":"a"},{"sql":"b"},{"sql":"c","params":5}]}`, "statements[2].params"],
    [`{"statements":[{"sql":"a","params":[1,[2]]}]}`, "statements[0].params[1]"],
    [`{"statements":[{"sql":"a","params":{"x":{"y":1}}}]}`, "statements[0].params.x"],
    [`{"statements":[{"sql":"a","params":[{"int64":5}]}]}`, "statements[0].params[0].int64"],
    [`{"statements":[{"sql":"a","params":[{"int64":"1","real":1}]}]}`, "statements[0].params[0]"],
    [`{"statements":[{"sql":"a","timeout_ms":1}]}`, "statements[0].timeout_ms"],
    [`{"statements":[7]}`, "statements[0]"],
  ];
  for (const [text, field] of cases) {
    assert.equal(refusal(REQUEST_SCHEMAS.BatchRequest, parse(text)).details.field, field, text);
  }
});

Deno.test("index and age belong to their levels", () => {
  const query = REQUEST_SCHEMAS.QueryRequest;
  validate(query, { sql: "x", level: "index", index: 0 });
  const missing = refusal(query, { sql: "x", level: "index" });
  assert.equal(missing.message, 'Missing field "index": it is required with level "index"');
  assert.equal(refusal(query, { sql: "x", index: 1 }).details.field, "index");
  assert.equal(
    refusal(query, { sql: "x", level: "index", index: 1, max_age_ms: 1 }).details.field,
    "max_age_ms",
  );
});

Deno.test("a moment of the past is an index or a time, and means its level", () => {
  const query = REQUEST_SCHEMAS.QueryRequest;
  const asOf = (body: object) => {
    const { level, asOf } = validate(query, { sql: "x", ...body });
    return [level, asOf];
  };
  const wallMs = Date.UTC(2026, 10, 21, 10);
  assert.deepEqual(asOf({}), ["linearizable", undefined]);
  assert.deepEqual(asOf({ as_of: 0 }), ["as_of", { index: 0 }]);
  assert.deepEqual(asOf({ as_of: 7, level: "as_of" }), ["as_of", { index: 7 }]);
  assert.deepEqual(asOf(parse(`{"as_of":1e3}`) as object), ["as_of", { index: 1000 }]);
  assert.deepEqual(asOf({ as_of: "2026-11-21T10:00:00.000Z" }), ["as_of", { wallMs }]);
  assert.deepEqual(asOf({ as_of: "2026-11-21T11:30:00.25+01:30" }), ["as_of", { wallMs: wallMs + 250 }]);
});

Deno.test("a moment of the past does not go with another level, its index or its age", () => {
  const query = REQUEST_SCHEMAS.QueryRequest;
  const field = (body: object) => refusal(query, { sql: "x", ...body }).details.field;
  for (const level of ["linearizable", "stale"]) assert.equal(field({ as_of: 7, level }), "as_of");
  assert.equal(field({ as_of: 7, level: "index", index: 7 }), "as_of");
  assert.equal(field({ as_of: 7, index: 7 }), "index");
  assert.equal(field({ as_of: 7, max_age_ms: 7 }), "max_age_ms");
  assert.equal(
    refusal(query, { sql: "x", level: "as_of" }).message,
    'Missing field "as_of": it is required with level "as_of"',
  );
  assert.match(refusal(query, { sql: "x", as_of: "yesterday" }).message, /log index or a time with its zone/);
  assert.match(refusal(query, parse(`{"sql":"x","as_of":9007199254740993}`)).message, /beyond 2\^53$/);
});

Deno.test("bounds on counts are kept", () => {
  const many = Array.from({ length: LIMITS.parametersPerStatementMax + 1 }, () => 1);
  assert.equal(refusal(REQUEST_SCHEMAS.ExecuteRequest, { sql: "x", params: many }).details.field, "params");
  validate(REQUEST_SCHEMAS.ExecuteRequest, { sql: "x", params: many.slice(1) });
  const statements = Array.from({ length: LIMITS.statementsPerBatchMax + 1 }, () => ({ sql: "x" }));
  assert.equal(refusal(REQUEST_SCHEMAS.BatchRequest, { statements }).details.field, "statements");
});

Deno.test("a number field may be written as a REAL", () => {
  assert.equal(
    validate(REQUEST_SCHEMAS.ExecuteRequest, parse(`{"sql":"x","timeout_ms":1e3}`)).timeout_ms,
    1000,
  );
  assert.equal(
    refusal(REQUEST_SCHEMAS.ExecuteRequest, { sql: "x", timeout_ms: { real: 5 } }).details.field,
    "timeout_ms",
  );
});

Deno.test("messages do not repeat what bodies contain", () => {
  const error = refusal(REQUEST_SCHEMAS.ExecuteRequest, { sql: "x", rows: "my password" });
  assert.doesNotMatch(error.message, /password/);
});

Deno.test("paths are printed as in JavaScript", () => {
  assert.equal(formatPath(["statements", 2, "params", "a"]), "statements[2].params.a");
  assert.equal(formatPath([]), "body");
});
