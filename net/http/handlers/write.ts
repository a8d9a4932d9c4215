import type { WriteRequest } from "../../../core/node/service.ts";
import { BatchRequestBody, ExecuteRequestBody } from "../../api/schemas.ts";
import type { Call } from "../call.ts";
import type { HttpResponse } from "../http_message.ts";

/** `POST /v1/databases/{database}/execute` */
export async function execute(call: Call): Promise<HttpResponse> {
  const database = call.database;
  const body = await call.body(ExecuteRequestBody);
  return await write(call, {
    database,
    kind: "execute",
    statements: [{ sql: body.sql, parameters: body.params }],
    timeoutMs: body.timeout_ms,
    format: call.format,
    rowShape: body.rows,
  });
}

/** `POST /v1/databases/{database}/batch` */
export async function batch(call: Call): Promise<HttpResponse> {
  const database = call.database;
  const body = await call.body(BatchRequestBody);
  return await write(call, {
    database,
    kind: "batch",
    statements: body.statements.map(({ sql, params }) => ({ sql, parameters: params })),
    timeoutMs: body.timeout_ms,
    format: call.format,
    rowShape: body.rows,
  });
}

/** A write goes on when the client disconnects: it may be in the log already. */
async function write(call: Call, request: WriteRequest): Promise<HttpResponse> {
  const idempotencyKey = call.idempotencyKey;
  const parseMs = call.elapsedMs;
  const answer = await call.node.write(
    idempotencyKey === undefined ? request : { ...request, idempotencyKey },
  );
  if (answer.committedMs !== undefined) call.services.metrics.writeParseMs += parseMs;
  const facts = {
    index: answer.index,
    time_ms: call.elapsedMs,
    replayed: answer.replayed ? true : undefined,
  };
  return call.spliced(answer.fields, facts, answer.index, answer.committedMs);
}
