import { type NodeProcess, ProcessCluster } from "../cluster/process_cluster.ts";
import { freePorts } from "../support/free_ports.ts";

/** Node processes that speak the dqlite protocol. */
export class WireCluster extends ProcessCluster {
  readonly addresses: string[] = [];

  static async three<T extends WireCluster>(this: new (folder: string, nodes: []) => T): Promise<T> {
    const cluster = new this(await Deno.makeTempDir({ prefix: "walraft-dqlite-" }), []);
    for (let node = 0; node < 3; node++) {
      const address = `127.0.0.1:${freePorts(1)}`;
      cluster.addresses.push(address);
      cluster.addNode().extra.push("--wire", address, "--exit-with-parent", "true");
    }
    for (const node of cluster.nodes) node.start();
    await cluster.ready();
    return cluster;
  }

  addressOf(node: NodeProcess): string {
    return this.addresses[this.nodes.indexOf(node)] as string;
  }
}
