export interface DenoResult {
  readonly success: boolean;
  /** Both streams, without colours. */
  readonly output: string;
}

const REPOSITORY_ROOT = new URL("../../../", import.meta.url);

/** Runs this very Deno with the repository's configuration, for at most `timeoutMs` when given. */
export async function runDeno(args: readonly string[], timeoutMs?: number): Promise<DenoResult> {
  const timeout = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs);
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd: REPOSITORY_ROOT,
    env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
    stdin: "null",
    ...(timeout === undefined ? {} : { signal: timeout }),
  }).output();
  const text = new TextDecoder();
  return { success, output: `${text.decode(stdout)}${text.decode(stderr)}`.trim() };
}
