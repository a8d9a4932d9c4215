import assert from "node:assert/strict";
import { NodeError } from "../../core/base/errors.ts";
import { ROUTES } from "../api/routes.ts";
import { allowedMethods, matchRoute } from "./router.ts";

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    assert(error instanceof NodeError);
    return error.code;
  }
  return "none";
}

Deno.test("every route of the table is found by its own method and path, and by HEAD where it is a GET", () => {
  for (const route of ROUTES) {
    const path = route.path.replace(/\{[a-z]+\}/, "x1");
    const match = matchRoute(route.method, path);
    assert.equal(match.route.id, route.id);
    assert.equal(match.variable, route.path.includes("{") ? "x1" : "");
    if (route.method === "GET") assert.equal(matchRoute("HEAD", path).route.id, route.id);
  }
});

Deno.test("the variable segment is percent-decoded after the path is split", () => {
  assert.equal(matchRoute("GET", "/v1/databases/a%2Fb").variable, "a/b");
  assert.equal(matchRoute("GET", "/v1/databases/%C3%A9").variable, "é");
  assert.equal(codeOf(() => matchRoute("GET", "/v1/databases/%zz")), "bad_request");
});

Deno.test("paths that are almost right are not found", () => {
  for (
    const path of [
      "/v1",
      "/v1/",
      "/v1/databases/",
      "/v1/databases//query",
      "/v1/databases/x/",
      "/v1/databases/x/query/",
      "/v1/databases/x/y/query",
      "/v1/cluster/members/",
      "/v1/databases/*/query/x",
      "/livez/",
      "//livez",
      "/V1/databases",
    ]
  ) {
    assert.equal(codeOf(() => matchRoute("GET", path)), "not_found", path);
    assert.deepEqual(allowedMethods(path), []);
  }
});

Deno.test("another method of a known path names the methods there are", () => {
  assert.equal(codeOf(() => matchRoute("PATCH", "/v1/databases/x")), "method_not_allowed");
  assert.equal(codeOf(() => matchRoute("get", "/livez")), "method_not_allowed");
  assert.deepEqual(allowedMethods("/v1/databases/x").sort(), ["DELETE", "GET", "HEAD", "PUT"]);
  assert.deepEqual(allowedMethods("/v1/databases/x/query"), ["POST"]);
});
