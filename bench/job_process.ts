const LATE_MS_MAX = 60_000;

/** A script of this folder as a process of its own that is given jobs, one at a time: a line of JSON for a line of JSON. */
export class JobProcess<Job, Outcome> {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lines: AsyncIterator<string>;

  /** @param script its file name */
  constructor(script: string) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", new URL(script, import.meta.url).pathname],
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

  /** @param runMs how long the job takes as planned */
  async ask(job: Job, runMs: number): Promise<Outcome> {
    await this.#input.write(new TextEncoder().encode(JSON.stringify(job) + "\n"));
    const { value, done } = await this.#nextLine(runMs);
    if (done) throw new Error("Cannot measure: the load generator has ended; what it printed says why");
    return JSON.parse(value) as Outcome;
  }

  /** Servers that do not answer any more must not stop the benchmark for good. */
  async #nextLine(runMs: number): Promise<IteratorResult<string>> {
    const limitMs = LATE_MS_MAX + runMs;
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
