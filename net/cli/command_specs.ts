/** Every command with its arguments and options. */
import { LIMITS } from "../../core/base/limits.ts";
import type { OptionSpec } from "./option_spec.ts";

export type CommandName = "serve" | "cluster" | "shell" | "status" | "member" | "load" | "demo" | "verify";

export interface CommandSpec {
  readonly summary: string;
  /** As commander reads them: `<required>`, `[optional]`. */
  readonly args: readonly { readonly name: string; readonly help: string }[];
  readonly options: readonly OptionSpec[];
  /** Printed below the options of `--help`. */
  readonly notes: string;
}

const MIB = 1024 * 1024;
const DAY_MS = 86_400_000;

const CONFIG: OptionSpec = {
  kind: "text",
  name: "config",
  value: "FILE",
  help: "JSON file with options by their names",
};

const TOKEN: readonly OptionSpec[] = [
  {
    kind: "text",
    name: "token",
    value: "TEXT",
    help: "token of the HTTP API (visible in process lists: prefer a file)",
  },
  { kind: "text", name: "token-file", value: "FILE", help: "file that holds the token" },
];

const CLUSTER_SECRET: readonly OptionSpec[] = [
  { kind: "text", name: "cluster-secret", value: "TEXT", help: "secret that nodes prove to each other" },
  { kind: "text", name: "cluster-secret-file", value: "FILE", help: "file that holds the secret" },
];

/** How much of the log and of the past a node keeps. */
const STORAGE: readonly OptionSpec[] = [
  {
    kind: "duration",
    name: "retain",
    value: "DURATION",
    default: "0",
    min: 0,
    max: 3_650 * DAY_MS,
    help: "how far back queries can read the past, such as 24h; 0 keeps only what the node itself needs",
  },
  {
    kind: "size",
    name: "log-bytes",
    value: "SIZE",
    default: "1GiB",
    // Its files are a sixteenth of it; smaller ones than the 1 MiB that is written ahead would be mostly zeros.
    min: 16 * MIB,
    max: MIB * MIB,
    help: "hard limit of the log on disk: beyond it history and slow members are given up",
  },
  {
    kind: "integer",
    name: "checkpoint-bytes",
    value: "BYTES",
    min: MIB,
    max: MIB * MIB,
    defaultText: "chosen by the node",
    help: "log size after which pages are copied into the .db files",
  },
  {
    kind: "duration",
    name: "checkpoint-age",
    value: "DURATION",
    default: "5m",
    min: 1_000,
    max: 30 * DAY_MS,
    help: "age of a change after which its pages are copied into the .db file",
  },
  {
    kind: "size",
    name: "cache-bytes",
    value: "SIZE",
    default: "8MiB",
    min: MIB / 16,
    max: MIB * 1024,
    help: "SQLite's page cache of each open connection",
  },
];

/** What decides who leads next. Integers above 2^53 - 1 go through the HTTP API only. */
const TRAITS: readonly OptionSpec[] = [
  {
    kind: "integer",
    name: "weight",
    value: "NUMBER",
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
    defaultText: "as it is, at first 0",
    help: "the lower, the sooner the member leads",
  },
  {
    kind: "integer",
    name: "failure-domain",
    value: "NUMBER",
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
    defaultText: "as it is, at first 0",
    help: "the same for members that fail together, such as those of one site",
  },
];

const ROLES = ["voter", "stand_by", "spare"];

