import type { SqlWorker, StartSqlWorker } from "../sql/worker_slot.ts";
import type { EngineName } from "../sql/engine.ts";
import type { SessionLimits } from "../sql/session_limits.ts";
import type { WorkerStart } from "../sql/worker.ts";
import type { MessageFromWorker } from "../sql/messages.ts";

/**
 * Starts SQL workers as threads of this process. The program itself is their entry: main.ts sees that it runs in a worker
 * and serves messages, so one bundled file is enough for everything.
 *
 * @param program URL of main.ts, or of the bundle
 * @param engine the build of SQLite this node runs
 */
export function sqlWorkerThreads(
  program: string,
  dataFolder: string,
  limits: Partial<SessionLimits> = {},
  engine: EngineName = "wa-sqlite",
): StartSqlWorker {
  return ({ name, cancel, onMessage, onDied }): SqlWorker => {
    const worker = new Worker(program, { type: "module", name });
    worker.onmessage = (event: MessageEvent) => onMessage(event.data as MessageFromWorker);
    worker.onerror = (event: ErrorEvent) => {
      // Without this the error would end the whole process (promise 7).
      event.preventDefault();
      onDied(`failed: ${event.message}`);
    };
    // A message that cannot be read is an answer that never comes.
    worker.onmessageerror = () => onDied("sent a message that cannot be read");
    worker.postMessage({ dataFolder, cancel, limits, engine } satisfies WorkerStart);
    return {
      post: (message) => worker.postMessage(message),
      terminate: () => worker.terminate(),
    };
  };
}
