/** Which processes a development cluster consists of, and what each is started with. Pure. */
import { formatDuration, formatSize } from "./amount.ts";
import type { ClusterOptions } from "./arguments.ts";
import type { NodeTuning } from "./serve_options.ts";

export interface PlannedNode {
  /** `node-1` and so on: also the name of its folder. */
  readonly name: string;
  readonly dataDirectory: string;
  readonly httpAddress: string;
  readonly raftAddress: string;
  readonly url: string;
  /** Arguments of `serve` but for those that say how an empty folder starts. */
  readonly serveArgs: readonly string[];
}

export interface StartStep {
  readonly node: PlannedNode;
  /** `--bootstrap` or `--join …`; none for a node that goes on with its data. */
  readonly startArgs: readonly string[];
}

export function planNodes(options: ClusterOptions): PlannedNode[] {
  const tuning = tuningArgs(options.tuning);
  return Array.from({ length: options.nodes }, (_, i) => {
    const name = `node-${i + 1}`;
    const dataDirectory = `${options.dataDirectory}/${name}`;
    const httpAddress = `127.0.0.1:${options.httpPort + i}`;
    const raftAddress = `127.0.0.1:${options.raftPort + i}`;
    const serveArgs = [
      "serve",
      "--data",
      dataDirectory,
      "--http",
      httpAddress,
      "--raft",
      raftAddress,
      ...(options.wirePort === undefined ? [] : ["--wire", `127.0.0.1:${options.wirePort + i}`]),
      "--exit-with-parent",
      "true",
      ...tuning,
    ];
    return { name, dataDirectory, httpAddress, raftAddress, url: `http://${httpAddress}`, serveArgs };
  });
}

/** Secrets are not among the arguments: `secretEnvironment` hands them over unseen by process lists. */
function tuningArgs(tuning: NodeTuning): string[] {
  const args: [string, string | number | boolean | undefined][] = [
    ["create-databases", tuning.createDatabases],
    ["election-timeout-ms", tuning.electionTimeoutMs],
    ["heartbeat-ms", tuning.heartbeatMs],
    ["lease-ms", tuning.leaseMs],
    ["readers", tuning.readers],
    ["retain", formatDuration(tuning.retainMs)],
    ["log-bytes", formatSize(tuning.logBytesMax)],
    ["checkpoint-bytes", tuning.checkpointBytes],
    ["checkpoint-age", formatDuration(tuning.checkpointAgeMs)],
    ["cache-bytes", formatSize(tuning.cacheBytes)],
    ["engine", tuning.engine],
    ["log-level", tuning.logLevel],
    ["log-format", tuning.logFormat],
  ];
  return args.flatMap(([name, value]) => value === undefined ? [] : [`--${name}`, String(value)]);
}

/**
 * The environment of nodes: that of this process, with the secrets, and without variables that are meant for this
 * command (a WALRAFT_BOOTSTRAP or WALRAFT_JOIN there would start every node the same way).
 */
export function nodeEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  tuning: NodeTuning,
): Record<string, string> {
  const result: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment)) {
    if (value === undefined || (name.startsWith("WALRAFT_") && name !== "WALRAFT_SELF_COMMAND")) continue;
    result[name] = value;
  }
  if (tuning.token !== undefined) result.WALRAFT_TOKEN = tuning.token;
  if (tuning.clusterSecret !== undefined) result.WALRAFT_CLUSTER_SECRET = tuning.clusterSecret;
  return result;
}

/**
 * The order of starting: steps of one stage start together, and a stage waits for the one before it to be ready.
 * Nodes with data come first, all at once, for they need each other to elect a leader; then the rest join one by one.
 * With no data anywhere the first node founds the cluster. A node that lost its folder joins: founding a second
 * cluster beside the first would be a fork.
 */
export function planStart(
  nodes: readonly PlannedNode[],
  hasData: (node: PlannedNode) => boolean,
): StartStep[][] {
  const old = nodes.filter(hasData);
  const [first] = nodes as readonly [PlannedNode, ...PlannedNode[]];
  const stages: StartStep[][] = [
    old.length > 0
      ? old.map((node) => ({ node, startArgs: [] }))
      : [{ node: first, startArgs: ["--bootstrap", "true"] }],
  ];
  const running = old.length > 0 ? [...old] : [first];
  for (const node of nodes) {
    if (running.includes(node)) continue;
    const addresses = running.map((each) => each.raftAddress);
    stages.push([{ node, startArgs: ["--join", ...addresses] }]);
    running.push(node);
  }
  return stages;
}
