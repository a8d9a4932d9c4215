/** Options of `serve`, and the checks that one option needs of another. */
import { isLoopback } from "../http/auth.ts";
import { type MemberTraitsOptions, readMemberTraits } from "./member_options.ts";
import type { OptionReader } from "./option_reader.ts";
import { UsageError } from "./usage_error.ts";

export interface HostPort {
  /** Name or address; an IPv6 address without brackets. */
  readonly host: string;
  readonly port: number;
}

/** How much of the log and of the past every node keeps. */
export interface StorageOptions {
  /** How far back queries can read the past. */
  readonly retainMs: number;
  /** Hard limit of the log on disk. */
  readonly logBytesMax: number;
  /** Undefined: the node decides. */
  readonly checkpointBytes: number | undefined;
  readonly checkpointAgeMs: number;
  /** SQLite's page cache of each open connection. */
  readonly cacheBytes: number;
}

/** What every node of a cluster has in common. */
export interface NodeTuning extends StorageOptions {
  readonly token: string | undefined;
  readonly clusterSecret: string | undefined;
  readonly createDatabases: boolean;
  readonly electionTimeoutMs: number;
  readonly heartbeatMs: number;
  /** 0: no leader leases. */
  readonly leaseMs: number;
  /** Undefined: the node decides. */
  readonly readers: number | undefined;
  /** The build of SQLite; undefined: `sqlite-wasm` where the dqlite protocol is spoken, else `wa-sqlite`. */
  readonly engine: "wa-sqlite" | "sqlite-wasm" | undefined;
  readonly logLevel: "debug" | "info" | "warn" | "error";
  readonly logFormat: "text" | "json";
}

export interface ServeOptions extends NodeTuning, MemberTraitsOptions {
  readonly dataDirectory: string;
  readonly http: HostPort;
  readonly raft: HostPort;
  /** HOST:PORT others use; undefined: the address the node listens on. */
  readonly advertiseHttp: string | undefined;
  readonly advertiseRaft: string | undefined;
  /** Where the dqlite protocol is spoken; undefined: nowhere. */
  readonly wire: HostPort | undefined;
  readonly advertiseWire: string | undefined;
  /**
   * What an empty data folder becomes: `bootstrap` and `automatic` found a cluster of one node, `join` asks the nodes
   * at these raft addresses. A folder with data goes on with it; `bootstrap` there is for the node to judge.
   */
  readonly start:
    | { readonly kind: "bootstrap" }
    | { readonly kind: "automatic" }
    | { readonly kind: "join"; readonly addresses: readonly string[] };
  /** Stop when standard input ends. */
  readonly exitWithParent: boolean;
}

