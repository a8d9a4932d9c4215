/**
 * Both TypeScript clients side by side, `connect` (HTTP) and `WireDatabase` (the dqlite protocol), as programs use them: the
 * same calls on the same three nodes in one run, in turns, each client in a process of its own.
 *
 *     deno run -A bench/client_bench.ts [--seconds 2] [--rounds 3] [--callers 1,8,32] [--only insert,read,batch] [--smoke]
 */
import { parseArgs } from "node:util";
import { WireDatabase } from "../net/client/wire.ts";
import { eventually } from "../tests/cluster/process_cluster.ts";
import { freePorts } from "../tests/support/free_ports.ts";
import type { ClientJob, ClientOutcome, ClientWork } from "./client_process.ts";
import { JobProcess } from "./job_process.ts";
import { describeMachine, machineText } from "./machine.ts";
import { markdownTable, whole } from "./report.ts";
import { ServerProcesses } from "./server_processes.ts";
import { bytesSentAtPorts, cpuMs } from "./usage.ts";
import { WALRAFT_WIRE } from "./wire_systems.ts";
import { fillIndexed, fillPoint, SCHEMA } from "./workloads.ts";

export interface ClientBenchOptions {
  readonly seconds: number;
  readonly warmupMs: number;
  /** Each line is the median of so many measurements, by rate; the clients take turns. */
  readonly rounds: number;
  readonly callers: readonly number[];
  readonly works: readonly ClientWork[];
  readonly rows: number;
  readonly rowsPerBatch: number;
}

export interface ClientLine {
  readonly client: ClientJob["client"];
  readonly work: ClientWork;
  readonly callers: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** On the sockets for one call, as the system counts them; null where it does not. */
  readonly sentBytes: number | null;
  readonly receivedBytes: number | null;
  /** Processor time of the client for one call, and of all nodes; null where it cannot be read. */
  readonly clientCpuMs: number | null;
  readonly serverCpuMs: number | null;
}

const NODES = 3;
const CLIENTS = ["http", "wire"] as const;
const WORKS = ["insert", "read", "batch"] as const;
export const CLIENT_SMOKE: ClientBenchOptions = {
  seconds: 0.3,
  warmupMs: 20,
  rounds: 1,
  callers: [1, 4],
  works: WORKS,
  rows: 500,
  rowsPerBatch: 10,
};

interface Bench {
  readonly options: ClientBenchOptions;
  readonly servers: ServerProcesses;
  /** Of the dqlite protocol; that of HTTP is the next of each. */
  readonly ports: readonly number[];
  readonly processes: Readonly<Record<ClientJob["client"], JobProcess<ClientJob, ClientOutcome>>>;
  /** Rows that must have been inserted. */
  inserted: number;
}

/** Fails when a call fails, or when the rows in the table are not those that were acknowledged. */
export async function benchClients(
  options: ClientBenchOptions,
  onLine: (line: ClientLine) => void = () => {},
): Promise<ClientLine[]> {
  await using servers = await ServerProcesses.open("clients");
  const ports = Array.from({ length: NODES }, () => freePorts(WALRAFT_WIRE.portsPerNode));
  const [first] = ports as [number];
  ports.forEach((port, at) => WALRAFT_WIRE.start(servers, `${servers.folder}/node-${at + 1}`, port, first));
  const db = new WireDatabase(ports.map(addressOf), { database: "bench" });
  await eventually("three voters", () => hasVoters(first + 1));
  for (const sql of SCHEMA.filter((each) => / (indexed|point)\b/.test(each))) await db.execute(sql);
  for (const sql of [...fillIndexed(options.rows), ...fillPoint(options.rows)]) await db.execute(sql);
  await using http = new JobProcess<ClientJob, ClientOutcome>("client_process.ts");
  await using wire = new JobProcess<ClientJob, ClientOutcome>("client_process.ts");
  const bench: Bench = { options, servers, ports, processes: { http, wire }, inserted: options.rows };
  const lines: ClientLine[] = [];
  for (const work of options.works) {
    for (const callers of options.callers) {
      for (const line of await measureInTurns(bench, work, callers)) {
        lines.push(line);
        onLine(line);
      }
    }
  }
  const { n } = await db.first<{ n: number }>("SELECT count(*) AS n FROM indexed") ?? {};
  db.close();
  if (n !== bench.inserted) throw new Error(`Cannot count these figures: ${n} rows, not ${bench.inserted}`);
  return lines;
}

async function hasVoters(httpPort: number): Promise<boolean> {
  const answer = await fetch(`http://${addressOf(httpPort)}/v1/cluster`);
  const { members } = await answer.json() as { members: { role: string }[] };
  return members.filter(({ role }) => role !== "learner").length === NODES;
}

async function measureInTurns(bench: Bench, work: ClientWork, callers: number): Promise<ClientLine[]> {
  const measured: Record<ClientJob["client"], ClientLine[]> = { http: [], wire: [] };
  for (let round = 0; round < bench.options.rounds; round++) {
    // Who comes second finds a larger table: both do, in turns.
    for (const client of round % 2 === 0 ? CLIENTS : CLIENTS.toReversed()) {
      measured[client].push(await measure(bench, client, work, callers));
    }
  }
  return CLIENTS.map((client) => {
    const byRate = measured[client].sort((a, b) => a.perSecond - b.perSecond);
    return byRate[byRate.length >> 1] as ClientLine;
  });
}

