import assert from "node:assert/strict";
import { parseCommandLine, type ParsedCommand } from "./arguments.ts";
import { UsageError } from "./usage_error.ts";

type Files = Readonly<Record<string, string>>;

function parse(line: string, environment: Record<string, string> = {}, files: Files = {}): ParsedCommand {
  const readFile = (path: string) => {
    const text = files[path];
    if (text === undefined) throw new Error("No such file");
    return text;
  };
  return parseCommandLine(line.split(" ").filter((word) => word !== ""), environment, readFile, "1.2.3");
}

/** Options of a line that is known to be for this command. */
function options<Name extends ParsedCommand["command"]>(command: Name, ...args: Parameters<typeof parse>) {
  const parsed = parse(...args);
  assert.equal(parsed.command, command);
  return (parsed as Extract<ParsedCommand, { command: Name }> & { options: unknown }).options as Extract<
    ParsedCommand,
    { command: Name; options: unknown }
  >["options"];
}

function refuses(message: RegExp, ...args: Parameters<typeof parse>): void {
  assert.throws(() => parse(...args), (error) => {
    assert.ok(error instanceof UsageError, String(error));
    assert.match(error.message, message);
    return true;
  });
}

Deno.test("parseCommandLine() gives serve its defaults: a lone node needs --data only", () => {
  assert.deepEqual(options("serve", "serve --data d"), {
    dataDirectory: "d",
    http: { host: "127.0.0.1", port: 4001 },
    raft: { host: "127.0.0.1", port: 7001 },
    advertiseHttp: undefined,
    advertiseRaft: undefined,
    wire: undefined,
    advertiseWire: undefined,
    start: { kind: "automatic" },
    role: undefined,
    weight: undefined,
    failureDomain: undefined,
    exitWithParent: false,
    token: undefined,
    clusterSecret: undefined,
    createDatabases: true,
    electionTimeoutMs: 1000,
    heartbeatMs: 100,
    leaseMs: 0,
    readers: undefined,
    retainMs: 0,
    logBytesMax: 1_073_741_824,
    checkpointBytes: undefined,
    checkpointAgeMs: 300_000,
    cacheBytes: 8_388_608,
    engine: undefined,
    logLevel: "info",
    logFormat: "text",
  });
  refuses(/Missing option --data DIR \(or WALRAFT_DATA, or "data" in the config file\)/, "serve");
});

Deno.test("parseCommandLine() understands every flag of serve", () => {
  const all = options(
    "serve",
    "serve --data d --http [::1]:0 --raft localhost:7000 --advertise-http a:1 --advertise-raft b:2 --join x:1 y:2 --join z:3,w:4 " +
      "--token t --cluster-secret s --create-databases false --election-timeout-ms 500 --heartbeat-ms 50 --lease-ms 250 --readers 2 " +
      "--retain 24h --log-bytes 256MiB --checkpoint-age 30s --checkpoint-bytes 2097152 --log-level debug --log-format json --exit-with-parent",
  );
  assert.deepEqual(all.http, { host: "::1", port: 0 });
  assert.deepEqual(all.start, { kind: "join", addresses: ["x:1", "y:2", "z:3", "w:4"] });
  assert.deepEqual([all.exitWithParent, all.createDatabases, all.logFormat, all.readers], [
    true,
    false,
    "json",
    2,
  ]);
  assert.deepEqual([all.token, all.clusterSecret, all.leaseMs], ["t", "s", 250]);
  assert.deepEqual(
    [all.retainMs, all.logBytesMax, all.checkpointAgeMs, all.checkpointBytes],
    [86_400_000, 268_435_456, 30_000, 2_097_152],
  );
  assert.deepEqual(options("serve", "serve --data d --bootstrap").start, { kind: "bootstrap" });
  refuses(/--bootstrap with --join/, "serve --data d --bootstrap --join a:1");
});

