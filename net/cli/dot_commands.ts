/** Commands of the shell that are not SQL. */
import type { AsOf } from "../client/mod.ts";
import type { OutputMode, ShellLevel } from "./arguments.ts";
import type { ShellSession } from "./shell_session.ts";
import { fetchStatus, formatDatabases, formatStatus } from "./status.ts";
import { formatBytes, visible } from "./table_format.ts";

interface DotCommand {
  readonly usage: string;
  readonly help: string;
  /** Throws what is to be shown as an error. */
  readonly run: (session: ShellSession, args: readonly string[], signal: AbortSignal) => Promise<void> | void;
}

/** Not what SQLite and walraft keep in a database for themselves. */
const OF_USERS = "name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE 'walraft\\_%' ESCAPE '\\'";

const MODES: readonly OutputMode[] = ["table", "csv", "json", "line", "list"];
const LEVELS: readonly ShellLevel[] = ["linearizable", "index", "stale"];

/** Sets one of a few values, or shows the present one when none is given. */
function choose<T extends string>(
  session: ShellSession,
  name: string,
  allowed: readonly T[],
  given: string | undefined,
  current: T,
  set: (value: T) => void,
): void {
  if (given === undefined) return session.output.stdout(`${name} ${current}\n`);
  const value = allowed.find((candidate) => candidate === given);
  if (value === undefined) {
    throw new Error(`Cannot use "${given}" for .${name}: choose ${allowed.join(", ")}`);
  }
  set(value);
}

const onOff = (value: boolean): "on" | "off" => (value ? "on" : "off");

const COMMANDS: ReadonlyMap<string, DotCommand> = new Map<string, DotCommand>([
  ["tables", {
    usage: ".tables [PATTERN]",
    help: "names of tables and views, all or those LIKE the pattern",
    run: showTables,
  }],
  ["schema", {
    usage: ".schema [TABLE]",
    help: "CREATE statements, all or those of one table",
    run: showSchema,
  }],
  ["databases", {
    usage: ".databases",
    help: "databases of the cluster",
    run: async (session, _args, signal) => {
      const databases = await session.runner.client.databases({ signal });
      session.output.stdout(formatDatabases(databases, session.output.columns));
    },
  }],
  ["open", {
    usage: ".open NAME",
    help: "work on another database",
    run: (session, args) => session.runner.useDatabase(required(args, ".open NAME")),
  }],
  ["mode", {
    usage: ".mode [MODE]",
    help: `form of results: ${MODES.join(", ")}`,
    run: (session, args) =>
      choose(session, "mode", MODES, args[0], session.mode, (mode) => session.mode = mode),
  }],
  ["headers", {
    usage: ".headers [on|off]",
    help: "names of columns above the rows",
    run: (session, args) =>
      choose(
        session,
        "headers",
        ["on", "off"],
        args[0],
        onOff(session.headers),
        (v) => session.headers = v === "on",
      ),
  }],
  ["timer", {
    usage: ".timer [on|off]",
    help: "time and log index after each statement",
    run: (session, args) =>
      choose(
        session,
        "timer",
        ["on", "off"],
        args[0],
        onOff(session.timer),
        (v) => session.timer = v === "on",
      ),
  }],
  ["level", {
    usage: ".level [LEVEL]",
    help: `level of reads: ${LEVELS.join(", ")}`,
    run: (session, args) =>
      choose(
        session,
        "level",
        LEVELS,
        args[0],
        session.runner.level,
        (level) => session.runner.level = level,
      ),
  }],
  ["asof", {
    usage: ".asof [INDEX|TIME|off]",
    help: "show the past: a log index, or a time such as 2026-11-21T10:00:00Z",
    run: (session, [given]) => {
      const { runner, output } = session;
      if (given === undefined) output.stdout(`asof ${runner.asOf ?? "off"}\n`);
      else runner.showMoment(given === "off" ? undefined : toMoment(given));
    },
  }],
  ["status", {
    usage: ".status",
    help: "members of the cluster and databases",
    run: async (session, _args, signal) => {
      const { cluster, databases } = await fetchStatus(session.runner.client, signal);
      session.output.stdout(formatStatus(cluster, databases, session.output.columns));
    },
  }],
  ["read", {
    usage: ".read FILE",
    help: "run the statements of a file",
    run: async (session, args, signal) => {
      const file = await Deno.open(required(args, ".read FILE"));
      await session.nestedScript(file.readable.pipeThrough(new TextDecoderStream()), signal);
    },
  }],
  ["checkpoint", {
    usage: ".checkpoint [full]",
    help: "bring the .db file of the leader up to date; full gives up the history before it",
    run: checkpoint,
  }],
  ["backup", { usage: ".backup FILE", help: "save the database as a SQLite file", run: backup }],
  ["help", { usage: ".help", help: "this list", run: (session) => session.output.stdout(helpText()) }],
  ["quit", { usage: ".quit", help: "leave (also .exit and Ctrl-D)", run: (session) => session.quit() }],
]);

