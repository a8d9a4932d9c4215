/** What a command gets from its process, with everything it prints kept. */
import type { CommandContext } from "../../net/cli/command_context.ts";
import type { Output } from "../../net/cli/output.ts";

export class CapturedOutput implements Output {
  out = "";
  err = "";
  readonly isTerminal: boolean;
  readonly isErrorTerminal: boolean;
  readonly columns: number | undefined;
  readonly #waiting: { readonly pattern: RegExp; readonly resolve: (match: RegExpExecArray) => void }[] = [];

  constructor(columns?: number) {
    this.isTerminal = columns !== undefined;
    this.isErrorTerminal = columns !== undefined;
    this.columns = columns;
  }

  stdout(text: string): void {
    this.out += text;
    this.#look();
  }

  stderr(text: string): void {
    this.err += text;
    this.#look();
  }

  /** Resolves when what was printed to either stream matches. */
  printed(pattern: RegExp): Promise<RegExpExecArray> {
    return new Promise((resolve) => {
      this.#waiting.push({ pattern, resolve });
      this.#look();
    });
  }

  #look(): void {
    for (const waiting of this.#waiting.splice(0)) {
      const match = waiting.pattern.exec(this.out) ?? waiting.pattern.exec(this.err);
      if (match === null) this.#waiting.push(waiting);
      else waiting.resolve(match);
    }
  }
}

export interface CapturedContext extends CommandContext {
  readonly output: CapturedOutput;
  interrupt(): void;
}

export interface ContextOptions {
  /** Piped standard input. */
  readonly input?: string;
  readonly columns?: number;
  readonly environment?: Readonly<Record<string, string>>;
  readonly selfCommand?: readonly string[];
}

export function capturedContext(options: ContextOptions = {}): CapturedContext {
  const interrupted = new AbortController();
  return {
    output: new CapturedOutput(options.columns),
    input: {
      isTerminal: false,
      async *chunks() {
        const text = options.input ?? "";
        for (let at = 0; at < text.length; at += 7) yield text.slice(at, at + 7);
      },
    },
    environment: options.environment ?? {},
    readFile: (path) => Deno.readTextFileSync(path),
    signal: interrupted.signal,
    version: "0.0.1",
    selfCommand: options.selfCommand ?? [],
    interrupt: () => interrupted.abort("SIGINT"),
  };
}