Deno.test("parseCommandLine() lets the dqlite protocol beyond this machine only on demand", () => {
  const plain = options("serve", "serve --data d --wire 127.0.0.1:9001 --engine wa-sqlite");
  assert.deepEqual([plain.wire, plain.advertiseWire, plain.engine], [
    { host: "127.0.0.1", port: 9001 },
    undefined,
    "wa-sqlite",
  ]);
  refuses(
    /--wire-insecure: the dqlite protocol has neither tokens/,
    "serve --data d --wire 10.0.0.1:9001 --token t",
  );
  refuses(/without --advertise-wire/, "serve --data d --wire 0.0.0.0:9001 --wire-insecure");
  const open = options(
    "serve",
    "serve --data d --wire 0.0.0.0:9001 --wire-insecure --advertise-wire db.example:9001",
  );
  assert.deepEqual([open.wire?.host, open.advertiseWire], ["0.0.0.0", "db.example:9001"]);
  assert.equal(options("cluster", "cluster --data d").wirePort, undefined);
  assert.equal(options("cluster", "cluster --data d --wire-port 9001").wirePort, 9001);
  refuses(
    /--raft-port 7001 with --wire-port 7003: the ports of 3 nodes overlap/,
    "cluster --data d --wire-port 7003",
  );
});

Deno.test("parseCommandLine() prefers flag, then environment, then file, then default", () => {
  const files = {
    "c.json": '{"data":"file","http":"127.0.0.1:1","raft":"127.0.0.1:2","log-level":"warn","nodes":5}',
  };
  const environment = {
    WALRAFT_CONFIG: "c.json",
    WALRAFT_DATA: "variable",
    WALRAFT_RAFT: "127.0.0.1:3",
    WALRAFT_HTTP: "",
  };
  const found = options("serve", "serve --data flag", environment, files);
  assert.deepEqual([found.dataDirectory, found.raft.port, found.http.port, found.logLevel], [
    "flag",
    3,
    1,
    "warn",
  ]);
  assert.equal(options("serve", "serve", environment, files).dataDirectory, "variable");
  assert.equal(options("serve", "serve --config c.json", {}, files).dataDirectory, "file");
  assert.equal(options("cluster", "cluster", environment, files).nodes, 5);
});

Deno.test("parseCommandLine() names what is wrong in the config file", () => {
  const files = {
    "unknown.json": '{"dta":"d"}',
    "snake.json": '{"http_port":1}',
    "kind.json": '{"heartbeat-ms":"soon"}',
    "array.json": "[]",
    "broken.json": "{",
  };
  refuses(/Unknown key "dta" in the config file unknown.json$/, "serve --config unknown.json", {}, files);
  refuses(/"http_port".*did you mean "http-port"\?/, "serve --config snake.json", {}, files);
  refuses(
    /"soon" for "heartbeat-ms" in the config file: it must be a whole number/,
    "serve --config kind.json",
    {},
    files,
  );
  refuses(/one JSON object/, "serve --config array.json", {}, files);
  refuses(/Cannot parse the config file broken.json/, "serve --config broken.json", {}, files);
  refuses(
    /Cannot read the config file none.json: No such file/,
    "serve",
    { WALRAFT_CONFIG: "none.json" },
    files,
  );
});

Deno.test("parseCommandLine() takes secrets from files and never repeats them", () => {
  const files = { t: "from-file\n", empty: "\n", spaced: "two words", "c.json": '{"token":"from-config"}' };
  assert.equal(options("serve", "serve --data d --token-file t", {}, files).token, "from-file");
  assert.equal(options("serve", "serve --data d", { WALRAFT_TOKEN_FILE: "t" }, files).token, "from-file");
  assert.equal(
    options("serve", "serve --data d --token-file t", { WALRAFT_TOKEN: "weaker" }, files).token,
    "from-file",
  );
  assert.equal(
    options("serve", "serve --data d --config c.json", { WALRAFT_TOKEN: "stronger" }, files).token,
    "stronger",
  );
  assert.equal(options("status", "status --token-file t", {}, files).token, "from-file");
  refuses(
    /--token with --token-file: give the secret once/,
    "serve --data d --token x --token-file t",
    {},
    files,
  );
  refuses(/empty for --token-file: it must hold/, "serve --data d --token-file empty", {}, files);
  refuses(
    /Cannot read none for --cluster-secret-file/,
    "serve --data d --cluster-secret-file none",
    {},
    files,
  );
  assert.throws(
    () => parse("serve --data d --token-file spaced", {}, files),
    (error) => !String(error).includes("two words"),
  );
});

