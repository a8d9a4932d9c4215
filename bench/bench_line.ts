import type { LatencySummary } from "./http_load.ts";

/** One workload with one number of connections, on one system. */
export interface BenchLine {
  /** `walraft`, or the baseline's name. */
  readonly system: string;
  /** `WorkloadId` of the same work for all systems. */
  readonly workload: string;
  readonly title: string;
  readonly connections: number;
  /** Calls answered while it was measured. */
  readonly operations: number;
  readonly perSecond: number;
  readonly rowsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  /** Calls that failed, or were refused. */
  readonly errors: number;
  readonly firstFailure: string | null;
  /** Processor time of all server processes for one call; null where it cannot be read. */
  readonly serverCpuMs: number | null;
  /** Processor time of the load generator for one call. */
  readonly clientCpuMs: number | null;
  /** What the leader's log grew by for one call. */
  readonly logBytes: number | null;
  /** What all members sent each other for one call. */
  readonly networkBytes: number | null;
}

/** What a line needs beside its figures. */
export type LineHead = Pick<BenchLine, "system" | "workload" | "title" | "connections">;

export interface Measured {
  readonly head: LineHead;
  readonly latency: LatencySummary;
  readonly seconds: number;
  readonly errors: number;
  readonly firstFailure?: string | null;
  readonly rowsPerRequest?: number;
}

/** What one call cost; all null where nothing can be said. */
export type Costs = Pick<BenchLine, "serverCpuMs" | "clientCpuMs" | "logBytes" | "networkBytes">;

export const NO_COSTS: Costs = { serverCpuMs: null, clientCpuMs: null, logBytes: null, networkBytes: null };

export function toBenchLine(measured: Measured, costs: Costs = NO_COSTS): BenchLine {
  const { head, latency, seconds } = measured;
  const perSecond = latency.count / seconds;
  return {
    ...head,
    operations: latency.count,
    perSecond: Math.round(perSecond),
    rowsPerSecond: Math.round(perSecond * (measured.rowsPerRequest ?? 1)),
    p50Ms: round(latency.p50Ms),
    p99Ms: round(latency.p99Ms),
    p999Ms: round(latency.p999Ms),
    errors: measured.errors,
    firstFailure: measured.firstFailure ?? null,
    ...costs,
  };
}

function round(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
