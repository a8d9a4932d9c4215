/**
 * Requests per second of the HTTP layer alone: the real server and application over a node that answers at once.
 *
 *     deno run -A bench/http_bench.ts [seconds]
 *
 * Server and load share a machine, in two processes; on two cores the server has about one of them.
 */
import type { NodeService, QueryAnswer, WriteAnswer } from "../core/node/service.ts";
import { createApp } from "../net/http/app.ts";
import type { HttpHandler } from "../net/http/http_message.ts";
import { HttpMetrics } from "../net/http/metrics.ts";
import { HttpServer } from "../net/http/server.ts";
import { prepareRequest, runLoad } from "./http_load.ts";

const CONNECTION_COUNTS = [1, 16, 64];

if (Deno.args[0] === "serve") serve();
else await measure(Number(Deno.args[0] ?? 3));

function serve(): void {
  const clock = {
    nowMs: () => performance.now(),
    wallMs: () => Date.now(),
    after(delayMs: number, callback: () => void) {
      const timer = setTimeout(callback, delayMs);
      return () => clearTimeout(timer);
    },
  };
  const metrics = new HttpMetrics();
  const app = createApp(instantNode(), { clock, version: "bench", metrics });
  const withToken = createApp(instantNode(), { clock, version: "bench", metrics, token: "bench-token" });
  const trivial = { status: 200, headers: ["content-type: text/plain"], body: ["ok"] };
  const handler: HttpHandler = (request) => {
    if (request.path === "/trivial") return Promise.resolve(trivial);
    return request.headers.has("authorization") ? withToken(request) : app(request);
  };
  const server = new HttpServer({ hostname: "127.0.0.1", port: 0, handler, clock, metrics });
  console.log(server.port);
}

/** Answers of the size of a one-row write and a one-row read. */
function instantNode(): NodeService {
  const bytes = (text: string) => new TextEncoder().encode(text);
  const write: WriteAnswer = {
    fields: { format: "json", count: 2, bytes: bytes('"changes":1,"last_insert_rowid":12345') },
    index: 1_000_000,
    replayed: false,
  };
  const query: QueryAnswer = {
    fields: {
      format: "json",
      count: 3,
      bytes: bytes('"columns":["id","name"],"types":["INTEGER","TEXT"],"rows":[[1,"Ada"]]'),
    },
    index: 1_000_000,
    ageMs: 0,
  };
  return {
    query: () => Promise.resolve(query),
    write: () => Promise.resolve(write),
    isReady: () => true,
    metrics: () => [],
  } as unknown as NodeService;
}

async function measure(seconds: number): Promise<void> {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", import.meta.filename ?? "", "serve"],
    stdout: "piped",
  }).spawn();
  const reader = process.stdout.getReader();
  const port = Number(new TextDecoder().decode((await reader.read()).value));
  const insert = JSON.stringify({ sql: "INSERT INTO person (name, age) VALUES (?, ?)", params: ["Ada", 36] });
  const select = JSON.stringify({ sql: "SELECT id, name FROM person WHERE id = ?", params: [1] });
  const requests = {
    trivial: prepareRequest("GET", "/trivial", ""),
    execute: prepareRequest("POST", "/v1/databases/main/execute", insert),
    query: prepareRequest("POST", "/v1/databases/main/query", select),
    "execute, token": prepareRequest("POST", "/v1/databases/main/execute", insert, {
      authorization: "Bearer bench-token",
    }),
  };
  try {
    for (const [name, request] of Object.entries(requests)) {
      for (const connections of CONNECTION_COUNTS) {
        const load = {
          hostname: "127.0.0.1",
          port,
          connections,
          durationMs: seconds * 1000,
          warmupMs: 500,
          request,
        };
        const { requestsPerSecond, latency, failures } = await runLoad(load);
        console.log(
          `${name.padEnd(15)} ${String(connections).padStart(3)} connections ` +
            `${requestsPerSecond.toFixed(0).padStart(7)}/s  p50 ${latency.quantileMs(0.5).toFixed(3)} ms  ` +
            `p99 ${latency.quantileMs(0.99).toFixed(3)} ms  failures ${failures}`,
        );
      }
    }
  } finally {
    process.kill("SIGKILL");
    await process.status;
  }
}
