/** From the words of a command line to the options of one command. Pure: environment and files come in. */
import { Command, CommanderError, Option } from "commander";
import { type CommandName, COMMANDS, type CommandSpec } from "./command_specs.ts";
import { messageOf } from "./describe_error.ts";
import { OptionReader } from "./option_reader.ts";
import { environmentName, type OptionSpec, readOptionValue, resolveOptions } from "./option_spec.ts";
import {
  type NodeTuning,
  readNodeTuning,
  readServeOptions,
  readStorageOptions,
  type ServeOptions,
  type StorageOptions,
} from "./serve_options.ts";
import { type MemberOptions, readMemberOptions } from "./member_options.ts";
import type { VerifyOptions } from "./verify.ts";
import { UsageError } from "./usage_error.ts";

export interface ClusterOptions {
  readonly dataDirectory: string;
  readonly nodes: number;
  readonly httpPort: number;
  readonly raftPort: number;
  /** Undefined: the dqlite protocol is not spoken. */
  readonly wirePort: number | undefined;
  readonly restart: boolean;
  readonly tuning: NodeTuning;
}

export interface ConnectionOptions {
  readonly urls: readonly string[];
  readonly token: string | undefined;
  readonly timeoutMs: number;
}

export type OutputMode = "table" | "csv" | "json" | "line" | "list";
export type ShellLevel = "linearizable" | "index" | "stale";

export interface ShellOptions extends ConnectionOptions {
  readonly command: string | undefined;
  readonly database: string;
  readonly mode: OutputMode;
  readonly level: ShellLevel;
  readonly historyFile: string | undefined;
}

export type StatusOptions = ConnectionOptions;

export interface LoadOptions extends ConnectionOptions {
  readonly database: string;
  readonly file: string;
  readonly batchStatementsMax: number;
}

export interface DemoOptions {
  /** Undefined: a new temporary folder. */
  readonly dataDirectory: string | undefined;
  readonly httpPort: number;
  readonly raftPort: number;
  readonly stay: boolean;
  readonly storage: StorageOptions;
}

export type ParsedCommand =
  | { readonly command: "serve"; readonly options: ServeOptions }
  | { readonly command: "cluster"; readonly options: ClusterOptions }
  | { readonly command: "shell"; readonly options: ShellOptions }
  | { readonly command: "status"; readonly options: StatusOptions }
  | { readonly command: "member"; readonly options: MemberOptions }
  | { readonly command: "load"; readonly options: LoadOptions }
  | { readonly command: "demo"; readonly options: DemoOptions }
  | { readonly command: "verify"; readonly options: VerifyOptions }
  /** Help or version: to be printed on standard output, exit code 0. */
  | { readonly command: "print"; readonly text: string };

const EXIT_CODES = `Exit codes: 0 done, 1 failed, 2 the command was not understood, 130 ended by Ctrl-C.
Every option can also come from an environment variable (WALRAFT_ and the name in capitals, as WALRAFT_HTTP_PORT) or
from a JSON file named by --config or WALRAFT_CONFIG. A flag beats a variable, a variable beats the file.`;

/**
 * Understands a command line. `argv` has no program name. Throws UsageError with a message for people.
 *
 * @param readFile reads a text file; used for `--config` and files of secrets only
 */
