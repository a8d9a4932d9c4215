import { strictEqual } from "node:assert/strict";
import type { Frame } from "./frame.ts";
import { Interruption } from "./interruption.ts";
import { RequestType } from "./request.ts";

const frameOf = (type: number): Frame => ({ type, schema: 0, body: new Uint8Array(8) });

/** What a listener hears, and one that left, when the next thing on the connection is `next`. */
async function heardOf(next: Promise<Frame | undefined>): Promise<string> {
  const interruption = new Interruption(next);
  const heard: string[] = [];
  const leaves = () => void heard.push("left");
  interruption.addEventListener("abort", () => void heard.push("stays"));
  interruption.addEventListener("abort", leaves);
  interruption.removeEventListener("abort", leaves);
  strictEqual(interruption.aborted, false);
  await next;
  await Promise.resolve();
  strictEqual(interruption.aborted, heard.length > 0);
  return heard.join();
}

Deno.test("Interruption tells those who listen of an Interrupt and of the end", async () => {
  strictEqual(await heardOf(Promise.resolve(frameOf(RequestType.interrupt))), "stays");
  strictEqual(await heardOf(Promise.resolve(undefined)), "stays");
  strictEqual(await heardOf(Promise.resolve(frameOf(RequestType.query))), "");
});

Deno.test("Interruption knows of what came before it was asked", async () => {
  const interruption = new Interruption(Promise.resolve(undefined));
  await Promise.resolve();
  strictEqual(interruption.aborted, false);
  await Promise.resolve();
  strictEqual(interruption.aborted, true);
});
