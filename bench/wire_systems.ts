import type { ServerProcesses } from "./server_processes.ts";

/** Leader leases, where they are measured. */
export const LEASE_FLAGS = ["--lease-ms", "200"];

/** Servers that speak dqlite's client protocol. */
export interface WireSystem {
  readonly name: string;
  /** Ports one node needs, in a row; clients talk to the first. */
  readonly portsPerNode: number;
  /** Ids of the workloads it is measured with; all where it is left out. */
  readonly workloads?: readonly string[];
  /**
   * Starts a node, the first one as a cluster of its own, the others as members of it.
   *
   * @returns false where the program is not installed
   */
  start(servers: ServerProcesses, folder: string, port: number, firstPort: number): boolean;
}

/** dqlite as Debian packages it (`go-dqlite`). */
export const DQLITE: WireSystem = {
  name: "dqlite",
  portsPerNode: 2,
  start(servers, folder, port, firstPort) {
    const join = port === firstPort ? [] : ["--join", local(firstPort)];
    return servers.start("dqlite-demo", [
      "--api",
      local(port + 1),
      "--db",
      local(port),
      "--dir",
      folder,
      ...join,
    ]);
  },
};

export const WALRAFT_WIRE: WireSystem = {
  name: "walraft, dqlite's protocol",
  portsPerNode: 3,
  start: startWalraft,
};

/** Reads without a round to the followers. */
export const WALRAFT_WIRE_LEASES: WireSystem = {
  name: "walraft, dqlite's protocol, leases",
  portsPerNode: 3,
  workloads: ["read_wire_leader"],
  start: (...where) => startWalraft(...where, LEASE_FLAGS),
};

function startWalraft(
  servers: ServerProcesses,
  folder: string,
  port: number,
  firstPort: number,
  flags: readonly string[] = [],
): boolean {
  const first = port === firstPort ? ["--bootstrap"] : ["--join", local(firstPort + 2)];
  const program = new URL("../main.ts", import.meta.url).pathname;
  return servers.start(Deno.execPath(), [
    "run",
    "-A",
    "--v8-flags=--max-semi-space-size=2",
    program,
    "serve",
    "--data",
    folder,
    "--wire",
    local(port),
    "--http",
    local(port + 1),
    "--raft",
    local(port + 2),
    ...first,
    ...flags,
  ]);
}

function local(port: number): string {
  return `127.0.0.1:${port}`;
}
