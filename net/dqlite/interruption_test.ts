import { strictEqual } from "node:assert/strict";
import { Interruption } from "./interruption.ts";

Deno.test("Interruption tells everyone who listens, once", () => {
  const interruption = new Interruption();
  const heard: string[] = [];
  const leaves = () => void heard.push("left");
  interruption.addEventListener("abort", () => void heard.push("stays"));
  interruption.addEventListener("abort", leaves);
  interruption.removeEventListener("abort", leaves);
  strictEqual(interruption.aborted, false);
  interruption.abort();
  interruption.abort();
  strictEqual(heard.join(), "stays");
  strictEqual(interruption.aborted, true);
});
