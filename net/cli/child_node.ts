/** One node of a development cluster as a process. */
import type { Output } from "./output.ts";
import type { PlannedNode } from "./cluster_plan.ts";

/** A line of a node's output is cut into pieces of this length. */
const LINE_CHARACTERS_MAX = 16 * 1024;

export class ChildNode {
  readonly node: PlannedNode;
  readonly #process: Deno.ChildProcess;
  /** Held open for the life of the node: its end tells the node that this process is gone. */
  readonly #stdin: WritableStream<Uint8Array>;
  readonly #printed: Promise<unknown>;
  #exit: Deno.CommandStatus | undefined;
  /** Resolves when the process has ended and all it printed has been passed on. */
  readonly ended: Promise<Deno.CommandStatus>;

  constructor(
    node: PlannedNode,
    command: readonly string[],
    environment: Record<string, string>,
    output: Output,
    nameWidth: number,
  ) {
    const [program, ...args] = command as [string, ...string[]];
    this.node = node;
    this.#process = new Deno.Command(program, {
      args,
      env: environment,
      clearEnv: true,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#stdin = this.#process.stdin;
    const prefix = `${node.name.padEnd(nameWidth)} | `;
    const pass = (line: string) => output.stderr(`${prefix}${line}\n`);
    this.#printed = Promise.all([
      passLines(this.#process.stdout, pass),
      passLines(this.#process.stderr, pass),
    ]);
    this.ended = this.#waitForEnd();
  }

  get pid(): number {
    return this.#process.pid;
  }

  get hasExited(): boolean {
    return this.#exit !== undefined;
  }

  /** `code 1` or `SIGKILL`; undefined while it runs. */
  get exitReason(): string | undefined {
    if (this.#exit === undefined) return undefined;
    return this.#exit.signal ?? `code ${this.#exit.code}`;
  }

  kill(signal: Deno.Signal): void {
    if (this.hasExited) return;
    try {
      this.#process.kill(signal);
    } catch {
      // It ended in this moment.
    }
  }

  async #waitForEnd(): Promise<Deno.CommandStatus> {
    const status = await this.#process.status;
    this.#exit = status;
    await this.#printed;
    await this.#stdin.close().catch(() => {});
    return status;
  }
}

async function passLines(stream: ReadableStream<Uint8Array>, pass: (line: string) => void): Promise<void> {
  let rest = "";
  const text = (stream as ReadableStream<Uint8Array<ArrayBuffer>>).pipeThrough(new TextDecoderStream());
  for await (const chunk of text) {
    const lines = (rest + chunk).split(/\r?\n/);
    rest = lines.pop() as string;
    for (const line of lines) pass(line);
    for (; rest.length > LINE_CHARACTERS_MAX; rest = rest.slice(LINE_CHARACTERS_MAX)) {
      pass(rest.slice(0, LINE_CHARACTERS_MAX));
    }
  }
  if (rest !== "") pass(rest);
}
