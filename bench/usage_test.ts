import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { bytesSent, costs, metricIn } from "./usage.ts";

Deno.test("costs: for each call, and null where a figure is missing or went backwards", () => {
  const before = { serverCpuMs: 10, clientCpuMs: null, logBytes: 1_000, networkBytes: 500 };
  const after = { serverCpuMs: 30, clientCpuMs: 5, logBytes: 5_000, networkBytes: 400 };
  deepStrictEqual(costs(before, after, 10), {
    serverCpuMs: 2,
    clientCpuMs: null,
    logBytes: 400,
    networkBytes: null,
  });
  strictEqual(costs(before, after, 0).serverCpuMs, null);
});

Deno.test("bytesSent: both ends of every connection; retransmitted and acknowledged bytes are no extra", () => {
  const text = `0 0 127.0.0.1:1 127.0.0.1:2
\t cubic bytes_sent:100 bytes_retrans:7 bytes_acked:99 bytes_received:5
0 0 127.0.0.1:2 127.0.0.1:1
\t cubic bytes_sent:5 bytes_acked:5`;
  strictEqual(bytesSent(text), 105);
});

Deno.test("metricIn: whole names only", () => {
  const text = "# HELP a_total b\na_total_more 1\na_total 42.5\n";
  deepStrictEqual([metricIn(text, "a_total"), metricIn(text, "a")], [42.5, undefined]);
});
