import type { Metric } from "../../core/node/service.ts";
import type { RouteId } from "../api/routes.ts";

/** Status classes a label may have; with the route names this bounds the number of series. */
const STATUS_CLASSES = ["1xx", "2xx", "3xx", "4xx", "5xx"] as const;

/** Requests that matched no route are counted together. */
export type RouteLabel = RouteId | "unmatched";

interface RouteCounts {
  readonly byClass: number[];
  seconds: number;
}

/** Counters of the HTTP layer, shared by server and application. */
export class HttpMetrics {
  readonly #routes = new Map<RouteLabel, RouteCounts>();
  readonly #refusals = new Map<number, number>();
  inFlight = 0;
  connections = 0;
  connectionsRefused = 0;
  /** Bytes of answers that clients have not taken yet. */
  responseBytesPending = 0;
  /** Of writes that this node committed as the leader, from the head of the request to the write path. */
  writeParseMs = 0;
  /** Of the same writes, from the commit to the socket. */
  writeAnswerMs = 0;

  countRequest(route: RouteLabel, status: number, elapsedMs: number): void {
    let counts = this.#routes.get(route);
    if (counts === undefined) {
      counts = { byClass: [0, 0, 0, 0, 0], seconds: 0 };
      this.#routes.set(route, counts);
    }
    const index = Math.floor(status / 100) - 1;
    counts.byClass[index] = (counts.byClass[index] ?? 0) + 1;
    counts.seconds += elapsedMs / 1000;
  }

  /** A request refused before it reached a route. */
  countRefusal(status: number): void {
    this.#refusals.set(status, (this.#refusals.get(status) ?? 0) + 1);
  }

  /** Prometheus text format 0.0.4: the node's metrics and those of the HTTP layer. */
  render(nodeMetrics: readonly Metric[]): string {
    let text = "";
    for (const metric of nodeMetrics) {
      text += family(metric.name, metric.kind, metric.help) +
        `walraft_${metric.name} ${formatValue(metric.value)}\n`;
    }
    text += family("http_requests_total", "counter", "HTTP requests answered");
    for (const [route, counts] of this.#routes) {
      counts.byClass.forEach((count, index) => {
        if (count === 0) return;
        text += `walraft_http_requests_total{route="${route}",status="${STATUS_CLASSES[index]}"} ${count}\n`;
      });
    }
    text += family("http_request_seconds_total", "counter", "Time spent on HTTP requests");
    for (const [route, counts] of this.#routes) {
      text += `walraft_http_request_seconds_total{route="${route}"} ${counts.seconds}\n`;
    }
    text += family("http_refused_total", "counter", "HTTP requests refused before they reached a route");
    for (const [status, count] of this.#refusals) {
      text += `walraft_http_refused_total{status="${status}"} ${count}\n`;
    }
    text += single("http_requests_in_flight", "gauge", "HTTP requests under way", this.inFlight);
    text += single("http_connections", "gauge", "Open HTTP connections", this.connections);
    text += single(
      "http_connections_refused_total",
      "counter",
      "HTTP connections refused at the limit",
      this.connectionsRefused,
    );
    text += single(
      "write_parse_seconds_total",
      "counter",
      "Time of writes: from the complete head of the request until it is decoded and handed on",
      this.writeParseMs / 1_000,
    );
    text += single(
      "write_answer_seconds_total",
      "counter",
      "Time of writes: from the commit until the answer is handed to the socket",
      this.writeAnswerMs / 1_000,
    );
    return text + single(
      "http_response_bytes_pending",
      "gauge",
      "Bytes of answers not yet taken by clients",
      this.responseBytesPending,
    );
  }
}

function single(name: string, kind: Metric["kind"], help: string, value: number): string {
  return family(name, kind, help) + `walraft_${name} ${value}\n`;
}

function family(name: string, kind: Metric["kind"], help: string): string {
  const escaped = help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
  return `# HELP walraft_${name} ${escaped}\n# TYPE walraft_${name} ${kind}\n`;
}

function formatValue(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  return Number.isFinite(value) ? String(value) : value > 0 ? "+Inf" : "-Inf";
}
