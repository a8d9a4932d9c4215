import { QueryRequestBody } from "../../api/schemas.ts";
import type { Call } from "../call.ts";
import type { HttpResponse } from "../http_message.ts";

/** `POST /v1/databases/{database}/query`. The query stops when the client disconnects. */
export async function query(call: Call): Promise<HttpResponse> {
  const database = call.database;
  const body = await call.body(QueryRequestBody);
  const answer = await call.node.query({
    database,
    sql: body.sql,
    parameters: body.params,
    level: body.level,
    ...(body.index === undefined ? {} : { index: body.index }),
    ...(body.max_age_ms === undefined ? {} : { maxAgeMs: body.max_age_ms }),
    ...(body.asOf === undefined ? {} : { asOf: body.asOf }),
    timeoutMs: body.timeout_ms,
    format: call.format,
    rowShape: body.rows,
    signal: call.request.signal,
  });
  const facts = { index: answer.index, level: body.level, age_ms: answer.ageMs, time_ms: call.elapsedMs };
  return call.spliced(answer.fields, facts, answer.index);
}
