/** Resolved options by name and kind, for the functions that build the options of one command. */
import { messageOf } from "./describe_error.ts";
import { environmentName, type OptionSpec, type OptionValue, type ResolvedOption } from "./option_spec.ts";
import { UsageError } from "./usage_error.ts";

const SOURCE_STRENGTH = { flag: 3, environment: 2, file: 1, default: 0 } as const;

/** Longest secret that is read from a file, in characters: more is another file by mistake. */
const SECRET_LENGTH_MAX = 4_096;

export class OptionReader {
  readonly #specs: readonly OptionSpec[];
  readonly #options: ReadonlyMap<string, ResolvedOption>;
  readonly #readFile: (path: string) => string;

  constructor(
    specs: readonly OptionSpec[],
    options: ReadonlyMap<string, ResolvedOption>,
    readFile: (path: string) => string,
  ) {
    this.#specs = specs;
    this.#options = options;
    this.#readFile = readFile;
  }

  /** Where the value came from, for errors. */
  origin(name: string): string {
    return this.#options.get(name)?.origin ?? `--${name}`;
  }

  source(name: string): ResolvedOption["source"] | undefined {
    return this.#options.get(name)?.source;
  }

  maybeText(name: string): string | undefined {
    return this.#value(name) as string | undefined;
  }

  /** Throws UsageError when there is no value. */
  text(name: string): string {
    const value = this.maybeText(name);
    if (value !== undefined) return value;
    const label = this.#specs.find((spec) => spec.name === name)?.value ?? "TEXT";
    throw new UsageError(
      `Missing option --${name} ${label} (or ${environmentName(name)}, or "${name}" in the config file)`,
    );
  }

  boolean(name: string): boolean {
    return this.#value(name) as boolean;
  }

  integer(name: string): number {
    return this.#value(name) as number;
  }

  /** In milliseconds. */
  duration(name: string): number {
    return this.#value(name) as number;
  }

  /** In bytes. */
  size(name: string): number {
    return this.#value(name) as number;
  }

  maybeInteger(name: string): number | undefined {
    return this.#value(name) as number | undefined;
  }

  list(name: string): readonly string[] {
    return (this.#value(name) as readonly string[] | undefined) ?? [];
  }

  /** A secret from `--NAME` or from the file of `--NAME-file`, whichever comes from the stronger place. */
  secret(name: string): string | undefined {
    const direct = this.#options.get(name);
    const file = this.#options.get(`${name}-file`);
    const [directStrength, fileStrength] = [direct, file].map((option) =>
      option ? SOURCE_STRENGTH[option.source] : -1
    ) as [number, number];
    if (direct !== undefined && file !== undefined && directStrength === fileStrength) {
      throw new UsageError(`Cannot use ${direct.origin} with ${file.origin}: give the secret once`);
    }
    if (file === undefined || directStrength > fileStrength) return direct?.value as string | undefined;
    return this.#readSecret(file);
  }

  #readSecret(file: ResolvedOption): string {
    const path = file.value as string;
    let text: string;
    try {
      text = this.#readFile(path).trim();
    } catch (cause) {
      throw new UsageError(`Cannot read ${path} for ${file.origin}: ${messageOf(cause)}`, { cause });
    }
    // Characters a header or a shell would change make a secret that never fits.
    if (text === "" || text.length > SECRET_LENGTH_MAX || !/^[\x21-\x7e]+$/.test(text)) {
      throw new UsageError(
        `Cannot use ${path} for ${file.origin}: it must hold 1 to ${SECRET_LENGTH_MAX} printable ASCII characters without spaces`,
      );
    }
    return text;
  }

  #value(name: string): OptionValue | undefined {
    if (!this.#specs.some((spec) => spec.name === name)) throw new Error(`There is no option --${name} here`);
    return this.#options.get(name)?.value;
  }
}