export function parseCommandLine(
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
  readFile: (path: string) => string,
  version: string,
): ParsedCommand {
  const printed: string[] = [];
  let found: { name: CommandName; args: readonly string[]; flags: Record<string, unknown> } | undefined;
  const program = newProgram(version, printed);
  for (const name of Object.keys(COMMANDS) as CommandName[]) {
    addCommand(program, name, (args, flags) => {
      found = { name, args, flags };
    });
  }
  try {
    program.parse([...argv], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return { command: "print", text: printed.join("") };
    if (error.code === "commander.help") throw new UsageError(printed.join("").trimEnd());
    throw new UsageError(error.message.replace(/^error: /, "").replace(/\n\(Did/, " (did"));
  }
  if (found === undefined) throw new UsageError(program.helpInformation().trimEnd());
  return buildCommand(found.name, found.args, readOptions(found.name, found.flags, environment, readFile));
}

function newProgram(version: string, printed: string[]): Command {
  return new Command("walraft")
    .description("A distributed SQLite: WAL frames replicated with Raft, served over HTTP.")
    .version(`walraft ${version}`, "--version", "print the version")
    .helpOption("--help", "print help")
    .helpCommand("help [command]", "print help of a command")
    .addHelpText("after", `\n${EXIT_CODES}\nRun "walraft COMMAND --help" for the options of a command.`)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => printed.push(text),
      writeErr: (text) => printed.push(text),
      outputError: () => {},
      getOutHelpWidth: () => 110,
      getErrHelpWidth: () => 110,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    });
}

function addCommand(
  program: Command,
  name: CommandName,
  onFound: (args: readonly string[], flags: Record<string, unknown>) => void,
): void {
  const spec = COMMANDS[name];
  const command = program.command(name).description(spec.summary).helpOption("--help", "print help");
  command.addHelpText("after", `\n${spec.notes}\n\n${EXIT_CODES}`);
  for (const arg of spec.args) command.argument(arg.name, arg.help);
  for (const option of spec.options) command.addOption(toCommanderOption(option));
  command.action(() => onFound(command.args, toFlags(spec, command)));
}

function toCommanderOption(spec: OptionSpec): Option {
  const short = spec.kind === "text" && spec.short !== undefined ? `-${spec.short}, ` : "";
  const value = spec.kind === "boolean"
    ? `[${spec.value}]`
    : spec.kind === "list"
    ? `<${spec.value}...>`
    : `<${spec.value}>`;
  const standard = "default" in spec && spec.default !== undefined ? String(spec.default) : spec.defaultText;
  const choices = spec.kind === "text" && spec.choices !== undefined ? `: ${spec.choices.join(", ")}` : "";
  const help = spec.help + choices + (standard === undefined ? "" : ` (default ${standard})`);
  return new Option(`${short}--${spec.name} ${value}`, help);
}

/** Flags by the name of the option; commander gives them in camel case. */
function toFlags(spec: CommandSpec, command: Command): Record<string, unknown> {
  const values: Record<string, unknown> = command.opts();
  return Object.fromEntries(spec.options.map(({ name }) => {
    const key = name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
    return [name, values[key]];
  }));
}

function readOptions(
  name: CommandName,
  flags: Record<string, unknown>,
  environment: Readonly<Record<string, string | undefined>>,
  readFile: (path: string) => string,
): OptionReader {
  const specs = COMMANDS[name].options;
  const path = (flags.config ?? (environment[environmentName("config")] || undefined)) as string | undefined;
  const file = path === undefined ? {} : readConfigFile(path, readFile);
  const options = resolveOptions(specs, flags, environment, file);
  return new OptionReader(specs, options, readFile);
}

/** One file may serve several commands, so a key may belong to any of them. */
function readConfigFile(path: string, readFile: (path: string) => string): Record<string, unknown> {
  let config: unknown;
  try {
    config = JSON.parse(readFile(path));
  } catch (cause) {
    const verb = cause instanceof SyntaxError ? "parse" : "read";
    throw new UsageError(`Cannot ${verb} the config file ${path}: ${messageOf(cause)}`, { cause });
  }
  if (config === null || typeof config !== "object" || Array.isArray(config)) {
    throw new UsageError(`Cannot use the config file ${path}: it must hold one JSON object`);
  }
  const known = Object.values(COMMANDS).flatMap((command) => command.options).filter((option) =>
    option.name !== "config"
  );
  for (const [key, value] of Object.entries(config)) {
    const specs = known.filter((option) => option.name === key);
    if (specs[0] === undefined) {
      const near = known.find((option) => option.name === key.replaceAll("_", "-").toLowerCase())?.name;
      throw new UsageError(
        `Unknown key "${key}" in the config file ${path}${
          near === undefined ? "" : `; did you mean "${near}"?`
        }`,
      );
    }
    readOptionValue(specs[0], value, `"${key}" in the config file`);
  }
  return config as Record<string, unknown>;
}

