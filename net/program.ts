/**
 * The program: command line in, one node out. The only place that knows both the core and the network; every other file gets
 * what it needs handed in.
 */
import { existsSync } from "node:fs";
import { setImmediate } from "node:timers";
import denoJson from "../deno.json" with { type: "json" };
import { NodeError } from "../core/base/errors.ts";
import type { MemberChange, NewMember, NodeService } from "../core/node/service.ts";
import { ConsoleEvents } from "../core/host/console_events.ts";
import { DataDirLock } from "../core/host/data_dir_lock.ts";
import { DenoDisk } from "../core/host/deno_disk.ts";
import { sqlWorkerThreads } from "../core/host/sql_worker_thread.ts";
import { SystemClock } from "../core/host/system_clock.ts";
import { SystemRandom } from "../core/host/system_random.ts";
import type { Node } from "../core/node/node.ts";
import { openNode, type OpenNodeOptions } from "../core/node/open_node.ts";
import type { EngineModule, EngineName } from "../core/sql/engine.ts";
import type { ShortWorkOptions } from "../core/sql/pool.ts";
import type { CommandContext } from "./cli/command_context.ts";
import { type CommandActions, runCommandLine } from "./cli/command_line.ts";
import { denoContext } from "./cli/deno_context.ts";
import { formatHostPort, type ServeOptions } from "./cli/serve_options.ts";
import type { VerifyOptions } from "./cli/verify.ts";
import type { DqliteServer } from "./dqlite/server.ts";
import { createApp } from "./http/app.ts";
import { errorResponse } from "./http/error_response.ts";
import type { HttpHandler, HttpResponse } from "./http/http_message.ts";
import { HttpMetrics } from "./http/metrics.ts";
import { HttpServer } from "./http/server.ts";
import { callOnce } from "./peer/call_once.ts";
import { TcpTransport } from "./peer/tcp_transport.ts";

const READERS_DEFAULT = Math.max(2, navigator.hardwareConcurrency - 1);
const CHECKPOINT_BYTES_DEFAULT = 32 * 1024 * 1024;
const DRAIN_MS = 5_000;

/** Runs a node until a signal stops it; the result is the exit code. */
async function serve(entry: string, options: ServeOptions, { signal }: CommandContext): Promise<number> {
  const ending = endOf(signal, options.exitWithParent);
  const clock = new SystemClock();
  const events = new ConsoleEvents(options.logLevel, options.logFormat);
  const lock = DataDirLock.take(options.dataDirectory);
  const metrics = new HttpMetrics();
  let app: HttpHandler = ({ path }) => Promise.resolve(path === "/livez" ? ALIVE : starting());
  const { host: hostname, port } = options.http;
  const server = new HttpServer({
    hostname,
    port,
    clock,
    events,
    metrics,
    handler: (request) => app(request),
  });
  const addresses: NewMember = {
    httpAddress: options.advertiseHttp ?? formatHostPort({ host: hostname, port: server.port }),
    raftAddress: options.advertiseRaft ?? formatHostPort(options.raft),
    ...wireAddressOf(options),
    ...wantedOf(options),
  };
  // A node that waits for its cluster can be stopped as well.
  const node = await Promise.race([
    openNode(nodeOptions(entry, options, addresses, clock, events)),
    ending.then(() => undefined),
  ]);
  if (node === undefined) {
    lock.release();
    return 0;
  }
  const token = options.token === undefined ? {} : { token: options.token };
  app = createApp(node, { clock, metrics, events, version: denoJson.version, ...token });
  const wireServer = await serveWire(node, options, clock, events);
  events.event("started", {
    version: denoJson.version,
    url: `http://${addresses.httpAddress}`,
    raft: addresses.raftAddress,
    ...(addresses.wireAddress === undefined ? {} : { wire: addresses.wireAddress }),
    data: options.dataDirectory,
  });

  events.event("stopping", { reason: await ending });
  await shutDown([server, wireServer], node).catch(fatal(events));
  lock.release();
  events.event("stopped", {});
  return 0;
}

/** Checks the data folder of a node that is not running; the result is the exit code. */
async function verify(options: VerifyOptions, context: CommandContext): Promise<number> {
  const { dataDirectory } = options;
  // To lock a folder would create it.
  if (!existsSync(dataDirectory)) {
    throw new NodeError("not_found", `Cannot verify ${dataDirectory}: there is no such folder`);
  }
  const lock = DataDirLock.take(dataDirectory);
  try {
    const [{ verifyData }, { printFindings }] = await Promise.all([
      import("../core/node/verify_data.ts"),
      import("./cli/verify.ts"),
    ]);
    return printFindings(await verifyData(new DenoDisk(dataDirectory)), options, context);
  } finally {
    lock.release();
  }
}

/** At once: nothing may be acknowledged any more, not even by work that is under way (promise 1). */
function fatal(events: ConsoleEvents): (error: Error) => void {
  return (error) => {
    events.event("fatal", { reason: error.message });
    Deno.exit(1);
  };
}

