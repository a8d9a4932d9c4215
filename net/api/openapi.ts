import { z } from "zod";
import { ERROR_CODES, type ErrorCode } from "../../core/base/errors.ts";
import { ANSWER_SCHEMAS } from "./answer_schemas.ts";
import { HTTP_STATUS } from "./error_body.ts";
import { COMMON_ERRORS, type Route, ROUTES } from "./routes.ts";
import { NUMBER_SCHEMA, QUERY_SCHEMAS, REQUEST_SCHEMAS } from "./schemas.ts";

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

const JSON_TYPE = "application/json";
const MSGPACK_TYPE = "application/msgpack";

/** The OpenAPI 3.1 document of this API, made from the route table and the schemas that check requests. */
export function openApiDocument(version: string): { readonly [key: string]: Json } {
  const paths: Record<string, Record<string, Json>> = {};
  for (const route of ROUTES) {
    const path = paths[route.path] ??= {};
    path[route.method.toLowerCase()] = operation(route);
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "walraft",
      version,
      description:
        "SQLite, replicated. Every body may also be msgpack: `content-type` and `accept: application/msgpack`.",
    },
    paths,
    components: {
      schemas: componentSchemas(),
      securitySchemes: { token: { type: "http", scheme: "bearer" } },
    },
    security: [{ token: [] }, {}],
  };
}

function operation(route: Route): Json {
  return {
    operationId: route.id,
    summary: route.summary,
    ...(route.isPublic ? { security: [] } : {}),
    parameters: parametersOf(route),
    ...requestBodyOf(route),
    responses: {
      [route.status]: {
        description: "Done",
        ...(hasIndexHeader(route) ? { headers: INDEX_HEADER } : {}),
        content: answerContent(route),
      },
      ...errorResponses(route),
    },
  };
}

const INDEX_HEADER = {
  "walraft-index": { description: "The log index of the answer", schema: { type: "integer" } },
} as const;

function hasIndexHeader(route: Route): boolean {
  if (route.answer === "application/vnd.sqlite3") return true;
  return Object.hasOwn(ANSWER_SCHEMAS, route.answer) &&
    Object.hasOwn((ANSWER_SCHEMAS as Record<string, { shape?: object }>)[route.answer]?.shape ?? {}, "index");
}

function parametersOf(route: Route): Json[] {
  const parameters: Json[] = [];
  if (route.path.includes("{database}")) {
    parameters.push({ name: "database", in: "path", required: true, schema: { type: "string" } });
  }
  if (route.path.includes("{member}")) {
    parameters.push({ name: "member", in: "path", required: true, schema: { type: "integer" } });
  }
  if (route.query !== undefined) {
    const { properties } = z.toJSONSchema(QUERY_SCHEMAS[route.query], { io: "input" });
    for (const [name, schema] of Object.entries(properties ?? {})) {
      parameters.push({ name, in: "query", schema: schema as Json });
    }
  }
  if (route.idempotencyKey) {
    parameters.push({
      name: "Idempotency-Key",
      in: "header",
      description: "A repeat with the same key and body returns the first answer and writes nothing",
      schema: { type: "string", maxLength: 255 },
    });
  }
  return parameters;
}

function requestBodyOf(route: Route): { readonly requestBody?: Json } {
  if (route.takes === "file") {
    return { requestBody: { required: true, content: { "application/vnd.sqlite3": {} } } };
  }
  if (route.request === undefined) return {};
  return { requestBody: { required: true, content: bothTypes(route.request) } };
}

function answerContent(route: Route): Json {
  if (route.answer === "text/plain" || route.answer === "application/vnd.sqlite3") {
    return { [route.answer]: {} };
  }
  if (route.answer === "object") return { [JSON_TYPE]: { schema: { type: "object" } } };
  return bothTypes(route.answer);
}

function bothTypes(schemaName: string): Json {
  const content = { schema: reference(schemaName) };
  return { [JSON_TYPE]: content, [MSGPACK_TYPE]: content };
}

/** Errors of a call, one response per status with the codes it may carry. */
function errorResponses(route: Route): Record<string, Json> {
  if (route.isPublic) return {};
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of new Set([...COMMON_ERRORS, ...route.errors])) {
    const status = HTTP_STATUS[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  const responses: Record<string, Json> = {};
  for (const [status, codes] of [...byStatus].sort(([a], [b]) => a - b)) {
    responses[status] = {
      description: codes.map((code) => `\`${code}\`: ${ERROR_CODES[code].meaning}`).join("\n\n"),
      content: bothTypes("Error"),
    };
  }
  return responses;
}

function reference(schemaName: string): { readonly $ref: string } {
  return { $ref: `#/components/schemas/${schemaName}` };
}

function componentSchemas(): Record<string, Json> {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries({ ...REQUEST_SCHEMAS, ...ANSWER_SCHEMAS })) {
    registry.add(schema, { id });
  }
  const { schemas } = z.toJSONSchema(registry, {
    io: "input",
    unrepresentable: "any",
    uri: (id) => `#/components/schemas/${id}`,
    override: ({ zodSchema, jsonSchema }) => {
      if (zodSchema === NUMBER_SCHEMA) jsonSchema.type = "number";
    },
  });
  const clean: Record<string, Json> = {};
  for (const [id, schema] of Object.entries(schemas)) {
    const { $schema: _schema, $id: _id, ...rest } = schema;
    clean[id] = withoutEmptyBranches(rest as Json);
  }
  return clean;
}

/** Members of a union that only msgpack or the parser can produce have no JSON schema and appear as `{}`. */
function withoutEmptyBranches(json: Json): Json {
  if (isList(json)) return json.map(withoutEmptyBranches);
  if (typeof json !== "object" || json === null) return json;
  const clean: Record<string, Json> = {};
  for (const [key, value] of Object.entries(json)) {
    const kept = key === "anyOf" && isList(value) ? value.filter((branch) => !isEmptyObject(branch)) : value;
    clean[key] = withoutEmptyBranches(kept);
  }
  return clean;
}

function isList(json: Json): json is readonly Json[] {
  return Array.isArray(json);
}

function isEmptyObject(json: Json): boolean {
  return typeof json === "object" && json !== null && Object.keys(json).length === 0;
}
