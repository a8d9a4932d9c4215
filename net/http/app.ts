/** The application: requests in, responses out. Knows routes, tokens and formats; knows nothing of sockets. */
import { NodeError } from "../../core/base/errors.ts";
import { LIMITS } from "../../core/base/limits.ts";
import type { Clock, EventSink } from "../../core/base/ports.ts";
import type { NodeService } from "../../core/node/service.ts";
import type { RouteId } from "../api/routes.ts";
import { acceptedFormat } from "./answer_encoding.ts";
import { isLoopback, TokenCheck } from "./auth.ts";
import { type AppServices, Call } from "./call.ts";
import { CrossOrigin } from "./cors.ts";
import { errorResponse } from "./error_response.ts";
import { addMember, changeMember, cluster, removeMember, transfer } from "./handlers/cluster.ts";
import {
  backup,
  checkpoint,
  createDatabase,
  describeDatabase,
  dropDatabase,
  listDatabases,
  restore,
} from "./handlers/databases.ts";
import { query } from "./handlers/query.ts";
import { live, metrics, openapi, ready, root } from "./handlers/system.ts";
import { batch, execute } from "./handlers/write.ts";
import type { HttpHandler, HttpRequest, HttpResponse } from "./http_message.ts";
import { HttpMetrics, type RouteLabel } from "./metrics.ts";
import { BodyBudget } from "./read_body.ts";
import { allowedMethods, matchRoute, type RouteMatch } from "./router.ts";

export interface AppOptions {
  readonly clock: Clock;
  /** Version of the program, shown at `/` and in the OpenAPI document. */
  readonly version: string;
  /** Required from every request but `/livez` and `/readyz`. */
  readonly token?: string;
  /** Shared with the server. */
  readonly metrics?: HttpMetrics;
  readonly events?: EventSink;
  /** Origins, such as `https://app.example`, whose pages may use the API from a browser. */
  readonly corsOrigins?: readonly string[];
  readonly requestBodyBytesMax?: number;
  readonly uploadBytesMax?: number;
}

type Handler = (call: Call) => HttpResponse | Promise<HttpResponse>;

const HANDLERS: Readonly<Record<RouteId, Handler>> = {
  root,
  live,
  ready,
  metrics,
  openapi,
  list_databases: listDatabases,
  create_database: createDatabase,
  describe_database: describeDatabase,
  drop_database: dropDatabase,
  restore,
  backup,
  checkpoint,
  query,
  execute,
  batch,
  cluster,
  add_member: addMember,
  change_member: changeMember,
  remove_member: removeMember,
  transfer,
};

/** Serves API version 1 over a node. The handler never rejects. */
export function createApp(node: NodeService, options: AppOptions): HttpHandler {
  const app = new App(node, options);
  return (request) => app.handle(request);
}

class App {
  readonly #services: AppServices;
  readonly #token: TokenCheck | undefined;
  readonly #events: EventSink | undefined;
  readonly #crossOrigin: CrossOrigin;

  constructor(node: NodeService, options: AppOptions) {
    this.#services = {
      node,
      clock: options.clock,
      metrics: options.metrics ?? new HttpMetrics(),
      version: options.version,
      budget: new BodyBudget(LIMITS.requestBodiesBytesMax),
      requestBodyBytesMax: options.requestBodyBytesMax ?? LIMITS.requestBodyBytesMax,
      uploadBytesMax: options.uploadBytesMax ?? LIMITS.databaseUploadBytesMax,
    };
    this.#token = options.token === undefined || options.token === ""
      ? undefined
      : new TokenCheck(options.token);
    this.#events = options.events;
    this.#crossOrigin = new CrossOrigin(options.corsOrigins ?? []);
  }

  async handle(request: HttpRequest): Promise<HttpResponse> {
    const { metrics, clock } = this.#services;
    const startMs = request.arrivedMs ?? clock.nowMs();
    let label: RouteLabel = "unmatched";
    let response: HttpResponse;
    metrics.inFlight++;
    try {
      const preflight = this.#crossOrigin.preflight(request);
      if (preflight !== undefined) {
        response = preflight;
      } else {
        const match = this.#admit(request);
        label = match.route.id;
        response = await this.#serve(request, match, startMs);
      }
    } catch (error) {
      response = this.#refuse(request, label, error);
    }
    metrics.inFlight--;
    metrics.countRequest(label, response.status, clock.nowMs() - startMs);
    const added = this.#crossOrigin.headers(request);
    if (added === undefined || request.method === "OPTIONS") return response;
    return { ...response, headers: [...response.headers, ...added] };
  }

  /** Without a token nothing is learned, not even which paths exist. */
  #admit(request: HttpRequest): RouteMatch {
    let match: RouteMatch | undefined;
    let refusal: unknown;
    try {
      match = matchRoute(request.method, request.path);
    } catch (error) {
      refusal = error;
    }
    if (match?.route.isPublic) return match;
    if (this.#token === undefined) requireLocalHost(request.headers.get("host"));
    else this.#token.require(request.headers.get("authorization"));
    if (match === undefined) throw refusal;
    return match;
  }

  #serve(request: HttpRequest, match: RouteMatch, startMs: number): HttpResponse | Promise<HttpResponse> {
    const { route, variable } = match;
    const format = acceptedFormat(request.headers.get("accept"));
    const call = new Call(this.#services, request, variable, format, startMs);
    if (route.takes === undefined) {
      requireNoBody(request);
      if (route.method === "POST") this.#crossOrigin.requireOwnPage(request);
    }
    if (route.query === undefined && route.path.startsWith("/v1/")) call.requireNoQuery();
    return HANDLERS[route.id](call);
  }

  #refuse(request: HttpRequest, label: RouteLabel, thrown: unknown): HttpResponse {
    const error = this.#toNodeError(label, thrown);
    const response = errorResponse(error, acceptedFormat(request.headers.get("accept")));
    if (error.code !== "method_not_allowed") return response;
    return {
      ...response,
      headers: [...response.headers, `allow: ${allowedMethods(request.path).join(", ")}`],
    };
  }

  /** Defects are told to the operator in full and to the client not at all. */
  #toNodeError(label: RouteLabel, thrown: unknown): NodeError {
    if (thrown instanceof NodeError && thrown.code !== "internal") return thrown;
    const cause = thrown instanceof Error ? thrown.stack ?? thrown.message : String(thrown);
    this.#events?.event("http_request_failed", { route: label, error: cause });
    if (thrown instanceof NodeError) return thrown;
    return new NodeError("internal", "Cannot serve the request: see the log of the node");
  }
}

/**
 * Without a token the listener is on loopback, and the browser of the same machine can reach it. A page whose name is
 * made to resolve to 127.0.0.1 (DNS rebinding) would pass as the same origin; its host header gives it away.
 */
function requireLocalHost(host: string | undefined): void {
  const hostname = (host ?? "").replace(/:[0-9]*$/, "");
  if (isLoopback(hostname) || /^[0-9.]+$/.test(hostname) || /^\[[0-9A-Fa-f:.]+\]$/.test(hostname)) return;
  throw new NodeError(
    "bad_request",
    `Cannot serve host ${
      hostname.slice(0, 100)
    } without a token: set --token, or use an IP address or localhost`,
    { field: "host" },
  );
}

function requireNoBody(request: HttpRequest): void {
  if (request.body instanceof Uint8Array && request.body.length === 0) return;
  throw new NodeError("bad_request", `A ${request.method} of this path takes no body`, { field: "body" });
}