async function measure(
  bench: Bench,
  client: ClientJob["client"],
  work: ClientWork,
  callers: number,
): Promise<ClientLine> {
  const { options, ports, processes } = bench;
  const clientPorts = ports.map((port) => client === "wire" ? port : port + 1);
  const { rows, rowsPerBatch, warmupMs } = options;
  const durationMs = options.seconds * 1_000;
  const before = await used(bench, client, clientPorts);
  const outcome = await processes[client].ask({
    client,
    addresses: clientPorts.map(addressOf),
    work,
    callers,
    warmupMs,
    durationMs,
    rows,
    rowsPerBatch,
  }, warmupMs + durationMs);
  const after = await used(bench, client, clientPorts);
  const { latency, seconds, callsInAll } = outcome;
  if (work !== "read") bench.inserted += callsInAll * (work === "batch" ? rowsPerBatch : 1);
  const each = (name: keyof Used): number | null => {
    const [from, to] = [before[name], after[name]];
    return from === null || to === null || to < from ? null : (to - from) / callsInAll;
  };
  return {
    client,
    work,
    callers,
    perSecond: latency.count / seconds,
    p50Ms: latency.p50Ms,
    p99Ms: latency.p99Ms,
    sentBytes: each("sentBytes"),
    receivedBytes: each("receivedBytes"),
    clientCpuMs: each("clientCpuMs"),
    serverCpuMs: each("serverCpuMs"),
  };
}

type Used = Pick<ClientLine, "sentBytes" | "receivedBytes" | "clientCpuMs" | "serverCpuMs">;

async function used(
  { servers, processes }: Bench,
  client: ClientJob["client"],
  ports: number[],
): Promise<Used> {
  return {
    sentBytes: await bytesSentAtPorts(ports, ["dport"]),
    receivedBytes: await bytesSentAtPorts(ports, ["sport"]),
    clientCpuMs: cpuMs([processes[client].processId]),
    serverCpuMs: cpuMs(servers.processIds),
  };
}

const addressOf = (port: number): string => `127.0.0.1:${port}`;

const HEAD = [
  "work",
  "client",
  "callers",
  "calls/s",
  "p50 ms",
  "p99 ms",
  "bytes sent",
  "bytes received",
  "client CPU ms",
  "server CPU ms",
];

function table(lines: readonly ClientLine[], { rowsPerBatch }: ClientBenchOptions): string {
  const titles = { insert: "insert", read: "point read", batch: `batch of ${rowsPerBatch} inserts` };
  const rows = lines.flatMap((line) => {
    const cells = [
      titles[line.work],
      line.client === "http" ? "HTTP" : "dqlite's protocol",
      String(line.callers),
      whole(line.perSecond),
      line.p50Ms.toFixed(2),
      line.p99Ms.toFixed(2),
      bytes(line.sentBytes),
      bytes(line.receivedBytes),
      line.clientCpuMs?.toFixed(3) ?? "–",
      line.serverCpuMs?.toFixed(3) ?? "–",
    ];
    return line.client === "http" ? [cells] : [cells, ratios(lines, line, titles[line.work])];
  });
  return markdownTable(HEAD, rows, 2);
}

/** The second client's figures by the first one's. */
function ratios(lines: readonly ClientLine[], line: ClientLine, title: string): string[] {
  const http = lines.find((each) =>
    each.client === "http" && each.work === line.work && each.callers === line.callers
  ) as ClientLine;
  const ratio = (name: Exclude<keyof ClientLine, "client" | "work">): string => {
    const [ours, theirs] = [line[name], http[name]];
    return ours === null || theirs === null || theirs === 0 ? "–" : `× ${(ours / theirs).toFixed(2)}`;
  };
  const names = [
    "perSecond",
    "p50Ms",
    "p99Ms",
    "sentBytes",
    "receivedBytes",
    "clientCpuMs",
    "serverCpuMs",
  ] as const;
  return [title, "_the second by the first_", String(line.callers), ...names.map(ratio)];
}

const bytes = (count: number | null): string => count === null ? "–" : whole(count);

if (import.meta.main) {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      seconds: { type: "string", default: "2" },
      rounds: { type: "string", default: "3" },
      callers: { type: "string", default: "1,8,32" },
      only: { type: "string", default: WORKS.join(",") },
      smoke: { type: "boolean", default: false },
    },
  });
  const full = {
    seconds: Number(values.seconds),
    warmupMs: 500,
    rounds: Number(values.rounds),
    callers: values.callers.split(",").map(Number),
    works: WORKS.filter((work) => values.only.split(",").includes(work)),
    rows: 100_000,
    rowsPerBatch: 100,
  };
  const options = values.smoke ? CLIENT_SMOKE : full;
  const machine = machineText(describeMachine());
  const lines = await benchClients(options, (line) => console.error(JSON.stringify(line)));
  console.log(`${machine}\n\n${table(lines, options)}`);
}
