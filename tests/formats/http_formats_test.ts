/**
 * The JSON contract as files: an answer or a value that changes its bytes changes API version 1. To accept a change that
 * is meant, run with UPDATE_FORMATS=1 and review the difference.
 */
import assert from "node:assert/strict";
import { JsonAnswerWriter } from "../../core/sql/json_answer_writer.ts";
import type { SqlParameter } from "../../core/sql/values.ts";
import { NodeError } from "../../core/base/errors.ts";
import { decodeJsonBody } from "../../net/api/json_body.ts";
import { narrowInteger } from "../../net/api/json_values.ts";
import { ExecuteRequestBody } from "../../net/api/schemas.ts";
import { validate } from "../../net/api/validate.ts";
import { decodeValue } from "../../net/client/json_values.ts";
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
    readonly code: "commit_unknown" | "constraint_failed";
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
  return value.storage === "real" && Number.isSafeInteger(sql) && !Object.is(sql, -0) ||
      value.storage === "real" && Number.isInteger(sql)
    ? Object.is(sql, -0) ? sql : { real: sql as number }
    : sql;
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
    const body = await bodyText(response);
    seen.push({ ...each, response: { status: response.status, headers: response.headers, body } });
  }
  if (Deno.env.get("UPDATE_FORMATS") === "1") {
    Deno.writeTextFileSync(new URL("http_answers.json", FOLDER), JSON.stringify(seen, null, 2) + "\n");
  }
  assert.deepEqual(seen, cases);
});
