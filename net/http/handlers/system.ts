import { openApiDocument } from "../../api/openapi.ts";
import type { Call } from "../call.ts";
import { type HttpResponse, JSON_HEADER, TEXT_HEADER } from "../http_message.ts";

const utf8 = new TextEncoder();

/** `GET /` */
export function root(call: Call): HttpResponse {
  return call.answer(200, { name: "walraft", version: call.services.version, openapi: "/v1/openapi.json" });
}

/** `GET /livez` */
export function live(): HttpResponse {
  return { status: 200, headers: [TEXT_HEADER], body: ["ok\n"] };
}

/** `GET /readyz` */
export function ready(call: Call): HttpResponse {
  if (call.node.isReady()) return { status: 200, headers: [TEXT_HEADER], body: ["ready\n"] };
  return { status: 503, headers: [TEXT_HEADER, "retry-after: 1"], body: ["not ready\n"] };
}

/** `GET /metrics` */
export function metrics(call: Call): HttpResponse {
  return {
    status: 200,
    headers: ["content-type: text/plain; version=0.0.4; charset=utf-8"],
    body: [utf8.encode(call.services.metrics.render(call.node.metrics()))],
  };
}

let encodedDocument: { readonly version: string; readonly bytes: Uint8Array } | undefined;

/** `GET /v1/openapi.json`, printed once. */
export function openapi(call: Call): HttpResponse {
  const { version } = call.services;
  if (encodedDocument?.version !== version) {
    encodedDocument = { version, bytes: utf8.encode(JSON.stringify(openApiDocument(version))) };
  }
  return { status: 200, headers: [JSON_HEADER], body: [encodedDocument.bytes] };
}
