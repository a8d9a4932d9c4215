import type { NodeError } from "../../core/base/errors.ts";
import type { ResultFormat } from "../../core/sql/values.ts";
import { HTTP_STATUS, toErrorBody } from "../api/error_body.ts";
import { encodeBody, mediaHeader } from "./answer_encoding.ts";
import type { HttpResponse } from "./http_message.ts";

/** Seconds after which a client may try again where the refusal is about load or leadership. */
const RETRY_AFTER = "retry-after: 1";

/** The one form of an error: `{error: {code, message, retry, may_have_committed, …}}` with its status. */
export function errorResponse(error: NodeError, format: ResultFormat): HttpResponse {
  const status = HTTP_STATUS[error.code];
  const headers = [mediaHeader(format)];
  if (status === 503) headers.push(RETRY_AFTER);
  if (status === 401) headers.push("www-authenticate: Bearer");
  return { status, headers, body: [encodeBody(toErrorBody(error), format)] };
}
