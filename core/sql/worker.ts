/**
 * Entry of a SQL worker thread and its composition root: real disk, clock and randomness. No logic; see worker_core.ts.
 */
import { DenoDisk } from "../host/deno_disk.ts";
import { SystemClock } from "../host/system_clock.ts";
import { SystemRandom } from "../host/system_random.ts";
import type { EngineName } from "./engine.ts";
import type { MessageToWorker } from "./messages.ts";
import type { SessionLimits } from "./session_limits.ts";
import { loadEngineModule } from "./wasm/load_engine.ts";
import { WorkerCore } from "./worker_core.ts";
import type { WorkerScope } from "./worker_entry.ts";

/** First message to the thread. */
export interface WorkerStart {
  readonly dataFolder: string;
  readonly cancel: Int32Array;
  /** Where they differ from the defaults. */
  readonly limits: Partial<SessionLimits>;
  readonly engine: EngineName;
}

/** Serves messages one after another, in the order they come. */
export function runSqlWorker(scope: WorkerScope): void {
  let work: Promise<WorkerCore> | undefined;
  scope.onmessage = (event: MessageEvent): void => {
    if (work === undefined) {
      work = Promise.resolve(start(scope, event.data as WorkerStart));
      return;
    }
    const message = event.data as MessageToWorker;
    work = work.then(async (core) => {
      await core.handle(message);
      return core;
    });
  };
}

function start(scope: WorkerScope, { dataFolder, cancel, limits, engine }: WorkerStart): WorkerCore {
  const core = new WorkerCore({
    module: loadEngineModule(engine),
    disk: new DenoDisk(dataFolder),
    clock: new SystemClock(),
    random: new SystemRandom(),
    cancel,
    limits,
    post: (message, transfer) => scope.postMessage(message, [...transfer]),
  });
  scope.postMessage({ kind: "ready" }, []);
  return core;
}