const ALIASES: ReadonlyMap<string, string> = new Map([["exit", "quit"], ["q", "quit"], [
  "header",
  "headers",
]]);

export function dotCommandNames(): string[] {
  return [...COMMANDS.keys()].map((name) => `.${name}`);
}

function helpText(): string {
  const width = Math.max(...[...COMMANDS.values()].map((command) => command.usage.length));
  const lines = [...COMMANDS.values()].map((command) => `${command.usage.padEnd(width)}  ${command.help}\n`);
  return `${
    lines.join("")
  }\nStatements end with a semicolon. BEGIN … COMMIT sends statements as one transaction.\n`;
}

export function isDotCommand(line: string): boolean {
  return /^\s*\.[A-Za-z]/.test(line);
}

/** Throws what is to be shown as an error. */
export async function runDotCommand(session: ShellSession, line: string, signal: AbortSignal): Promise<void> {
  const [word = "", ...args] = splitArguments(line.trim().replace(/;$/, ""));
  const name = word.slice(1).toLowerCase();
  const command = COMMANDS.get(ALIASES.get(name) ?? name);
  if (command === undefined) throw new Error(`Unknown command ${word}: .help lists the commands`);
  const argumentsMax = command.usage.split(" ").length - 1;
  if (args.length > argumentsMax) throw new Error(`Too many arguments: ${command.usage}`);
  await command.run(session, args, signal);
}

/** Words, with single or double quotes around those that have spaces. */
export function splitArguments(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map((match) =>
    match[1] ?? match[2] ?? match[3] ?? ""
  );
}

function toMoment(text: string): AsOf {
  if (/^\d+$/.test(text)) return Number(text);
  if (/^\d{4}-\d\d-\d\dT.*(Z|[+-]\d\d:\d\d)$/.test(text) && !Number.isNaN(Date.parse(text))) return text;
  throw new Error(
    `Cannot use "${text}" for .asof: give a log index, a time such as 2026-11-21T10:00:00Z, or off`,
  );
}

function required(args: readonly string[], usage: string): string {
  const [first] = args;
  if (first === undefined || first === "") throw new Error(`Missing argument: ${usage}`);
  return first;
}

async function showTables(
  session: ShellSession,
  args: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const { database, view } = session.runner;
  const { rows } = await database.query<{ name: string }>(
    `SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND ${OF_USERS}
     AND name LIKE ? ORDER BY name`,
    [args[0] ?? "%"],
    { ...view, signal },
  );
  session.output.stdout(rows.map(({ name }) => `${visible(name)}\n`).join(""));
}

async function showSchema(
  session: ShellSession,
  args: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const { database, view } = session.runner;
  const [table] = args;
  const { rows } = await database.query<{ sql: string }>(
    `SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND ${OF_USERS}
     AND (?1 IS NULL OR tbl_name LIKE ?1) ORDER BY rowid`,
    [table ?? null],
    { ...view, signal },
  );
  session.output.stdout(rows.map(({ sql }) => `${sql};\n`).join(""));
}

async function checkpoint(
  session: ShellSession,
  [mode]: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  if (mode !== undefined && mode !== "full") throw new Error(`Unknown mode "${mode}": .checkpoint [full]`);
  const { database } = session.runner;
  const result = await database.checkpoint({ mode: mode ?? "passive", signal });
  const rest = result.complete ? "all of it" : "the rest is still needed in the log";
  session.output.stdout(`${database.name} is in its file up to index ${result.checkpointIndex}, ${rest}\n`);
}

/** Writes beside the file and renames, so that a broken download leaves what was there. */
async function backup(session: ShellSession, args: readonly string[], signal: AbortSignal): Promise<void> {
  const path = required(args, ".backup FILE");
  const partial = `${path}.partial`;
  try {
    const file = await Deno.open(partial, { write: true, create: true, truncate: true });
    await session.runner.database.backup({ signal }).pipeTo(file.writable);
    const { size } = await Deno.stat(partial);
    await Deno.rename(partial, path);
    session.output.stderr(`${path}: ${formatBytes(size)}\n`);
  } catch (error) {
    await Deno.remove(partial).catch(() => {});
    throw error;
  }
}