function buildCommand(command: CommandName, args: readonly string[], reader: OptionReader): ParsedCommand {
  switch (command) {
    case "serve":
      return { command, options: readServeOptions(reader) };
    case "cluster":
      return { command, options: readClusterOptions(reader) };
    case "shell":
      return {
        command,
        options: {
          ...readConnection(args[0] ?? reader.text("url"), reader),
          command: reader.maybeText("command"),
          database: reader.text("database"),
          mode: reader.text("mode") as OutputMode,
          level: reader.text("level") as ShellLevel,
          historyFile: reader.maybeText("history"),
        },
      };
    case "status":
      return { command, options: readConnection(args[0] ?? reader.text("url"), reader) };
    case "member": {
      const connection = readConnection(args[1] ?? reader.text("url"), reader);
      return { command, options: { ...connection, ...readMemberOptions(args[0] as string, reader) } };
    }
    case "load": {
      const [url, database, file] = args as [string, string, string];
      const batchStatementsMax = reader.integer("batch-statements");
      return { command, options: { ...readConnection(url, reader), database, file, batchStatementsMax } };
    }
    case "demo":
      return {
        command,
        options: {
          dataDirectory: reader.maybeText("data"),
          httpPort: readPort(reader, "http-port", 3),
          raftPort: readPort(reader, "raft-port", 3),
          stay: reader.boolean("stay"),
          storage: readStorageOptions(reader),
        },
      };
    case "verify":
      return { command, options: { dataDirectory: reader.text("data"), json: reader.boolean("json") } };
  }
}

function readClusterOptions(reader: OptionReader): ClusterOptions {
  const nodes = reader.integer("nodes");
  const httpPort = readPort(reader, "http-port", nodes);
  const raftPort = readPort(reader, "raft-port", nodes);
  const wirePort = reader.maybeInteger("wire-port") === undefined
    ? undefined
    : readPort(reader, "wire-port", nodes);
  const ranges: [string, number][] = [["--http-port", httpPort], ["--raft-port", raftPort]];
  if (wirePort !== undefined) ranges.push(["--wire-port", wirePort]);
  mustBeApart(ranges, nodes);
  const dataDirectory = reader.text("data");
  return {
    dataDirectory,
    nodes,
    httpPort,
    raftPort,
    wirePort,
    restart: reader.boolean("restart"),
    tuning: readNodeTuning(reader),
  };
}

function mustBeApart(ranges: readonly (readonly [string, number])[], nodes: number): void {
  ranges.forEach(([name, port], index) => {
    const [otherName, otherPort] = ranges.slice(0, index).find(([, other]) =>
      Math.abs(other - port) < nodes
    ) ?? [];
    if (otherName === undefined) return;
    throw new UsageError(
      `Cannot use ${otherName} ${otherPort} with ${name} ${port}: the ports of ${nodes} nodes overlap`,
    );
  });
}

function readPort(reader: OptionReader, name: string, nodes: number): number {
  const port = reader.integer(name);
  if (port + nodes - 1 <= 65_535) return port;
  throw new UsageError(
    `Cannot use ${port} for ${reader.origin(name)}: ${nodes} nodes need ports up to ${
      port + nodes - 1
    }, the last is 65535`,
  );
}

function readConnection(url: string, reader: OptionReader): ConnectionOptions {
  const urls = url.split(",").map((part) => part.trim()).filter((part) => part !== "");
  if (urls.length === 0) throw new UsageError("Cannot connect: the URL is empty");
  return { urls, token: reader.secret("token"), timeoutMs: reader.integer("timeout-ms") };
}
