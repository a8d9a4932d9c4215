import { NodeError } from "../../core/base/errors.ts";
import { type Route, ROUTES } from "../api/routes.ts";

export interface RouteMatch {
  readonly route: Route;
  /** The variable segment, decoded; empty for paths without one. */
  readonly variable: string;
}

/** Methods of one path, by the path with its variable segment replaced by `*`. */
const TABLE = new Map<string, Map<string, Route>>();
for (const route of ROUTES) {
  const pattern = route.path.replace(/\{[a-z]+\}/, "*");
  const methods = TABLE.get(pattern) ?? new Map<string, Route>();
  TABLE.set(pattern, methods.set(route.method, route));
}

/** Folders whose next segment is a variable. */
const VARIABLE_FOLDERS = ["/v1/databases/", "/v1/cluster/members/"] as const;

/**
 * Finds the route of a request. HEAD is served as GET. Throws NodeError: not_found, or method_not_allowed, whose
 * allowed methods `allowedMethods` tells.
 */
export function matchRoute(method: string, path: string): RouteMatch {
  const { methods, variable } = lookUp(path);
  if (methods === undefined) {
    throw new NodeError("not_found", `There is no ${clip(path)}; see /v1/openapi.json for what there is`);
  }
  const route = methods.get(method === "HEAD" ? "GET" : method);
  if (route === undefined) {
    throw new NodeError(
      "method_not_allowed",
      `Cannot ${clip(method)} ${clip(path)}: use ${allowedMethods(path).join(", ")}`,
    );
  }
  return { route, variable: decodeSegment(variable) };
}

/** Methods of a path, for the allow header; empty for an unknown path. */
export function allowedMethods(path: string): string[] {
  const names = [...lookUp(path).methods?.keys() ?? []];
  return names.includes("GET") ? [...names, "HEAD"] : names;
}

function lookUp(
  path: string,
): { readonly methods: Map<string, Route> | undefined; readonly variable: string } {
  for (const folder of VARIABLE_FOLDERS) {
    if (!path.startsWith(folder)) continue;
    const slash = path.indexOf("/", folder.length);
    const end = slash < 0 ? path.length : slash;
    const variable = path.slice(folder.length, end);
    if (variable === "") return { methods: undefined, variable };
    return { methods: TABLE.get(`${folder}*${path.slice(end)}`), variable };
  }
  return { methods: TABLE.get(path), variable: "" };
}

function decodeSegment(segment: string): string {
  if (!segment.includes("%")) return segment;
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new NodeError("bad_request", `Cannot decode the path segment ${clip(segment)}`, { field: "path" });
  }
}

/** Paths come from anybody and go into messages. */
function clip(text: string): string {
  return text.length <= 100 ? text : `${text.slice(0, 100)}…`;
}
