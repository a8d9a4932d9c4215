/** Resident memory of a process in bytes, all of it and what belongs to no file (Linux). */
export function processMemory(processId: number): { readonly resident: number; readonly anonymous: number } {
  const text = Deno.readTextFileSync(`/proc/${processId}/status`);
  const bytesOf = (name: string): number =>
    1024 * Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? 0);
  return { resident: bytesOf("VmRSS"), anonymous: bytesOf("RssAnon") };
}

/** Processor seconds a process has used so far (Linux). */
export function processSeconds(processId: number): number {
  const fields = Deno.readTextFileSync(`/proc/${processId}/stat`).split(") ")[1]?.split(" ") ?? [];
  const TICKS_PER_SECOND = 100;
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}
