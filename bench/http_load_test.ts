import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { LatencyHistogram, prepareRequest, runLoad } from "./http_load.ts";

Deno.test("LatencyHistogram: quantiles are right within a twentieth, and never above the largest", () => {
  const histogram = new LatencyHistogram();
  for (let value = 1; value <= 10_000; value++) histogram.record(value / 100);
  const { count, meanMs, p50Ms, p99Ms, p999Ms } = histogram.summary();
  strictEqual(count, 10_000);
  strictEqual(Math.round(meanMs * 1_000), 50_005);
  for (const [found, exact] of [[p50Ms, 50], [p99Ms, 99], [p999Ms, 99.9]] as const) {
    ok(found >= exact * 0.999 && found <= Math.min(exact * 1.05, 100), `${found} for ${exact}`);
  }
  const none = new LatencyHistogram().summary();
  deepStrictEqual(none, { count: 0, meanMs: 0, p50Ms: 0, p99Ms: 0, p999Ms: 0 });
});

Deno.test("runLoad: successes are timed, failures counted with the first one's text, broken sockets survived", async () => {
  let asked = 0;
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const body = await request.text();
    asked++;
    if (body === "fail") return new Response("no room", { status: 503, headers: { connection: "close" } });
    return new Response("x".repeat(40_000));
  });
  const result = await runLoad({
    hostname: "127.0.0.1",
    port: server.addr.port,
    connections: 2,
    durationMs: 100,
    request: (connection) => prepareRequest("POST", "/", connection === 0 ? "fail" : "work"),
  });
  await server.shutdown();
  ok(result.requests > 0 && result.failures > 0, JSON.stringify([...result.statuses]));
  strictEqual(result.firstFailure, "no room");
  strictEqual(result.latency.count, result.statuses.get(200));
  strictEqual(result.requestsInAll + result.failures, asked);
});