function nodeOptions(
  entry: string,
  options: ServeOptions,
  addresses: NewMember,
  clock: SystemClock,
  events: ConsoleEvents,
): OpenNodeOptions {
  const random = new SystemRandom();
  const secret = options.clusterSecret;
  const { start } = options;
  const cacheKib = Math.floor(options.cacheBytes / 1024);
  const engine = options.engine ?? (options.wire === undefined ? "wa-sqlite" : "sqlite-wasm");
  return {
    disk: new DenoDisk(options.dataDirectory),
    clock,
    endOfTurn: setImmediate,
    random,
    events,
    addresses,
    firstStart: start.kind === "join"
      ? { kind: "join", raftAddresses: start.addresses }
      : { kind: "bootstrap" },
    openTransport: (identity, handler) => {
      const transport = new TcpTransport({ identity, secret, clock, random, events, handler });
      transport.listen(formatHostPort(options.raft));
      return transport;
    },
    callOnce: (address, method, body, timeoutMs) =>
      callOnce(address, method, body, { secret, timeoutMs, clock, random }),
    startWorker: sqlWorkerThreads(
      entry,
      options.dataDirectory,
      { cacheKib },
      engine,
    ),
    shortWork: shortWork(engine, cacheKib),
    readerCount: options.readers ?? READERS_DEFAULT,
    electionTimeoutMs: options.electionTimeoutMs,
    heartbeatMs: options.heartbeatMs,
    leaseMs: options.leaseMs,
    checkpointBytes: options.checkpointBytes ?? CHECKPOINT_BYTES_DEFAULT,
    checkpointAgeMs: options.checkpointAgeMs,
    retainMs: options.retainMs,
    logBytesMax: options.logBytesMax,
    createDatabases: options.createDatabases,
    onFatal: fatal(events),
  };
}

/** What reads and writes databases on this thread; most nodes start without. */
function shortWork(engine: EngineName, cacheKib: number): ShortWorkOptions {
  let module: Promise<EngineModule> | undefined;
  const loadModule = () =>
    module ??= import("../core/sql/wasm/load_engine.ts").then(({ loadEngineModule }) =>
      loadEngineModule(engine)
    );
  return {
    cacheKib,
    loadReaders: async () => {
      const [{ OpenReaders }, module] = await Promise.all([
        import("../core/sql/open_readers.ts"),
        loadModule(),
      ]);
      return (options) => new OpenReaders({ ...options, module });
    },
    loadWriters: async () => {
      const [{ OpenWriters }, module] = await Promise.all([
        import("../core/sql/open_writers.ts"),
        loadModule(),
      ]);
      return (options) => new OpenWriters({ ...options, module });
    },
  };
}

/** Undefined where the dqlite protocol is not spoken; its code is loaded only where it is. */
async function serveWire(
  node: NodeService,
  { wire, createDatabases }: ServeOptions,
  clock: SystemClock,
  events: ConsoleEvents,
): Promise<DqliteServer | undefined> {
  if (wire === undefined) return undefined;
  const { DqliteServer } = await import("./dqlite/server.ts");
  return new DqliteServer({ hostname: wire.host, port: wire.port, node, createDatabases, clock, events });
}

/** Clients are told the leader's address byte for byte, and compare it with the one they know. */
function wireAddressOf({ wire, advertiseWire }: ServeOptions): Pick<NewMember, "wireAddress"> {
  return wire === undefined ? {} : { wireAddress: advertiseWire ?? formatHostPort(wire) };
}

function wantedOf({ role, weight, failureDomain }: ServeOptions): MemberChange {
  return {
    ...(role === undefined ? {} : { role }),
    ...(weight === undefined ? {} : { weight }),
    ...(failureDomain === undefined ? {} : { failureDomain }),
  };
}

const ALIVE: HttpResponse = { status: 200, headers: ["content-type: text/plain"], body: ["ok\n"] };

/** Until the log is read and the cluster is known. */
function starting(): HttpResponse {
  return errorResponse(new NodeError("no_leader", "The node is starting; try again"), "json");
}

async function shutDown(
  servers: readonly (HttpServer | DqliteServer | undefined)[],
  node: Node,
): Promise<void> {
  await Promise.all(servers.map((server) => server?.stop(DRAIN_MS)));
  await node.stop();
}

/** Resolves with the reason once the node has to stop. */
function endOf(signal: AbortSignal, endsWithInput: boolean): Promise<string> {
  return new Promise((resolve) => {
    const onAbort = (): void => resolve(String(signal.reason));
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort);
    // An input that cannot be read has ended.
    if (endsWithInput) readToEnd().catch(() => {}).then(() => resolve("end of standard input"));
  });
}

async function readToEnd(): Promise<void> {
  const bytes = new Uint8Array(1024);
  while (await Deno.stdin.read(bytes) !== null);
}

/** Runs the command line to its end. @param entry URL of main.ts, or of the bundle: what SQL workers are started with */
export async function runProgram(entry: string): Promise<number> {
  const context = denoContext(entry, denoJson.version);
  const commands: CommandActions = {
    serve: (options, running) => serve(entry, options, running),
    demo: async (options, running) => await (await import("./cli/demo/demo.ts")).runDemo(options, running),
    verify,
  };
  return await runCommandLine(Deno.args, commands, context);
}
