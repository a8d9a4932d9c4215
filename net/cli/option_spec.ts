/** Options as data, so that help, flags, environment variables and config file cannot disagree. */
import { formatDuration, formatSize, parseDuration, parseSize } from "./amount.ts";
import { UsageError } from "./usage_error.ts";

interface BaseSpec {
  /** The flag without dashes, such as `http-port`; also the key in the config file. */
  readonly name: string;
  readonly help: string;
  /** Name of the value in help, such as `DIR`. */
  readonly value: string;
  /** Shown in help where there is no `default`. */
  readonly defaultText?: string;
}

export type OptionSpec =
  | BaseSpec & {
    readonly kind: "text";
    readonly default?: string;
    readonly choices?: readonly string[];
    readonly short?: string;
  }
  | BaseSpec & { readonly kind: "list" }
  | BaseSpec & { readonly kind: "boolean"; readonly default: boolean }
  | BaseSpec & {
    readonly kind: "integer";
    readonly default?: number;
    readonly min: number;
    readonly max: number;
  }
  /** Written with a unit, such as `90m`; the value is in milliseconds, and so are the bounds. */
  | BaseSpec & {
    readonly kind: "duration";
    readonly default: string;
    readonly min: number;
    readonly max: number;
  }
  /** Written in bytes or with a unit, such as `256MiB`; the value is in bytes, and so are the bounds. */
  | BaseSpec & {
    readonly kind: "size";
    readonly default: string;
    readonly min: number;
    readonly max: number;
  };

export type OptionValue = string | number | boolean | readonly string[];

/** Where a value came from, the strongest first. */
export type OptionSource = "flag" | "environment" | "file" | "default";

export interface ResolvedOption {
  readonly value: OptionValue;
  readonly source: OptionSource;
  /** The value's name for errors, such as `--http-port` or `WALRAFT_HTTP_PORT`. */
  readonly origin: string;
}

export function environmentName(name: string): string {
  return `WALRAFT_${name.toUpperCase().replaceAll("-", "_")}`;
}

const BOOLEANS: ReadonlyMap<unknown, boolean> = new Map<unknown, boolean>([
  [true, true],
  ["true", true],
  ["1", true],
  ["yes", true],
  [false, false],
  ["false", false],
  ["0", false],
  ["no", false],
]);

/** Turns what was given into a value of the option's kind. `origin` names the place in errors. Throws UsageError. */
export function readOptionValue(spec: OptionSpec, given: unknown, origin: string): OptionValue {
  const refuse = (must: string): never => {
    throw new UsageError(`Cannot use ${describe(given)} for ${origin}: it must be ${must}`);
  };
  switch (spec.kind) {
    case "boolean":
      return BOOLEANS.get(given) ?? refuse("true or false");
    case "integer": {
      const value = typeof given === "string" && /^-?\d+$/.test(given) ? Number(given) : given;
      if (
        typeof value === "number" && Number.isSafeInteger(value) && value >= spec.min && value <= spec.max
      ) return value;
      return refuse(`a whole number from ${spec.min} to ${spec.max}`);
    }
    case "duration": {
      const value = parseDuration(written(given));
      if (value !== undefined && value >= spec.min && value <= spec.max) return value;
      const bounds = `from ${formatDuration(spec.min)} to ${formatDuration(spec.max)}`;
      return refuse(`a duration ${bounds} with its unit (ms, s, m, h, d), such as 30s or 24h`);
    }
    case "size": {
      const value = parseSize(written(given));
      if (value !== undefined && value >= spec.min && value <= spec.max) return value;
      const bounds = `from ${formatSize(spec.min)} to ${formatSize(spec.max)}`;
      return refuse(`a size ${bounds}, in bytes or with its unit (KiB, MiB, GiB, TiB), such as 256MiB`);
    }
    case "list": {
      const parts = typeof given === "string" ? given.split(",") : given;
      if (!Array.isArray(parts) || parts.some((part) => typeof part !== "string")) {
        return refuse("a list of texts");
      }
      return parts.flatMap((part: string) => part.split(",")).map((part) => part.trim()).filter((part) =>
        part !== ""
      );
    }
    case "text":
      if (typeof given !== "string" || given === "") return refuse("a text that is not empty");
      if (spec.choices !== undefined && !spec.choices.includes(given)) {
        return refuse(`one of ${spec.choices.join(", ")}`);
      }
      return given;
  }
}

/** The config file may hold a number where the command line has digits. */
function written(given: unknown): string {
  return typeof given === "string" || typeof given === "number" ? String(given) : "";
}

function describe(given: unknown): string {
  const text = JSON.stringify(given) ?? String(given);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

/**
 * The value of every option that has one: flag, then environment, then file, then default. Options whose name ends in
 * `token` or `secret` are never repeated in errors.
 */
export function resolveOptions(
  specs: readonly OptionSpec[],
  flags: Readonly<Record<string, unknown>>,
  environment: Readonly<Record<string, string | undefined>>,
  file: Readonly<Record<string, unknown>>,
): ReadonlyMap<string, ResolvedOption> {
  const resolved = new Map<string, ResolvedOption>();
  for (const spec of specs) {
    const flag = flags[spec.name];
    const variable = environment[environmentName(spec.name)];
    const places: [OptionSource, string, unknown][] = [
      ["flag", `--${spec.name}`, flag],
      // An empty variable is how shells and container files leave something unset.
      ["environment", environmentName(spec.name), variable === "" ? undefined : variable],
      ["file", `"${spec.name}" in the config file`, file[spec.name]],
      ["default", `--${spec.name}`, "default" in spec ? spec.default : undefined],
    ];
    const place = places.find(([, , given]) => given !== undefined);
    if (place === undefined) continue;
    const [source, origin, given] = place;
    resolved.set(spec.name, { value: readOptionValue(spec, given, origin), source, origin });
  }
  return resolved;
}
