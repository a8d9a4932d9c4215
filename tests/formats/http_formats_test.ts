/**
 * The JSON contract as files: an answer or a value that changes its bytes changes API version 1. To accept a change that
 * is meant, run with UPDATE_FORMATS=1 and review the difference.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { JsonAnswerWriter } from "../../core/sql/json_answer_writer.ts";
import type { SqlParameter } from "../../core/sql/values.ts";
import { NodeError } from "../../core/base/errors.ts";
import { decodeJsonBody } from "../../net/api/json_body.ts";
import { narrowInteger } from "../../net/api/json_values.ts";
import { ExecuteRequestBody } from "../../net/api/schemas.ts";
import { validate } from "../../net/api/validate.ts";
import { decodeValue, encodeParameter } from "../../net/client/json_values.ts";
import { appFixture, bodyText, request } from "../support/http_fixture.ts";

const FOLDER = new URL("v1/", import.meta.url);

interface ValueCase {
  readonly storage: "null" | "integer" | "real" | "text" | "blob";
  /** Digits, a JavaScript number, the text itself, or hex digits. */
  readonly value: string;
  readonly json: string;
}

interface AnswerCase {
  readonly name: string;
  readonly request: {
    readonly method: string;
    readonly target: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: string;
  };
  /** Failure of the node, where it is not the request that is wrong. */
  readonly failure?: {
    readonly code: "commit_unknown" | "constraint_failed" | "view_expired";
    readonly statement_index?: number;
  };
  readonly response: { readonly status: number; readonly headers: readonly string[]; readonly body: string };
}

function read<T>(name: string): T {
  return JSON.parse(Deno.readTextFileSync(new URL(name, FOLDER)));
}

/** The value as SQLite holds it and as a worker meets it. */
function toSql({ storage, value }: ValueCase) {
  switch (storage) {
    case "null":
      return null;
    case "integer":
      return narrowInteger(BigInt(value));
    case "real":
      return Number(value);
    case "text":
      return value;
    case "blob":
      return Uint8Array.fromHex(value);
  }
}

/** The parameter that binds the value with its storage class. */
function toParameter(value: ValueCase): SqlParameter {
  const sql = toSql(value);
  const looksLikeInteger = Number.isInteger(sql) && !Object.is(sql, -0);
  return value.storage === "real" && looksLikeInteger ? { real: sql as number } : sql;
}

function writeJson(value: ValueCase): string {
  const writer = new JsonAnswerWriter();
  const sql = toSql(value);
  if (sql === null) writer.null();
  else if (sql instanceof Uint8Array) writer.blob(sql);
  else if (typeof sql === "string") writer.text(new TextEncoder().encode(sql));
  else if (value.storage === "real") writer.real(sql as number);
  else writer.integer(sql);
  return new TextDecoder().decode(writer.take());
}

Deno.test("values: workers write them, requests and the client read them back as they were", () => {
  for (const value of read<ValueCase[]>("http_values.json")) {
    const name = `${value.storage} ${value.value}`;
    assert.equal(writeJson(value), value.json, name);
    const body = new TextEncoder().encode(`{"sql":"x","params":[${value.json}]}`);
    assert.deepEqual(
      validate(ExecuteRequestBody, decodeJsonBody(body, 16)).params,
      [toParameter(value)],
      name,
    );
    assert.deepEqual(decodeValue(JSON.parse(value.json)), toSql(value), name);
  }
});

const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(narrowInteger);
const blob = fc.uint8Array({ maxLength: 40 });
const text = fc.string({ unit: "binary" });
/** Large integral ones included: without a fraction they are digits only. */
const real = fc.oneof(fc.double({ noNaN: true }), fc.integer().map((value) => value * 1e12));

/** Bodies as the decoder leaves them, one parameter each. */
function bindThroughJson(json: string): SqlParameter | undefined {
  const body = new TextEncoder().encode(`{"sql":"x","params":{"p":${json}}}`);
  const { params } = validate(ExecuteRequestBody, decodeJsonBody(body, 16));
  return Array.isArray(params) ? undefined : (params as Readonly<Record<string, SqlParameter>>).p;
}

Deno.test("parameters of the client reach the node as they were, with their storage class", () => {
  const boxed = real.map((value) => ({ real: value }));
  fc.assert(
    fc.property(fc.oneof(fc.constant(null), fc.boolean(), int64, real, boxed, text, blob), (value) => {
      const bound = bindThroughJson(JSON.stringify(encodeParameter(value, "p")));
      assert.deepEqual(storageOf(bound), storageOf(value));
    }),
  );
});

Deno.test("values of answers sent back as parameters are the same values", () => {
  const cases = fc.oneof(
    int64.map((value) => ({ storage: "integer" as const, value: String(value) })),
    real.map((value) => ({ storage: "real" as const, value: Object.is(value, -0) ? "-0" : String(value) })),
    text.map((value) => ({ storage: "text" as const, value })),
    blob.map((value) => ({ storage: "blob" as const, value: value.toHex() })),
  );
  fc.assert(fc.property(cases, (value) => {
    const each = { ...value, json: "" };
    const json = writeJson(each);
    assert.deepEqual(storageOf(bindThroughJson(json)), storageOf(toParameter(each)));
    assert.deepEqual(decodeValue(JSON.parse(json)), toSql(each));
  }));
});

/** How `SqlParameter` says a value is bound. */
function storageOf(value: SqlParameter | undefined): readonly [string, unknown] {
  if (typeof value === "boolean") return ["integer", value ? 1 : 0];
  if (typeof value === "bigint") return ["integer", value];
  if (typeof value === "number") {
    return [Number.isSafeInteger(value) && !Object.is(value, -0) ? "integer" : "real", value];
  }
  if (value instanceof Uint8Array) return ["blob", value];
  return typeof value === "object" && value !== null ? ["real", value.real] : [typeof value, value];
}

Deno.test("answers keep their bytes", async () => {
  const cases = read<AnswerCase[]>("http_answers.json");
  const seen: AnswerCase[] = [];
  for (const each of cases) {
    const { node, app } = appFixture();
    if (each.failure !== undefined) {
      const { code, ...details } = each.failure;
      node.failure = new NodeError(code, "Told by the node", details);
    }
    const response = await app(request(each.request));
    // Wording is not part of the contract.
    const body = (await bodyText(response)).replace(/"message":"(\\.|[^"\\])*"/, '"message":"…"');
    seen.push({ ...each, response: { status: response.status, headers: response.headers, body } });
  }
  if (Deno.env.get("UPDATE_FORMATS") === "1") {
    Deno.writeTextFileSync(new URL("http_answers.json", FOLDER), JSON.stringify(seen, null, 2) + "\n");
  }
  assert.deepEqual(seen, cases);
});