/** What `serve` and `cluster` pass on to every node. */
const NODE_TUNING: readonly OptionSpec[] = [
  ...TOKEN,
  ...CLUSTER_SECRET,
  {
    kind: "boolean",
    name: "create-databases",
    value: "true|false",
    default: true,
    help: "let the first write create its database",
  },
  {
    kind: "integer",
    name: "election-timeout-ms",
    value: "MS",
    default: 1_000,
    min: 50,
    max: 60_000,
    help: "silence of the leader after which a node stands for election",
  },
  {
    kind: "integer",
    name: "heartbeat-ms",
    value: "MS",
    default: 100,
    min: 5,
    max: 10_000,
    help: "pause between signs of life of the leader",
  },
  {
    kind: "integer",
    name: "lease-ms",
    value: "MS",
    default: 0,
    min: 0,
    max: LIMITS.leaseMsMax,
    help: "leader leases: reads without a round; 0: none; the same on every node",
  },
  {
    kind: "integer",
    name: "readers",
    value: "COUNT",
    min: 1,
    max: 256,
    defaultText: "by the number of cores",
    help: "worker threads for queries",
  },
  ...STORAGE,
  {
    kind: "text",
    name: "engine",
    value: "NAME",
    choices: ["wa-sqlite", "sqlite-wasm"],
    defaultText: "sqlite-wasm where the dqlite protocol is spoken, else wa-sqlite",
    help: "build of SQLite; the nodes of a cluster may differ",
  },
  {
    kind: "text",
    name: "log-level",
    value: "LEVEL",
    default: "info",
    choices: ["debug", "info", "warn", "error"],
    help: "least level that is logged",
  },
  {
    kind: "text",
    name: "log-format",
    value: "FORMAT",
    default: "text",
    choices: ["text", "json"],
    help: "form of log lines",
  },
];

const CONNECTION: readonly OptionSpec[] = [
  ...TOKEN,
  {
    kind: "integer",
    name: "timeout-ms",
    value: "MS",
    default: 30_000,
    min: 1,
    max: DAY_MS,
    help: "time for one request with all its retries",
  },
];

const URL_OPTION: OptionSpec = {
  kind: "text",
  name: "url",
  value: "URL",
  default: "http://127.0.0.1:4001",
  help: "a node, or several with commas; the same as the argument",
};

const SERVE: CommandSpec = {
  summary: "run one node",
  args: [],
  options: [
    { kind: "text", name: "data", value: "DIR", help: "folder of this node's data (required)" },
    {
      kind: "text",
      name: "http",
      value: "HOST:PORT",
      default: "127.0.0.1:4001",
      help: "where clients connect",
    },
    {
      kind: "text",
      name: "raft",
      value: "HOST:PORT",
      default: "127.0.0.1:7001",
      help: "where other nodes connect",
    },
    {
      kind: "text",
      name: "advertise-http",
      value: "HOST:PORT",
      defaultText: "same as --http",
      help: "where clients reach --http from elsewhere",
    },
    {
      kind: "text",
      name: "advertise-raft",
      value: "HOST:PORT",
      defaultText: "same as --raft",
      help: "where other nodes reach --raft from elsewhere",
    },
    {
      kind: "text",
      name: "wire",
      value: "HOST:PORT",
      defaultText: "nowhere",
      help: "where clients of dqlite connect",
    },
    {
      kind: "text",
      name: "advertise-wire",
      value: "HOST:PORT",
      defaultText: "same as --wire",
      help: "where clients of dqlite reach --wire from elsewhere, as they write it",
    },
    {
      kind: "boolean",
      name: "wire-insecure",
      value: "true|false",
      default: false,
      help: "let --wire listen beyond this machine, though its protocol knows no token",
    },
    {
      kind: "boolean",
      name: "bootstrap",
      value: "true|false",
      default: false,
      help: "found a new cluster of this one node",
    },
    {
      kind: "list",
      name: "join",
      value: "HOST:PORT",
      help: "join the cluster that has a node at this --raft address; repeatable",
    },
    {
      kind: "text",
      name: "role",
      value: "ROLE",
      choices: ROLES,
      defaultText: "that of the node it replaces, else voter",
      help: "what it joins as; counts with --join and an empty folder only",
    },
    ...TRAITS,
    ...NODE_TUNING,
    {
      kind: "boolean",
      name: "exit-with-parent",
      value: "true|false",
      default: false,
      help: "stop when standard input ends",
    },
    CONFIG,
  ],
  notes:
    `A node whose folder has data goes on with it and needs neither --bootstrap nor --join. With neither of them an
empty folder becomes a cluster of one node. Listening on an address other than 127.0.0.1, localhost or ::1 needs a
token for --http, a cluster secret for --raft, and --wire-insecure for --wire, which knows no token. Ctrl-C and SIGTERM
stop the node cleanly (exit code 0).`,
};

