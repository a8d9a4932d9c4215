/**
 * Entry of the program and of its SQL worker threads: one file, so that one bundle is enough for both. Each loads only what
 * it runs.
 */
import { serveSqlWorker } from "./core/sql/worker_entry.ts";

if ("WorkerGlobalScope" in globalThis) {
  await serveSqlWorker(self as unknown as Parameters<typeof serveSqlWorker>[0]);
} else if (import.meta.main) {
  const { runProgram } = await import("./net/program.ts");
  Deno.exit(await runProgram(import.meta.url));
}
