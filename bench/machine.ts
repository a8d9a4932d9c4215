import { availableParallelism, cpus, totalmem } from "node:os";

/** Where and when figures were measured. */
export interface Machine {
  readonly date: string;
  readonly processor: string;
  readonly cores: number;
  readonly memoryGib: number;
  readonly system: string;
  readonly deno: string;
  /** Runnable threads of everything on the machine, mean of the last minute, before the run began. */
  readonly loadBefore: number;
}

export function describeMachine(): Machine {
  return {
    date: new Date().toISOString().slice(0, 10),
    processor: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    memoryGib: Math.round(totalmem() / 1024 ** 3),
    system: `${Deno.build.os} ${Deno.osRelease()} ${Deno.build.arch}`,
    deno: Deno.version.deno,
    loadBefore: Math.round((Deno.loadavg()[0] ?? 0) * 10) / 10,
  };
}

export const machineText = (machine: Machine): string =>
  `${machine.date}, ${machine.cores} × ${machine.processor}, ${machine.memoryGib} GiB, ${machine.system}, ` +
  `Deno ${machine.deno}, load ${machine.loadBefore} before`;
