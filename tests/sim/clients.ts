import type { Milliseconds } from "../../core/base/ids.ts";
import type { Node } from "../../core/node/node.ts";
import type { QueryRequest, WriteRequest } from "../../core/node/service.ts";
import type { Statement } from "../../core/sql/values.ts";
import type { Machine } from "./sim_cluster.ts";

/** How long a client waits, where the plot does not say otherwise. */
const TIMEOUT_MS: Milliseconds = 3_000;

/** The node a client talked to is gone: it hears a broken connection. */
export class Lost extends Error {}

/** Connections of clients to nodes: what a node still says after its end reaches nobody. */
export class Clients {
  /** Asks that wait for an answer, with the life of the machine that was asked. */
  readonly #waiting = new Set<{ machine: Machine; life: number; lose: () => void }>();

  /** Breaks the connections to what has ended. */
  step(): void {
    for (const waiting of this.#waiting) {
      if (waiting.machine.life !== waiting.life || !waiting.machine.isUp) waiting.lose();
    }
  }

  /** @throws Lost */
  ask<T>(machine: Machine, request: (node: Node) => Promise<T>): Promise<T> {
    const { node, life } = machine;
    if (node === undefined || !machine.isUp) return Promise.reject(new Lost());
    return new Promise<T>((resolve, reject) => {
      const waiting = { machine, life, lose: () => settle(() => reject(new Lost())) };
      const settle = (then: () => void): void => {
        if (this.#waiting.delete(waiting)) then();
      };
      this.#waiting.add(waiting);
      request(node).then(
        (value) => settle(() => resolve(value)),
        (error) => settle(() => reject(error)),
      );
    });
  }

  write(
    machine: Machine,
    database: string,
    statements: readonly (string | Statement)[],
    options: Partial<WriteRequest> = {},
  ): Promise<{ index: number }> {
    return this.ask(machine, (node) =>
      node.write({
        database,
        kind: statements.length === 1 ? "execute" : "batch",
        statements: statements.map((one) => typeof one === "string" ? { sql: one, parameters: [] } : one),
        timeoutMs: TIMEOUT_MS,
        format: "json",
        rowShape: "arrays",
        ...options,
      }));
  }

  async rows(
    machine: Machine,
    database: string,
    sql: string,
    options: Partial<QueryRequest> = {},
  ): Promise<{ rows: unknown[][]; index: number }> {
    const request: QueryRequest = {
      database,
      sql,
      parameters: [],
      level: "linearizable",
      timeoutMs: TIMEOUT_MS,
      format: "json",
      rowShape: "arrays",
      ...options,
    };
    // As the servers do.
    const { fields, index } = await this.ask(
      machine,
      async (node) => node.queryNow(request) ?? await node.query(request),
    );
    const { rows } = JSON.parse(`{${new TextDecoder().decode(fields.bytes)}}`) as { rows: unknown[][] };
    return { rows, index };
  }
}
