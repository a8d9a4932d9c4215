import { deepStrictEqual, notDeepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { RequestTemplate } from "./request_template.ts";
import { KEY_BELOW, type RequestShape, workloads } from "./workloads.ts";

const SIZES = { rows: 50, rowsPerBatch: 3, rowsPerBulk: 4, analysisSteps: 7, index: 9 };

function parse(request: Uint8Array): { head: string; body: unknown } {
  const [head = "", body = ""] = new TextDecoder().decode(request).split("\r\n\r\n");
  strictEqual(Number(/content-length: (\d+)/.exec(head)?.[1]), new TextEncoder().encode(body).length);
  return { head, body: JSON.parse(body) };
}

Deno.test("every request of every workload is valid JSON with its length, again and again", () => {
  for (const { id, requests, beside } of workloads(SIZES)) {
    for (const shape of beside === undefined ? requests : [...requests, beside]) {
      const template = new RequestTemplate(shape, 1);
      for (let call = 0; call < 3; call++) {
        const { head } = parse(template.next());
        ok(head.startsWith(`POST ${shape.path} HTTP/1.1\r\n`), id);
      }
    }
  }
});

Deno.test("slots get the number of the call and a value in range, right-aligned and without leftovers", () => {
  const shape: RequestShape = {
    path: "/",
    body: ["[", { slot: "sequence" }, ",", { slot: "random", below: 21 }, "]"],
    weight: 1,
  };
  const template = new RequestTemplate(shape, 5);
  const seen = new Set<number>();
  for (let call = 1; call <= 1_100; call++) {
    const [sequence, random = 0] = parse(template.next()).body as number[];
    strictEqual(sequence, call);
    seen.add(random);
  }
  deepStrictEqual([...seen].sort((a, b) => a - b), Array.from({ length: 20 }, (_, at) => at + 1));
});

Deno.test("the same seed gives the same keys, another one others", () => {
  const shape: RequestShape = {
    path: "/",
    body: ["[", { slot: "random", below: KEY_BELOW }, "]"],
    weight: 1,
  };
  const first = (seed: number) => parse(new RequestTemplate(shape, seed).next()).body;
  deepStrictEqual(first(3), first(3));
  notDeepStrictEqual(first(3), first(4));
});

Deno.test("the rows of a bulk load are a JSON text inside the JSON", () => {
  const bulk = workloads(SIZES).find(({ id }) => id === "bulk")!;
  const { body } = parse(new RequestTemplate(bulk.requests[0]!, 1).next());
  const rows = JSON.parse((body as { params: string[] }).params[0]!);
  strictEqual(rows.length, SIZES.rowsPerBulk);
  for (const [key, text] of rows) ok(key >= 1 && key < KEY_BELOW && text.length === 44, `${key} ${text}`);
});
