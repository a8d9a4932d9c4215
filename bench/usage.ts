import type { Costs } from "./bench_line.ts";
import { processSeconds } from "./process_memory.ts";

/** What has been used up to a moment; null where it cannot be read here. */
export interface Usage {
  readonly serverCpuMs: number | null;
  readonly clientCpuMs: number | null;
  /** Bytes the leader wrote to its log. */
  readonly logBytes: number | null;
  /** Bytes all members sent each other. */
  readonly networkBytes: number | null;
}

/** Between two moments, for each of `operations` calls. */
export function costs(before: Usage, after: Usage, operations: number): Costs {
  const each = (from: number | null, to: number | null): number | null =>
    from === null || to === null || to < from || operations === 0 ? null : (to - from) / operations;
  return {
    serverCpuMs: each(before.serverCpuMs, after.serverCpuMs),
    clientCpuMs: each(before.clientCpuMs, after.clientCpuMs),
    logBytes: each(before.logBytes, after.logBytes),
    networkBytes: each(before.networkBytes, after.networkBytes),
  };
}

/** Processor time of some processes together, or null where there is no /proc. */
export function cpuMs(processIds: readonly number[]): number | null {
  try {
    return processIds.reduce((sum, id) => sum + processSeconds(id) * 1_000, 0);
  } catch {
    return null;
  }
}

/**
 * Bytes that the ends of all connections at these ports have sent so far (`sport`: those that listen; `dport`: those that
 * dialled), as the system counts them (`ss -i`); null without that program. A connection that ends takes its count with it.
 */
export async function bytesSentAtPorts(
  ports: readonly number[],
  ends: readonly ("sport" | "dport")[] = ["sport", "dport"],
): Promise<number | null> {
  const filter = ports.flatMap((port) => ends.flatMap((end) => ["or", end, `= :${port}`])).slice(1);
  try {
    const { code, stdout } = await new Deno.Command("ss", {
      args: ["-Htin", "state", "established", "(", ...filter, ")"],
      stderr: "null",
    }).output();
    return code === 0 ? bytesSent(new TextDecoder().decode(stdout)) : null;
  } catch {
    return null;
  }
}

/** @param text what `ss -i` printed */
export function bytesSent(text: string): number {
  return [...text.matchAll(/\bbytes_sent:(\d+)/g)].reduce((sum, [, bytes]) => sum + Number(bytes), 0);
}

/** A metric of Prometheus text without labels; undefined when it is not there. */
export function metricIn(text: string, name: string): number | undefined {
  const value = new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1];
  return value === undefined ? undefined : Number(value);
}