const CLUSTER: CommandSpec = {
  summary: "run a development cluster on this machine, each node a process of its own",
  args: [],
  options: [
    {
      kind: "text",
      name: "data",
      value: "DIR",
      help: "folder with one folder for each node below it (required)",
    },
    { kind: "integer", name: "nodes", value: "COUNT", default: 3, min: 1, max: 9, help: "number of nodes" },
    {
      kind: "integer",
      name: "http-port",
      value: "PORT",
      default: 4_001,
      min: 1,
      max: 65_535,
      help: "HTTP port of the first node",
    },
    {
      kind: "integer",
      name: "raft-port",
      value: "PORT",
      default: 7_001,
      min: 1,
      max: 65_535,
      help: "port of the first node for other nodes",
    },
    {
      kind: "integer",
      name: "wire-port",
      value: "PORT",
      min: 1,
      max: 65_535,
      defaultText: "none",
      help: "port of the first node for clients of dqlite",
    },
    {
      kind: "boolean",
      name: "restart",
      value: "true|false",
      default: false,
      help: "start a node again that ended by itself",
    },
    ...NODE_TUNING,
    CONFIG,
  ],
  notes:
    `Node i listens on PORT + i, counted from 0, of each kind: with --nodes 3 the URLs are http://127.0.0.1:4001, :4002 and
:4003 (folders node-1, node-2, node-3). Started again on the same folder it continues with the data there. When a
leader serves and all nodes are ready, one line "ready URL URL URL" is printed. The process id of each node is printed,
so that one can be killed to see what happens; it is reported, and started again only with --restart. Ctrl-C and
SIGTERM stop all nodes cleanly (exit code 0); the nodes also stop when this process dies.`,
};

const SHELL: CommandSpec = {
  summary: "run SQL, interactively or from standard input",
  args: [{ name: "[url]", help: "a node, or several with commas (default http://127.0.0.1:4001)" }],
  options: [
    { kind: "text", name: "command", short: "c", value: "SQL", help: "run this and end" },
    { kind: "text", name: "database", value: "NAME", default: "main", help: "database to work on" },
    {
      kind: "text",
      name: "mode",
      value: "MODE",
      default: "table",
      choices: ["table", "csv", "json", "line", "list"],
      help: "form of results",
    },
    {
      kind: "text",
      name: "level",
      value: "LEVEL",
      default: "linearizable",
      choices: ["linearizable", "index", "stale"],
      help: "level of reads",
    },
    {
      kind: "text",
      name: "history",
      value: "FILE",
      defaultText: "walraft/history in the cache folder of the user",
      help: "file of the lines typed before",
    },
    URL_OPTION,
    ...CONNECTION,
    CONFIG,
  ],
  notes:
    `Type .help in the shell for its commands. BEGIN … COMMIT gathers statements and sends them as one transaction.
With -c or piped input the first failing statement ends the shell with exit code 1.`,
};

const STATUS: CommandSpec = {
  summary: "show members and databases of a cluster",
  args: [{ name: "[url]", help: "a node, or several with commas (default http://127.0.0.1:4001)" }],
  options: [URL_OPTION, ...CONNECTION, CONFIG],
  notes: "Exit code 1 when no node answers or no leader is known.",
};