/** `HOST:PORT` or `[IPv6]:PORT`. Throws UsageError naming `origin`. */
export function parseHostPort(text: string, origin: string): HostPort {
  const match = /^(?:\[([0-9A-Fa-f:.%]+)\]|([^\s:/@[\]]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new UsageError(`Cannot use "${text}" for ${origin}: it must be HOST:PORT, such as 127.0.0.1:4001`);
  }
  return { host: (match[1] ?? match[2]) as string, port };
}

export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Listens everywhere, so it is no address anyone could connect to. */
function isWildcard(host: string): boolean {
  return host === "0.0.0.0" || /^[0:]+$/.test(host);
}

export function readNodeTuning(reader: OptionReader): NodeTuning {
  const electionTimeoutMs = reader.integer("election-timeout-ms");
  const heartbeatMs = reader.integer("heartbeat-ms");
  if (heartbeatMs * 2 > electionTimeoutMs) {
    throw new UsageError(
      `Cannot use --heartbeat-ms ${heartbeatMs} with --election-timeout-ms ${electionTimeoutMs}: ` +
        "the timeout must be at least twice the heartbeat, or one late heartbeat starts an election",
    );
  }
  const leaseMs = reader.integer("lease-ms");
  if (leaseMs * 2 > electionTimeoutMs) {
    throw new UsageError(
      `Cannot use --lease-ms ${leaseMs} with --election-timeout-ms ${electionTimeoutMs}: ` +
        "a lease may last half of the timeout at most, or handing leadership over takes too long",
    );
  }
  return {
    token: reader.secret("token"),
    clusterSecret: reader.secret("cluster-secret"),
    createDatabases: reader.boolean("create-databases"),
    electionTimeoutMs,
    heartbeatMs,
    leaseMs,
    readers: reader.maybeInteger("readers"),
    ...readStorageOptions(reader),
    engine: reader.maybeText("engine") as NodeTuning["engine"],
    logLevel: reader.text("log-level") as NodeTuning["logLevel"],
    logFormat: reader.text("log-format") as NodeTuning["logFormat"],
  };
}

export function readStorageOptions(reader: OptionReader): StorageOptions {
  return {
    retainMs: reader.duration("retain"),
    logBytesMax: reader.size("log-bytes"),
    checkpointBytes: reader.maybeInteger("checkpoint-bytes"),
    checkpointAgeMs: reader.duration("checkpoint-age"),
    cacheBytes: reader.size("cache-bytes"),
  };
}

export function readServeOptions(reader: OptionReader): ServeOptions {
  const options: ServeOptions = {
    ...readNodeTuning(reader),
    dataDirectory: reader.text("data"),
    http: parseHostPort(reader.text("http"), reader.origin("http")),
    raft: parseHostPort(reader.text("raft"), reader.origin("raft")),
    advertiseHttp: readAdvertised(reader, "advertise-http"),
    advertiseRaft: readAdvertised(reader, "advertise-raft"),
    ...readWire(reader),
    start: readStart(reader),
    ...readMemberTraits(reader),
    exitWithParent: reader.boolean("exit-with-parent"),
  };
  if (options.role !== undefined && options.start.kind !== "join") {
    throw new UsageError(
      `Cannot use ${
        reader.origin("role")
      } without --join: a role counts when a node joins; later "walraft member" gives it`,
    );
  }
  checkExposed(options, "http", options.token, "--token or --token-file");
  checkExposed(options, "raft", options.clusterSecret, "--cluster-secret or --cluster-secret-file");
  return options;
}

/** The protocol knows neither tokens nor encryption, so nothing but the address keeps others out. */
function readWire(reader: OptionReader): Pick<ServeOptions, "wire" | "advertiseWire"> {
  const text = reader.maybeText("wire");
  const advertiseWire = readAdvertised(reader, "advertise-wire");
  if (text === undefined) return { wire: undefined, advertiseWire: undefined };
  const wire = parseHostPort(text, reader.origin("wire"));
  if (!isLoopback(wire.host) && !reader.boolean("wire-insecure")) {
    throw new UsageError(
      `Cannot listen on ${text} without --wire-insecure: the dqlite protocol has neither tokens nor encryption, and ` +
        "whoever reaches the port may do everything; listen on 127.0.0.1, or accept that with --wire-insecure",
    );
  }
  if (isWildcard(wire.host) && advertiseWire === undefined) {
    throw new UsageError(
      `Cannot listen on ${text} without --advertise-wire: clients are told the leader's address`,
    );
  }
  return { wire, advertiseWire };
}

function readAdvertised(reader: OptionReader, name: string): string | undefined {
  const text = reader.maybeText(name);
  if (text === undefined) return undefined;
  const address = parseHostPort(text, reader.origin(name));
  if (address.port === 0 || isWildcard(address.host)) {
    throw new UsageError(`Cannot use "${text}" for ${reader.origin(name)}: nobody can connect to it`);
  }
  return text;
}

function readStart(reader: OptionReader): ServeOptions["start"] {
  const addresses = reader.list("join");
  for (const address of addresses) parseHostPort(address, reader.origin("join"));
  if (!reader.boolean("bootstrap")) {
    return addresses.length === 0 ? { kind: "automatic" } : { kind: "join", addresses };
  }
  if (addresses.length > 0) {
    throw new UsageError("Cannot use --bootstrap with --join: a node either founds a cluster or joins one");
  }
  return { kind: "bootstrap" };
}

function checkExposed(
  options: ServeOptions,
  name: "http" | "raft",
  secret: string | undefined,
  flags: string,
): void {
  const { host } = options[name];
  const advertised = name === "http" ? options.advertiseHttp : options.advertiseRaft;
  if (isLoopback(host)) return;
  if (secret === undefined) {
    throw new UsageError(
      `Cannot listen on ${formatHostPort(options[name])} without ${flags}: others could reach it; ` +
        "set one, or listen on 127.0.0.1",
    );
  }
  if (isWildcard(host) && advertised === undefined) {
    throw new UsageError(
      `Cannot listen on ${formatHostPort(options[name])} without --advertise-${name}: ` +
        "other machines need an address they can connect to",
    );
  }
}
