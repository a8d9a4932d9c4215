import { type Client, type ClusterInfo, connect, type DatabaseInfo } from "../client/mod.ts";
import type { ConnectionOptions } from "./arguments.ts";
import type { CommandContext } from "./command_context.ts";
import { alignTable, formatBytes } from "./table_format.ts";
import { EXIT } from "./usage_error.ts";

const text = (value: number | undefined): string => (value === undefined ? "-" : String(value));

/** Cluster, members and databases as tables. */
export function formatStatus(
  cluster: ClusterInfo,
  databases: readonly DatabaseInfo[] | string,
  columns: number | undefined,
): string {
  const leader = cluster.leaderId === undefined ? "none" : `node ${cluster.leaderId}`;
  const head = `cluster ${cluster.clusterId}  leader ${leader}  term ${cluster.term}  ` +
    `committed ${cluster.commitIndex}  tip ${cluster.tip}${
      cluster.changing ? "  (members are changing)" : ""
    }\n` +
    `answered by node ${cluster.nodeId} (${cluster.role})\n\n`;
  const members = alignTable(
    ["id", "role", "http", "raft", "weight", "domain", "match index", "lag", "last contact"],
    cluster.members.map((member) => [
      String(member.id),
      member.role,
      member.httpAddress,
      member.raftAddress,
      String(member.weight),
      String(member.failureDomain),
      text(member.matchIndex),
      text(member.lag),
      member.lastContactMs === undefined ? "-" : `${Math.round(member.lastContactMs)} ms`,
    ]),
    [true, false, false, false, true, true, true, true, true],
    columns,
  );
  return `${head}${members}\n${formatDatabases(databases, columns)}`;
}

export function formatDatabases(
  databases: readonly DatabaseInfo[] | string,
  columns: number | undefined,
): string {
  if (typeof databases === "string") return `databases unknown: ${databases}\n`;
  if (databases.length === 0) return "no databases\n";
  return alignTable(
    ["database", "pages", "size", "index", "checkpoint"],
    databases.map((database) => [
      database.name,
      String(database.pages),
      formatBytes(database.bytes),
      String(database.index),
      String(database.checkpointIndex),
    ]),
    [false, true, true, true, true],
    columns,
  );
}

/** The cluster as the leader sees it where one is known: only the leader knows how far the others are. */
export async function fetchStatus(
  client: Client,
  signal: AbortSignal,
): Promise<{ cluster: ClusterInfo; databases: readonly DatabaseInfo[] | string }> {
  const cluster = await client.cluster({ signal });
  if (cluster.leaderId === undefined) return { cluster, databases: "no leader is known" };
  try {
    return { cluster, databases: await client.databases({ signal }) };
  } catch (error) {
    return { cluster, databases: error instanceof Error ? error.message : String(error) };
  }
}

export function openClient(options: ConnectionOptions): Client {
  const { urls, token, timeoutMs } = options;
  return connect(urls, { timeoutMs, ...(token === undefined ? {} : { token }) });
}

/** Exit code 1 when no node answers or no leader is known. */
export async function runStatus(options: ConnectionOptions, context: CommandContext): Promise<number> {
  const { cluster, databases } = await fetchStatus(openClient(options), context.signal);
  context.output.stdout(formatStatus(cluster, databases, context.output.columns));
  return cluster.leaderId === undefined ? EXIT.failure : EXIT.ok;
}