Deno.test("parseCommandLine() refuses to be reachable without secrets or address", () => {
  refuses(/Cannot listen on 0.0.0.0:4001 without --token/, "serve --data d --http 0.0.0.0:4001");
  refuses(/Cannot listen on 10.0.0.1:7001 without --cluster-secret/, "serve --data d --raft 10.0.0.1:7001");
  refuses(
    /Cannot listen on \[::\]:4001 without --advertise-http/,
    "serve --data d --http [::]:4001 --token t",
  );
  refuses(
    /"0.0.0.0:1" for --advertise-raft: nobody can connect/,
    "serve --data d --advertise-raft 0.0.0.0:1",
  );
  const open = options("serve", "serve --data d --http 0.0.0.0:4001 --advertise-http db1:4001 --token t");
  assert.equal(open.advertiseHttp, "db1:4001");
});

Deno.test("parseCommandLine() checks values", () => {
  refuses(/"4001" for --http: it must be HOST:PORT/, "serve --data d --http 4001");
  refuses(/"a:70000"/, "serve --data d --join a:70000");
  refuses(/"x" for --readers: it must be a whole number from 1 to 256/, "serve --data d --readers x");
  refuses(/"loud" for WALRAFT_LOG_LEVEL: it must be one of debug, info, warn, error/, "serve --data d", {
    WALRAFT_LOG_LEVEL: "loud",
  });
  refuses(
    /"maybe" for --create-databases: it must be true or false/,
    "serve --data d --create-databases maybe",
  );
  refuses(/at least twice the heartbeat/, "serve --data d --heartbeat-ms 600");
  refuses(/half of the timeout at most/, "serve --data d --lease-ms 400 --election-timeout-ms 700");
  refuses(/501/, "cluster --data d --lease-ms 501");
  refuses(/ports of 3 nodes overlap/, "cluster --data d --raft-port 4002");
  refuses(/need ports up to 65537/, "cluster --data d --http-port 65535");
});

Deno.test("parseCommandLine() takes durations and sizes with their units, from everywhere", () => {
  const files = { "c.json": '{"retain":"7d","log-bytes":134217728}', "bare.json": '{"retain":24}' };
  const found = options(
    "cluster",
    "cluster --data d --config c.json",
    { WALRAFT_CHECKPOINT_AGE: "90m" },
    files,
  );
  assert.deepEqual([found.tuning.retainMs, found.tuning.logBytesMax, found.tuning.checkpointAgeMs], [
    604_800_000,
    134_217_728,
    5_400_000,
  ]);
  refuses(
    /^Cannot use "24" for --retain: it must be a duration from 0 to 3650d with its unit \(ms, s, m, h, d\), such as 30s or 24h$/,
    "serve --data d --retain 24",
  );
  refuses(
    /Cannot use 24 for "retain" in the config file: it must be a duration/,
    "serve --config bare.json",
    {},
    files,
  );
  refuses(
    /"500ms" for --checkpoint-age: it must be a duration from 1s to 30d/,
    "serve --data d --checkpoint-age 500ms",
  );
  refuses(
    /^Cannot use "1GB" for --log-bytes: it must be a size from 16MiB to 1TiB, in bytes or with its unit \(KiB, MiB, GiB, TiB\), such as 256MiB$/,
    "serve --data d --log-bytes 1GB",
  );
  refuses(/"15MiB" for WALRAFT_LOG_BYTES/, "serve --data d", { WALRAFT_LOG_BYTES: "15MiB" });
});

