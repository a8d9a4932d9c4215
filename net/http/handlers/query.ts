import type { QueryRequest } from "../../../core/node/service.ts";
import { QueryRequestBody } from "../../api/schemas.ts";
import type { Call } from "../call.ts";
import type { HttpResponse } from "../http_message.ts";

/** `POST /v1/databases/{database}/query`. The query stops when the client disconnects. */
export async function query(call: Call): Promise<HttpResponse> {
  const database = call.database;
  const body = await call.body(QueryRequestBody);
  const request: QueryRequest = {
    database,
    sql: body.sql,
    parameters: body.params,
    level: body.level,
    index: body.index,
    maxAgeMs: body.max_age_ms,
    asOf: body.asOf,
    timeoutMs: body.timeout_ms,
    format: call.format,
    rowShape: body.rows,
    signal: call.request.signal,
  };
  const answer = call.node.queryNow(request) ?? await call.node.query(request);
  const facts = { index: answer.index, level: body.level, age_ms: answer.ageMs, time_ms: call.elapsedMs };
  return call.spliced(answer.fields, facts, answer.index);
}
