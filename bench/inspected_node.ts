import type { NodeProcess, ProcessCluster } from "../tests/cluster/process_cluster.ts";
import { eventually } from "../tests/cluster/process_cluster.ts";
import { freePorts } from "../tests/support/free_ports.ts";
import { V8_FLAGS } from "../net/cli/self_command.ts";
import { NODE_FLAGS } from "./cluster_lines.ts";
import { Inspector } from "./inspector.ts";

const MAIN = new URL("../main.ts", import.meta.url).pathname;

/** A member of a cluster, started again so that its threads can be looked into, and made the leader. */
export class InspectedNode {
  readonly node: NodeProcess;
  readonly inspector: Inspector;
  readonly #child: Deno.ChildProcess;

  constructor(node: NodeProcess, inspector: Inspector, child: Deno.ChildProcess) {
    this.node = node;
    this.inspector = inspector;
    this.#child = child;
  }

  static async replace(cluster: ProcessCluster, node: NodeProcess): Promise<InspectedNode> {
    await node.stop();
    const port = freePorts(1);
    const addresses = ["--http", `127.0.0.1:${node.httpPort}`, "--raft", `127.0.0.1:${node.raftPort}`];
    const args = [
      "run",
      "-A",
      `--inspect=127.0.0.1:${port}`,
      V8_FLAGS,
      MAIN,
      "serve",
      "--data",
      node.dataFolder,
    ];
    const child = new Deno.Command(Deno.execPath(), {
      args: [...args, ...addresses, ...NODE_FLAGS],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    try {
      await eventually(
        "the inspected node is ready",
        async () => (await node.request("GET", "/readyz")).status === 200,
      );
      await lead(cluster, node);
      // Its threads start with the first write.
      await node.execute("UPDATE hot SET n = 0");
      return new InspectedNode(node, await Inspector.attach(port), child);
    } catch (error) {
      await end(child);
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.inspector.close();
    await end(this.#child);
  }
}

async function lead(cluster: ProcessCluster, node: NodeProcess): Promise<void> {
  await eventually("the inspected node leads", async () => {
    const { body } = await node.request("GET", "/v1/cluster");
    if (body.role === "leader") return true;
    const leader = await cluster.leader();
    await leader.request("POST", "/v1/cluster/transfer", { to: body.node_id });
    return false;
  });
}

async function end(child: Deno.ChildProcess): Promise<void> {
  try {
    child.kill("SIGKILL");
  } catch { /* It has ended already. */ }
  await child.status;
}