Deno.test("parseCommandLine() understands cluster, shell, status, load and demo", () => {
  const cluster = options("cluster", "cluster --data d --nodes 5 --http-port 5001 --restart --token t");
  assert.deepEqual(
    [cluster.nodes, cluster.httpPort, cluster.raftPort, cluster.restart, cluster.tuning.token],
    [5, 5001, 7001, true, "t"],
  );
  const shell = options("shell", "shell a:1,b:2 -c SELECT --database db --mode csv");
  assert.deepEqual(shell, {
    urls: ["a:1", "b:2"],
    token: undefined,
    timeoutMs: 30_000,
    command: "SELECT",
    database: "db",
    mode: "csv",
    level: "linearizable",
    historyFile: undefined,
  });
  assert.deepEqual(options("shell", "shell", { WALRAFT_URL: "c:3" }).urls, ["c:3"]);
  assert.deepEqual(options("status", "status").urls, ["http://127.0.0.1:4001"]);
  const load = options("load", "load http://a:1 db file.sql --batch-statements 10");
  assert.deepEqual([load.urls, load.database, load.file, load.batchStatementsMax], [
    ["http://a:1"],
    "db",
    "file.sql",
    10,
  ]);
  assert.deepEqual(options("demo", "demo --stay false"), {
    dataDirectory: undefined,
    httpPort: 4001,
    raftPort: 7001,
    stay: false,
    storage: {
      retainMs: 0,
      logBytesMax: 1_073_741_824,
      checkpointBytes: undefined,
      checkpointAgeMs: 300_000,
      cacheBytes: 8_388_608,
    },
  });
  assert.equal(options("demo", "demo --retain 1h").storage.retainMs, 3_600_000);
});

Deno.test("parseCommandLine() prints help and version", () => {
  const print = (line: string) => {
    const parsed = parse(line);
    assert.equal(parsed.command, "print");
    return parsed.command === "print" ? parsed.text : "";
  };
  assert.equal(print("--version").trim(), "walraft 1.2.3");
  for (const name of ["serve", "cluster", "shell", "status", "load", "demo", "verify"]) {
    assert.match(print("--help"), new RegExp(`\\n  ${name}\\b`));
    const help = print(`${name} --help`);
    assert.match(help, /--config <FILE>/);
    assert.match(help, /Exit codes: 0 done, 1 failed/);
    for (const line of help.split("\n")) assert.ok(line.length <= 120, `${name}: ${line}`);
  }
  assert.match(print("help load"), /told apart by content/);
  assert.match(print("serve --help"), /--election-timeout-ms <MS>\s+.*\(default 1000\)/);
});

Deno.test("parseCommandLine() explains what it does not understand", () => {
  refuses(/unknown command 'serv' \(did you mean serve\?\)/i, "serv");
  refuses(/unknown option '--dat' \(did you mean --data\?\)/i, "serve --dat d");
  refuses(/missing required argument 'file'/, "load a b");
  refuses(/too many arguments/, "status a b");
  refuses(/option '--data <DIR>' argument missing/, "serve --data");
  refuses(/Usage: walraft/, "");
});

Deno.test("parseCommandLine(): a node says what it joins as, and only when it joins", () => {
  const line = "serve --data d --join h:1 --role spare --weight 7 --failure-domain 2";
  const { role, weight, failureDomain } = options("serve", line);
  assert.deepEqual([role, weight, failureDomain], ["spare", 7, 2]);
  assert.equal(options("serve", "serve --data d --weight 9007199254740991").weight, 2 ** 53 - 1);
  refuses(/Cannot use --role without --join/, "serve --data d --role stand_by");
  refuses(/Cannot use --role without --join/, "serve --data d --bootstrap --role voter");
  refuses(/--role/, "serve --data d --join h:1 --role learner");
  refuses(/--weight/, "serve --data d --weight -1");
});

Deno.test("parseCommandLine(): member needs an id and something to do", () => {
  assert.deepEqual(options("member", "member 3 http://a:1,http://b:2 --role stand_by --timeout-ms 5"), {
    memberId: 3,
    urls: ["http://a:1", "http://b:2"],
    token: undefined,
    timeoutMs: 5,
    remove: false,
    role: "stand_by",
    weight: undefined,
    failureDomain: undefined,
  });
  assert.deepEqual(options("member", "member 3 --weight 0").urls, ["http://127.0.0.1:4001"]);
  assert.equal(options("member", "member 3 --remove").remove, true);
  refuses(/missing required argument 'id'/, "member");
  refuses(/Nothing to do for member 3/, "member 3");
  refuses(/Cannot use --remove with --role/, "member 3 --remove --weight 1");
  for (const id of ["0", "x", "1.5", "9999999999999999"]) {
    refuses(/a member is named by its number/, `member ${id} --weight 1`);
  }
});
