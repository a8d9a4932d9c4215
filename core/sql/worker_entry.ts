/** Where messages of the main thread arrive; a worker's global scope has it. */
export interface WorkerScope {
  onmessage: ((event: MessageEvent) => void) | null;
  postMessage(message: unknown, transfer: Transferable[]): void;
}

/**
 * Makes this thread a SQL worker. Small, so that the program can load it in any thread; the rest is loaded here. Messages
 * that come before that are kept: nobody sends them again.
 */
export async function serveSqlWorker(scope: WorkerScope): Promise<void> {
  const early: MessageEvent[] = [];
  scope.onmessage = (event) => void early.push(event);
  const { runSqlWorker } = await import("./worker.ts");
  runSqlWorker(scope);
  for (const event of early) scope.onmessage?.(event);
}
