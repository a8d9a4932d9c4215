import { NodeError } from "../../core/base/errors.ts";
import type { HttpRequest, HttpResponse } from "./http_message.ts";

const METHODS = "GET, POST, PUT, DELETE";
const REQUEST_HEADERS = "authorization, content-type, idempotency-key";
const PREFLIGHT_SECONDS = 600;

/** Lets pages of the origins named use the API from a browser. Without origins, no page of another origin can. */
export class CrossOrigin {
  readonly #origins: ReadonlySet<string>;

  constructor(origins: readonly string[]) {
    this.#origins = new Set(origins);
  }

  /** Answers the question a browser asks before the real request, which carries no token. */
  preflight(request: HttpRequest): HttpResponse | undefined {
    if (request.method !== "OPTIONS" || !request.headers.has("access-control-request-method")) {
      return undefined;
    }
    const headers = this.headers(request);
    if (headers === undefined) return undefined;
    return {
      status: 204,
      headers: [
        ...headers,
        `access-control-allow-methods: ${METHODS}`,
        `access-control-allow-headers: ${REQUEST_HEADERS}`,
        `access-control-max-age: ${PREFLIGHT_SECONDS}`,
      ],
      body: [],
    };
  }

  /**
   * For a POST without a body, which any page may send anywhere without asking first: it has no content type to tell it
   * apart. Browsers name the page's origin in it, other programs name none. Throws NodeError bad_request.
   */
  requireOwnPage(request: HttpRequest): void {
    const origin = request.headers.get("origin");
    if (origin === undefined || this.#origins.has(origin)) return;
    const host = request.headers.get("host");
    if (host !== undefined && origin.toLowerCase().endsWith(`://${host.toLowerCase()}`)) return;
    throw new NodeError(
      "bad_request",
      `Cannot serve a page of ${origin.slice(0, 100)}: its origin is not allowed`,
      { field: "origin" },
    );
  }

  /** Headers to add to a response; undefined when the request is not of an allowed origin. */
  headers(request: HttpRequest): readonly string[] | undefined {
    if (this.#origins.size === 0) return undefined;
    const origin = request.headers.get("origin");
    if (origin === undefined || !this.#origins.has(origin)) return undefined;
    return [
      `access-control-allow-origin: ${origin}`,
      "vary: origin",
      "access-control-expose-headers: walraft-index, retry-after",
    ];
  }
}
