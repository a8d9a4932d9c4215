/**
 * rqlite, where its server's binary is given: three `rqlited` processes (version 8 or later), the same table and statement
 * over its HTTP API.
 */
import { eventually } from "../tests/cluster/process_cluster.ts";
import { freePorts } from "../tests/support/free_ports.ts";
import { type BenchLine, NO_COSTS, toBenchLine } from "./bench_line.ts";
import { LoadClient } from "./load_client.ts";
import { ServerProcesses } from "./server_processes.ts";
import { cpuMs } from "./usage.ts";
import { fillIndexed, INSERT_INDEXED, KEY_BELOW, type Piece, ROW_TEXT, SCHEMA } from "./workloads.ts";

export interface RqliteOptions {
  readonly program: string;
  readonly seconds: number;
  readonly warmupMs: number;
  readonly connections: readonly number[];
  /** In the table before anything is measured. */
  readonly rows: number;
}

export const RQLITE = "rqlite";
const NODES = 3;

export async function measureRqlite(
  options: RqliteOptions,
  onLine: (line: BenchLine) => void = () => {},
): Promise<BenchLine[]> {
  await using servers = await ServerProcesses.open("rqlite");
  const ports = Array.from({ length: NODES }, () => freePorts(2));
  const [first] = ports as [number];
  for (const [at, port] of ports.entries()) {
    const addresses = ["-http-addr", `127.0.0.1:${port}`, "-raft-addr", `127.0.0.1:${port + 1}`];
    const join = at === 0 ? [] : ["-join", `127.0.0.1:${first + 1}`];
    const flags = ["-node-id", String(at + 1), ...addresses, ...join, `${servers.folder}/node-${at + 1}`];
    if (!servers.start(options.program, flags)) {
      throw new Error(`Cannot find ${options.program}; --rqlite takes the path of rqlited`);
    }
    await eventually(`rqlite node ${at + 1} is ready`, () => isReady(port));
  }
  const tables = SCHEMA.filter((sql) => / indexed/.test(sql));
  for (const sql of [...tables, ...fillIndexed(options.rows)]) await execute(first, [[sql]]);
  await using client = new LoadClient();
  const lines: BenchLine[] = [];
  for (const connections of options.connections) {
    const line = await measure(first, connections, options, client, servers);
    lines.push(line);
    onLine(line);
  }
  return lines;
}

async function isReady(port: number): Promise<boolean> {
  const response = await fetch(`http://127.0.0.1:${port}/readyz`);
  await response.body?.cancel();
  return response.status === 200;
}

async function execute(port: number, statements: readonly unknown[]): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${port}/db/execute`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(statements),
  });
  const text = await response.text();
  if (response.status !== 200 || text.includes('"error"')) throw new Error(`rqlite answered ${text}`);
}

async function measure(
  port: number,
  connections: number,
  options: RqliteOptions,
  client: LoadClient,
  servers: ServerProcesses,
): Promise<BenchLine> {
  const body: Piece[] = [
    `[[${JSON.stringify(INSERT_INDEXED)},`,
    { slot: "random", below: KEY_BELOW },
    `,"${ROW_TEXT[0]}`,
    { slot: "sequence" },
    `${ROW_TEXT[1]}"]]`,
  ];
  const before = cpuMs(servers.processIds);
  const load = {
    port,
    connections,
    durationMs: options.seconds * 1_000,
    warmupMs: options.warmupMs,
    requests: [{ path: "/db/execute", body, weight: 1 }],
  };
  const [outcome] = await client.run({ loads: [load] });
  if (outcome === undefined) throw new Error("The load generator answered without an outcome");
  const after = cpuMs(servers.processIds);
  const used = before === null || after === null ? null : (after - before) / outcome.callsInAll;
  return toBenchLine({
    head: { system: RQLITE, workload: "insert_indexed", title: "insert, random indexed key", connections },
    latency: outcome.latency,
    seconds: outcome.seconds,
    errors: outcome.failures,
    firstFailure: outcome.firstFailure,
  }, { ...NO_COSTS, serverCpuMs: used });
}
