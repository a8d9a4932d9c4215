/** A node for tests of everything that speaks to nodes over HTTP: real sockets on loopback, answers by script. */
import { ERROR_CODES, type ErrorCode } from "../../core/base/errors.ts";

export interface SeenRequest {
  readonly method: string;
  /** Path with the query string. */
  readonly path: string;
  readonly headers: Headers;
  readonly bytes: Uint8Array;
  /** The body as JSON; undefined when it is none. */
  readonly json: { readonly [name: string]: unknown } | undefined;
  /** Aborted when the client went away. */
  readonly signal: AbortSignal;
}

export type Script = (request: SeenRequest, node: ScriptedNode) => Response | Promise<Response>;

/** An answer with the status 200. */
export function answer(body: unknown, init?: ResponseInit): Response {
  return Response.json(body, init);
}

/** An error as nodes send it, with retry and may_have_committed from the one list. */
export function failure(code: ErrorCode, details: object = {}, status = 503): Response {
  const { retry, mayHaveCommitted } = ERROR_CODES[code];
  const error = {
    code,
    message: `Scripted ${code}`,
    retry,
    may_have_committed: mayHaveCommitted,
    ...details,
  };
  return Response.json({ error }, { status });
}

/** The answer of `/v1/cluster` for these nodes, the first of them leading. */
export function clusterAnswer(nodes: readonly ScriptedNode[], leader: ScriptedNode | undefined): Response {
  return answer({
    cluster_id: "c1",
    node_id: 1,
    role: "leader",
    term: 2,
    leader_id: leader === undefined ? null : nodes.indexOf(leader) + 1,
    leader_http_address: leader === undefined ? null : leader.address,
    tip: 10,
    commit_index: 10,
    changing: false,
    members: nodes.map((node, i) => ({
      id: i + 1,
      raft_address: `127.0.0.1:${7001 + i}`,
      http_address: node.address,
      role: node === leader ? "leader" : "voter",
      match_index: 10,
      lag: 0,
      last_contact_ms: 5,
    })),
  });
}

export class ScriptedNode implements AsyncDisposable {
  readonly requests: SeenRequest[] = [];
  /** Replace it to change what the node does. */
  script: Script;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #waiting: { readonly path: string; readonly resolve: (request: SeenRequest) => void }[] = [];

  constructor(script: Script = () => failure("not_found", {}, 404)) {
    this.script = script;
    this.#server = Deno.serve(
      {
        hostname: "127.0.0.1",
        port: 0,
        onListen: () => {},
        onError: (error) => new Response(String(error), { status: 500 }),
      },
      (request) => this.#serve(request),
    );
  }

  get address(): string {
    return `127.0.0.1:${this.#server.addr.port}`;
  }

  get url(): string {
    return `http://${this.address}`;
  }

  /** Requests for this path, in order; a path without a query string also fits one that has one. */
  seen(path: string): SeenRequest[] {
    return this.requests.filter((request) => fits(request, path));
  }

  /** Resolves when the next request for this path has arrived. */
  next(path: string): Promise<SeenRequest> {
    return new Promise((resolve) => this.#waiting.push({ path, resolve }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }

  async #serve(request: Request): Promise<Response> {
    const url = new URL(request.url);
    const bytes = new Uint8Array(await request.arrayBuffer());
    const seen: SeenRequest = {
      method: request.method,
      path: url.pathname + url.search,
      headers: request.headers,
      bytes,
      json: parse(bytes),
      // Read on demand: Deno prints a notice for each program that looks at it.
      get signal() {
        return request.signal;
      },
    };
    this.requests.push(seen);
    for (const waiting of this.#waiting.splice(0)) {
      if (fits(seen, waiting.path)) waiting.resolve(seen);
      else this.#waiting.push(waiting);
    }
    return await this.script(seen, this);
  }
}

function fits(request: SeenRequest, path: string): boolean {
  return request.path === path || request.path.startsWith(`${path}?`);
}

function parse(bytes: Uint8Array): { readonly [name: string]: unknown } | undefined {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}

/** A URL nothing listens on. */
export async function deadUrl(): Promise<string> {
  await using node = new ScriptedNode();
  return node.url;
}

/** Never answers, but ends when the client goes away, so that the server can be shut down. */
export function silence(request: SeenRequest): Promise<Response> {
  return new Promise((resolve) => {
    if (request.signal.aborted) return resolve(new Response(null, { status: 499 }));
    request.signal.addEventListener("abort", () => resolve(new Response(null, { status: 499 })));
  });
}
