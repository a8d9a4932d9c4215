/** Server processes of other makers, with a folder for their data; all end, and the folder goes, with it. */
export class ServerProcesses {
  readonly folder: string;
  readonly #children: Deno.ChildProcess[] = [];

  constructor(folder: string) {
    this.folder = folder;
  }

  static async open(name: string): Promise<ServerProcesses> {
    return new ServerProcesses(await Deno.makeTempDir({ prefix: `walraft-${name}-` }));
  }

  get processIds(): number[] {
    return this.#children.map((child) => child.pid);
  }

  /** False when there is no such program. */
  start(program: string, flags: readonly string[]): boolean {
    try {
      const streams = { stdin: "null", stdout: "null", stderr: "null" } as const;
      this.#children.push(new Deno.Command(program, { args: [...flags], ...streams }).spawn());
      return true;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) {
      try {
        child.kill("SIGKILL");
      } catch { /* It has ended already. */ }
      await child.status;
    }
    await Deno.remove(this.folder, { recursive: true });
  }
}

/** Whether a program of this name can be started. */
export async function isOnPath(program: string): Promise<boolean> {
  try {
    await new Deno.Command(program, { args: ["--help"], stdin: "null", stdout: "null", stderr: "null" })
      .output();
    return true;
  } catch {
    return false;
  }
}
