import assert from "node:assert/strict";
import { ERROR_CODES } from "../../core/base/errors.ts";
import { HTTP_STATUS } from "./error_body.ts";
import { openApiDocument } from "./openapi.ts";
import { COMMON_ERRORS, ROUTES } from "./routes.ts";
import { QUERY_SCHEMAS } from "./schemas.ts";

type Node = { readonly [key: string]: unknown };

const document = JSON.parse(JSON.stringify(openApiDocument("9.9.9")));

function* walk(value: unknown): Generator<Node> {
  if (typeof value !== "object" || value === null) return;
  if (!Array.isArray(value)) yield value as Node;
  for (const each of Object.values(value)) yield* walk(each);
}

Deno.test("every route is in the document with its answer", () => {
  for (const route of ROUTES) {
    const operation = document.paths[route.path]?.[route.method.toLowerCase()];
    assert.equal(operation?.operationId, route.id);
    assert(operation.responses[route.status], route.id);
    assert.equal(operation.requestBody !== undefined, route.takes !== undefined, route.id);
  }
  const operations = Object.values(document.paths).flatMap((path) => Object.keys(path as object));
  assert.equal(operations.length, ROUTES.length);
});

Deno.test("every reference resolves, every component is used", () => {
  const used = new Set<string>();
  for (const node of walk(document)) {
    if (typeof node.$ref !== "string") continue;
    const name = /^#\/components\/schemas\/(\w+)$/.exec(node.$ref)?.[1] ?? assert.fail(node.$ref);
    assert(document.components.schemas[name], node.$ref);
    used.add(name);
  }
  assert.deepEqual(Object.keys(document.components.schemas).filter((name) => !used.has(name)), []);
});

Deno.test("every path variable is declared", () => {
  for (const route of ROUTES) {
    const declared = document.paths[route.path][route.method.toLowerCase()].parameters
      .filter((parameter: Node) => parameter.in === "path").map((parameter: Node) => `{${parameter.name}}`);
    assert.deepEqual(declared, route.path.match(/\{[a-z]+\}/g) ?? []);
  }
});

Deno.test("every option of a query string is declared with its values and default", () => {
  for (const route of ROUTES) {
    const declared = document.paths[route.path][route.method.toLowerCase()].parameters
      .filter((parameter: Node) => parameter.in === "query").map((parameter: Node) => parameter.name);
    const expected = route.query === undefined ? [] : Object.keys(QUERY_SCHEMAS[route.query].shape);
    assert.deepEqual(declared, expected, route.id);
  }
  const { parameters } = document.paths["/v1/databases/{database}/checkpoint"].post;
  const { schema } = parameters.find((parameter: Node) => parameter.name === "mode");
  assert.deepEqual(schema, { type: "string", enum: ["passive", "full"], default: "passive" });
});

Deno.test("every error code is documented where it can occur, under its status", () => {
  const documented = new Set<string>(COMMON_ERRORS);
  for (const route of ROUTES) {
    if (route.isPublic) continue;
    const { responses } = document.paths[route.path][route.method.toLowerCase()];
    for (const code of [...COMMON_ERRORS, ...route.errors]) {
      documented.add(code);
      assert(responses[HTTP_STATUS[code]].description.includes(`\`${code}\`: ${ERROR_CODES[code].meaning}`));
    }
  }
  assert.deepEqual([...documented].sort(), Object.keys(ERROR_CODES).sort());
  const codes = document.components.schemas.Error.properties.error.properties.code.enum;
  assert.deepEqual(codes, Object.keys(ERROR_CODES));
});

Deno.test("request objects refuse unknown fields, and no union has an empty member", () => {
  for (const name of ["QueryRequest", "ExecuteRequest", "BatchRequest", "TransferRequest"]) {
    assert.equal(document.components.schemas[name].additionalProperties, false, name);
  }
  for (const node of walk(document)) {
    for (const member of (node.anyOf as Node[] | undefined) ?? []) assert.notDeepEqual(member, {});
  }
});
