/** Takes processor profiles of all threads of a Deno process that was started with `--inspect`. */
import type { CpuProfile } from "./cpu_profile.ts";

export interface ThreadProfile {
  /** `main`, or `worker 1` and so on. */
  readonly thread: string;
  readonly profile: CpuProfile;
}

interface Answer {
  readonly id?: number;
  readonly result?: { readonly profile?: CpuProfile };
  readonly error?: { readonly message: string };
  readonly method?: string;
  readonly params?: { readonly sessionId?: string; readonly message?: string };
}

/** Between two samples. */
const INTERVAL_US = 500;
const MAIN = "";

export class Inspector {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, PromiseWithResolvers<Answer>>();
  /** Sessions of the threads; the main thread has none. */
  readonly #sessions = [MAIN];
  #lastId = 0;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.onmessage = (event) => this.#receive(JSON.parse(String(event.data)) as Answer);
    socket.onclose = () => {
      for (const { reject } of this.#waiting.values()) reject(new Error("The inspected process has ended"));
    };
  }

  /** @param port where it listens for inspectors */
  static async attach(port: number): Promise<Inspector> {
    const response = await fetch(`http://127.0.0.1:${port}/json/list`);
    const [target] = await response.json() as { webSocketDebuggerUrl: string }[];
    if (target === undefined) throw new Error("Cannot profile: the process shows nothing to inspect");
    const socket = new WebSocket(target.webSocketDebuggerUrl);
    await new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onerror = reject;
    });
    const inspector = new Inspector(socket);
    // Workers that run already announce themselves before the answer to the second call.
    await inspector.#call(MAIN, "NodeWorker.enable", { waitForDebuggerOnStart: false });
    await inspector.#call(MAIN, "Profiler.enable");
    return inspector;
  }

  /** All threads, while `work` runs. */
  async profile(work: () => Promise<void>): Promise<ThreadProfile[]> {
    const threads = [...this.#sessions];
    const all = (method: string, params: object = {}) =>
      Promise.all(threads.map((session) => this.#call(session, method, params)));
    await all("Profiler.enable");
    await all("Profiler.setSamplingInterval", { interval: INTERVAL_US });
    await all("Profiler.start");
    await work();
    const answers = await all("Profiler.stop");
    return answers.map(({ result }, at) => {
      if (result?.profile === undefined) throw new Error("A thread answered without a profile");
      return { thread: at === 0 ? "main" : `worker ${threads[at]}`, profile: result.profile };
    });
  }

  close(): void {
    this.#socket.close();
  }

  async #call(session: string, method: string, params: object = {}): Promise<Answer> {
    const id = ++this.#lastId;
    const answer = Promise.withResolvers<Answer>();
    this.#waiting.set(id, answer);
    const message = { id, method, params };
    if (session === MAIN) this.#socket.send(JSON.stringify(message));
    else {
      // Its own answer says only that the message was passed on.
      const wrapped = { sessionId: session, message: JSON.stringify(message) };
      this.#socket.send(
        JSON.stringify({ id: ++this.#lastId, method: "NodeWorker.sendMessageToWorker", params: wrapped }),
      );
    }
    const { error, ...rest } = await answer.promise;
    if (error !== undefined) throw new Error(`${method} failed: ${error.message}`);
    return rest;
  }

  #receive(answer: Answer): void {
    const { sessionId, message } = answer.params ?? {};
    if (answer.method === "NodeWorker.attachedToWorker" && sessionId !== undefined) {
      this.#sessions.push(sessionId);
    }
    if (answer.method === "NodeWorker.receivedMessageFromWorker" && message !== undefined) {
      this.#receive(JSON.parse(message) as Answer);
    }
    if (answer.id === undefined) return;
    this.#waiting.get(answer.id)?.resolve(answer);
    this.#waiting.delete(answer.id);
  }
}
