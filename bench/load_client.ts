import type { LoadJob, LoadOutcome } from "./load_process.ts";

const SCRIPT = new URL("load_process.ts", import.meta.url).pathname;

const LATE_MS_MAX = 60_000;

/** Starts the load generator (`load_process.ts`) and gives it jobs, one at a time. */
export class LoadClient {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lines: AsyncIterator<string>;

  constructor() {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", SCRIPT],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#lines = linesOf(this.#child.stdout);
  }

  get processId(): number {
    return this.#child.pid;
  }

  /** One outcome for each load of the job. */
  async run(job: LoadJob): Promise<LoadOutcome[]> {
    await this.#input.write(new TextEncoder().encode(JSON.stringify(job) + "\n"));
    const { value, done } = await this.#nextLine(job);
    if (done) throw new Error("Cannot measure: the load generator has ended; what it printed says why");
    return JSON.parse(value) as LoadOutcome[];
  }

  /** Servers that do not answer any more must not stop the benchmark for good. */
  async #nextLine(job: LoadJob): Promise<IteratorResult<string>> {
    const limitMs = LATE_MS_MAX + Math.max(...job.loads.map((load) => load.warmupMs + load.durationMs));
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        this.#child.kill("SIGKILL");
        reject(new Error(`Cannot measure: the load did not end within ${limitMs} ms`));
      }, limitMs);
    });
    try {
      return await Promise.race([this.#lines.next(), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close().catch(() => {});
    await this.#child.status;
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let text = "";
  for await (
    const chunk of stream.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>)
  ) {
    text += chunk;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
      yield text.slice(0, end);
      text = text.slice(end + 1);
    }
  }
}