const MEMBER: CommandSpec = {
  summary: "give a member another role, weight or failure domain, or remove it",
  args: [
    { name: "<id>", help: "the member, as `status` shows it" },
    { name: "[url]", help: "a node, or several with commas (default http://127.0.0.1:4001)" },
  ],
  options: [
    {
      kind: "text",
      name: "role",
      value: "ROLE",
      choices: ROLES,
      defaultText: "as it is",
      help: "its new role",
    },
    ...TRAITS,
    {
      kind: "boolean",
      name: "remove",
      value: "true|false",
      default: false,
      help: "remove it from the cluster for good",
    },
    URL_OPTION,
    ...CONNECTION,
    CONFIG,
  ],
  notes:
    `Voters count in every majority and may lead. A stand_by receives everything and has no vote. A spare receives nothing:
it answers from the leader, and costs the cluster next to nothing. A member that is to vote gets its vote when it has
caught up, and the command waits for that, up to --timeout-ms; after that it gets it by itself. A leader that is to
lose its vote hands over first.`,
};

const LOAD: CommandSpec = {
  summary: "load a SQLite database file or a SQL script",
  args: [
    { name: "<url>", help: "a node, or several with commas" },
    { name: "<database>", help: "name of the database" },
    { name: "<file>", help: "SQLite database, or SQL script (told apart by content)" },
  ],
  options: [
    ...CONNECTION.filter((option) => option.name !== "timeout-ms"),
    {
      kind: "integer",
      name: "timeout-ms",
      value: "MS",
      default: 600_000,
      min: 1,
      max: DAY_MS,
      help: "time for one upload or one batch",
    },
    {
      kind: "integer",
      name: "batch-statements",
      value: "COUNT",
      default: 1_000,
      min: 1,
      max: 100_000,
      help: "statements of one batch",
    },
    CONFIG,
  ],
  notes:
    `A database file replaces the database in one atomic step. A script for a database that does not exist or has no
tables is run here in a private native SQLite file, which is then uploaded in one atomic step. For a database with
tables the script is sent in batches, each of which is atomic: BEGIN, COMMIT, END, SAVEPOINT and RELEASE are dropped,
ROLLBACK is refused, PRAGMA foreign_keys is skipped, and each batch checks foreign keys at its end
(PRAGMA defer_foreign_keys). When a batch fails, the batches before it stay, and the line is named.`,
};

const DEMO: CommandSpec = {
  summary: "start three nodes, load real data, show writes, reads and the loss of a leader",
  args: [],
  options: [
    {
      kind: "text",
      name: "data",
      value: "DIR",
      defaultText: "a new temporary folder",
      help: "folder of the nodes' data",
    },
    {
      kind: "integer",
      name: "http-port",
      value: "PORT",
      default: 4_001,
      min: 1,
      max: 65_535,
      help: "HTTP port of the first node",
    },
    {
      kind: "integer",
      name: "raft-port",
      value: "PORT",
      default: 7_001,
      min: 1,
      max: 65_535,
      help: "port of the first node for other nodes",
    },
    {
      kind: "boolean",
      name: "stay",
      value: "true|false",
      default: true,
      help: "keep the cluster running afterwards",
    },
    ...STORAGE,
    CONFIG,
  ],
  notes: "Ctrl-C ends the demonstration and its nodes.",
};

const VERIFY: CommandSpec = {
  summary: "check the data folder of a stopped node, without changing it",
  args: [],
  options: [
    { kind: "text", name: "data", value: "DIR", default: "data", help: "the folder" },
    { kind: "boolean", name: "json", value: "true|false", default: false, help: "print JSON" },
    CONFIG,
  ],
  notes: "Exit code 1 when anything is damaged. Where a fork has stopped the node, the report is explained.",
};

export const COMMANDS: Readonly<Record<CommandName, CommandSpec>> = {
  serve: SERVE,
  cluster: CLUSTER,
  shell: SHELL,
  status: STATUS,
  member: MEMBER,
  load: LOAD,
  demo: DEMO,
  verify: VERIFY,
};
